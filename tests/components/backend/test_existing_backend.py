"""What the look-ups tell of a backend that exists, and what a refused look-up does."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components.backend.existing_backend import left_files, look_up
from program import check_backend, leaves_files
from settings import Settings, from_mapping
from settings.context import StackContext
from settings.existing_backend import ExistingBackend, ExistingDatabase, problems_of_backend

KEY = "arn:aws-cn:kms:cn-north-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
PROVIDER: Any = None


def answers(**values: Any) -> Callable[..., SimpleNamespace]:
    def call(**_: Any) -> SimpleNamespace:
        return SimpleNamespace(**values)

    return call


def fails(sentence: str) -> Callable[..., Any]:
    def call(**_: Any) -> Any:
        raise Exception(sentence)

    return call


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An account with a snapshot, a bucket and a key, and another stack's database."""
    found = answers(engine_version="8.4.7", allocated_storage=100, kms_key_id=KEY)
    monkeypatch.setattr(aws.rds, "get_instances", answers(instance_identifiers=["other-kubeflow"]))
    monkeypatch.setattr(aws.rds, "get_instance", found)
    monkeypatch.setattr(aws.rds, "get_snapshot", found)
    monkeypatch.setattr(aws.s3, "get_bucket", answers())
    monkeypatch.setattr(aws.kms, "get_key", answers(key_state="Enabled", key_manager="CUSTOMER"))
    monkeypatch.setattr(aws.efs, "get_file_system", answers(availability_zone_name=""))
    return monkeypatch


def settings(**database: Any) -> Settings:
    artifacts = {"existing": True, "kmsKeyArn": KEY}
    return from_mapping({"region": "cn-north-1", "artifacts": artifacts, "database": database})


def looked_up(**database: Any) -> ExistingBackend:
    return look_up(settings(**database), PROVIDER, "bucket")


def test_a_snapshot_is_described_until_the_instance_exists(account: pytest.MonkeyPatch) -> None:
    assert looked_up() == ExistingBackend()
    snapshot = ExistingDatabase(version="8.4.7", storage_gib=100, key_arn=KEY, snapshot=True)
    assert looked_up(snapshot="last") == ExistingBackend(database=snapshot)
    account.setattr(aws.rds, "get_instances", answers(instance_identifiers=["kubeflow-kubeflow"]))
    instance = ExistingBackend(database=ExistingDatabase(version="8.4.7"))
    assert looked_up() == looked_up(snapshot="last") == instance


@pytest.mark.parametrize(
    "sentence",
    [
        "Your query returned no results. Please change your search criteria and try again.",
        "no matching RDS DB Snapshot found",
        "reading S3 Bucket (bucket): couldn't find resource",
        "reading S3 Bucket (bucket): empty result",
        "NotFoundException: Key does not exist",
    ],
)
def test_what_is_absent_is_no_error(account: pytest.MonkeyPatch, sentence: str) -> None:
    for module, name in ((aws.rds, "get_snapshot"), (aws.s3, "get_bucket"), (aws.kms, "get_key")):
        account.setattr(module, name, fails(sentence))
    absent = ExistingDatabase(version="", snapshot=True)
    assert looked_up(snapshot="last") == ExistingBackend(database=absent, bucket=False, key=False)


def test_a_key_that_waits_for_its_deletion_is_none(account: pytest.MonkeyPatch) -> None:
    account.setattr(
        aws.kms, "get_key", answers(key_state="PendingDeletion", key_manager="CUSTOMER")
    )
    assert looked_up() == ExistingBackend(key=False)
    with pytest.raises(pulumi.RunError, match="KMS has no such key"):
        check_backend(settings(), PROVIDER, "bucket")


def test_a_key_of_aws_own_is_refused(account: pytest.MonkeyPatch) -> None:
    account.setattr(aws.kms, "get_key", answers(key_state="Enabled", key_manager="AWS"))
    assert looked_up() == ExistingBackend(own_key=False)
    sentence = r"AWS has this key for one service.*make one of your own \(`aws kms create-key`\)"
    with pytest.raises(pulumi.RunError, match=sentence):
        check_backend(settings(), PROVIDER, "bucket")


def test_what_the_settings_do_not_name_is_not_looked_up(account: pytest.MonkeyPatch) -> None:
    for module, name in ((aws.rds, "get_snapshot"), (aws.s3, "get_bucket"), (aws.kms, "get_key")):
        account.setattr(module, name, fails("asked"))
    own = from_mapping({"region": "cn-north-1"})
    assert look_up(own, PROVIDER, "bucket") == ExistingBackend()


