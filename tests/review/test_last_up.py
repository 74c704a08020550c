"""After an ``up``, a preview's review knows the settings and files that were changed since."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from review import last_up

STACK = "Pulumi.x.yaml"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A project after an ``up`` of its stack x."""
    files = {
        STACK: "config: {kubeflow:region: us-west-2, kubeflow:release: '26.03'}",
        "program.py": "old",
        "manifests/26.03/release.yaml": "old",
        "docs/settings.md": "old",
        "tests/test_program.py": "old",
        ".venv/pyvenv.cfg": "",
        "venv/pyvenv.cfg": "",
        "venv/lib.py": "old",
        "bundles/kubeflow.tar.gz": "old",
        "components/__pycache__/a.pyc": "old",
        "build/x/plan.json": json.dumps([{"urn": "u", "type": "aws:sqs/queue:Queue"}]),
        "build/x/images.txt": "a:1 -> b:1\n",
        "build/x/findings.json": "[]",
        "build/x/state/.pulumi/stacks/kubeflow/x.json": "{}",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, "utf-8")
    last_up.keep(tmp_path / "build/x", tmp_path, tmp_path / STACK)
    return tmp_path


def found(project: Path) -> last_up.LastUp | None:
    return last_up.last_up(project / "build/x", project, project / STACK)


def test_the_older_side_is_what_the_run_has_read_and_written(made: Path) -> None:
    for name in ("plan.json", "images.txt", "findings.json"):
        (made / "build/x" / name).write_text("[3]", "utf-8")
    (made / STACK).write_text("config: {kubeflow:release: 26.03.1}", "utf-8")
    older = found(made)
    assert older is not None
    assert older.side.settings == {"kubeflow:region": "us-west-2", "kubeflow:release": "26.03"}
    assert [row["urn"] for row in older.side.rows] == ["u"]
    assert (older.side.images, older.side.findings) == ({"a:1": "b:1"}, ())
    assert older.changed_files == ()


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("program.py", True),
        ("manifests/26.03/release.yaml", True),
        ("catalog/models.yaml", True),
        (STACK, False),
        ("docs/settings.md", False),
        ("tests/test_program.py", False),
        (".venv/lib.py", False),
        ("venv/lib.py", False),
        ("bundles/kubeflow.tar.gz", False),
        ("node_modules/a.js", False),
        ("components/__pycache__/a.pyc", False),
        ("build/x/plan.json", False),
    ],
)
def test_a_file_that_a_program_reads_is_named_when_it_differs(
    made: Path, file: str, *, counts: bool
) -> None:
    (made / file).parent.mkdir(exist_ok=True)
    (made / file).write_text("new", "utf-8")
    older = found(made)
    assert older is not None
    assert older.changed_files == ((file,) if counts else ())


def test_a_file_that_is_gone_differs(made: Path) -> None:
    (made / "program.py").unlink()
    (made / "components").joinpath("gone.py").symlink_to(made / "nowhere")
    older = found(made)
    assert older is not None
    assert older.changed_files == ("program.py",)


def _another_state(project: Path) -> None:
    (project / "build/x/state/.pulumi/stacks/kubeflow/x.json").write_text("{ }", "utf-8")


def _no_digests(project: Path) -> None:
    (project / "build/x/last-up/digests.json").unlink()


def _half_a_plan(project: Path) -> None:
    (project / "build/x/last-up/plan.json").write_text("[", "utf-8")


def _digests_of_another_form(project: Path) -> None:
    (project / "build/x/last-up/digests.json").write_text("[]", "utf-8")


@pytest.mark.parametrize(
    "change", [_another_state, _no_digests, _half_a_plan, _digests_of_another_form]
)
def test_what_does_not_fit_the_state_is_no_side(made: Path, change: Callable[[Path], None]) -> None:
    """A run that failed, a refresh and a destroy leave another state than the ``up`` did."""
    change(made)
    assert found(made) is None


def test_a_later_run_takes_the_place_of_an_earlier_one(made: Path) -> None:
    _another_state(made)
    (made / "build/x/last-up/left").touch()
    (made / "build/x/.last-up").mkdir()
    last_up.keep(made / "build/x", made, made / STACK)
    assert found(made) is not None
    assert not (made / "build/x/last-up/left").exists()
