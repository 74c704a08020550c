"""The shared file system and its mount targets, on moto."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from ops.account_calls import CallFailed
from ops.findings import Finding
from ops.verification.checks.shared_files import shared_files
from tests.ops.verification.storage import Storage, found, passes, sentences, storage

pytestmark = pytest.mark.usefixtures("aws")
REGION = "us-west-2"
ON = {"enabled": True}
POLICY = {
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]
}


def files(*zones: str, encrypted: bool = True, policy: bool = True) -> str:
    """A file system with a mount target in each zone; returns its ID."""
    make: Any = boto3.client
    efs, ec2 = make("efs", region_name=REGION), make("ec2", region_name=REGION)
    made = efs.create_file_system(CreationToken="one", Encrypted=encrypted)["FileSystemId"]
    if policy:
        efs.put_file_system_policy(FileSystemId=made, Policy=json.dumps(POLICY))
    subnets = {each["AvailabilityZone"]: each for each in ec2.describe_subnets()["Subnets"]}
    for zone in zones:
        subnet = subnets[f"{REGION}{zone}"]["SubnetId"]
        efs.create_mount_target(FileSystemId=made, SubnetId=subnet)
    return made


def made(identity: str, *zones: str, answers: Any = None, **section: Any) -> Storage:
    """A platform with nodes in these zones and the class of a file system."""
    platform = storage(REGION, answers=answers, sharedFiles={**ON, **section})
    label = "topology.kubernetes.io/zone"
    parameters = {"fileSystemId": identity}
    platform.cluster.lists |= {
        "/apis/storage.k8s.io/v1/storageclasses": [
            {"metadata": {"name": "efs"}, "parameters": parameters}
        ],
        "/api/v1/nodes": [{"metadata": {"labels": {label: f"{REGION}{zone}"}}} for zone in zones],
    }
    return platform


def examined(platform: Storage) -> list[Finding]:
    return found(shared_files, platform.platform)


@pytest.mark.check("shared-files", broken=False)
def test_a_file_system_in_every_zone_with_nodes_passes() -> None:
    findings = examined(made(files("a", "b"), "a", "b", "b"))
    assert passes(findings), sentences(findings)
    assert f"has a mount target in {REGION}a and {REGION}b" in findings[-1].sentence


def test_a_policy_of_one_statement_without_a_list_passes() -> None:
    identity = files("a", policy=False)
    (statement,) = POLICY["Statement"]
    condition = {"Bool": {"aws:SecureTransport": False}}
    text = json.dumps({"Statement": {**statement, "Condition": condition}})
    make: Any = boto3.client
    efs = make("efs", region_name=REGION)
    efs.put_file_system_policy(FileSystemId=identity, Policy=text)
    assert passes(examined(made(identity, "a")))


@pytest.mark.check("shared-files", broken=False)
def test_a_stack_without_one_has_nothing_to_check() -> None:
    (finding,) = found(shared_files, storage(REGION).platform)
    assert finding.sentence == "kubeflow:sharedFiles.enabled is false: there are none to check"


@pytest.mark.check("shared-files", broken=True)
def test_a_zone_with_nodes_and_no_mount_target_is_named() -> None:
    (problem,) = sentences(examined(made(files("a"), "a", "b")))
    assert f"its mount target in {REGION}b is missing, so that pods of that zone wait" in problem


@pytest.mark.check("shared-files", broken=True)
def test_a_mount_target_that_is_not_available_yet_is_named() -> None:
    target = {"AvailabilityZoneName": f"{REGION}a", "LifeCycleState": "creating"}
    answers = {"efs.DescribeMountTargets": {"MountTargets": [target]}}
    (problem,) = sentences(examined(made(files("a"), "a", answers=answers)))
    assert f"its mount target in {REGION}a is creating" in problem


@pytest.mark.check("shared-files", broken=True)
def test_what_is_gone_open_or_another_one_is_named() -> None:
    (problem,) = sentences(examined(made("fs-0123456789abcdef0", "a")))
    assert "does not exist any more: restore it from AWS Backup" in problem
    identity = files("a", encrypted=False, policy=False)
    other = made(identity, "a", fileSystemId="fs-0123456789abcdef0", mountTargets=True)
    problems = sentences(examined(other))
    assert "and the stack file has fs-0123456789abcdef0: `pulumi up --refresh`" in problems[0]
    assert "is not encrypted" in problems[1]
    assert "has no policy that denies plain connections" in problems[2]
    without = storage(REGION, sharedFiles=ON)
    assert "is missing, so that no claim gets files" in sentences(examined(without))[0]


def test_a_missing_right_is_named() -> None:
    denied = {"efs.DescribeFileSystems": "AccessDeniedException"}
    with pytest.raises(CallFailed, match="the right elasticfilesystem:DescribeFileSystems is"):
        examined(made("fs-0123456789abcdef0", "a", answers=denied))
