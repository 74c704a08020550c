"""Rules over the AWS side of a stack: network, nodes, database, tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_network
from math import ceil

from settings.errors import full_key, listed, looks_secret, told
from settings.facts import ARM_FAMILY, Facts, Rules
from settings.field_types import network_of

# The range EKS gives Services in a VPC of 10.x; stated, because the rule below relies on it.
SERVICE_CIDR = "172.20.0.0/16"
_TAKEN_RANGES = {
    SERVICE_CIDR: "the cluster's Services",
    # docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
    "172.17.0.0/16": "Docker's own bridge on the nodes",
}
_VPC_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
# Six subnets: room for the pods of the node group (one VPC address each) and 64 GPUs' worth.
_WIDEST, _NARROWEST = 16, 20

_SMALL = ("nano", "micro", "small", "medium")
# Classes that RDS for MySQL 8.x no longer offers (AmazonRDS Concepts.DBInstanceClass.Support).
_OLD_CLASSES = ("db.m1", "db.m2", "db.m3", "db.m4", "db.t1", "db.t2", "db.r3", "db.r4")

_OUR_TAGS = re.compile(r"(?i)aws:.*|Name|kubernetes\.io/.*|karpenter\.(sh|k8s\.aws)/.*|eks:.*")
_TAG_TEXT = re.compile(r"[\w\s+\-=._:/@]*")
_MOST_TAGS = 40  # of AWS's 50 per resource, the components need the others


RULES = Rules()


@RULES.reads("cluster.admins", "region")
def _admins_are_of_this_partition(f: Facts) -> Iterator[str]:
    for index, arn in enumerate(f.settings.cluster.admins):
        if arn.split(":")[1] != f.region.partition:
            yield told(
                full_key(("cluster", "admins", index)),
                arn,
                f"{f.region.name} lies in the partition {f.region.partition}: "
                f"write an ARN that begins with arn:{f.region.partition}:",
            )


@RULES.reads("network.cidr", "network.vpcId")
def _vpc_range_fits(f: Facts) -> Iterator[str]:
    net = f.settings.network
    if net.vpc_id:
        return
    key, cidr = full_key("network.cidr"), network_of(net.cidr)
    if not _WIDEST <= cidr.prefixlen <= _NARROWEST:
        size = "small" if cidr.prefixlen > _NARROWEST else "large"
        yield told(
            key,
            net.cidr,
            f"that is too {size} for {net.zones} zones with a private and a public subnet each: "
            f"use /{_WIDEST} to /{_NARROWEST}",
        )
    if not any(cidr.subnet_of(network_of(wide)) for wide in _VPC_RANGES):
        yield told(key, net.cidr, f"it is not private: use a range inside {listed(_VPC_RANGES)}")
    for taken, whose in _TAKEN_RANGES.items():
        if cidr.overlaps(ip_network(taken)):
            yield told(key, net.cidr, f"it overlaps {taken}, {whose}: use another private range")


@RULES.reads("network.vpcId", "network.privateSubnetIds", "network.publicSubnetIds")
def _existing_vpc_is_whole(f: Facts) -> Iterator[str]:
    net = f.settings.network
    subnets = {
        "privateSubnetIds": net.private_subnet_ids,
        "publicSubnetIds": net.public_subnet_ids,
    }
    for name, ids in subnets.items():
        if ids and not net.vpc_id:
            yield told(
                full_key(f"network.{name}"),
                listed(ids, "and"),
                f"subnets need their VPC: add {full_key('network.vpcId')} or remove them",
            )
    if net.vpc_id and len(net.private_subnet_ids) < 2:
        yield told(
            full_key("network.vpcId"),
            net.vpc_id,
            f"an existing VPC needs at least two {full_key('network.privateSubnetIds')}, "
            "in different zones: add them",
        )
    for both in sorted({*net.private_subnet_ids} & {*net.public_subnet_ids}):
        yield told(
            full_key("network.publicSubnetIds"),
            both,
            f"it is also in {full_key('network.privateSubnetIds')}: keep it in one of them",
        )


@RULES.reads("nodeGroup.min", "nodeGroup.max", "nodeGroup.desired")
def _node_counts_agree(f: Facts) -> Iterator[str]:
    group = f.settings.node_group
    low, high, now = (full_key(f"nodeGroup.{name}") for name in ("min", "max", "desired"))
    if group.min > group.max:
        yield told(low, group.min, f"{high} is only {group.max}: lower the one or raise the other")
    elif not group.min <= group.desired <= group.max:
        yield told(
            now,
            group.desired,
            f"it must lie between {low} ({group.min}) and {high} ({group.max}): change one of them",
        )


@RULES.reads("nodeGroup.desired", "nodeGroup.min", "nodeGroup.max", "gpuPool.enabled")
def _karpenter_has_two_nodes(f: Facts) -> Iterator[str]:
    # The chart's two replicas must not share a host or a zone.
    group = f.settings.node_group
    if f.settings.gpu_pool.enabled and group.min <= group.desired <= group.max < 2:
        yield told(
            full_key("nodeGroup.max"),
            group.max,
            f"Karpenter's two replicas need two nodes: use 2 or more, or set "
            f"{full_key('gpuPool.enabled')} to false",
        )


@RULES.reads("nodeGroup.instanceType")
def _platform_nodes_can_run_it(f: Facts) -> Iterator[str]:
    key, kind = full_key("nodeGroup.instanceType"), f.settings.node_group.instance_type
    family, _, size = kind.partition(".")
    if ARM_FAMILY.fullmatch(family):
        yield told(key, kind, "it is Arm, and Kubeflow's images are amd64 only: use m5.xlarge")
    elif size in _SMALL:
        yield told(key, kind, "it has too little memory for the platform: use m5.xlarge or larger")


@RULES.reads("database.storageGib", "database.maxStorageGib")
def _storage_can_grow(f: Facts) -> Iterator[str]:
    db = f.settings.database
    least = ceil(db.storage_gib * 1.1)  # RDS: at least 10 % above the allocated storage
    if 0 < db.max_storage_gib < least:
        yield told(
            full_key("database.maxStorageGib"),
            db.max_storage_gib,
            f"with {full_key('database.storageGib')} {db.storage_gib} it must be at least {least}, "
            "or 0 for no growth: change one of them",
        )


@RULES.reads("database.instanceClass")
def _database_class_is_current(f: Facts) -> Iterator[str]:
    name = f.settings.database.instance_class
    if name.startswith(tuple(f"{old}." for old in _OLD_CLASSES)):
        yield told(
            full_key("database.instanceClass"),
            name,
            "RDS offers MySQL 8 on newer classes only: use db.m6g.large",
        )


@RULES.reads("database.deletionProtection", "database.skipFinalSnapshot")
def _last_copy_is_kept(f: Facts) -> Iterator[str]:
    db = f.settings.database
    if db.deletion_protection and db.skip_final_snapshot:
        yield told(
            full_key("database.skipFinalSnapshot"),
            True,
            f"{full_key('database.deletionProtection')} is true as well, so either the data "
            "matters or it does not: set one of them to false",
        )


@RULES.reads("tags")
def _tags_are_allowed(f: Facts) -> Iterator[str]:
    # https://docs.aws.amazon.com/general/latest/gr/aws_tagging.html
    tags = f.settings.tags
    if len(tags) > _MOST_TAGS:
        yield told(full_key("tags"), f"{len(tags)} tags", f"use at most {_MOST_TAGS}")
    for name, value in tags.items():
        key = full_key(("tags", name))
        if looks_secret(name, value):
            yield told(key, value, "everybody can read tags, and this looks secret: remove it")
        elif _OUR_TAGS.fullmatch(name):
            yield told(key, value, "AWS or the platform sets this tag itself: choose another name")
        elif not 1 <= len(name) <= 128 or len(value) > 256:
            yield told(key, value, "use at most 128 characters for a name and 256 for a value")
        elif not _TAG_TEXT.fullmatch(name + value):
            yield told(key, value, "use letters, digits, spaces and + - = . _ : / @ only")


@RULES.reads("endpoints")
def _endpoints_are_services(f: Facts) -> Iterator[str]:
    for name, url in f.settings.endpoints.items():
        if not re.fullmatch(r"[a-z0-9]+", name):
            plain = re.sub(r"[^a-z0-9]", "", name.lower()) or "s3"
            key = full_key(("endpoints", name))
            yield told(key, url, f"the provider's service names have no such form: write {plain}")
