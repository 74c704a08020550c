"""A simulated account has a memory: names are taken, and nothing is made twice unseen."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from regions.region import Region
from rehearsal.account import Account, Outputs, RefusedByAws
from rehearsal.clouds import SimulatedCloud
from rehearsal.engine import EngineFailure
from tests.harness import TRUST
from tests.rehearsal.conftest import Started

BEIJING = "cn-north-1"
POLICY = json.dumps(
    {"Statement": {"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}}
)
VPC, ROLE, QUEUE = "aws:ec2/vpc:Vpc", "aws:iam/role:Role", "aws:sqs/queue:Queue"
KEY = "aws:kms/key:Key"


def numbered(attempt: int) -> Outputs:
    """AWS chooses the id."""
    return f"vpc-{attempt}", {"id": attempt}


def named(_: int) -> Outputs:
    """The caller chooses the name, and the name is the id."""
    return "nodes", {}


@pytest.mark.parametrize(
    ("type_", "error"),
    [
        (ROLE, "EntityAlreadyExists: nodes"),
        ("aws:s3/bucket:Bucket", "BucketAlreadyOwnedByYou: nodes"),
        ("aws:secretsmanager/secret:Secret", "ResourceExistsException: nodes"),
        ("aws:ecr/repository:Repository", "RepositoryAlreadyExistsException: nodes"),
        ("aws:codebuild/project:Project", "AlreadyExistsException: nodes"),
    ],
)
def test_a_name_that_is_taken_is_refused_with_the_error_of_aws(type_: str, error: str) -> None:
    account = Account()
    account.create(type_, BEIJING, named)
    with pytest.raises(RefusedByAws, match=error):
        account.create(type_, BEIJING, named)


def test_a_second_thing_that_aws_names_gets_another_identity() -> None:
    account = Account()
    made = [account.create(VPC, BEIJING, numbered) for _ in range(3)]
    assert made == [numbered(0), numbered(1), numbered(2)]
    assert len(account.existing) == 3


@pytest.mark.parametrize("type_", [QUEUE, "aws:s3/bucketPolicy:BucketPolicy"])
def test_what_aws_puts_can_be_put_again(type_: str) -> None:
    account = Account()
    assert account.create(type_, BEIJING, named) == account.create(type_, BEIJING, named)
    assert len(account.existing) == 1


LOGS, BUCKET = "aws:cloudwatch/logGroup:LogGroup", "aws:s3/bucket:Bucket"
REPOSITORY = "aws:ecr/repository:Repository"


TEMPLATE, GROUP = "aws:ec2/launchTemplate:LaunchTemplate", "aws:ec2/securityGroup:SecurityGroup"


@pytest.mark.parametrize(
    ("type_", "one", "another", "error"),
    [
        ("aws:rds/instance:Instance", {"identifier": "a"}, {"identifier": "b"}, "DBInstanceAlr"),
        (TEMPLATE, {"name": "a"}, {"name": "b"}, "InvalidLaunchTemplateName"),
        (GROUP, {"name": "a", "vpcId": "vpc-1"}, {"name": "a", "vpcId": "vpc-2"}, "Duplicate"),
    ],
)
def test_a_name_beside_the_id_is_taken_too(
    tmp_path: Path, type_: str, one: dict[str, str], another: dict[str, str], error: str
) -> None:
    account = Account(tmp_path / "account.jsonl")

    def create(state: dict[str, str]) -> str:
        return account.create(type_, BEIJING, lambda attempt: (f"id-{attempt}", state))[0]

    first = create(one)
    with pytest.raises(RefusedByAws, match=error):
        create(one)
    create(another)
    assert len(account.existing) == 2
    account.delete(type_, BEIJING, first, {**one, "skipFinalSnapshot": True})
    create(one)


def test_a_deleted_name_and_the_same_name_elsewhere_are_free() -> None:
    account = Account()
    account.create(LOGS, BEIJING, named)
    account.create(LOGS, "cn-northwest-1", named)
    account.delete(LOGS, BEIJING, "nodes")
    account.create(LOGS, BEIJING, named)
    assert len(account.existing) == 2


@pytest.mark.parametrize("type_", [ROLE, "aws:iam/user:User", BUCKET])
def test_a_name_without_region_is_taken_in_the_whole_partition(type_: str) -> None:
    account = Account()
    account.create(type_, BEIJING, named)
    with pytest.raises(RefusedByAws, match="nodes"):
        account.create(type_, "cn-northwest-1", named)
    account.create(type_, "us-west-2", named)
    account.delete(type_, "cn-northwest-1", "nodes")
    account.create(type_, BEIJING, named)


@pytest.mark.parametrize(
    ("type_", "force", "error"),
    [
        (BUCKET, "forceDestroy", "BucketNotEmpty.*: nodes"),
        (REPOSITORY, "forceDelete", "RepositoryNotEmptyException.*: nodes"),
    ],
)
def test_what_has_content_is_deleted_by_force_only(
    tmp_path: Path, type_: str, force: str, error: str
) -> None:
    journal = tmp_path / "account.jsonl"
    account = Account(journal)
    account.create(type_, BEIJING, named)
    account.delete(type_, BEIJING, "nodes", {})
    account.create(type_, BEIJING, named)
    Account(journal).fill()
    for state in ({}, {force: False}):
        with pytest.raises(RefusedByAws, match=error):
            Account(journal).delete(type_, BEIJING, "nodes", state)
    account.delete(type_, BEIJING, "nodes", {force: True})
    assert Account(journal).existing == account.existing == frozenset()
    account.create(type_, BEIJING, named)
    account.delete(type_, BEIJING, "nodes", {})


SECRET, DATABASE = "aws:secretsmanager/secret:Secret", "aws:rds/instance:Instance"


def secret(number: int) -> Outputs:
    """Its ARN ends with random characters, its name is the caller's choice."""
    return f"arn:aws-cn:secretsmanager:{BEIJING}:1:secret:login-{number:06}", {"name": "login"}


