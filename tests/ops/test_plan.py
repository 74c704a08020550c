"""``./kf plan``: two versions from git, rehearsed by their own code, and one review of both.

Most tests use a small project, whose rehearsal copies the stack file into a plan; the last test
uses this project itself.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ops import plan as command
from ops import side_processes, sides, targets
from ops.__main__ import app
from ops.side_processes import Processes
from toolchain.tools import Tool

ROOT = Path(__file__).resolve().parents[2]
HANGS = f"604.{os.getpid()}"
"""Seconds; another number in each process that runs these tests."""

REHEARSAL = """
import json, os, subprocess, sys
from pathlib import Path
import yaml

verb, stack = sys.argv[1], sys.argv[3]
config = yaml.safe_load(open(f"Pulumi.{stack}.yaml"))["config"]
build = Path("build", stack)
had = json.loads((build / "state.json").read_text()) if (build / "state.json").exists() else None
with open(os.environ["KUBEFLOW_SEEN"], "a") as seen:
    print(json.dumps({
        "verb": verb, "stack": stack, "state": had, "names": sorted(os.environ),
        "places": [Path(each).exists() for each in ("bundles/b", "../own/s", "../shared/upstream")],
        "files": [Path(each).exists() for each in ("new.txt", "x.ignored")],
        "plan": (build / "plan.json").exists(),
    }), file=seen)
if config["kubeflow:fault"] == "hangs":
    subprocess.run(["sleep", os.environ["KUBEFLOW_HANGS"]])
if config["kubeflow:fault"] == verb:
    sys.exit("The sky is\\nnot the limit.\\npreview failed")
if config["kubeflow:fault"] == "traceback":
    raise KeyError("deep")
build.mkdir(parents=True, exist_ok=True)
queue = "aws:sqs/queue:Queue"
row = {
    "urn": f"urn:pulumi:s::p::{queue}::q", "type": queue, "name": "q", "parent": "", "provider": "",
    "dependencies": [], "protect": False, "retain": False,
    "inputs": {"size": config["kubeflow:size"]},
}
if had is None:
    row["operation"] = "create"
else:
    row["operation"] = "same" if had == row["inputs"] else "update"
    if had != row["inputs"]:
        row |= {"before": had, "replacing": []}
if config["kubeflow:fault"] == "old":
    row.pop("operation")
(build / "plan.json").write_text(json.dumps([row]))
(build / "images.txt").write_text("")
verdict = {"policy": "no-queues", "level": "mandatory", "message": "No queues.", "urn": ""}
found = [{**verdict, "severity": "high"}] if config["kubeflow:size"] == 9 else []
(build / "findings.json").write_text(json.dumps(found))
if verb == "up":
    (build / "state.json").write_text(json.dumps(row["inputs"]))
if config["kubeflow:fault"] == "no plan":
    (build / "plan.json").write_text('[{"a": 1}, 2]')
if config["kubeflow:fault"] == "incomplete":
    print("plan\\nINCOMPLETE, without a source.\\n")
if config["kubeflow:fault"] == "objected" and verb == "preview":
    print("Pulumi CLI 3.0.0: in the cache, /home/a/pulumi", file=sys.stderr)
    print("26.03: unchanged, from the cache after 1.0 s", file=sys.stderr)
    sentences = [f"no queue: {os.getcwd()}/a.py has one."]
    Path(os.environ["KUBEFLOW_SENTENCES"]).write_text(json.dumps(sentences))
    sys.exit(1)
if config["kubeflow:fault"] == "refused" and verb == "preview":
    sys.exit('unable to replace resource "urn:pulumi:s::p::a:b:C$aws:x:X::q" as it is protected')
