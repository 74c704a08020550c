"""Rules over the AWS side of a stack: network, nodes, database, tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from ipaddress import ip_network
from math import ceil

from regions.endpoints import endpoint_names
from regions.offers import Kind, has_mysql, has_postgres, lacks, names
from regions.region import GPU_FAMILIES
from settings.errors import full_key, listed, looks_secret, refusal
from settings.existing_vpc import ADDRESSES_OF_A_NODE
from settings.facts import Facts
from settings.field_types import ARM_FAMILY, SPECIAL_FAMILY, network_of, reason_against
from settings.rule_frame import Rules
from settings.sections import TAGS_OF_EVERYTHING

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
_TAG_TEXT = re.compile(r"[\w +\-=._:/@]*")
_MOST_TAGS = 40  # of AWS's 50 per resource, the components need the others


RULES = Rules[Facts]()


@RULES.reads("cluster.admins", "region")
def _admins_are_of_this_partition(f: Facts) -> Iterator[str]:
    partition = f.region.partition
    for index, arn in enumerate(f.settings.cluster.admins):
        if arn.split(":")[1] != partition:
            reason = f"{f.region.name} is in the partition {partition}: begin with arn:{partition}:"
            yield refusal(("cluster", "admins", index), arn, reason)


@RULES.reads("aws:", "region", "accountId", "imageMirror", "cluster.admins")
def _provider_settings_agree(f: Facts) -> Iterator[str]:
    given, settings = f.settings.aws, f.settings
    if given.region not in (None, settings.region):
        reason = f"{full_key('region')} is {settings.region}, for every resource: remove the line"
        yield refusal("aws:.region", given.region, reason)
    mirror = settings.image_mirror
    if f.mirror.crosses_partitions and given.profile == mirror.build_profile:
        reason = (
            f"{full_key('imageMirror.buildProfile')} is the same, and its account is in another "
            "partition: write another profile into one of them"
        )
        yield refusal("aws:.profile", given.profile, reason)
    roles = given.assume_roles
    if len(roles) > 1 or (roles and given.assume_role):
        reason = (
            "`aws eks get-token`, from which the cluster's logins come, assumes one role only: "
            "chain the others in a profile of your AWS configuration (source_profile), and write "
            f"its name into {full_key('aws:.profile')}"
        )
        yield refusal("aws:.assumeRoles", f"{len(roles)} roles", reason)
    allowed, account = given.allowed_account_ids, settings.account_id
    both = [each for each in given.forbidden_account_ids if each in settings.allowed_accounts]
    if both:
        own = full_key("accountId" if account else "aws:.allowedAccountIds")
        reason = f"{own} has it too: remove it from one"
        yield refusal("aws:.forbiddenAccountIds", listed(both, "and"), reason)
    if account and allowed and account not in allowed:
        reason = f"{full_key('accountId')} is {account}: add it, or remove the line"
        yield refusal("aws:.allowedAccountIds", listed(allowed, "and"), reason)
    if given.role:
        key = "aws:.assumeRole.roleArn" if given.assume_role else "aws:.assumeRoles"
        yield from _of_the_stack(f, key, given.role.role_arn)


def _of_the_stack(f: Facts, key: str, arn: str) -> Iterator[str]:
    """Refuses an ARN of another partition, or of an account that the stack may not change."""
    _, partition, _, _, account = arn.split(":")[:5]
    if partition != f.region.partition:
        here = f.region.partition
        yield refusal(
            key, arn, f"{f.region.name} is in the partition {here}: begin with arn:{here}:"
        )
    elif account != "aws" and (other := f.settings.refusal_of(account)):
        yield refusal(key, arn, f"{other}: write the ARN of that account")


@RULES.reads("iam", "aws:", "region", "accountId", "imageMirror")
def _boundaries_are_of_their_accounts(f: Facts) -> Iterator[str]:
    iam, crosses = f.settings.iam, f.mirror.crosses_partitions
    build, key = iam.build_permissions_boundary, "iam.buildPermissionsBoundary"
    if iam.permissions_boundary:
        yield from _of_the_stack(f, "iam.permissionsBoundary", iam.permissions_boundary)
        if crosses and not build:
            yield refusal(
                "iam.permissionsBoundary",
                iam.permissions_boundary,
                f"the account of {full_key('imageMirror.buildProfile')} has no such policy: add "
                f"{full_key(key)}, the ARN of one there or none",
            )
    if build and not crosses:
        yield refusal(key, build, "the stack has no build account of its own: remove the line")
    elif build not in (None, "none") and build.split(":")[1] != f.mirror.build_region.partition:
        there = f.mirror.build_region.partition
        reason = (
            f"{f.mirror.build_region.name} is in the partition {there}: begin with arn:{there}:"
        )
        yield refusal(key, build, reason)


@RULES.reads("network")
def _an_existing_vpc_has_its_range(f: Facts) -> Iterator[str]:
    net = f.settings.network
    for name in ("cidr", "nat", "zones") if net.vpc_id else ():
        if name in net.model_fields_set:
            vpc = full_key("network.vpcId")
            reason = f"it is of a new VPC, and {vpc} is {net.vpc_id}: remove one of the lines"
            yield refusal(("network", name), getattr(net, name), reason)


@RULES.reads("network", "region")
def _region_has_the_zones(f: Facts) -> Iterator[str]:
    zones, most = f.settings.network.zones, f.region.cluster_zones
    if zones and zones > most and not f.settings.network.vpc_id:
        reason = f"EKS has {most} zones in {f.region.name}: use {most} or remove the line"
        yield refusal("network.zones", zones, reason)


@RULES.reads("network", "nodeGroup", "region")
def _vpc_has_an_address_for_every_pod(f: Facts) -> Iterator[str]:
    net, nodes = f.settings.network, f.settings.node_group.max
    zones = net.zones or f.region.cluster_zones
    # As components.cluster.address_plan carves it: a block per zone, one for all public subnets.
    private = zones * 2 ** (32 - network_of(net.cidr).prefixlen - zones.bit_length())
    needed = nodes * ADDRESSES_OF_A_NODE
    fits = network_of(net.cidr).prefixlen <= _LONGEST_PREFIX
    if fits and needed > private and not net.vpc_id:
        yield refusal(
            "nodeGroup.max",
            nodes,
            f"so many nodes with their pods take about {needed} addresses, and the private subnets "
            f"in {full_key('network.cidr')} ({net.cidr}) have {private}: lower it, or use a wider "
            "range",
        )


@RULES.reads("network.cidr", "network.vpcId", "network.zones", "region")
def _vpc_range_fits(f: Facts) -> Iterator[str]:
    net, key = f.settings.network, "network.cidr"
    if net.vpc_id:
        return
    cidr, zones = network_of(net.cidr), net.zones or f.region.cluster_zones
    if not _SHORTEST_PREFIX <= cidr.prefixlen <= _LONGEST_PREFIX:
        size = "small" if cidr.prefixlen > _LONGEST_PREFIX else "large"
        yield refusal(
            key,
            net.cidr,
            f"it is too {size} for {zones} zones with a private and a public subnet each: "
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
    if _is_special(name):
        reason = "the platform itself has no use for GPUs, other accelerators or macOS"
        yield refusal(key, name, f"{reason}: use m5.xlarge")
    elif "instance_type" in f.settings.node_group.model_fields_set:
        yield from _not_offered(f, "instances", key, name, _runs_the_platform)


@RULES.reads("database.instanceClass", "region")
def _region_offers_the_database(f: Facts) -> Iterator[str]:
    key, name = "database.instanceClass", f.settings.database.instance_class
    yield from _not_offered(f, "databases", key, name, _runs_mysql_8)


def _runs_mysql_8(database_class: str) -> bool:
    return not reason_against("DatabaseClass", database_class)


@RULES.reads("modelCatalog.enabled", "modelCatalog.instanceClass", "region")
def _region_offers_the_catalogs_database(f: Facts) -> Iterator[str]:
    catalog = f.settings.model_catalog
    if catalog.enabled:
        key, name = "modelCatalog.instanceClass", catalog.instance_class
        yield from _not_offered(f, "postgresDatabases", key, name, _runs_postgres_17)


def _runs_postgres_17(database_class: str) -> bool:
    return not reason_against("PostgresClass", database_class)


@RULES.reads("modelCatalog.engineVersion")
def _rds_has_the_catalogs_version(f: Facts) -> Iterator[str]:
    version = f.settings.model_catalog.engine_version
    if not has_postgres(version):
        line = version.partition(".")[0]
        reason = f"RDS has no such version: write {line} for its newest, in quotes"
        yield refusal("modelCatalog.engineVersion", version, reason)


def _is_special(instance_type: str) -> bool:
    family = instance_type.partition(".")[0]
    return family in GPU_FAMILIES or SPECIAL_FAMILY.fullmatch(family) is not None


def _runs_the_platform(instance_type: str) -> bool:
    small = reason_against("PlatformSize", instance_type)
    arm, old = ARM_FAMILY.match(instance_type), _PREVIOUS_GENERATION.match(instance_type)
    return not (small or arm or old or _is_special(instance_type))


def _not_offered(
    f: Facts, kind: Kind, key: str, name: str, usable: Callable[[str], bool]
) -> Iterator[str]:
    if not lacks(kind, f.region.name, name):
        return
    offered = [each for each in names(kind, f.region.name) if usable(each)]
    family, _, size = name.rpartition(".")
    series = name[: len("m" if kind == "instances" else "db.m")]
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


@RULES.reads("deletionProtection", "database.deletionProtection", "database.skipFinalSnapshot")
def _last_copy_is_kept(f: Facts) -> Iterator[str]:
    db = f.settings.database
    if f.settings.protected and db.deletion_protection and db.skip_final_snapshot:
        yield refusal(
            "database.skipFinalSnapshot",
            True,
            f"{full_key('database.deletionProtection')} is true as well, and protected data needs "
            "a final snapshot: set one of them to false",
        )


@RULES.reads("cluster.name", "artifacts.bucket", "region")
def _bucket_has_a_name(f: Facts) -> Iterator[str]:
    name = f.settings.cluster.name
    bucket = f"{name}-{'0' * 12}-{f.region.name}"
    if f.settings.artifacts.bucket is None and (reason := reason_against("BucketName", bucket)):
        start = (
            f"the bucket of artifacts has it, the account and the region in its name, and {reason}"
        )
        yield refusal("cluster.name", name, f"{start} one, or set {full_key('artifacts.bucket')}")


@RULES.reads("artifacts.existing", "artifacts.kmsKeyArn", "database.snapshot")
def _what_is_encrypted_has_its_key(f: Facts) -> Iterator[str]:
    artifacts, snapshot = f.settings.artifacts, f.settings.database.snapshot
    if artifacts.kms_key_arn:
        return
    way_out = (
        f"only the key that encrypts it can read it: add {full_key('artifacts.kmsKeyArn')}, which "
        "`aws s3api get-bucket-encryption` shows for the bucket, describe-db-snapshots for a "
        "snapshot"
    )
    if artifacts.existing:
        yield refusal("artifacts.existing", True, way_out)
    if snapshot:
        yield refusal("database.snapshot", snapshot, way_out)


@RULES.reads("artifacts.kmsKeyArn", "region", "accountId", "aws:")
def _key_is_of_the_stack(f: Facts) -> Iterator[str]:
    if not (arn := f.settings.artifacts.kms_key_arn):
        return
    yield from _of_the_stack(f, "artifacts.kmsKeyArn", arn)
    region = arn.split(":")[3]
    if region != f.region.name and arn.startswith(f"arn:{f.region.partition}:"):
        reason = f"it is in {region}, and {full_key('region')} is {f.region.name}: use a key there"
        yield refusal("artifacts.kmsKeyArn", arn, reason)


@RULES.reads("tags", "aws:")
def _tags_are_allowed(f: Facts) -> Iterator[str]:
    # https://docs.aws.amazon.com/general/latest/gr/aws_tagging.html
    tags, default = f.settings.tags, f.settings.aws.default_tags.tags
    if len(f.settings.own_tags) > _MOST_TAGS:
        where = f", with those of {full_key('aws:.defaultTags')}" if default else ""
        reason = f"use at most {_MOST_TAGS}"
        yield refusal("tags", f"{len(f.settings.own_tags)} tags{where}", reason)
    for name, value in default.items():
        if tags.get(name, value) != value:
            own = f"{full_key(('tags', name))} is {tags[name]}"
            reason = f"{own}, which every resource would get: remove one of them"
            yield refusal(("aws:", "defaultTags", "tags", name), value, reason)
    yield from _distinct_in_lower_case(f)
    yield from _allowed(("tags",), tags)
    yield from _allowed(("aws:", "defaultTags", "tags"), default)


def _distinct_in_lower_case(f: Facts) -> Iterator[str]:
    # IAM takes them for the same (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html,
    # "Things to know"); the program itself sets the first three of every resource.
    names = {name: name for name in TAGS_OF_EVERYTHING}
    for name in f.settings.own_tags:
        other = names.setdefault(name.lower(), name)
        if other != name:
            path = ("tags",) if name in f.settings.tags else ("aws:", "defaultTags", "tags")
            reason = f"{other} is a tag of the same resources, and IAM takes both for one: "
            yield refusal((*path, name), f.settings.own_tags[name], f"{reason}rename or remove it")


def _allowed(path: tuple[str, ...], tags: Mapping[str, str]) -> Iterator[str]:
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
        yield refusal((*path, name), value, reason)


@RULES.reads("endpoints")
def _endpoints_are_services(f: Facts) -> Iterator[str]:
    for name, url in f.settings.endpoints.items():
        if name not in endpoint_names():
            plain = re.sub(r"[^a-z0-9]", "", name.lower())
            similar = get_close_matches(plain, endpoint_names(), n=1)
            hint = f"write {similar[0]}" if similar else "write one such as s3 or sts, or remove it"
            reason = f"Pulumi's AWS provider has no service of this name: {hint}"
            yield refusal(("endpoints", name), url, reason)