@pytest.mark.parametrize(("days", "free"), [({}, False), (7, False), (0, True)])
def test_the_name_of_a_deleted_secret_is_free_after_its_recovery_window(
    tmp_path: Path, days: int | dict[str, int], free: bool
) -> None:
    journal = tmp_path / "account.jsonl"
    account = Account(journal)
    arn, state = account.create(SECRET, BEIJING, secret)
    with pytest.raises(RefusedByAws, match="ResourceExistsException: login"):
        account.create(SECRET, BEIJING, secret)
    window = {"recoveryWindowInDays": days} if isinstance(days, int) else days
    account.delete(SECRET, BEIJING, arn, state | window)
    again = Account(journal)
    if free:
        assert again.create(SECRET, BEIJING, secret) == (arn, state)
        return
    with pytest.raises(RefusedByAws, match="already scheduled for deletion: login"):
        again.create(SECRET, BEIJING, secret)
    assert again.create(SECRET, "cn-northwest-1", secret) == (arn, state)


def test_a_secret_that_the_provider_names_gets_another_name_after_a_deletion() -> None:
    account = Account()
    outputs = partial(SimulatedCloud(BEIJING).outputs, SECRET, "login", {"namePrefix": "login-"})
    arn, state = account.create(SECRET, BEIJING, outputs)
    account.delete(SECRET, BEIJING, arn, state)
    assert account.create(SECRET, BEIJING, outputs)[1]["name"] != state["name"]


@pytest.mark.parametrize(
    ("type_", "error"),
    [(DATABASE, "Cannot delete protected DB Instance"), ("aws:eks/cluster:Cluster", "protection")],
)
def test_what_is_protected_is_not_deleted(type_: str, error: str) -> None:
    account = Account()
    account.create(type_, BEIJING, named)
    with pytest.raises(RefusedByAws, match=error):
        account.delete(type_, BEIJING, "nodes", {"deletionProtection": True})
    assert len(account.existing) == 1
    account.delete(type_, BEIJING, "nodes", {"skipFinalSnapshot": True})
    assert account.existing == frozenset()


def test_a_final_snapshot_has_a_name_that_no_snapshot_has() -> None:
    account = Account()

    def life(state: dict[str, Any]) -> None:
        account.create(DATABASE, BEIJING, named)
        account.delete(DATABASE, BEIJING, "nodes", state)

    life({"finalSnapshotIdentifier": "last", "skipFinalSnapshot": False})
    life({"finalSnapshotIdentifier": "newer"})
    life({"finalSnapshotIdentifier": "last", "skipFinalSnapshot": True})
    with pytest.raises(RefusedByAws, match="DBSnapshotAlreadyExists: last"):
        life({"finalSnapshotIdentifier": "last"})
    with pytest.raises(RefusedByAws, match="final_snapshot_identifier is required"):
        account.delete(DATABASE, BEIJING, "nodes", {})


def test_a_random_value_is_another_one_in_each_life(tmp_path: Path) -> None:
    journal = tmp_path / "account.jsonl"
    drawn = [Account(journal).draw("password", numbered) for _ in range(2)]
    assert [*drawn, Account(journal).draw("key", numbered)] == [
        numbered(0),
        numbered(1),
        numbered(0),
    ]


