"""The shared file system: who reaches it, what outlives the stack, and nothing of somebody else."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from regions.region import Region
from settings.rules_data import LONGEST_ROOT
from tests.components.backend.simulated_backend import ACCOUNT, NODES, backend, document
from tests.consumers.access_decisions import Access, Caller, Decision, allowed, decision
from tests.harness import REGIONS, Recorded

FILES, TARGET = "aws:efs/fileSystem:FileSystem", "aws:efs/mountTarget:MountTarget"
POLICY, BACKUP = "aws:efs/fileSystemPolicy:FileSystemPolicy", "aws:efs/backupPolicy:BackupPolicy"
ADDON, KEY = "aws:eks/addon:Addon", "aws:kms/key:Key"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"
NAME = "backend-shared-files"
EXISTING = "fs-0123456789abcdef0"
every_region = pytest.mark.parametrize("region", REGIONS)


def shared(region: str = "cn-north-1", **settings: Any) -> Recorded:
    """A backend with shared files."""
    return backend(region, sharedFiles={"enabled": True, **settings})


def id_of(made: Recorded) -> str:
    """The ID of the file system, which its ARN ends with."""
    return str(made.only(FILES).outputs["arn"].rpartition("/")[2])


def rights_of_driver(made: Recorded) -> dict[str, Any]:
    """The document of the driver's role."""
    return document(made.only("aws:iam/rolePolicy:RolePolicy", f"{NAME}-driver"))


@every_region
def test_nothing_of_it_exists_by_default(region: str) -> None:
    made = backend(region)
    assert all(made.none(kind) for kind in (FILES, TARGET, POLICY, BACKUP, ADDON, CLASS))


@every_region
def test_files_are_encrypted_with_the_keys_of_the_stack(region: str) -> None:
    made = shared(region)
    inputs = made.only(FILES, NAME).inputs
    assert inputs["encrypted"] is True
    assert inputs["kmsKeyId"] == made.only(KEY).outputs["arn"]
    assert inputs["throughputMode"] == "bursting"
    assert inputs["lifecyclePolicies"] == [
        {"transitionToIa": "AFTER_30_DAYS"},
        {"transitionToPrimaryStorageClass": "AFTER_1_ACCESS"},
    ]
    assert inputs["tags"]["platform"] == "kubeflow"
    assert made.only(BACKUP).inputs["backupPolicy"] == {"status": "ENABLED"}


def test_classes_throughput_and_backups_are_settings() -> None:
    made = shared(infrequentAccessDays=1, throughput="elastic", backup=False)
    inputs = made.only(FILES).inputs
    assert inputs["lifecyclePolicies"][0] == {"transitionToIa": "AFTER_1_DAY"}
    assert inputs["throughputMode"] == "elastic"
    assert made.only(BACKUP).inputs["backupPolicy"] == {"status": "DISABLED"}
    assert shared(infrequentAccessDays=0).only(FILES).inputs["lifecyclePolicies"] == []


@every_region
def test_the_nodes_and_nobody_else_reach_port_2049(region: str) -> None:
    made = shared(region)
    made.only(GROUP, f"{NAME}-clients")
    rules = [r.inputs for r in made.of(RULE) if r.name.startswith(NAME)]
    assert {rule["referencedSecurityGroupId"] for rule in rules} == {NODES, "sg-0karpenter"}
    for rule in rules:
        assert (rule["fromPort"], rule["toPort"], rule["ipProtocol"]) == (2049, 2049, "tcp")
        assert "cidrIpv4" not in rule
    targets = made.of(TARGET)
    assert [each.inputs["subnetId"] for each in targets] == ["subnet-1", "subnet-2"]
    opened = {rule["securityGroupId"] for rule in rules}
    assert {*targets[0].inputs["securityGroups"], *targets[1].inputs["securityGroups"]} == opened
    assert {each.inputs["fileSystemId"] for each in targets} == {id_of(made)}


@every_region
def test_clients_without_tls_or_identity_are_refused_before_any_can_connect(region: str) -> None:
    """EFS user guide, iam-access-control-nfs-efs.html: without a policy everybody is admitted."""
    made = shared(region)
    policy = made.only(POLICY)
    arn = Region.of(region).arn("elasticfilesystem", f"file-system/{id_of(made)}", account=ACCOUNT)
    assert policy.inputs["fileSystemId"] == id_of(made)
    driver, anonymous = Caller({}, documents=[rights_of_driver(made)]), Caller({})
    through = Region.of(region).arn("elasticfilesystem", "access-point/fsap-0", account=ACCOUNT)

    def decided(caller: Caller, action: str, tls: str, **more: str) -> Decision:
        access = Access(f"elasticfilesystem:{action}", arn, {"aws:SecureTransport": tls, **more})
        return decision(caller, access, document(policy))

    point = {"elasticfilesystem:AccessPointArn": through}
    for action in ("ClientMount", "ClientWrite"):
        assert decided(driver, action, "true", **point) == "allowed"
        assert decided(driver, action, "false", **point) == "denied"
        assert decided(driver, action, "true") == "denied"
        assert decided(anonymous, action, "true", **point) == "denied"
    # Without TLS nothing is allowed to anybody.
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    administrator = Caller({}, documents=[{"Version": "2012-10-17", "Statement": [statement]}])
    for action in ("ClientMount", "ClientWrite", "ClientRootAccess"):
        assert decided(administrator, action, "true") == "allowed"
        assert decided(administrator, action, "false") == "denied"
    for target in made.of(TARGET):
        assert (POLICY, policy.name) in made.dependencies_of(target)


