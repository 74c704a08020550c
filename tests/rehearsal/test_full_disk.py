"""A disk that is full during a rehearsal is named in one sentence, whoever meets it first."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from rehearsal import plan
from rehearsal.engine import EngineFailure, Rehearsal
from rehearsal.providers import Simulation
from rendering.machine_faults import MachineFault
from tests.rehearsal.conftest import Started
from tests.rendering.test_machine_faults import no_file_over

# What the CLI 3.259.0 ended with on a disk of 120 KiB, and on one of 40 KiB, where the simulated
# account could not be written.
OF_THE_STATE = (
    "error: saving update info: blob (code=Unknown): write /build/state/.pulumi/history/tiny.tmp: "
    "no space left on device"
)
OF_THE_ACCOUNT = "error: Exception calling application: [Errno 28] No space left on device"
OTHER = "error: the stack is broken"


def rehearsal_of(tmp_path: Path, command: str, message: str) -> Rehearsal:
    """A rehearsal with a CLI that ends with a message at one command."""
    cli = tmp_path / "pulumi"
    cli.write_text(
        f"#!/bin/sh\ncase \"$*\" in *{command}*) echo '{message}' >&2; exit 255;; esac\n"
    )
    cli.chmod(0o755)
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: tiny\nruntime: python\n")
    return Rehearsal(
        project=project,
        stack="tiny",
        build=tmp_path / "build",
        pulumi=cli,
        simulation=Simulation(region="cn-north-1"),
        program=lambda: None,
    )


@pytest.mark.parametrize("command", ["init", "up"])
@pytest.mark.parametrize("message", [OF_THE_STATE, OF_THE_ACCOUNT])
def test_a_full_build_folder_is_named(command: str, message: str, tmp_path: Path) -> None:
    rehearsal = rehearsal_of(tmp_path, command, message)
    with pytest.raises(MachineFault) as fault, rehearsal.started():
        rehearsal.up()
    assert str(fault.value) == (
        f"{tmp_path}/build cannot be used (No space left on device): free some space there."
    )


@pytest.mark.engine
def test_a_fault_inside_the_program_is_its_sentence(started: Started) -> None:
    def program() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/srv/charts")

    with started(program) as rehearsal, pytest.raises(EngineFailure) as failed:
        rehearsal.preview()
    assert failed.value.problems == [
        "/srv/charts cannot be used (Permission denied): make it writable."
    ]
    assert isinstance(failed.value.cause, MachineFault)


def test_a_plan_file_that_cannot_be_written_is_named_and_the_former_one_stays(
    tmp_path: Path,
) -> None:
    (tmp_path / "plan.json").write_text("[]")
    with no_file_over(0), pytest.raises(OSError, match="File too large") as full:
        plan.write(tmp_path, [], {}, lambda _: "")
    assert full.value.filename == str(tmp_path / "plan.json")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("plan.json", "[]")]


@pytest.mark.parametrize("command", ["init", "up"])
def test_another_failure_of_the_cli_is_its_own_sentence(command: str, tmp_path: Path) -> None:
    rehearsal = rehearsal_of(tmp_path, command, OTHER)
    with pytest.raises(EngineFailure, match=r"^the stack is broken$"), rehearsal.started():
        rehearsal.up()
