"""The workflows, read by actionlint with shellcheck, and what no linter knows: rights and pins."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from tests.ci.programs import ACTIONLINT
from toolchain.go_programs import obtain

ROOT = Path(__file__).resolve().parent.parent.parent
READY = ROOT / "docs/ci/github-actions"
OWN = ROOT / ".github/workflows"
WORKFLOWS = sorted([*READY.iterdir(), *OWN.iterdir()])
SHELLCHECK = ROOT / ".venv/bin/shellcheck"
SHARED = ["comment.yaml", "plan.yaml"]

each_workflow = pytest.mark.parametrize(
    "path", WORKFLOWS, ids=lambda path: str(path.relative_to(ROOT))
)
each_ready = pytest.mark.parametrize("path", sorted(READY.iterdir()), ids=lambda path: path.name)

Tree = dict[str, Any]


def tree(path: Path) -> Tree:
    """A workflow; YAML 1.1 reads its key `on` as true."""
    return cast(Tree, yaml.safe_load(path.read_text("utf-8")))


def jobs(path: Path) -> dict[str, Tree]:
    return cast("dict[str, Tree]", tree(path)["jobs"])


def steps(path: Path) -> Iterator[Tree]:
    for job in jobs(path).values():
        yield from job["steps"]


# -- linters --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def actionlint() -> Path:
    program = obtain(ACTIONLINT, print)
    assert program, "see the lines above"
    return program


def findings(actionlint: Path, *paths: Path) -> list[str]:
    done = subprocess.run(
        [actionlint, "-oneline", "-no-color", "-shellcheck", SHELLCHECK, *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def test_actionlint_finds_nothing(actionlint: Path) -> None:
    assert findings(actionlint, *WORKFLOWS) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("runner.os }}", "runner.oss }}", "expression"),
        ("timeout-minutes: 45", "timeout: 45", "syntax-check"),
        ("contents: read", "contents: reads", "permissions"),
        ('docs/ci/plan.sh "$BASE"', "docs/ci/plan.sh $BASE", "shellcheck"),
    ],
)
def test_actionlint_would_find_a_fault(
    actionlint: Path, tmp_path: Path, old: str, new: str, finding: str
) -> None:
    text = (READY / "plan.yaml").read_text()
    assert old in text
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text.replace(old, new))
    found = findings(actionlint, wrong)
    assert len(found) == 1 or old.startswith("runner")
    assert f"[{finding}]" in found[0]


# -- one source -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHARED)
def test_this_repository_uses_the_ready_workflows(name: str) -> None:
    assert (OWN / name).read_bytes() == (READY / name).read_bytes()


def test_the_comment_follows_the_plan_by_its_name() -> None:
    plan, comment = tree(READY / "plan.yaml"), tree(READY / "comment.yaml")
    assert comment[cast(str, True)]["workflow_run"]["workflows"] == [plan["name"]]


# -- pins -----------------------------------------------------------------------------------------


@each_workflow
def test_only_githubs_own_actions_run_each_by_its_commit(path: Path) -> None:
    pin = re.compile(r"actions/[a-z-]+@[0-9a-f]{40} # v[\d.]+")
    lines = re.findall(r"uses: *(.+)", path.read_text())
    assert lines
    assert [line for line in lines if not pin.fullmatch(line)] == []


def test_an_action_has_one_version_everywhere() -> None:
    pins = {pin for path in WORKFLOWS for pin in re.findall(r"uses: *(.+)", path.read_text())}
    assert len({pin.split("@")[0] for pin in pins}) == len(pins)


# -- rights ---------------------------------------------------------------------------------------


@each_workflow
def test_no_workflow_gives_a_foreign_commit_a_token_that_writes(path: Path) -> None:
    text = path.read_text()
    assert "pull_request_target" not in text
    assert "permissions" in tree(path), "without it the token has the repository's default rights"
    rights = tree(path)["permissions"]
    for job in jobs(path).values():
        writes = "write" in {*(job.get("permissions", rights) or {}).values()}
        refs = [step.get("with", {}).get("ref") for step in job["steps"]]
        of_pull_requests = "pull_request" in cast("Tree | str", tree(path)[cast(str, True)])
        assert not (writes and (of_pull_requests or any(refs)))


def test_the_plan_of_a_pull_request_has_no_secret_and_reads_only() -> None:
    plan = tree(READY / "plan.yaml")
    assert plan["permissions"] == {"contents": "read"}
    assert [job for job in plan["jobs"].values() if "permissions" in job] == []
    assert not re.search(r"secrets\.|github\.token|id-token", (READY / "plan.yaml").read_text())


def test_the_comment_has_the_rights_it_names_when_they_are_refused() -> None:
    (job,) = jobs(READY / "comment.yaml").values()
    rights = {"actions": "read", "contents": "read", "pull-requests": "write"}
    assert tree(READY / "comment.yaml")["permissions"] == {}
    assert job["permissions"] == rights
    sentence = (ROOT / "docs/ci/comment.py").read_text()
    assert "`actions: read` and `pull-requests: write`" in sentence


def test_the_comment_uses_nothing_of_the_pull_request_but_its_text() -> None:
    text = (READY / "comment.yaml").read_text()
    (job,) = jobs(READY / "comment.yaml").values()
    assert [step.get("uses", "").split("@")[0] for step in job["steps"]] == ["actions/checkout", ""]
    assert "download-artifact" not in text
    used = set(re.findall(r"\$\{\{ *(.+?) *\}\}", text))
    assert used == {"vars.KF_LIVE_RUNNER || 'ubuntu-24.04'", "github.token"}


@each_ready
def test_no_machine_has_both_foreign_code_and_rights(path: Path) -> None:
    """Foreign code could leave a cache there for the job with the rights."""
    foreign = path.name == "plan.yaml"
    variable = "KF_RUNNER" if foreign else "KF_LIVE_RUNNER"
    machines = {str(job["runs-on"]) for job in jobs(path).values()}
    assert machines == {f"${{{{ vars.{variable} || 'ubuntu-24.04' }}}}"}
    assert foreign or "actions/cache" not in path.read_text()


@each_workflow
def test_no_expression_is_part_of_a_script(path: Path) -> None:
    if path.name == "test.yml":
        assert "matrix.tier" in path.read_text(), "its only expression is a word of its own matrix"
        return
    assert [step["run"] for step in steps(path) if "${{" in step.get("run", "")] == []


@each_ready
def test_no_checkout_leaves_a_token_behind(path: Path) -> None:
    checkouts = [step for step in steps(path) if "actions/checkout" in step.get("uses", "")]
    assert len(checkouts) == len(jobs(path))
    assert {step["with"]["persist-credentials"] for step in checkouts} == {False}


def test_what_changes_the_stack_waits_for_people() -> None:
    deploy = jobs(READY / "deploy.yaml")
    changing = {name for name, job in deploy.items() if "deploy.sh up" in str(job)}
    assert changing == {"up"}
    assert deploy["up"]["environment"] == "live"
    assert deploy["up"]["needs"] == "preview"
    assert tree(READY / "deploy.yaml")[cast(str, True)]["push"] == {"branches": ["main"]}


# -- what they name is there ----------------------------------------------------------------------


def test_every_command_of_a_workflow_is_there() -> None:
    files = [*READY.iterdir(), ROOT / "docs/ci/gitlab-ci.yaml", *(ROOT / "docs/ci").glob("*.sh")]
    texts = "\n".join(path.read_text() for path in files)
    scripts = set(re.findall(r"docs/ci/\w+\.sh", texts))
    modules = set(re.findall(r"-m docs\.ci\.(\w+)", texts))
    assert scripts == {f"docs/ci/{path.name}" for path in (ROOT / "docs/ci").glob("*.sh")}
    assert modules == {path.stem for path in (ROOT / "docs/ci").glob("*.py")}
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)


@each_workflow
def test_what_a_cache_depends_on_is_there(path: Path) -> None:
    for files in re.findall(r"hashFiles\((.+?)\)", path.read_text()):
        for pattern in re.findall(r"'(.+?)'", files):
            inside = pattern + "/*" * pattern.endswith("/**")
            assert next(ROOT.glob(inside), None), pattern


def test_no_host_is_named_but_by_a_variable() -> None:
    host = re.compile(r"\b(?:[\w-]+\.)+(?:com|cn|org|io|net|dev)\b")
    files = [*READY.iterdir(), ROOT / "docs/ci/gitlab-ci.yaml", *(ROOT / "docs/ci").glob("*.sh")]
    assert [found for path in files for found in host.findall(path.read_text())] == []


# -- GitLab ---------------------------------------------------------------------------------------

GITLAB = ROOT / "docs/ci/gitlab-ci.yaml"
STAGES = [".pre", "build", "test", "deploy", ".post"]
"""Those of a pipeline without `stages` (docs.gitlab.com, "CI/CD YAML syntax reference")."""
JOB_KEYS = {
    *("artifacts", "before_script", "cache", "environment", "extends", "id_tokens", "image"),
    *("needs", "resource_group", "rules", "script", "stage", "variables"),
}
RULE_KEYS = {"if", "when"}
ARTIFACT_KEYS = {"expire_in", "paths", "when"}
_OPERAND = r'(?:\$[A-Z_]+|"[^"]*")'
_TEST = rf"{_OPERAND}(?: (?:==|!=) {_OPERAND})?"
CONDITION = re.compile(rf"{_TEST}(?: (?:&&|\|\|) {_TEST})*")
PREDEFINED = {
    *("CI_COMMIT_BRANCH", "CI_COMMIT_SHA", "CI_DEFAULT_BRANCH", "CI_MERGE_REQUEST_DIFF_BASE_SHA"),
    *("CI_PIPELINE_SOURCE", "CI_PROJECT_DIR", "CI_SERVER_URL"),
}
OURS = {"KF_GITLAB_TOKEN", "KF_IMAGE", "KF_LIVE_IMAGE", "KF_STACK"}


def gitlab_jobs() -> dict[str, Tree]:
    """Every job with what it extends merged in, hidden ones left out."""
    whole = tree(GITLAB)
    entries = {name: value for name, value in whole.items() if name != "variables"}

    def merged(name: str) -> Tree:
        job = entries[name]
        above = merged(job["extends"]) if "extends" in job else {}
        both = {"variables"} & set(above) & set(job)
        return {**above, **job, **{key: {**above[key], **job[key]} for key in both}}

    return {name: merged(name) for name in entries if not name.startswith(".")}


def test_gitlabs_jobs_have_what_gitlab_asks_for() -> None:
    made = gitlab_jobs()
    assert set(made) == {"kf-plan", "kf-note", "kf-drift", "kf-preview", "kf-up"}
    for name, job in made.items():
        assert set(job) <= JOB_KEYS, name
        for key in ("script", "before_script"):
            lines = job.get(key, ["-"])
            assert lines
            assert all(isinstance(line, str) for line in lines), f"a colon makes a mapping: {name}"
        assert job["script"]
        assert job["image"]
        assert job["stage"] in STAGES
        for needed in job.get("needs", []):
            assert STAGES.index(made[needed]["stage"]) <= STAGES.index(job["stage"])
        assert job["rules"], "without rules a job is in every pipeline"
        for rule in job["rules"]:
            assert set(rule) <= RULE_KEYS
            assert CONDITION.fullmatch(rule["if"]), rule["if"]
            assert rule.get("when", "on_success") in {"on_success", "manual", "always"}
        assert set(job.get("artifacts", {})) <= ARTIFACT_KEYS
        assert all(isinstance(each["aud"], str) for each in job.get("id_tokens", {}).values())


def test_a_job_that_is_needed_is_in_every_pipeline_of_the_one_that_needs_it() -> None:
    """Else GitLab refuses the pipeline: "job does not exist in the pipeline"."""
    made = gitlab_jobs()
    for job in made.values():
        for needed in job.get("needs", []):
            for rule in job["rules"]:
                assert any(
                    rule["if"].startswith(condition["if"]) for condition in made[needed]["rules"]
                )


def test_the_note_follows_a_plan_that_fails_too() -> None:
    """A plan fails for a danger, and its file is kept: the note that matters most."""
    made = gitlab_jobs()
    assert [rule["when"] for rule in made["kf-note"]["rules"]] == ["always"]
    assert made["kf-plan"]["artifacts"]["when"] == "always"


def test_gitlabs_cache_is_below_the_project_and_has_at_most_two_keys() -> None:
    plan = gitlab_jobs()["kf-plan"]
    folder = plan["variables"]["KUBEFLOW_CACHE"]
    assert folder == f"$CI_PROJECT_DIR/{plan['cache']['paths'][0].rstrip('/')}"
    files = plan["cache"]["key"]["files"]
    assert len(files) <= 2
    assert all((ROOT / file).exists() for file in files)
    ignored = subprocess.run(["git", "check-ignore", "build/cache/x"], cwd=ROOT, check=False)
    assert ignored.returncode == 0


def test_a_merge_requests_code_gets_no_identity_and_no_live_stack() -> None:
    for name, job in gitlab_jobs().items():
        if any("merge_request_event" in rule["if"] for rule in job["rules"]):
            assert "id_tokens" not in job, name
            assert "environment" not in job
            assert "KF_STACK" not in json.dumps(job)


def test_gitlabs_stack_changes_after_a_click_in_an_environment() -> None:
    made = gitlab_jobs()
    assert [name for name, job in made.items() if "deploy.sh up" in str(job["script"])] == ["kf-up"]
    assert [rule["when"] for rule in made["kf-up"]["rules"]] == ["manual"]
    assert made["kf-up"]["environment"] == "live"


def test_every_variable_of_gitlabs_file_is_known() -> None:
    named = set(re.findall(r"\$([A-Z][A-Z_]+)", GITLAB.read_text()))
    assert named == PREDEFINED | OURS


def test_shellcheck_finds_nothing_in_gitlabs_scripts() -> None:
    for name, job in gitlab_jobs().items():
        script = "\n".join(["#!/bin/bash", *job.get("before_script", []), *job["script"]])
        done = subprocess.run(
            [SHELLCHECK, "-"], input=script, capture_output=True, text=True, check=False
        )
        assert done.stdout == "", name


def test_gitlab_offers_its_python_check_in_the_image_it_names() -> None:
    """The check of `before_script` succeeds where venv is there, so that nothing is installed."""
    (line,) = gitlab_jobs()["kf-plan"]["before_script"]
    shell = shutil.which("sh")
    assert shell
    done = subprocess.run([shell, "-ec", line], env={"PATH": os.environ["PATH"]}, check=False)
    assert done.returncode == 0