"""
SETUP = """#!/bin/sh
[ -f broken ] && { echo "No such package." >&2; exit 1; }
echo "{\\"verb\\": \\"setup\\"}" >> "$KUBEFLOW_SEEN"
mkdir -p .venv/bin && ln -sf %s .venv/bin/python
"""


def git(folder: Path, *arguments: str) -> str:
    names = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    done = subprocess.run(
        ["git", *names, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


class Project:
    """A project in git, and what its rehearsals have seen."""

    def __init__(self, folder: Path, seen: Path) -> None:
        self.folder, self._seen = folder, seen

    def stack(self, name: str, size: int = 1, fault: str = "", **more: Any) -> None:
        values = {"region": "us-west-2", "size": size, "fault": fault, **more}
        config = {f"kubeflow:{key}": value for key, value in values.items()}
        secret = {"acme:token": {"secure": "v1:CIPHERTEXT"}}
        file = self.folder / f"Pulumi.{name}.yaml"
        file.write_text(json.dumps({"encryptionsalt": "v1:SALT", "config": {**config, **secret}}))

    def commit(self) -> str:
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "-m", "m")
        return git(self.folder, "rev-parse", "HEAD")

    def seen(self, verb: str = "") -> list[dict[str, Any]]:
        """What was run since the last question."""
        lines = self._seen.read_text().splitlines() if self._seen.exists() else []
        self._seen.unlink(missing_ok=True)
        rows = [json.loads(line) for line in lines]
        return [row for row in rows if verb in ("", row["verb"])]

    def verbs(self) -> list[str]:
        return [row["verb"] for row in self.seen() if row["verb"] != "setup"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    folder, seen, cache = tmp_path / "work" / "p", tmp_path / "seen", tmp_path / "cache"
    (folder / "rehearsal").mkdir(parents=True)
    (folder / "rehearsal" / "__main__.py").write_text(REHEARSAL)
    (folder / "Pulumi.yaml").write_text("name: p\n")
    (folder / "setup.sh").write_text(SETUP % (ROOT / ".venv" / "bin" / "python"))
    (folder / "setup.sh").chmod(0o755)
    (folder / ".gitignore").write_text("*.ignored\nbuild/\nbundles/\n__pycache__/\n.venv\n")
    git(folder, "init", "--quiet", "-b", "main")
    made = Project(folder, seen)
    made.stack("a")
    made.commit()
    monkeypatch.setattr(targets, "PROJECT", folder)
    monkeypatch.setenv("KUBEFLOW_SEEN", str(seen))
    monkeypatch.setenv("KUBEFLOW_HANGS", HANGS)
    monkeypatch.setenv("KUBEFLOW_CACHE", str(cache))
    tool = Tool(Path("pulumi"), "3.0.0", "here")
    monkeypatch.setattr(command.tools, "pulumi", {command.progress: tool}.__getitem__)
    return made


def running(*words: str) -> list[str]:
    """The programs of this machine with one of these words in their command line."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if any(word in line for word in words)]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["plan", *arguments])


