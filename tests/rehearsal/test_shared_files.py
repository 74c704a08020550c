"""Shared files on the real engine: made, left behind with their key, and used again."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from rehearsal.account import Account
from rehearsal.engine import EngineFailure, Rehearsal
from rehearsal.file_systems import FILE_SYSTEM, TARGET
from rehearsal.providers import Simulation
from tests.faults.interrupted import ROOT, STACK, program

pytestmark = pytest.mark.engine


def test_files_outlive_a_stack_and_the_next_one_uses_them(cli: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_bytes((ROOT / "Pulumi.yaml").read_bytes())
    journal = tmp_path / "cloud.jsonl"

    def begin(**files: Any) -> Any:
        stack = yaml.safe_load((ROOT / f"Pulumi.{STACK}.yaml").read_text())
        # Nothing else keeps the key.
        stack["config"] |= {
            "kubeflow:sharedFiles": {"enabled": True, **files},
            "kubeflow:artifacts": {"retainOnDelete": False},
            "kubeflow:database": {"skipFinalSnapshot": True, "deletionProtection": False},
        }
        (project / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump(stack))
        return Rehearsal(
            project=project,
            stack=STACK,
            build=tmp_path / "build",
            pulumi=cli,
            simulation=Simulation(region=STACK, journal=str(journal), unknowns=True),
            program=partial(program, 1),
        ).started()

    account = Account(journal)
    with begin() as rehearsal:
        up = rehearsal.up()
        assert set(rehearsal.preview().changes) == {"same"}
        (files,) = account.ids(FILE_SYSTEM, STACK)
        assert len(account.ids(TARGET, STACK)) == 3
        assert any(each.type.endswith(":StorageClass") for each in up.resources)
        rehearsal.destroy()
        assert account.ids(FILE_SYSTEM, STACK) == [files]
        assert account.ids(TARGET, STACK) == []
        kept = account.inputs_of(FILE_SYSTEM, STACK)[files]["kmsKeyId"].rpartition("/")[2]
        assert account.has("aws:kms/key:Key", STACK, kept)
    with begin(fileSystemId=files) as rehearsal:
        rehearsal.up()
        assert account.ids(FILE_SYSTEM, STACK) == [files]
        assert len(account.ids(TARGET, STACK)) == 3
        assert set(rehearsal.preview().changes) == {"same"}
        rehearsal.destroy()
        assert account.ids(FILE_SYSTEM, STACK) == [files]
    absent, sentence = "fs-00000000", "EFS has no such file system"
    with begin(fileSystemId=absent) as rehearsal, pytest.raises(EngineFailure, match=sentence):
        rehearsal.preview()
