"""docs/pull-requests.md as a newcomer follows it: its commands run, its options and names exist."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from review.danger_rules import KINDS
from tests.ci.test_live_stack import Acting
from tests.ci.test_scripts import arguments, git, repository
from tests.documents import kf_command
from tests.rehearsal.conftest import cli

__all__ = ["cli", "repository"]

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = ["docs/pull-requests.md", "docs/pull-requests.zh-CN.md"]
CI = ROOT / "docs/ci"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXAMPLE = re.compile(r"<!-- plan:begin -->\n(.*?)<!-- plan:end -->", re.DOTALL)

each_page = pytest.mark.parametrize("page", PAGES)


def text_of(page: str) -> str:
    """A page without the example, which is the command's own output."""
    return _EXAMPLE.sub("", (ROOT / page).read_text("utf-8"))


def blocks(page: str, language: str) -> list[str]:
    return [text for name, text in _FENCE.findall(text_of(page)) if name == language]


def quoted(page: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", _FENCE.sub("", text_of(page)))


def commands(page: str) -> list[str]:
    """Every line of a shell block, and every command in the text."""
    return [*"\n".join(blocks(page, "sh")).splitlines(), *quoted(page)]


# -- six commands ---------------------------------------------------------------------------------


@each_page
def test_a_clone_becomes_a_reviewed_change_in_six_commands(page: str) -> None:
    (block,) = blocks(page, "sh")
    assert len(block.splitlines()) == 6


def test_the_six_commands_work_as_they_stand(repository: Path, tmp_path: Path) -> None:
    """On a repository with the real stack file, and a stub in place of the real `./kf`."""
    shutil.copy(ROOT / "Pulumi.cn-north-1.yaml", repository)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "the stack")
    forge = tmp_path / "platform.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), str(forge))
    (block,) = blocks(PAGES[0], "sh")
    address = re.search(r"git clone (\S+)", block)
    assert address
    done = subprocess.run(
        ["bash", "-e"],
        input=block.replace(address[1], str(forge)),
        cwd=tmp_path,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "zhang"),
            **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "zhang@example.com"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert arguments(tmp_path / "platform") == ["plan", "--base", "main"]
    changed = git(forge, "diff", "--unified=0", "main", "more-gpus").splitlines()
    assert [line for line in changed if re.match(r"[+-] ", line)] == [
        "-    maxGpus: 8",
        "+    maxGpus: 16",
    ]


def test_both_pages_say_the_same_things() -> None:
    english, chinese = map(text_of, PAGES)
    shape = re.compile(r"^(#{1,3} |\| |```)", re.MULTILINE)
    assert shape.findall(english) == shape.findall(chinese)
    assert _FENCE.findall(english) == _FENCE.findall(chinese)
    assert sorted(set(quoted(PAGES[0]))) == sorted(set(quoted(PAGES[1])))
    first, second = (_EXAMPLE.findall((ROOT / page).read_text("utf-8")) for page in PAGES)
    assert first == second


# -- options --------------------------------------------------------------------------------------


def code_of(script: Path) -> str:
    return re.sub(r"^#.*$", "", script.read_text("utf-8"), flags=re.MULTILINE)


def calls_of_kf() -> list[str]:
    texts = [line for page in PAGES for line in commands(page)]
    texts += [code_of(path) for path in CI.glob("*.sh")]
    return [call for text in texts for call in re.findall(r"\./kf ([a-z][^\n|]*)", text)]


def test_every_command_of_kf_and_its_options_are_real() -> None:
    calls = calls_of_kf()
    assert {call.split()[0] for call in calls} == {"bundle", "plan", "rights"}
    of_plan = set(re.findall(r"(?<=[ (])--[a-z-]+", code_of(CI / "plan.sh")))
    for call in calls:
        words = call.split()
        command = kf_command([word for word in words if re.fullmatch("[a-z]+", word)])
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert {word for word in words if re.fullmatch("--[a-z-]+", word)} <= known, call
    plan = {option for parameter in kf_command(["plan"]).params for option in parameter.opts}
    assert of_plan == {"--base", "--head", "--output", "--stack", "--fail-on"}
    assert of_plan <= plan


@pytest.mark.engine
def test_every_option_of_pulumi_is_real(
    cli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The options the scripts use, and those in the pages, by the CLI's own help."""
    from docs.ci import live_stack

    (tmp_path / "bin").mkdir(exist_ok=True)
    acting = Acting(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin/bin'}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    step = {"op": "update", "urn": "urn:pulumi:a::b::c::d"}
    for _ in range(4):
        acting.answers(0, {"steps": [step]})
    for command in ("drift", "preview", "up"):
        live_stack.main([command, "--stack", "live"])
    made = [call.split() for call in acting.calls()]
    named = [
        call.split()[1:]
        for page in PAGES
        for call in commands(page)
        if call.startswith("pulumi ") and "--" in call
    ]
    assert {words[0] for words in made} == {"refresh", "preview", "up"}
    assert named
    for words in (*made, *named):
        known = subprocess.run(
            [cli, words[0], "--help"],
            env={"PULUMI_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        options = set(re.findall(r"(--[a-z-]+)", known))
        assert {word for word in words if word.startswith("--")} <= options, words


@each_page
def test_the_kinds_of_danger_are_those_of_a_review(page: str) -> None:
    section = re.split("^## ", text_of(page), flags=re.MULTILINE)[3]
    rows = re.findall(r"^\| ([a-z ]*[a-z])", section, flags=re.MULTILINE)
    assert [row for row in rows if row != "a danger is of a kind"] == list(KINDS.values())


# -- names ----------------------------------------------------------------------------------------


@each_page
def test_every_variable_of_a_workflow_is_explained_and_no_other(page: str) -> None:
    files = [*(CI / "github-actions").iterdir(), CI / "gitlab-ci.yaml", *CI.glob("*.*")]
    sources = "\n".join(path.read_text("utf-8") for path in files if path.is_file())
    form = r"\b(?:KF|KUBEFLOW|AWS|PULUMI|PIP|GOPROXY)[A-Z_]*\b"
    chosen = set(re.findall(r"(?:vars|secrets)\.([A-Z_]+)", sources))
    explained = set(re.findall(form, " ".join(quoted(page))))
    of_first_day = {"PULUMI_PLUGIN_DOWNLOAD_URL_OVERRIDES"}
    assert chosen - of_first_day <= explained
    assert explained <= set(re.findall(form, sources))
    first_day = (ROOT / "docs/first-experiment.md").read_text("utf-8")
    assert of_first_day <= set(re.findall(form, first_day))


@each_page
def test_every_file_of_the_page_is_there(page: str) -> None:
    made_later = ("~", "plan.html", ".gitlab-ci.yml", "git@")
    files = [
        word
        for text in quoted(page)
        for word in text.split()
        if re.search(r"\.(sh|yaml|yml|html|md|py)$|/$", word) and not word.startswith(made_later)
    ]
    assert len(files) >= 6
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_the_scripts_import_what_the_guide_says() -> None:
    """`comment` runs in a job without the project's packages."""
    imports: dict[str, set[str]] = {}
    for path in CI.glob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
        named = {
            alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
        }
        named |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
        imports[path.stem] = {name.split(".")[0] for name in named} - sys.stdlib_module_names
    assert imports == {
        "comment": set(),
        "live_stack": set(),
        "aws_session": {"boto3", "botocore", "regions", "settings"},
    }