def test_the_head_is_the_working_tree_and_nothing_in_it_changes(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = ("AWS_PROFILE", "PULUMI_ACCESS_TOKEN", "GITHUB_TOKEN", "DB_PASS", "X_URL")
    hidden += ("UV_INDEX_A_PASSWORD",)
    for name in hidden:
        monkeypatch.setenv(name, "planted-credential")
    project.stack("a", size=2)
    (project.folder / "new.txt").touch()
    (project.folder / "x.ignored").touch()

    def state() -> tuple[list[tuple[Path, bytes]], str]:
        files = sorted(path for path in project.folder.rglob("*") if path.is_file())
        kept = [path for path in files if "build" not in path.relative_to(project.folder).parts]
        status = git(project.folder, "--no-optional-locks", "status", "--short")
        return [(path, path.read_bytes()) for path in kept], status

    before = state()
    result = run("--base", "main")
    assert result.exit_code == 0, result.output
    assert state() == before
    base, head = (row for row in project.seen() if row["verb"] != "setup")
    assert (base["verb"], head["verb"], head["state"]) == ("up", "preview", {"size": 1})
    assert (base["files"], head["files"]) == ([False, False], [True, False])
    assert not head["plan"]
    for name in hidden:
        assert name not in head["names"] + base["names"]
    folder = project.folder / "build" / "plan"
    written = result.output + "".join(
        path.read_text() for path in folder.rglob("*") if path.is_file()
    )
    assert "1 updated" in result.stdout
    assert "CIPHERTEXT" not in written
    assert "planted-credential" not in written
    assert "main (" in (folder / "plan.md").read_text()
    assert json.loads((folder / "a" / "plan.json").read_text())[0]["before"] == {"size": 1}
    assert (folder / "plan.md").stat().st_mode & 0o044 == 0o044
    assert [path.name for path in (project.folder.parents[1] / "cache" / "plan").glob(".*")] == []


def test_a_base_is_rehearsed_once_for_all_its_heads(project: Project) -> None:
    project.stack("a", size=2)
    for verbs in (["up", "preview"], ["preview"]):
        assert run("--base", "main").exit_code == 0
        assert project.verbs() == verbs
    project.commit()
    for verbs in (["preview"], ["preview"]):
        assert run("--base", "HEAD~1", "--head", "main").exit_code == 0
        assert project.verbs() == verbs


def test_few_bases_are_kept_the_last_used_ones(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sides, "_KEPT", 2)
    refs: list[str] = []
    for size in range(4):
        project.stack("a", size=size)
        refs.append(project.commit())
    project.stack("a", size=8)
    for ref in (refs[0], refs[1], refs[0], refs[2]):
        assert run("--base", ref).exit_code == 0
    project.seen()
    assert run("--base", refs[0]).exit_code == 0
    assert project.verbs() == ["preview"]
    assert run("--base", refs[1]).exit_code == 0
    assert project.verbs() == ["up", "preview"]


def test_equal_sides_are_one_line(project: Project) -> None:
    result = run("--base", "HEAD")
    assert (result.exit_code, project.seen()) == (0, [])
    assert result.stdout.startswith("Nothing changes: HEAD (")
    assert result.stdout.count("\n") == 1
    assert "Nothing changes" in (project.folder / "build" / "plan" / "plan.md").read_text()
    (project.folder / "other.py").touch()
    (project.folder / "build" / "plan" / "another").mkdir()
    result = run("--base", "HEAD")
    assert (result.exit_code, result.stdout) == (0, "a: nothing changes.\n")
    assert not (project.folder / "build" / "plan" / "another").exists()
    assert project.verbs() == ["up", "preview"]


def test_only_stacks_that_can_differ_are_rehearsed(project: Project) -> None:
    project.stack("b")
    project.stack("gone")
    project.commit()
    for folder in ("adoption", "docs"):
        (project.folder / folder).mkdir()
        (project.folder / folder / "page.md").touch()
        (project.folder / folder / "any.py").touch()
    (project.folder / "Pulumi.gone.yaml").unlink()
    project.stack("b", size=2)
    project.stack("new")
    result = run("--base", "HEAD")
    assert result.exit_code == 0, result.output
    assert "a: nothing changes, no file that it reads differs.\n" in result.stdout
    assert "gone: its stack file is gone. What is deployed stays" in result.stdout
    assert "b: 1 updated" in result.stdout
    assert "new: 1 created" in result.stdout
    rows = sorted((row["stack"], row["verb"]) for row in project.seen() if row["verb"] != "setup")
    assert rows == [("b", "preview"), ("b", "up"), ("new", "preview")]
    result = run("--base", "HEAD", "--stack", "b")
    assert result.exit_code == 0, (result.output, result.exception)
    assert {row["stack"] for row in project.seen("preview")} == {"b"}


def test_sources_beside_the_checkout_reach_both_sides(project: Project) -> None:
    (project.folder / "bundles").mkdir()
    (project.folder / "bundles" / "b").touch()
    (project.folder.parent / "shared" / "upstream").mkdir(parents=True)
    (project.folder.parent / "own").mkdir()
    (project.folder.parent / "own" / "s").touch()
    project.stack("a", bundles="../own")
    project.commit()
    project.stack("a", size=2, bundles="../own")
    assert run("--base", "HEAD").exit_code == 0
    for row in project.seen():
        assert row["verb"] == "setup" or row["places"] == [True, True, True]


def test_the_base_of_a_branch_that_is_behind_is_told(project: Project) -> None:
    git(project.folder, "switch", "--quiet", "-c", "branch")
    git(project.folder, "switch", "--quiet", "main")
    project.stack("a", size=3)
    project.commit()
    git(project.folder, "switch", "--quiet", "branch")
    result = run("--base", "main", "--head", "branch")
    assert "is not in branch" in result.stderr
    assert "`git merge-base`" in result.stderr
    assert "not in" not in run("--base", "branch", "--head", "main").stderr


def test_a_verdict_or_a_danger_fails_where_it_is_asked_for(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.stack("a", size=9)
    assert run("--base", "HEAD").exit_code == 0
    # A mandatory verdict that is new is a danger too.
    assert run("--base", "HEAD", "--fail-on", "danger").exit_code == 1
    result = run("--base", "HEAD", "--fail-on", "danger", "--fail-on", "policy")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "a: no-queues: No queues.")
    monkeypatch.setattr(command, "_dangerous", bool)
    result = run("--base", "HEAD", "--fail-on", "danger")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "the plan has dangers.")