@pytest.mark.parametrize(
    ("region", "trusted", "accepted"),
    [
        ("cn-north-1", ["ec2.amazonaws.com"], False),
        ("cn-north-1", ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"], True),
        ("us-west-2", ["ec2.amazonaws.com"], True),
        ("us-west-2", ["ec2.amazonaws.com.cn"], False),
    ],
)
def test_a_node_role_must_trust_ec2_as_its_partition_spells_it(
    tmp_path: Path, region: str, trusted: list[str], accepted: bool
) -> None:
    journal = tmp_path / "account.jsonl"
    Account(journal).trust("arn:nodes", json.dumps({"Service": trusted}))
    check = Account(journal).check_node_role
    if accepted:
        check("arn:nodes", Region.of(region))
        return
    with pytest.raises(RefusedByAws, match=r"service principals \[ec2.amazonaws.com"):
        check("arn:nodes", Region.of(region))


def test_the_account_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    journal = tmp_path / "account.jsonl"
    program = (
        "import os, signal, sys; from pathlib import Path; from rehearsal.account import Account\n"
        "account = Account(Path(sys.argv[1]))\n"
        "account.create('a', 'r', lambda n: ('kept', {}))\n"
        "account.create('a', 'r', lambda n: ('gone', {}))\n"
        "account.delete('a', 'r', 'gone')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(journal)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert Account(journal).existing == {("a", "r", "kept")}


def test_stacks_share_the_account_of_one_file(tmp_path: Path) -> None:
    one = Account(tmp_path / "account.jsonl")
    properties: dict[str, Any] = {}
    one.create(ROLE, BEIJING, lambda _: ("nodes", properties))
    with pytest.raises(RefusedByAws):
        Account(tmp_path / "account.jsonl").create(ROLE, BEIJING, named)


def nodes() -> None:
    """A node group whose role trusts EC2 in its global spelling alone."""
    principal = {"Service": "ec2.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    role = aws.iam.Role("nodes", assume_role_policy=json.dumps({"Statement": [statement]}))
    aws.eks.NodeGroup(
        "nodes",
        cluster_name="kubeflow",
        node_role_arn=role.arn,
        scaling_config={"desired_size": 1, "max_size": 1, "min_size": 1},
        subnet_ids=["subnet-1"],
    )


@pytest.mark.engine
def test_a_node_group_is_refused_a_role_that_its_partition_cannot_use(started: Started) -> None:
    with (
        started(nodes) as rehearsal,
        pytest.raises(EngineFailure, match="required service principals"),
    ):
        rehearsal.up()


def bucket(force: bool = False) -> None:
    """A bucket."""
    opts = pulumi.ResourceOptions(provider=aws.Provider("aws", region=BEIJING))
    aws.s3.Bucket("it", force_destroy=force, opts=opts)


@pytest.mark.engine
def test_a_bucket_has_objects_after_an_up(started: Started) -> None:
    with started(bucket) as rehearsal:
        rehearsal.up()
        with pytest.raises(EngineFailure, match="BucketNotEmpty"):
            rehearsal.destroy()
    with started(partial(bucket, force=True)) as rehearsal:
        rehearsal.up()
        assert rehearsal.destroy().changes["delete"] == 2


def roles(description: str = "") -> None:
    """A role whose name the program chooses, a role and a policy that the provider names, a key."""
    provider = aws.Provider("aws", region=BEIJING)
    opts = pulumi.ResourceOptions(provider=provider)
    aws.iam.Role("named", name="shared", assume_role_policy=TRUST, opts=opts)
    aws.iam.Role("unnamed", assume_role_policy=TRUST, opts=opts)
    aws.iam.Policy("rights", policy=POLICY, opts=opts)  # its id is an ARN, with the name in it
    aws.kms.Key("key", description=description, opts=opts)
    # Of the caller's choice, without a name.
    aws.ec2.Tag("tag", resource_id="subnet-1", key="owner", value="tiny", opts=opts)


def arn_of_key(folder: Path) -> str:
    """In the state of the stack."""
    (state,) = (folder / "build" / "state").rglob("stacks/*/tiny.json")
    resources = json.loads(state.read_text())["checkpoint"]["latest"]["resources"]
    return next(one["outputs"]["arn"] for one in resources if one["type"] == KEY)


@pytest.mark.engine
def test_a_second_stack_in_the_account_is_refused_the_name_of_the_first(
    started: Started, tmp_path: Path
) -> None:
    journal = tmp_path / "account.jsonl"
    with started(roles, build="first", journal=str(journal)) as first:
        first.up()
    with started(roles, build="second", journal=str(journal)) as second:
        with pytest.raises(EngineFailure, match="EntityAlreadyExists: shared") as refused:
            second.up()
        assert str(refused.value).count("EntityAlreadyExists") == 1
        second.destroy()
    ids = {identifier for _, _, identifier in Account(journal).existing}
    assert len([one for one in ids if one.startswith("unnamed-")]) == 1
    with started(roles, build="first", journal=str(journal)) as first:
        first.destroy()
    assert Account(journal).existing == frozenset()


@pytest.mark.engine
def test_a_changed_resource_of_a_second_identity_stays_the_same_one(
    started: Started, tmp_path: Path
) -> None:
    journal = tmp_path / "account.jsonl"
    account = Account(journal)
    outputs = SimulatedCloud(BEIJING).outputs
    account.create(KEY, BEIJING, partial(outputs, KEY, "key", {}))
    account.create(ROLE, BEIJING, partial(outputs, ROLE, "unnamed", {}))
    with started(roles, journal=str(journal)) as rehearsal:
        rehearsal.up()
        arn = arn_of_key(tmp_path)
        assert len([one for one in Account(journal).existing if one[0] == KEY]) == 2
        assert set(rehearsal.up().changes) == {"same"}
    with started(partial(roles, "changed"), journal=str(journal)) as rehearsal:
        assert rehearsal.up().changes["update"] == 1
        assert arn_of_key(tmp_path) == arn
        rehearsal.destroy()
    assert {one[2] for one in Account(journal).existing} == {one[2] for one in account.existing}
