"""The scripts on real git repositories, and the workflows' own steps from a push to a comment."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from tests.ci.forges import RUN, TOKEN, State, archive, github
from tests.ci.test_live_stack import Acting, step

ROOT = Path(__file__).resolve().parent.parent.parent
CI = ROOT / "docs/ci"
# In place of the real command: notes its words and variables, and has a prepared plan.
_KF = """#!/bin/sh
for word in "$@"; do echo "$word" >> arguments; done
env > environment
for word in "$@"; do
  if [ "$before" = --output ]; then mkdir -p "$word" && cp stub.md "$word/plan.md"; fi
  before="$word"
done
exit "$(cat code)"
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=zhang", "-c", "user.email=zhang@example.com"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def commit(folder: Path, **files: str) -> str:
    for name, text in files.items():
        (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "change")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project with a stub of `./kf`, on `main`."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    shutil.copytree(CI, folder / "docs/ci", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "kf").write_text(_KF)
    (folder / "kf").chmod(0o755)
    (folder / ".gitignore").write_text("build/\narguments\nenvironment\n__pycache__/\n")
    commit(folder, code="0", **{"stub.md": "# Plan\n"})
    return folder


def plan(folder: Path, base: str, head: str, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "arguments").unlink(missing_ok=True)
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [folder / "docs/ci/plan.sh", base, head],
        cwd="/",
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def arguments(folder: Path) -> list[str]:
    return (folder / "arguments").read_text().splitlines()


# -- plan.sh --------------------------------------------------------------------------------------


def test_a_plan_compares_with_where_the_branch_began(repository: Path) -> None:
    began = git(repository, "rev-parse", "HEAD")
    git(repository, "switch", "--quiet", "--create", "topic")
    head = commit(repository, one="1")
    git(repository, "switch", "--quiet", "main")
    later = commit(repository, two="2")
    assert plan(repository, later, head).returncode == 0
    assert arguments(repository) == [
        "plan",
        "--base",
        began,
        "--head",
        head,
        "--output",
        "build/ci",
    ]
    assert (repository / "build/ci/plan.md").read_text() == "# Plan\n"