def test_a_plan_that_the_engine_refuses_is_a_plan(project: Project) -> None:
    project.stack("a", size=2, fault="refused")
    result = run("--base", "HEAD")
    sentence = "a: the engine refuses this plan, because of protected resources."
    assert result.exit_code == 0
    assert sentence in result.stdout
    page = (project.folder / "build/plan/plan.md").read_text()
    # Before all else: nobody reads to the end of a comment on a phone.
    assert page.splitlines()[2] == f"- {sentence}"
    assert f"<li>{sentence}</li>" in (project.folder / "build/plan/plan.html").read_text()


def test_a_setting_that_only_one_version_has_is_a_key_less(project: Project) -> None:
    project.stack("a", deletableNamespaces=["li-na"], password="hunter2")
    found = json.loads(run("--base", "HEAD", "--format", "json").stdout)
    (stack,) = found["stacks"]
    assert stack["settings"] == [
        {"path": "kubeflow:deletableNamespaces", "new": ["li-na"]},
        {"path": "kubeflow:password", "new": "[secret]"},
    ]
    (danger,) = stack["dangers"]
    assert danger["cause"]["settings"] == stack["settings"][:1]


def test_a_refusal_has_the_reasons_and_no_steps() -> None:
    printed = """
kustomize 5.5.0: /usr/bin/kubectl kustomize
Pulumi CLI 3.259.0: in the cache, /home/x/tools/pulumi-3.259.0/pulumi
26.03: unchanged, from the cache after 1.0 s
kustomize 5.5.0 refuses /tmp/kubeflow-render-50jbyy0j/m: E1129 16:58:15.325474   11 run.go:72] "x"
encryption-at-rest: db: storageEncrypted is false.
preview failed
"""
    found = sides.sentences_of(printed, Path("none"))
    assert found == [
        'kustomize 5.5.0 refuses m: "x"',
        "encryption-at-rest: db: storageEncrypted is false.",
    ]
    verdict, protected = found[1], "urn:x is protected"
    policies = {"encryption-at-rest"}
    for sentences, reason in (
        ([verdict], "mandatory policies refuse this plan: encryption-at-rest."),
        ([verdict, protected], "mandatory policies and protected resources refuse this plan: "),
        ([protected], "the engine refuses this plan, because of protected resources."),
        (found, f"the engine refuses this plan: {found[0]}"),
    ):
        assert command.refusal("a", sentences, policies).startswith(f"a: {reason}")


