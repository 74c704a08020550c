"""Data is encrypted where it lies and where it passes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from policies.documents import everybody, listed, statements
from policies.model import UNKNOWN, Resource, Stack, Violation, policy

_BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
_ON = (True, "true")
_TLS = ("require_secure_transport", "rds.force_ssl")


@policy("encryption-at-rest", severity="high")
def encryption_at_rest(stack: Stack) -> Iterator[Violation]:
    """Databases, buckets, disks, file systems, queues and the cluster's secrets are encrypted."""
    switches = {
        "aws:rds/instance:Instance": "storageEncrypted",
        "aws:rds/cluster:Cluster": "storageEncrypted",
        "aws:efs/fileSystem:FileSystem": "encrypted",
        "aws:ebs/volume:Volume": "encrypted",
    }
    for resource in stack.only(*switches):
        key = switches[resource.type]
        if resource.inputs.get(key) is not True:
            yield resource.finding(key, "the data lies there in clear; set it to true.")
    for cluster in stack.only("aws:eks/cluster:Cluster"):
        if "secrets" not in listed(cluster.get("encryptionConfig.resources")):
            yield cluster.finding(
                "encryptionConfig.resources",
                "Kubernetes' secrets have no key of the account; name secrets and a KMS key.",
            )
    for queue in stack.only("aws:sqs/queue:Queue"):
        if not queue.inputs.get("sqsManagedSseEnabled") and not queue.inputs.get("kmsMasterKeyId"):
            yield queue.finding("sqsManagedSseEnabled", "messages lie in clear; set it to true.")
    yield from _buckets(stack)
    yield from _machines(stack)
    for storage in stack.of("kubernetes:storage.k8s.io/"):
        disks = storage.inputs.get("provisioner") == "ebs.csi.aws.com"
        if disks and storage.get("parameters.encrypted") not in _ON:
            yield storage.finding("parameters.encrypted", "volumes lie in clear; set it to true.")


def _machines(stack: Stack) -> Iterator[Violation]:
    for template in stack.only("aws:ec2/launchTemplate:LaunchTemplate"):
        yield from _disks(template, "blockDeviceMappings")
        if not template.inputs.get("blockDeviceMappings"):
            yield template.finding(
                "blockDeviceMappings", "the image decides, and most do not encrypt; name the disks."
            )
    for group in stack.only("aws:eks/nodeGroup:NodeGroup"):
        if not group.inputs.get("launchTemplate"):
            yield group.finding(
                "launchTemplate", "its disks lie in clear; add one that encrypts them."
            )
    # Without mappings Karpenter encrypts (aws/karpenter-provider-aws pkg/providers/amifamily).
    for node_class in stack.of("kubernetes:karpenter.k8s.aws/"):
        yield from _disks(node_class, "spec.blockDeviceMappings")


def _buckets(stack: Stack) -> Iterator[Violation]:
    kind = "BucketServerSideEncryptionConfiguration"
    switch = "applyServerSideEncryptionByDefault"
    configurations = [
        each
        for each in stack.only(f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}")
        if any(rule == UNKNOWN or switch in rule for rule in listed(each.inputs.get("rules")))
    ]
    for bucket in _uncovered(stack.only(*_BUCKETS), configurations):
        yield bucket.finding("bucket", f"it has no {kind} with a rule; add one with a KMS key.")


def _uncovered(buckets: Iterable[Resource], beside: Sequence[Resource]) -> Iterator[Resource]:
    """The buckets that no other one names; of names that do not exist yet each is for one."""
    names = [each.inputs.get("bucket") for each in beside]
    late = names.count(UNKNOWN)
    for bucket in buckets:
        name = bucket.inputs.get("bucket")
        if name not in names or name == UNKNOWN:
            late -= 1
            if late < 0:
                yield bucket


def _disks(resource: Resource, path: str) -> Iterator[Violation]:
    for index, mapping in enumerate(listed(resource.get(path))):
        if "ebs" in mapping and mapping["ebs"].get("encrypted") not in _ON:
            yield resource.finding(
                f"{path}.{index}.ebs.encrypted", "the disk lies in clear; set it to true."
            )


@policy("customer-key", severity="low", level="advisory")
def customer_key(stack: Stack) -> Iterator[Violation]:
    """Log groups and secrets are encrypted by a KMS key of the account."""
    for resource in stack.of("aws:cloudwatch/logGroup:", "aws:secretsmanager/secret:"):
        if not resource.inputs.get("kmsKeyId"):
            yield resource.finding(
                "kmsKeyId",
                "AWS's own key encrypts it, which no account can withdraw; name a key.",
            )


@policy("encryption-in-transit", severity="high")
def encryption_in_transit(stack: Stack) -> Iterator[Violation]:
    """Buckets, file systems and databases refuse connections without TLS."""
    policies = [each for each in stack.of("aws:s3/bucketPolicy:") if _refuses_plain(each, "s3:*")]
    for bucket in _uncovered(stack.only(*_BUCKETS), policies):
        yield bucket.finding(
            "bucket",
            "its policy admits requests without TLS; deny s3:* where aws:SecureTransport is false.",
        )
    if file_systems := list(stack.only("aws:efs/fileSystem:FileSystem")):
        # A file system's ID exists only after its creation: they are counted.
        policies = [
            each
            for each in stack.of("aws:efs/fileSystemPolicy:")
            if _refuses_plain(each, "elasticfilesystem:*")
        ]
        if len(policies) < len(file_systems):
            yield file_systems[0].finding(
                "encrypted",
                "no FileSystemPolicy denies aws:SecureTransport false, so clients without TLS are "
                "admitted; add one.",
            )
    groups = list(stack.of("aws:rds/parameterGroup:", "aws:rds/clusterParameterGroup:"))
    named = {each.get("name") for group in groups for each in _parameters(group)}
    for database in stack.only("aws:rds/instance:Instance", "aws:rds/cluster:Cluster"):
        # The default depends on engine and version, so that none is relied on.
        if not named & {*_TLS}:
            yield database.finding(
                "parameterGroupName",
                f"no parameter group has {' or '.join(_TLS)}, so connections without TLS may be "
                "admitted; set it to 1.",
            )
    for group in groups:
        for index, each in enumerate(_parameters(group)):
            off = str(each.get("value")).lower() in ("0", "off")
            if each.get("name") in _TLS and off:
                yield group.finding(
                    f"parameters.{index}",
                    "the database admits connections without TLS; set it to 1.",
                    value=f"{each['name']}={each['value']}",
                )


def _parameters(group: Resource) -> list[Any]:
    return [each for each in listed(group.inputs.get("parameters")) if isinstance(each, dict)]


def _refuses_plain(resource: Resource, every: str) -> bool:
    # A document with an ARN that exists only after creation is unknown as a whole.
    return resource.inputs.get("policy") == UNKNOWN or any(
        statement.get("Effect") == "Deny"
        and everybody(statement)
        and {"*", every} & {*listed(statement.get("Action"))}
        and {*statement.get("Condition", {})} == {"Bool"}
        and statement["Condition"]["Bool"].keys() == {"aws:SecureTransport"}
        and statement["Condition"]["Bool"]["aws:SecureTransport"] in ("false", ["false"])
        for _, statement in statements(resource)
    )
