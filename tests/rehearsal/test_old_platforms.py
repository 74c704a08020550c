"""The data of a platform that was made by somebody else, on the real engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from adoption.import_file import PlanInvalid, of_plan
from adoption.old_platform import read
from adoption.stack_file import adopt
from components.aws.managed_secret import managed_secret
from components.backend import database
from program import check_backend
from rehearsal.account import BUCKET, DATABASE, SNAPSHOT, Account
from rehearsal.engine import EngineFailure
from rehearsal.file_systems import KEY
from settings import from_mapping
from tests.adoption.old_facts import COPY, NAME, copy, snapshot, write
from tests.components.backend.simulated_backend import ACCOUNT, PARTITIONS, component
from tests.ops.command import kf
from tests.rehearsal.conftest import Started, steps
from tests.rehearsal.language_host import language_host

pytestmark = pytest.mark.engine
BUCKET_NAME = "old-artifacts"


def key(region: str) -> str:
    partition, _ = PARTITIONS[region]
    return f"arn:{partition}:kms:{region}:{ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef"


def old_platform(journal: Path, region: str, **changes: Any) -> Account:
    """An account with what awslabs' script leaves: a snapshot of its database, and a bucket."""
    account = Account(journal)
    kept = {
        "identifier": "kubeflow-db",
        "engineVersion": "8.0.45",
        "allocatedStorage": 50,
        "kmsKeyId": key(region),
        "username": "admin",
        **changes,
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
    way_out = r"snapshot is kubeflow-db-last-encrypted: the snapshot is not encrypted.*copy it"
    with (
        started(adopting("cn-north-1"), journal=str(journal)) as rehearsal,
        pytest.raises(EngineFailure, match=way_out),
    ):
        rehearsal.preview()
    assert account.inputs_of(DATABASE, "cn-north-1") == {}


def test_generated_settings_bring_up_a_stack_that_is_as_planned(
    started: Started, tmp_path: Path
) -> None:
    made = adopt(read(write(tmp_path, snapshot(NAME), copy())))
    values = {key.removeprefix("kubeflow:"): value for key, value in made.values.items()}
    settings, journal = from_mapping(values), tmp_path / "account.jsonl"
    account = old_platform(journal, settings.region)

    def program() -> None:
        check_backend(settings, aws.Provider("caller", region=settings.region), BUCKET_NAME)
        component(settings)

    with started(program, journal=str(journal)) as rehearsal:
        rehearsal.up()
        assert steps(rehearsal.preview()) == []
    ((_, instance),) = account.inputs_of(DATABASE, settings.region).items()
    assert (instance["username"], instance["engineVersion"]) == ("admin", "8.0.45")


def owning() -> None:
    """A stack that shall own the bucket."""
    component(from_mapping({"region": "cn-north-1", "artifacts": {"bucket": BUCKET_NAME}}))


def test_an_imported_bucket_is_changed_in_place(started: Started, tmp_path: Path) -> None:
    journal, plan, file = (tmp_path / name for name in ("account.jsonl", "plan.json", "i.json"))
    account = old_platform(journal, "cn-north-1")
    with started(owning, journal=str(journal)) as rehearsal, language_host() as variables:
        rehearsal.planned_imports(plan)
        facts = [f"--from={each}" for each in write(tmp_path, copy())]
        written = kf("adopt", *facts, f"--plan={plan}", f"--import={file}")
        assert written.exit_code == 0, written.output
        assert {each["type"] for each in json.loads(file.read_text())["resources"]} == {
            *("pulumi:providers:aws", BUCKET),
            *(f"kubeflow:platform:{name}" for name in ("ArtifactStore", "KubeflowRdsS3Backend")),
        }
        rehearsal.import_file(file, variables)
        after = rehearsal.up()
        assert "replace" not in after.changes
        assert ("update", BUCKET, "backend-artifacts") in steps(after)
        assert steps(rehearsal.preview()) == []
        with pytest.raises(EngineFailure, match=r"backend-artifacts.* protected"):
            rehearsal.destroy()
    assert account.ids(BUCKET, "cn-north-1") == [BUCKET_NAME]


def test_a_stack_without_a_bucket_of_its_own_needs_no_import(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    for content, sentence in (
        ('{"resources": []}', "makes no bucket: with `existing: true` it needs no import"),
        ("[]", "is no plan: write it by `pulumi preview --import-file"),
        ('{"resources": [{}]}', "is no plan"),
    ):
        plan.write_text(content)
        with pytest.raises(PlanInvalid, match=sentence):
            of_plan(plan, BUCKET_NAME)
    with pytest.raises(PlanInvalid, match="cannot be read"):
        of_plan(tmp_path / "absent.json", BUCKET_NAME)


def test_a_copy_with_the_key_of_rds_is_refused(started: Started, tmp_path: Path) -> None:
    journal = tmp_path / "account.jsonl"
    account = old_platform(journal, "cn-north-1")
    identifier = key("cn-north-1").rpartition("/")[2]
    account.remember(KEY, "cn-north-1", identifier, {"keyManager": "AWS"})
    with (
        started(adopting("cn-north-1"), journal=str(journal)) as rehearsal,
        pytest.raises(EngineFailure, match=r"artifacts\.kmsKeyArn is .*AWS has this key for one"),
    ):
        rehearsal.preview()
