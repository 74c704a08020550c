"""The data of a platform that was made by somebody else, on the real engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components.aws.managed_secret import managed_secret
from components.backend import database
from program import check_backend
from rehearsal.account import BUCKET, DATABASE, SNAPSHOT, Account
from rehearsal.engine import EngineFailure
from rehearsal.file_systems import KEY
from settings import from_mapping
from tests.components.backend.simulated_backend import ACCOUNT, PARTITIONS, component
from tests.rehearsal.conftest import Started, steps

pytestmark = pytest.mark.engine
BUCKET_NAME, COPY = "old-artifacts", "old-encrypted"


def key(region: str) -> str:
    partition, _ = PARTITIONS[region]
    return f"arn:{partition}:kms:{region}:{ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef"


def old_platform(journal: Path, region: str, **snapshot: Any) -> Account:
    """An account with what awslabs' script leaves: a snapshot of its database, and a bucket."""
    account = Account(journal)
    kept = {
        "identifier": "kubeflow-db",
        "engineVersion": "8.0.45",
        "allocatedStorage": 50,
        "kmsKeyId": key(region),
        "username": "admin",
        **snapshot,
    }
    for type_, name, inputs in (
        (SNAPSHOT, COPY, kept),
        (BUCKET, BUCKET_NAME, {"bucket": BUCKET_NAME}),
        (KEY, key(region).rpartition("/")[2], {}),
    ):
        account.create(type_, region, lambda _, name=name: (name, {}))
        account.remember(type_, region, name, inputs)
    return account


def adopting(region: str, **section: Any) -> Callable[[], Any]:
    sections = {
        "database": {"snapshot": COPY, "engineVersion": "8.0", **section},
        "artifacts": {"bucket": BUCKET_NAME, "existing": True, "kmsKeyArn": key(region)},
    }
    settings = from_mapping({"region": region, **sections})

    def program() -> None:
        check_backend(settings, aws.Provider("caller", region=region), BUCKET_NAME)
        component(settings)

    return program


@pytest.mark.parametrize("region", ["cn-north-1", "us-west-2", "us-gov-west-1"])
def test_a_database_of_another_master_user_is_made_once(
    started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    logins: list[str] = []

    def secret(*args: Any, values: Mapping[str, pulumi.Input[str]], **more: Any) -> Any:
        # The Job that makes the users reads it; of a secret the recorder has a mask.
        if not pulumi.runtime.is_dry_run():
            pulumi.Output.from_input(values["username"]).apply(logins.append)
        return managed_secret(*args, values=values, **more)

    monkeypatch.setattr(database, "managed_secret", secret)
    journal = tmp_path / "account.jsonl"
    account = old_platform(journal, region)
    with started(adopting(region), journal=str(journal)) as rehearsal:
        rehearsal.up()
        assert logins == ["admin"]
        ((identifier, instance),) = account.inputs_of(DATABASE, region).items()
        assert (instance["username"], instance["kmsKeyId"]) == ("admin", key(region))
        assert steps(rehearsal.preview()) == []
    # What served once may be removed, and the line of MySQL be upgraded.
    for change in ({"snapshot": None}, {"engineVersion": "8.4", "applyImmediately": True}):
        with started(adopting(region, **change), journal=str(journal)) as rehearsal:
            rehearsal.up()
            assert steps(rehearsal.preview()) == []
    assert account.inputs_of(DATABASE, region)[identifier]["username"] == "admin"
    assert account.has(BUCKET, region, BUCKET_NAME)


def test_an_unencrypted_snapshot_is_refused_with_the_way_out(
    started: Started, tmp_path: Path
) -> None:
    journal = tmp_path / "account.jsonl"
    account = old_platform(journal, "cn-north-1", kmsKeyId=None)
    way_out = r"database\.snapshot is old-encrypted: the snapshot is not encrypted.*copy it with"
    with (
        started(adopting("cn-north-1"), journal=str(journal)) as rehearsal,
        pytest.raises(EngineFailure, match=way_out),
    ):
        rehearsal.preview()
    assert account.inputs_of(DATABASE, "cn-north-1") == {}