@every_region
def test_the_driver_is_an_add_on_with_a_role_of_its_own(region: str) -> None:
    made = shared(region)
    driver = made.only(ADDON).inputs
    assert driver["addonName"] == "aws-efs-csi-driver"
    assert driver["addonVersion"]
    (role,) = [
        r
        for r in made.of("aws:iam/role:Role")
        if r.outputs["arn"] == driver["serviceAccountRoleArn"]
    ]
    (trust,) = document(role, "assumeRolePolicy")["Statement"]
    (subjects,) = [v for k, v in trust["Condition"]["StringEquals"].items() if k.endswith(":sub")]
    assert subjects == [
        "system:serviceaccount:kube-system:efs-csi-controller-sa",
        "system:serviceaccount:kube-system:efs-csi-node-sa",
    ]
    rights = rights_of_driver(made)
    arn = Region.of(region).arn("elasticfilesystem", f"file-system/{id_of(made)}", account=ACCOUNT)
    assert allowed(rights, "elasticfilesystem:DescribeMountTargets", arn)


def test_the_add_on_waits_for_its_rights() -> None:
    made = shared()
    needed = made.dependencies_of(made.only(ADDON))
    assert ("aws:iam/rolePolicy:RolePolicy", f"{NAME}-driver") in needed


@every_region
def test_each_claim_gets_a_directory_of_its_profile(region: str) -> None:
    made = shared(region)
    found = made.only(CLASS).inputs
    assert found["metadata"]["name"] == "efs"
    assert found["provisioner"] == "efs.csi.aws.com"
    assert found["mountOptions"] == ["tls", "iam"]
    parameters = found["parameters"]
    assert parameters["fileSystemId"] == id_of(made)
    assert parameters["provisioningMode"] == "efs-ap"
    # aws-efs-csi-driver pkg/driver/controller.go: interpolated, then joined with the root.
    volume = "pvc-01234567-89ab-cdef-0123-456789abcdef"
    path = "/" + parameters["subPathPattern"].replace("${.PVC.namespace}", "a" * 58).replace(
        "${.PV.name}", volume
    )
    assert path == f"/{'a' * 58}/{volume}"
    assert len(path) == LONGEST_ROOT
    assert parameters["ensureUniqueDirectory"] == "false"
    assert all(isinstance(value, str) for value in parameters.values())


def test_pods_with_such_a_volume_wait_for_class_and_mount_targets() -> None:
    made = shared()
    needed = {name for kind, name in made.dependencies_of(made.only(CLASS)) if kind == TARGET}
    assert needed == {f"{NAME}-1", f"{NAME}-2"}


@pytest.mark.parametrize("kept", [True, False])
def test_files_outlive_the_stack_with_their_key_unless_a_setting_says_otherwise(kept: bool) -> None:
    made = backend(
        sharedFiles={"enabled": True, "retainOnDelete": kept},
        artifacts={"retainOnDelete": False},
        database={"skipFinalSnapshot": True, "deletionProtection": False},
        deletionProtection=False,
    )
    assert {made.only(kind).retain_on_delete for kind in (FILES, POLICY, BACKUP, KEY)} == {kept}
    # What would hold the VPC goes.
    assert not any(each.retain_on_delete for each in (*made.of(TARGET), *made.of(GROUP)))


@pytest.mark.parametrize("protected", [True, False])
def test_files_are_protected_like_the_bucket(protected: bool) -> None:
    made = backend(sharedFiles={"enabled": True}, deletionProtection=protected)
    assert made.only(FILES).protect is protected


@every_region
def test_an_existing_file_system_is_used_and_never_changed(region: str) -> None:
    made = shared(region, fileSystemId=EXISTING)
    assert all(made.none(kind) for kind in (FILES, POLICY, BACKUP))
    assert made.only(CLASS).inputs["parameters"]["fileSystemId"] == EXISTING
    assert {each.inputs["fileSystemId"] for each in made.of(TARGET)} == {EXISTING}
    rights = made.only("aws:iam/rolePolicy:RolePolicy", f"{NAME}-driver").inputs["policy"]
    arn = Region.of(region).arn("elasticfilesystem", f"file-system/{EXISTING}", account=ACCOUNT)
    assert arn in rights


# -- buckets of the team --------------------------------------------------------------------------


def with_buckets(region: str, *buckets: dict[str, Any], **settings: Any) -> Recorded:
    users = [
        {"email": "a@x.org", "namespace": "team-a"},
        {"email": "b@x.org", "namespace": "team-b", "buckets": buckets},
    ]
    return backend(region, users=users, **settings)


@every_region
def test_buckets_are_rights_of_one_profile(region: str) -> None:
    made = with_buckets(region, {"bucket": "team-models", "prefixes": ["llm"]})
    arn = Region.of(region).arn("s3", "team-models/llm/weights", region="")
    for namespace, expected in (("team-a", False), ("team-b", True)):
        rights = made.only("aws:iam/rolePolicy:RolePolicy", f"backend-profile-{namespace}")
        assert allowed(document(rights), "s3:GetObject", arn) is expected


def test_rights_that_iam_would_refuse_are_one_sentence() -> None:
    prefixes = [f"a-long-name-of-a-folder-of-data-sets/{number:03}" for number in range(60)]
    with pytest.raises(pulumi.RunError) as refused:
        with_buckets("cn-north-1", {"bucket": "team-data", "prefixes": prefixes})
    assert str(refused.value) == (
        "kubeflow:users[1].buckets is 1 buckets: the rights of the profile's role have 10685 "
        "characters, and IAM takes 10240: list fewer prefixes, or one that is above several."
    )
    made = with_buckets("cn-north-1", {"bucket": "team-data", "prefixes": prefixes[:50]})
    rights = made.only("aws:iam/rolePolicy:RolePolicy", "backend-profile-team-b")
    assert 9000 < len("".join(json.dumps(document(rights)).split())) <= 10240