def test_reasons_are_sentences_and_no_log(project: Project) -> None:
    project.stack("a", size=2, fault="objected")
    result = run("--base", "HEAD")
    sentence = "a: the engine refuses this plan: no queue: a.py has one.\n"
    assert sentence in result.stdout
    assert sentence in (project.folder / "build/plan/plan.md").read_text().replace("\\", "")


def test_a_side_that_is_incomplete_says_so(project: Project) -> None:
    project.stack("a", size=2, fault="incomplete")
    told = [line for line in run("--base", "HEAD").stderr.splitlines() if ": " in line]
    assert told == ["working tree: INCOMPLETE, without a source."]


@pytest.mark.parametrize("name", ["plan.json", "state.json", "digests.json"])
def test_a_kept_base_that_is_damaged_is_made_anew(project: Project, name: str) -> None:
    project.stack("a", size=2)
    run("--base", "main")
    project.seen()
    (file,) = (project.folder.parents[1] / "cache" / "plan").rglob(name)
    file.write_bytes(file.read_bytes()[:5])
    result = run("--base", "main")
    assert result.exit_code == 0, result.output
    assert project.verbs() == ["up", "preview"]


def test_what_ends_the_command_ends_its_programs_and_leaves_nothing(
    project: Project, tmp_path: Path
) -> None:
    project.stack("a", fault="hangs")
    project.commit()
    project.stack("a", size=2, fault="hangs")
    program = f"""
from pathlib import Path
import typer
from ops import plan, targets
from toolchain.tools import Tool
targets.PROJECT = Path({str(project.folder)!r})
plan.tools.pulumi = lambda say: Tool(Path("pulumi"), "3.0.0", "here")
app = typer.Typer()
app.command()(plan.plan)
app(["--base", "HEAD"])
"""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    command = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while not project.seen("up") and time.monotonic() < deadline:
        time.sleep(0.05)
    command.send_signal(signal.SIGTERM)
    assert command.wait(300) == 143
    work = project.folder.parents[1] / "cache" / "plan"
    assert list(work.glob(".*")) + list(temporary.iterdir()) == []
    # A killed program is listed until the kernel has ended it.
    deadline = time.monotonic() + 120
    while (left := running(str(work), f"sleep {HANGS}")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def test_a_program_without_an_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_processes, "_MINUTES", 0.01)
    done = Processes().run(["sh", "-c", "sleep 60 & sleep 60"], tmp_path, os.environ)
    assert (done.returncode, done.stderr) == (124, "it did not end in 0.01 minutes")


def test_formats_and_another_folder(project: Project, tmp_path: Path) -> None:
    project.stack("a", size=2)
    folder = str(tmp_path / "out")
    result = run("--base", "HEAD", "--output", folder, "--format", "markdown")
    assert result.stdout == (tmp_path / "out" / "plan.md").read_text()
    result = run("--base", "HEAD", "--output", folder, "--format", "json")
    found = json.loads(result.stdout)
    assert found["stacks"][0]["operations"] == {"update": 1}
    assert found["stacks"][0]["settings"] == [{"path": "kubeflow:size", "old": 1, "new": 2}]
    assert found["files"] == [f"{folder}/plan.md", f"{folder}/plan.html"]


FAULTS = [
    ("base", "up", "a of the base HEAD ({}) cannot be rehearsed: The sky is; not the limit."),
    ("base", "traceback", "a of the base HEAD ({}) cannot be rehearsed: KeyError: 'deep'"),
    ("head", "preview", "a of the head working tree cannot be rehearsed: The sky is; not the"),
    ("head", "no plan", "a of the head working tree has plan files that nobody can read ("),
    ("head", "old", "a of the head working tree has a plan without operations: name a newer"),
    ("base", "setup", "the base HEAD ({}) cannot be rehearsed: No such package."),
]