def test_stacks_and_reasons_to_fail_are_chosen_by_variables(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    plan(repository, head, head, KF_STACKS="cn-north-1  us-west-2", KF_FAIL_ON="danger policy")
    assert arguments(repository)[7:] == [
        *("--stack", "cn-north-1", "--stack", "us-west-2"),
        *("--fail-on", "danger", "--fail-on", "policy"),
    ]


@pytest.mark.parametrize("hostile", ["*", "$(touch owned)", "; touch owned", "`touch owned`"])
def test_a_variable_is_words_and_no_script(repository: Path, hostile: str) -> None:
    head = git(repository, "rev-parse", "HEAD")
    assert plan(repository, head, head, KF_STACKS=hostile).returncode == 0
    assert not (repository / "owned").exists()
    assert arguments(repository)[7:] == [
        part for word in hostile.split() for part in ("--stack", word)
    ]


def test_variables_that_nobody_filled_are_not_there(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    plan(repository, head, head, PIP_INDEX_URL="", KUBEFLOW_GIT_PREFIX="", KUBEFLOW_BUNDLES="/b")
    lines = (repository / "environment").read_text().splitlines()
    assert "KUBEFLOW_BUNDLES=/b" in lines
    assert not [line for line in lines if re.match("PIP_INDEX_URL|KUBEFLOW_GIT_PREFIX", line)]


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_exit_code_is_that_of_the_plan(repository: Path, code: int) -> None:
    head = commit(repository, code=str(code), other="x")
    assert plan(repository, head, head).returncode == code


def test_a_checkout_without_history_is_told_what_to_fetch(repository: Path, tmp_path: Path) -> None:
    base = git(repository, "rev-parse", "HEAD")
    head = commit(repository, one="1")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", repository.as_uri(), str(shallow))
    done = plan(shallow, base, head)
    assert done.returncode == 2
    assert f"git does not know where {head} left {base}: check out the whole history" in done.stderr
    assert not (shallow / "arguments").exists()


# -- drift.sh -------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """This project by links, with its environment made already."""
    folder = tmp_path / "links"
    folder.mkdir()
    for path in ROOT.iterdir():
        if path.name not in ("build", "setup.sh", ".git"):
            (folder / path.name).symlink_to(path)
    (folder / "setup.sh").write_text("#!/bin/sh\n")
    (folder / "setup.sh").chmod(stat.S_IRWXU)
    return folder


def drift(project: Path, tmp_path: Path, state: State) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [project / "docs/ci/drift.sh", "us-west-2"],
        env={
            "PATH": f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GITHUB_API_URL": state.root,
            "GITHUB_REPOSITORY": "acme/platform",
            "GITHUB_TOKEN": TOKEN,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_drift_opens_an_issue_and_its_end_closes_it(project: Path, tmp_path: Path) -> None:
    acting = Acting(tmp_path)
    acting.answers(7, {"steps": [step("update", detailedDiff={"version": {}})]})
    acting.answers(1, "", "error: ExpiredToken\n")
    acting.answers(0, {"steps": [step("refresh")]})
    with github() as state:
        assert drift(project, tmp_path, state).returncode == 1
        (issue,) = state.issues
        assert issue["title"] == "Stack us-west-2 is not as its state says"
        assert "| update | `aws:eks/cluster:Cluster cluster` | `version` |" in issue["body"]
        calls = len(state.calls)
        failed = drift(project, tmp_path, state)
        assert failed.returncode == 2
        assert "ExpiredToken" in failed.stderr
        assert len(state.calls) == calls, "what was not compared opens and closes nothing"
        assert drift(project, tmp_path, state).returncode == 0
        assert issue["state"] == "closed"
    assert [call.split(" --")[0] for call in acting.calls()] == ["refresh"] * 3


# -- from a push to a comment ---------------------------------------------------------------------


def run_workflow(
    name: str, checkout: Path, context: Mapping[str, str], **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs the scripts of a workflow's only job as the runner does: `bash -e`, in the checkout.

    An expression of a variable of `env` is its value in `context`; of another one, the empty text.
    """
    workflow: Any = yaml.safe_load((CI / "github-actions" / name).read_text())
    (job,) = workflow["jobs"].values()
    done = None
    for each in cast("list[dict[str, Any]]", job["steps"]):
        if "run" not in each:
            assert each["uses"].startswith("actions/")
            continue
        expressions = {key: re.sub(r"\$\{\{ *| *\}\}", "", v) for key, v in each["env"].items()}
        values = {key: context.get(expression, "") for key, expression in expressions.items()}
        done = subprocess.run(
            ["bash", "-e", "-c", each["run"]],
            cwd=checkout,
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **variables, **values},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done
    return done


def test_a_forks_pull_request_gets_one_comment_that_follows_it(
    repository: Path, tmp_path: Path
) -> None:
    """The plan runs in the merge commit without a token, the comment in the default branch."""
    main = git(repository, "rev-parse", "HEAD")
    fork = tmp_path / "fork"
    git(tmp_path, "clone", "--quiet", str(repository), str(fork))
    git(fork, "switch", "--quiet", "--create", "topic")
    bodies: list[str] = []
    with github() as state:
        for text in ("- cluster: **replaced**, says @acme/admins\n", "Nothing changes.\n"):
            # The fork's own comment.py posts nothing: it never runs with the token.
            head = commit(fork, **{"stub.md": text, "docs/ci/comment.py": "raise SystemExit(9)\n"})
            state.pulls = {7: ("zhang:topic", head)}
            git(repository, "fetch", "--quiet", str(fork), f"topic:refs/pull/{head}")
            merge = tmp_path / head
            git(repository, "worktree", "add", "--quiet", "--detach", str(merge), head)
            context = {
                "github.event.pull_request.base.sha": main,
                "github.event.pull_request.head.sha": head,
            }
            planned = run_workflow("plan.yaml", merge, context, CI="true")
            assert planned.returncode == 0, planned.stderr
            assert TOKEN not in (merge / "environment").read_text()
            state.artifact = archive({"plan.md": (merge / "build/ci/plan.md").read_bytes()})
            event = {
                "id": RUN,
                "event": "pull_request",
                "conclusion": "success",
                "head_sha": head,
                "head_branch": "topic",
                "head_repository": {"full_name": "zhang/platform", "owner": {"login": "zhang"}},
                "html_url": "https://github.example.com/runs/77",
            }
            (tmp_path / "event.json").write_text(json.dumps({"workflow_run": event}))
            posted = run_workflow(
                "comment.yaml",
                repository,
                {"github.token": TOKEN},
                GITHUB_API_URL=state.root,
                GITHUB_REPOSITORY="acme/platform",
                GITHUB_EVENT_PATH=str(tmp_path / "event.json"),
            )
            assert posted.returncode == 0, posted.stderr
            (comment,) = state.comments
            bodies.append(comment["body"])
    assert "cluster: **replaced**, says @\u200bacme/admins" in bodies[0]
    assert "Nothing changes." in bodies[1]
    assert "cluster" not in bodies[1]
