"""What ./kf doctor says of the logins of sources, against moto's Secrets Manager; none is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from ops import account_checks, source_login_checks
from ops.account_checks import examine_account
from ops.checks import Subject
from ops.findings import Finding, Level
from regions.region import Region
from settings import from_mapping
from tests.ops import account

PASSWORD = "dckr_pat_shown_to_nobody"
SIDES = [("cn-north-1", "ap-southeast-1"), ("us-gov-west-1", "us-gov-west-1")]


@pytest.fixture(autouse=True)
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    account.with_two_profiles(tmp_path, monkeypatch)
    monkeypatch.setattr(account_checks, "CHECKS", (source_login_checks.source_logins,))
    with mock_aws(config={"core": {"mock_credentials": False}}):
        yield


def examined(region: str, build_region: str, **secrets: str) -> list[Finding]:
    mirror = {
        "enabled": True,
        "buildRegion": build_region,
        "sourceCredentials": {name.replace("_", "."): secret for name, secret in secrets.items()},
    }
    settings = from_mapping({"region": region, "imageMirror": mirror})
    found = examine_account(Subject(settings, Region.of(region)))
    assert PASSWORD not in str(found)
    return found


def manager(region: str) -> Any:
    make: Any = boto3.client
    return make("secretsmanager", region_name=region)


def stored(region: str, name: str, text: str, **more: str) -> None:
    manager(region).create_secret(Name=name, SecretString=text, **more)


@pytest.mark.parametrize(("region", "build_region"), SIDES)
def test_a_login_where_builds_look_for_it_is_good(region: str, build_region: str) -> None:
    stored(build_region, "hub", json.dumps({"username": "u", "password": PASSWORD}))
    (found,) = examined(region, build_region, index_docker_io="hub")
    assert (found.level, found.about) == (Level.GOOD, "image mirror")
    assert found.sentence == f"the secret hub in {build_region} has the login to docker.io"


@pytest.mark.parametrize(("region", "build_region"), SIDES)
def test_each_secret_has_its_own_finding(region: str, build_region: str) -> None:
    stored("us-east-1", "elsewhere", json.dumps({"username": "u", "password": PASSWORD}))
    stored(build_region, "plain", f"u:{PASSWORD}")
    stored(build_region, "going", "{}")
    manager(build_region).delete_secret(SecretId="going", RecoveryWindowInDays=7)
    login = json.dumps({"username": "u", "password": PASSWORD})
    stored(build_region, "keyed", login, KmsKeyId="arn:of:key")
    found = examined(
        region, build_region, a_io="elsewhere", b_io="plain", c_io="going", d_io="keyed"
    )
    assert {each.level for each in found} == {Level.PROBLEM}
    assert [each.sentence.partition(", which has the login to ")[2] for each in found] == [
        "a.io, does not exist: create it with username and password (docs/images.md)",
        (
            "b.io, cannot be used: it is no JSON object with username and one of password, "
            "accessToken, token (docs/images.md)"
        ),
        "c.io, is being deleted: `aws secretsmanager restore-secret` brings it back",
        (
            "d.io, has a key of its own, which the role of builds may not use: create it with the "
            "key aws/secretsmanager"
        ),
    ]


def test_a_secret_that_may_not_be_read_is_a_note_and_the_next_one_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Refusing:
        def describe_secret(self, **_: Any) -> Any:
            return {}

        def get_secret_value(self, **_: Any) -> Any:
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetSecretValue")

    def refusing(*_: Any, **__: Any) -> Refusing:
        return Refusing()

    monkeypatch.setattr(source_login_checks, "client", refusing)
    found = examined("us-gov-west-1", "us-gov-west-1", a_io="one", b_io="two")
    assert [each.level for each in found] == [Level.NOTE, Level.NOTE]
    assert found[0].sentence.endswith("was not checked: these credentials may not read it")


def test_without_logins_nothing_is_asked() -> None:
    assert examined("cn-north-1", "ap-southeast-1") == []
