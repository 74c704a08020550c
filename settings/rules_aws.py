"""Rules over the AWS side of a stack: network, nodes, database, tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from math import ceil

from regions.offers import Kind, has_mysql, lacks, names
from settings.errors import full_key, listed, looks_secret, refusal
from settings.facts import Facts, Rules
from settings.field_types import ARM_FAMILY, network_of, reason_against

_TAKEN_RANGES = {
    # In a VPC of 10.x; EKS chooses it.
    "172.20.0.0/16": "the range of the cluster's Services",
    # docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
    "172.17.0.0/16": "the range of Docker's own bridge on the nodes",
}
_VPC_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
# A /20 holds six subnets with an address for every pod of the node group and of 64 GPUs.
_SHORTEST_PREFIX, _LONGEST_PREFIX = 16, 20

# https://aws.amazon.com/ec2/previous-generation/, of the series that a node group would use.
_PREVIOUS_GENERATION = re.compile(r"([cmr][1-3]|t[12])\.")

_OUR_TAGS = re.compile(r"(?i)aws:.*|Name|kubernetes\.io/.*|karpenter\.(sh|k8s\.aws)/.*|eks:.*")
_TAG_TEXT = re.compile(r"[\w\s+\-=._:/@]*")
_MOST_TAGS = 40  # of AWS's 50 per resource, the components need the others


RULES = Rules()


@RULES.reads("cluster.admins", "region")
def _admins_are_of_this_partition(f: Facts) -> Iterator[str]:
    partition = f.region.partition
    for index, arn in enumerate(f.settings.cluster.admins):
        if arn.split(":")[1] != partition:
            reason = f"{f.region.name} is in the partition {partition}: begin with arn:{partition}:"
            yield refusal(("cluster", "admins", index), arn, reason)


@RULES.reads("network.cidr", "network.vpcId")
def _vpc_range_fits(f: Facts) -> Iterator[str]:
    net, key = f.settings.network, "network.cidr"
    if net.vpc_id:
        return
    cidr = network_of(net.cidr)
    if not _SHORTEST_PREFIX <= cidr.prefixlen <= _LONGEST_PREFIX:
        size = "small" if cidr.prefixlen > _LONGEST_PREFIX else "large"
        yield refusal(
            key,
            net.cidr,
            f"it is too {size} for {net.zones} zones with a private and a public subnet each: "
            f"use /{_SHORTEST_PREFIX} to /{_LONGEST_PREFIX}",
        )
    if not any(cidr.subnet_of(network_of(wide)) for wide in _VPC_RANGES):
        yield refusal(key, net.cidr, f"it is not private: use a range inside {listed(_VPC_RANGES)}")
    for taken, whose in _TAKEN_RANGES.items():
        if cidr.overlaps(ip_network(taken)):
            yield refusal(key, net.cidr, f"it overlaps {taken}, {whose}: use another private range")


@RULES.reads("network.vpcId", "network.privateSubnetIds")
def _existing_vpc_is_whole(f: Facts) -> Iterator[str]:
    vpc_id, subnets = f.settings.network.vpc_id, f.settings.network.private_subnet_ids
    if subnets and not vpc_id:
        reason = f"subnets need their VPC: add {full_key('network.vpcId')} or remove them"
        yield refusal("network.privateSubnetIds", listed(subnets, "and"), reason)
    if vpc_id and len(subnets) < 2:
        key = full_key("network.privateSubnetIds")
        reason = f"an existing VPC needs at least two {key}, in different zones: add them"
        yield refusal("network.vpcId", vpc_id, reason)


@RULES.reads("nodeGroup.instanceType", "region")
def _region_offers_the_nodes(f: Facts) -> Iterator[str]:
    key, name = "nodeGroup.instanceType", f.settings.node_group.instance_type
    if "instance_type" in f.settings.node_group.model_fields_set:
        yield from _not_offered(f, "instances", key, name, _runs_the_platform)


@RULES.reads("database.instanceClass", "region")
def _region_offers_the_database(f: Facts) -> Iterator[str]:
    key, name = "database.instanceClass", f.settings.database.instance_class
    yield from _not_offered(f, "databases", key, name, _runs_mysql_8)


def _runs_mysql_8(database_class: str) -> bool:
    return not reason_against("DatabaseClass", database_class)


def _runs_the_platform(instance_type: str) -> bool:
    small = reason_against("PlatformSize", instance_type)
    return not (
        small or ARM_FAMILY.match(instance_type) or _PREVIOUS_GENERATION.match(instance_type)
    )


def _not_offered(
    f: Facts, kind: Kind, key: str, name: str, usable: Callable[[str], bool]
) -> Iterator[str]:
    if not lacks(kind, f.region.name, name):
        return
    offered = [each for each in names(kind, f.region.name) if usable(each)]
    family, _, size = name.rpartition(".")
    series = name[: len("db.m" if kind == "databases" else "m")]
    forms = (rf"{series}.*\.{size}", rf"{family}\..*", r"(db\.)?m.*\.xlarge")
    alike = ([each for each in offered if re.fullmatch(form, each)] for form in forms)
    reason = f"{f.region.name} does not offer it: use {listed(next(filter(None, alike)))}"
    yield refusal(key, name, reason)


@RULES.reads("database.engineVersion")
def _rds_has_the_version(f: Facts) -> Iterator[str]:
    version = f.settings.database.engine_version
    if not has_mysql(version):
        line = ".".join(version.split(".")[:2])
        reason = f"RDS has no such version: write {line} for its newest, in quotes"
        yield refusal("database.engineVersion", version, reason)


@RULES.reads("nodeGroup.min", "nodeGroup.max", "nodeGroup.desired")
def _node_counts_agree(f: Facts) -> Iterator[str]:
    group = f.settings.node_group
    low, high = full_key("nodeGroup.min"), full_key("nodeGroup.max")
    if group.min > group.max:
        reason = f"it is above {high} ({group.max}): lower the one or raise the other"
        yield refusal("nodeGroup.min", group.min, reason)
    elif not group.min <= group.desired <= group.max:
        yield refusal(
            "nodeGroup.desired",
            group.desired,
            f"it must lie between {low} ({group.min}) and {high} ({group.max}): change one of them",
        )


@RULES.reads("nodeGroup.desired", "nodeGroup.min", "nodeGroup.max", "gpuPool.enabled")
def _karpenter_has_two_nodes(f: Facts) -> Iterator[str]:
    # The chart's two replicas must not share a host or a zone.
    group = f.settings.node_group
    if f.settings.gpu_pool.enabled and group.min <= group.desired <= group.max < 2:
        yield refusal(
            "nodeGroup.max",
            group.max,
            f"Karpenter's two replicas need two nodes: use 2 or more, or set "
            f"{full_key('gpuPool.enabled')} to false",
        )


@RULES.reads("nodeGroup.min", "nodeGroup.highAvailability")
def _second_pods_have_a_second_node(f: Facts) -> Iterator[str]:
    group = f.settings.node_group
    if group.high_availability and group.min < 2:
        yield refusal(
            "nodeGroup.highAvailability",
            True,
            f"second pods need a second node, and {full_key('nodeGroup.min')} is {group.min}: "
            "use 2 or more there, or remove this line",
        )


@RULES.reads("database.storageGib", "database.maxStorageGib")
def _storage_can_grow(f: Facts) -> Iterator[str]:
    db = f.settings.database
    least = ceil(db.storage_gib * 1.1)  # RDS: at least 10 % above the allocated storage
    if 0 < db.max_storage_gib < least:
        yield refusal(
            "database.maxStorageGib",
            db.max_storage_gib,
            f"with {full_key('database.storageGib')} {db.storage_gib} it must be at least {least}, "
            "or 0 for no growth: change one of them",
        )


@RULES.reads("database.deletionProtection", "database.skipFinalSnapshot")
def _last_copy_is_kept(f: Facts) -> Iterator[str]:
    db = f.settings.database
    if db.deletion_protection and db.skip_final_snapshot:
        yield refusal(
            "database.skipFinalSnapshot",
            True,
            f"{full_key('database.deletionProtection')} is true as well, and protected data needs "
            "a final snapshot: set one of them to false",
        )


@RULES.reads("tags")
def _tags_are_allowed(f: Facts) -> Iterator[str]:
    # https://docs.aws.amazon.com/general/latest/gr/aws_tagging.html
    tags = f.settings.tags
    if len(tags) > _MOST_TAGS:
        yield refusal("tags", f"{len(tags)} tags", f"use at most {_MOST_TAGS}")
    for name, value in tags.items():
        if looks_secret(name, value):
            reason = "everybody can read tags, and this looks secret: remove it"
        elif _OUR_TAGS.fullmatch(name):
            reason = "AWS or the platform sets this tag itself: choose another name"
        elif not 1 <= len(name) <= 128 or len(value) > 256:
            reason = "use at most 128 characters for a name and 256 for a value"
        elif not _TAG_TEXT.fullmatch(name + value):
            reason = "use letters, digits, spaces and + - = . _ : / @ only"
        else:
            continue
        yield refusal(("tags", name), value, reason)


@RULES.reads("endpoints")
def _endpoints_are_services(f: Facts) -> Iterator[str]:
    for name, url in f.settings.endpoints.items():
        if not re.fullmatch(r"[a-z0-9]+", name):
            service = re.sub(r"[^a-z0-9]", "", name.lower()) or "s3"
            reason = f"names of services have lower-case letters and digits only: write {service}"
            yield refusal(("endpoints", name), url, reason)
