"""What ./kf doctor asks of the two accounts, against moto's IAM and Secrets Manager of both."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from components.mirror.credentials import Purpose, user_name
from ops import account_checks
from ops.account_calls import CallFailed, aws_call
from ops.account_checks import examine_account
from ops.checks import Subject
from ops.findings import Finding, Level, good
from regions.region import Region
from settings import from_mapping
from settings.context import StackContext
from tests.ops import account
from tests.ops.account import KEYS, VPC
from tests.ops.command import kf

ACCOUNT = "123456789012"
EVERY_CHECK = account_checks.CHECKS
# The stack's region, and from where its images are copied over a partition's border.
BORDERS = [
    ("cn-north-1", "ap-southeast-1"),
    ("cn-northwest-1", "us-west-2"),
    ("us-gov-west-1", "us-west-2"),
    ("us-gov-east-1", "us-west-2"),
]
every_border = pytest.mark.parametrize(("region", "build_region"), BORDERS)


@pytest.fixture(autouse=True)
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Credentials of the stack's account, and a profile of the build account."""
    account.with_two_profiles(tmp_path, monkeypatch)
    first_and_keys = (account_checks.CHECKS[0], account_checks.mirror_keys)
    monkeypatch.setattr(account_checks, "CHECKS", first_and_keys)
    # Without keys of moto's own: doctor is to find those of the file.
    with mock_aws(config={"core": {"mock_credentials": False}}):
        yield


def subject(region: str, build_region: Any = "", **mirror: Any) -> Subject:
    crossing = {"enabled": True, "buildRegion": build_region} if build_region else {}
    settings = from_mapping({"region": region, "imageMirror": {**crossing, **mirror}})
    return Subject(settings, Region.of(region))


def of_the_mirror(stack: Subject) -> list[Finding]:
    return [found for found in examine_account(stack) if found.about == "image mirror"]


def client(service: str, region: str) -> Any:
    make: Any = boto3.client
    return make(service, region_name=region)


def with_keys(stack: Subject, region: str, build_region: str, number: int = 1) -> None:
    """Each side's user, with so many keys, as ``pulumi up`` makes them."""
    for purpose, place in ((Purpose.PUSH, region), (Purpose.START, build_region)):
        context = StackContext.of(stack.settings, ACCOUNT, {})
        user, iam = user_name(context, purpose), client("iam", place)
        iam.create_user(UserName=user)
        for _ in range(number):
            iam.create_access_key(UserName=user)


def later(monkeypatch: pytest.MonkeyPatch, **time: int) -> None:
    then = account_checks.now() + timedelta(**time)
    monkeypatch.setattr(account_checks, "now", lambda: then)


@every_border
def test_a_young_key_of_each_side_is_good(region: str, build_region: str) -> None:
    stack = subject(region, build_region)
    with_keys(stack, region, build_region)
    assert [(found.level, found.sentence) for found in of_the_mirror(stack)] == [
        (Level.GOOD, f"the key of the IAM user kubeflow-{region}-push is 0 days old"),
        (Level.GOOD, f"the key of the IAM user kubeflow-{ACCOUNT}-{region}-start is 0 days old"),
    ]


@every_border
@pytest.mark.parametrize(("days", "level"), [(90, Level.GOOD), (91, Level.NOTE)])
def test_a_key_of_more_than_90_days_is_told_with_the_command_that_makes_another(
    region: str, build_region: str, days: int, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = subject(region, build_region, rotation=4)
    with_keys(stack, region, build_region)
    later(monkeypatch, days=days)
    found = of_the_mirror(stack)
    assert [each.level for each in found] == [level] * 2
    for each in found:
        assert f"is {days} days old" in each.sentence
        command = "`pulumi config set --path kubeflow:imageMirror.rotation 5 && pulumi up`"
        assert (command in each.sentence) is (level is Level.NOTE)


def test_what_is_wrong_with_a_key_is_told_with_its_user_and_the_way_out() -> None:
    stack = subject("cn-north-1")
    assert [found.sentence for found in of_the_mirror(stack)] == [
        f"the IAM user kubeflow-{own}cn-north-1-{purpose}, whose key is to {purpose}, does not "
        "exist yet: `pulumi up`"
        for own, purpose in (("", "push"), (f"{ACCOUNT}-", "start"))
    ]
    with_keys(stack, "cn-north-1", "ap-southeast-1", number=2)
    assert "has 2 keys: `pulumi up` ends the rotation" in of_the_mirror(stack)[0].sentence
    iam, user = client("iam", "cn-north-1"), "kubeflow-cn-north-1-push"
    for key in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
        iam.update_access_key(UserName=user, AccessKeyId=key["AccessKeyId"], Status="Inactive")
    found = of_the_mirror(stack)[0]
    assert found.level is Level.PROBLEM
    assert "has no active key, so no image can be copied" in found.sentence


@pytest.mark.parametrize(
    ("region", "mirror"),
    [("us-west-2", {}), ("us-west-2", {"enabled": True}), ("us-gov-west-1", {"enabled": True})],
)
def test_where_no_border_is_crossed_no_key_is_looked_for(
    region: str, mirror: dict[str, Any]
) -> None:
    assert of_the_mirror(subject(region, **mirror)) == []


def test_credentials_of_another_account_are_a_problem() -> None:
    settings = from_mapping({"region": "cn-north-1", "accountId": "111122223333"})
    (found, *_) = examine_account(Subject(settings, Region.of("cn-north-1")))
    assert found.level is Level.PROBLEM
    assert f"of account {ACCOUNT} and kubeflow:accountId is 111122223333" in found.sentence


def test_a_call_that_is_refused_is_one_note_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: Any) -> Iterator[Finding]:
        with aws_call("ec2"):
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListGpus")

    def unreachable(*_: Any) -> Iterator[Finding]:
        with aws_call("ec2:ListGpus"):
            raise EndpointConnectionError(endpoint_url="https://nowhere.example")

    def fine(*_: Any) -> Iterator[Finding]:
        yield good("last", "checked")

    monkeypatch.setattr(account_checks, "CHECKS", (refused, unreachable, fine))
    first, second, third = examine_account(subject("cn-north-1"))
    assert (first.level, second.level) == (Level.NOTE, Level.NOTE)
    assert "the right ec2:ListGpus is missing (AccessDenied)" in first.sentence
    assert "(EndpointConnectionError)" in second.sentence
    assert third.about == "last"


