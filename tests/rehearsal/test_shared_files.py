"""Shared files on the real engine: made, left behind with their key, and used again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
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


KEY = "aws:kms/key:Key"


@pytest.fixture
def begin(cli: Path, tmp_path: Path) -> Callable[..., AbstractContextManager[Rehearsal]]:
    """Begins a rehearsal of a stack in which nothing but files keeps the key."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_bytes((ROOT / "Pulumi.yaml").read_bytes())

    def start(**files: Any) -> AbstractContextManager[Rehearsal]:
        stack = yaml.safe_load((ROOT / f"Pulumi.{STACK}.yaml").read_text())
        stack["config"] |= {
            "kubeflow:sharedFiles": files,
            "kubeflow:artifacts": {"retainOnDelete": False},
            "kubeflow:database": {"skipFinalSnapshot": True, "deletionProtection": False},
        }
        (project / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump(stack))
        journal = str(tmp_path / "cloud.jsonl")
        return Rehearsal(
            project=project,
            stack=STACK,
            build=tmp_path / "build",
            pulumi=cli,
            simulation=Simulation(region=STACK, journal=journal, unknowns=True),
            program=partial(program, 1),
        ).started()

    return start


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path / "cloud.jsonl")


def key_of(account: Account, files: str) -> str:
    return str(account.inputs_of(FILE_SYSTEM, STACK)[files]["kmsKeyId"]).rpartition("/")[2]


def test_files_outlive_a_stack_and_the_next_one_uses_them(
    begin: Callable[..., AbstractContextManager[Rehearsal]], account: Account
) -> None:
    with begin(enabled=True) as rehearsal:
        up = rehearsal.up()
        assert set(rehearsal.preview().changes) == {"same"}
        (files,) = account.ids(FILE_SYSTEM, STACK)
        assert len(account.ids(TARGET, STACK)) == 3
        assert any(each.type.endswith(":StorageClass") for each in up.resources)
        rehearsal.destroy()
        assert account.ids(FILE_SYSTEM, STACK) == [files]
        assert account.ids(TARGET, STACK) == []
        kept = key_of(account, files)
        assert account.has(KEY, STACK, kept)
    with begin(enabled=True, fileSystemId=files) as rehearsal:
        rehearsal.up()
        assert account.ids(FILE_SYSTEM, STACK) == [files]
        assert len(account.ids(TARGET, STACK)) == 3
        assert set(rehearsal.preview().changes) == {"same"}
        rehearsal.destroy()
        assert account.ids(FILE_SYSTEM, STACK) == [files]
        # The key of the second stack encrypts nothing any more.
        assert key_of(account, files) == kept
        backend = [
            each
            for each, inputs in account.inputs_of(KEY, STACK).items()
            if inputs["tags"]["Name"].endswith("-backend")
        ]
        assert backend == [kept]
    absent, sentence = "fs-00000000", "EFS has no such file system"
    refused = pytest.raises(EngineFailure, match=sentence)
    with begin(enabled=True, fileSystemId=absent) as rehearsal, refused:
        rehearsal.preview()


@pytest.mark.parametrize("last", [{"enabled": False}, {"enabled": True, "fileSystemId": "its own"}])
def test_files_keep_their_key_when_the_stack_has_them_no_more(
    last: dict[str, Any],
    begin: Callable[..., AbstractContextManager[Rehearsal]],
    account: Account,
) -> None:
    with begin(enabled=True) as rehearsal:
        rehearsal.up()
        (files,) = account.ids(FILE_SYSTEM, STACK)
    named = {"fileSystemId": files} if "fileSystemId" in last else {}
    with begin(**(last | named)) as rehearsal:
        rehearsal.up()
        rehearsal.destroy()
    assert account.ids(FILE_SYSTEM, STACK) == [files]
    assert account.has(KEY, STACK, key_of(account, files))


def test_files_that_are_given_up_end_with_their_key(
    begin: Callable[..., AbstractContextManager[Rehearsal]], account: Account
) -> None:
    with begin(enabled=True) as rehearsal:
        rehearsal.up()
        (files,) = account.ids(FILE_SYSTEM, STACK)
        key = key_of(account, files)
    for given in ({"enabled": True, "retainOnDelete": False}, {"enabled": False}, {}):
        with begin(**given) as rehearsal:
            rehearsal.up()
    assert account.ids(FILE_SYSTEM, STACK) == []
    with begin() as rehearsal:
        rehearsal.destroy()
    assert not account.has(KEY, STACK, key)