@pytest.mark.parametrize(("side", "fault", "sentence"), FAULTS)
def test_a_side_that_fails_is_one_sentence(
    project: Project, side: str, fault: str, sentence: str
) -> None:
    if fault == "setup":
        (project.folder / "broken").touch()
    project.stack("a", fault=fault if side == "base" else "")
    short = project.commit()[:7]
    (project.folder / "broken").unlink(missing_ok=True)
    project.stack("a", size=2, fault=fault if side == "head" else "")
    result = run("--base", "HEAD")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith(sentence.format(short))
    assert "Traceback" not in result.output
    logs = list((project.folder / "build" / "plan").glob("*.log"))
    assert bool(logs) == (fault in ("up", "traceback", "preview", "setup"))
    assert fault != "traceback" or 'raise KeyError("deep")' in logs[0].read_text()


def test_a_base_that_nobody_can_deploy_is_a_note_unless_it_is_named(project: Project) -> None:
    project.stack("b", fault="up")
    project.commit()
    (project.folder / "program.py").touch()
    result = run("--base", "HEAD")
    assert result.exit_code == 0
    assert "b of the base HEAD" in result.stdout
    assert run("--base", "HEAD", "--stack", "b").exit_code == 1
    project.stack("a", fault="preview")
    result = run("--base", "HEAD")
    assert result.exit_code == 1
    assert "b of the base HEAD" in result.stdout
    assert result.stderr.splitlines()[-1].startswith("a of the head working tree cannot be")


BAD_INPUT: list[tuple[Sequence[str], str]] = [
    (["--base", "nope"], "--base is nope: git knows no such commit here; `git branch --all`"),
    (["--base", ""], "--base is empty: git knows no such commit here"),
    (["--base", "--help-me"], "--base is --help-me: git knows no such commit here"),
    (["--base", "HEAD", "--head", ""], "--head is empty: git knows no such commit here"),
    (["--base", "HEAD", "--head", "nope"], "--head is nope: git knows no such commit here"),
    (
        ["--base", "HEAD", "--stack", "z"],
        "Pulumi.z.yaml does not exist: the stacks are a.",
    ),
    (["--base", "HEAD", "--output", "Pulumi.yaml"], "--output is Pulumi.yaml, a file: name a"),
    (["--base", "first"], "--base is first: that commit has no Pulumi.yaml."),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD_INPUT)
def test_bad_input_is_one_sentence(
    project: Project, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str], sentence: str
) -> None:
    monkeypatch.chdir(project.folder)
    empty = git(project.folder, "hash-object", "-t", "tree", "--stdin")
    git(project.folder, "tag", "first", git(project.folder, "commit-tree", empty, "-m", "m"))
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(sentence)
    assert result.stderr.count("\n") == 1


def test_a_folder_that_is_no_clone_is_one_sentence(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(project.folder / ".git")
    result = run("--base", "main")
    assert result.exit_code == 2
    assert "is no git repository" in result.stderr
    monkeypatch.setenv("PATH", "")
    result = run("--base", "main")
    assert (result.exit_code, result.stderr.split(":")[0]) == (2, "git is not on PATH")


def test_a_shallow_clone_is_told_how_to_get_the_base(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = git(project.folder, "rev-parse", "HEAD")
    project.commit()
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{project.folder}", "shallow")
    monkeypatch.setattr(targets, "PROJECT", tmp_path / "shallow")
    result = run("--base", first)
    assert result.exit_code == 2
    assert "`git fetch --unshallow`" in result.stderr


def test_a_project_in_a_folder_of_its_repository(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(project.folder / ".git")
    above = project.folder.parent
    (above / "other").write_text("x")
    git(above, "init", "--quiet", "-b", "main")
    git(above, "add", "--all")
    git(above, "commit", "--quiet", "-m", "m")
    project.stack("a", size=2)
    # As in a hook of git.
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")
    result = run("--base", "main")
    assert result.exit_code == 0, result.output
    assert "a: 1 updated" in result.stdout
    (project.folder / "Pulumi.yaml").unlink()
    project.stack("b")
    assert "equal" not in run("--base", "main").stdout