def test_a_refused_look_up_is_a_warning(account: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    account.setattr(pulumi.log, "warn", warnings.append)
    account.setattr(aws.rds, "get_instances", fails("AccessDenied: rds:DescribeDBInstances"))
    check_backend(settings(), PROVIDER, "bucket")
    assert warnings == ["kubeflow:database was not checked: AccessDenied: rds:DescribeDBInstances"]


# hashicorp/terraform-provider-aws internal/tfresource/not_found_error.go
NONE = fails("no matching EFS file system found")
SEVERAL = fails("multiple EFS file systems matched; use additional constraints to reduce matches")
FILES = "fs-0123456789abcdef0"


def with_files(**files: Any) -> Settings:
    return from_mapping({"region": "cn-north-1", "sharedFiles": files})


def test_a_file_system_is_looked_for_where_it_is_used(account: pytest.MonkeyPatch) -> None:
    given = with_files(enabled=True, fileSystemId=FILES)
    assert look_up(given, PROVIDER, "bucket") == ExistingBackend()
    account.setattr(aws.efs, "get_file_system", NONE)
    found = look_up(given, PROVIDER, "bucket")
    assert found == ExistingBackend(files=False)
    assert look_up(with_files(enabled=True), PROVIDER, "bucket").files
    sentence = (
        "kubeflow:sharedFiles.fileSystemId is fs-0123456789abcdef0: EFS has no such file system in "
        "the account and region: correct it, or remove the line for a new one."
    )
    assert problems_of_backend(given, found, "bucket") == [sentence]


def test_a_file_system_of_one_zone_is_refused(account: pytest.MonkeyPatch) -> None:
    account.setattr(aws.efs, "get_file_system", answers(availability_zone_name="cn-north-1a"))
    given = with_files(enabled=True, fileSystemId=FILES)
    found = look_up(given, PROVIDER, "bucket")
    assert found == ExistingBackend(only_zone="cn-north-1a")
    sentence = (
        "kubeflow:sharedFiles.fileSystemId is fs-0123456789abcdef0: it is in cn-north-1a alone "
        "(One Zone), and the nodes are in other zones too: copy its files to a Regional one."
    )
    assert problems_of_backend(given, found, "bucket") == [sentence]


def leaves(files: dict[str, Any], **more: Any) -> bool:
    """Whether a stack that keeps nothing else leaves files that its key encrypts."""
    nothing = {
        "artifacts": {"retainOnDelete": False},
        "database": {"skipFinalSnapshot": True, "deletionProtection": False},
    }
    given = from_mapping({"region": "cn-north-1", **nothing, "sharedFiles": files, **more})
    tags = {"project": "p", "stack": "s", "cluster": "kubeflow", "team": "ml"}
    return left_files(given, StackContext.of(given, "111122223333", tags), PROVIDER)


LIVES: list[dict[str, Any]] = [
    {},
    {"enabled": False},
    {"enabled": False, "retainOnDelete": False},
    {"enabled": True, "fileSystemId": FILES},
]
OWN: dict[str, Any] = {"enabled": True, "retainOnDelete": False}


@pytest.mark.parametrize("files", LIVES)
def test_files_that_the_stack_had_keep_its_key(
    files: dict[str, Any], account: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def found(**args: Any) -> SimpleNamespace:
        asked.append(args)
        return SimpleNamespace(kms_key_id=KEY)

    account.setattr(aws.efs, "get_file_system", found)
    account.setattr(aws.kms, "get_key", answers(arn=KEY))
    assert leaves(files)
    # Tags of the stack file may be others by now.
    names = {"Name": "kubeflow-shared-files", "project": "p", "stack": "s", "cluster": "kubeflow"}
    assert [each["tags"] for each in asked] == [names]
    account.setattr(aws.kms, "get_key", answers(arn=f"{KEY[:-1]}e"))
    assert not leaves(files)
    account.setattr(aws.kms, "get_key", fails("NotFoundException: alias/kubeflow/kubeflow"))
    assert not leaves(files)
    account.setattr(aws.efs, "get_file_system", NONE)
    assert not leaves(files)


def test_own_files_are_as_their_setting_says(account: pytest.MonkeyPatch) -> None:
    account.setattr(aws.efs, "get_file_system", answers(kms_key_id=KEY))
    account.setattr(aws.kms, "get_key", answers(arn=KEY))
    assert not leaves(OWN)


@pytest.mark.parametrize("files", [*LIVES, OWN])
def test_of_several_file_systems_one_is_left(
    files: dict[str, Any], account: pytest.MonkeyPatch
) -> None:
    account.setattr(aws.efs, "get_file_system", SEVERAL)
    assert leaves(files)


def test_where_the_key_stays_anyway_nothing_is_asked(account: pytest.MonkeyPatch) -> None:
    account.setattr(aws.efs, "get_file_system", fails("asked"))
    assert not leaves({"enabled": True})
    assert not leaves({}, artifacts={"retainOnDelete": True})
    assert not leaves({}, artifacts={"retainOnDelete": False, "kmsKeyArn": KEY})


def test_a_key_of_which_nothing_is_known_stays(account: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    account.setattr(pulumi.log, "warn", warnings.append)
    account.setattr(aws.efs, "get_file_system", fails("AccessDenied: DescribeFileSystems"))
    given = from_mapping(
        {
            "region": "cn-north-1",
            "artifacts": {"retainOnDelete": False},
            "database": {"skipFinalSnapshot": True, "deletionProtection": False},
        }
    )
    assert leaves_files(given, StackContext.of(given, "111122223333", {}), PROVIDER)
    assert warnings == ["kubeflow:sharedFiles was not checked: AccessDenied: DescribeFileSystems"]