def test_keys_that_may_not_be_listed_are_one_note_that_names_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = account_checks.client

    def refused(settings: Any, session: Any, service: str) -> Any:
        if service == "iam":
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "Create")
        return known(settings, session, service)

    monkeypatch.setattr(account_checks, "client", refused)
    found = [each for each in examine_account(subject("cn-north-1")) if "iam" in each.sentence]
    assert [each.level for each in found] == [Level.NOTE]
    assert "the right iam:ListAccessKeys is missing (AccessDenied)" in found[0].sentence


def test_without_credentials_one_note_says_that_nothing_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").write_text("")
    (found,) = examine_account(subject("cn-north-1"))
    assert (found.level, found.about) == (Level.NOTE, "account")
    assert "set AWS_PROFILE" in found.sentence
    monkeypatch.setenv("AWS_PROFILE", "absent")
    (found,) = examine_account(subject("cn-north-1"))
    assert found.level is Level.NOTE
    assert "fails (ProfileNotFound)" in found.sentence


def test_offline_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = kf("doctor", "--stack", "cn-north-1", "--format", "text")
    assert f"good\taccount\tthe credentials are of account {ACCOUNT}" in asked.stdout.splitlines()
    monkeypatch.setattr("ops.doctor.examine_account", None)
    offline = kf("doctor", "--stack", "cn-north-1", "--format", "text", "--offline")
    assert offline.exit_code in (0, 1)
    assert "\taccount\t" not in offline.stdout
    assert "\tprograms\t" in offline.stdout


def test_every_check_runs_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(4, timeout=120)

    def waiting(number: int) -> Any:
        def check(*_: Any) -> Iterator[Finding]:
            together.wait()
            yield good("order", str(number))

        return check

    monkeypatch.setattr(account_checks, "CHECKS", tuple(map(waiting, range(4))))
    assert [each.sentence for each in examine_account(subject("cn-north-1"))] == list("0123")


@pytest.mark.parametrize("region", ["cn-north-1", "us-west-2"])
def test_whatever_aws_answers_no_check_ends_in_a_traceback(
    region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_checks, "CHECKS", EVERY_CHECK)
    network = {"vpcId": VPC, "privateSubnetIds": [f"subnet-0123456789abcdef{n}" for n in "01"]}
    stack = account.subject(region, imageMirror={"enabled": True}, network=network)
    codes = ("AccessDenied", "UnauthorizedOperation", "InternalError")
    for code, denied in [(code, account.session({"*": code})) for code in codes]:
        monkeypatch.setattr(account_checks.boto3, "Session", Mock(return_value=denied))
        found = examine_account(stack)
        assert {each.level for each in found} == {Level.NOTE}
        assert len(found) >= 8
        missing = [each for each in found if "the right " in each.sentence]
        assert bool(missing) is (code != "InternalError")


def test_the_caller_is_compared_with_the_administrators() -> None:
    caller = f"arn:aws:sts::{ACCOUNT}:user/moto"
    for admins, level in (([], Level.PROBLEM), ([f"arn:aws:iam::{ACCOUNT}:user/moto"], Level.GOOD)):
        found = examine_account(account.subject("us-west-2", cluster={"admins": admins}))
        (access,) = [each for each in found if each.about == "API server"]
        assert access.level is level, caller


def test_accounts_and_profile_are_those_of_the_stack_file(tmp_path: Path) -> None:
    with (tmp_path / "credentials").open("a") as file:
        file.write(f"[ops]\n{KEYS}")
    given = {"profile": "ops", "forbiddenAccountIds": [ACCOUNT]}
    settings = from_mapping({"region": "us-west-2", "aws:": given})
    first = examine_account(Subject(settings, Region.of("us-west-2")))[0]
    assert first.level is Level.PROBLEM
    assert f"of account {ACCOUNT} and aws:forbiddenAccountIds is {ACCOUNT}: " in first.sentence
    settings = from_mapping({"region": "us-west-2", "aws:": {"profile": "none"}})
    (only,) = examine_account(Subject(settings, Region.of("us-west-2")))
    assert "ProfileNotFound" in only.sentence


def test_credentials_that_have_ended_are_named() -> None:
    error = ClientError({"Error": {"Code": "ExpiredToken", "Message": "m"}}, "GetCallerIdentity")
    ended = r"sts:GetCallerIdentity fails: the AWS credentials have"
    with pytest.raises(CallFailed, match=ended), aws_call("sts:GetCallerIdentity"):
        raise error
