"""A user's own stack files stand in the project's folder and are no business of its tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TWO_LINES = "config:\n  kubeflow:region: eu-west-1\n"
READING_STACK_FILES = (
    "tests/test_documentation.py",
    "tests/settings/test_settings.py",
    "tests/ops/test_doctor.py",
)


def copied(to: Path) -> Path:
    """What git has of this checkout, with the changes made since, in another folder."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    present = {name for name in listed.stdout.split("\0") if (ROOT / name).is_file()}
    for name in present:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, to / name)
    return to


def test_a_users_stack_files_break_no_test(tmp_path: Path) -> None:
    project = copied(tmp_path)
    (project / "Pulumi.mine.yaml").write_text(TWO_LINES)
    # A name that a test mistypes.
    (project / "Pulumi.cn-nort-1.yaml").write_text(TWO_LINES)
    (project / "Pulumi.unfinished.yaml").touch()
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-k", "stack", *READING_STACK_FILES],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
