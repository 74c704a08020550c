"""Rules over an existing VPC, as AWS describes it: whether it can hold the stack.

``./kf doctor`` and the program look it up, each in its own way, and share these rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from regions.region import Region
from settings.errors import full_key, listed, refusal
from settings.mirror_mode import MirrorMode
from settings.sections import Settings

NO_CONTROL_PLANE = ("use1-az3", "usw1-az2", "cac1-az3")
"""IDs of zones in which EKS places no control plane (EKS user guide, network-reqs.html)."""

_INTERNET = "0.0.0.0/0"
_ADDRESSES_OF_EKS = 6
"""In each subnet of a cluster (EKS user guide, network-reqs.html)."""
ADDRESSES_OF_A_NODE = 30
"""Two interfaces, one of them in reserve (aws/amazon-vpc-cni-k8s README.md, WARM_ENI_TARGET), with
the 15 addresses each that they have on an xlarge or 2xlarge."""

# Without a route to the internet; S3 by a gateway or an interface.
_ENDPOINTS = ("ec2", "ecr.api", "ecr.dkr", "eks", "logs", "s3", "secretsmanager", "sts")
_OF_KARPENTER = ("sqs", "ssm")
_OF_ADMISSION = ("dynamodb", "lambda")
_OF_SHARED_FILES = ("elasticfilesystem",)


@dataclass(frozen=True)
class Subnet:
    """A subnet as AWS describes it.

    Attributes:
        vpc_id: its VPC.
        zone: name of its zone, and ``zone_id`` the ID, which is the same in every account.
        free: its free addresses.
        way_out: whether its route table leads a private address to the internet.
    """

    vpc_id: str
    zone: str
    zone_id: str
    free: int
    way_out: bool


@dataclass(frozen=True)
class ExistingVpc:
    """A VPC as AWS describes it.

    Attributes:
        exists: whether the account has it in the region; if not, the rest has no meaning.
        dns_support, dns_hostnames: its two attributes.
        subnets: ID -> subnet, of the stack's that exist.
        endpoints: names of the services that it has VPC endpoints of.
        in_use: whether the stack's cluster exists, whose nodes have taken addresses already.
    """

    exists: bool
    dns_support: bool = True
    dns_hostnames: bool = True
    subnets: Mapping[str, Subnet] = field(default_factory=dict[str, Subnet])
    endpoints: frozenset[str] = frozenset()
    in_use: bool = False


def leads_out(routes: Iterable[tuple[str, str]], *, public_addresses: bool) -> bool:
    """Whether routes lead to the internet.

    Args:
        routes: destination and ID of the target; an empty target leads nowhere.
        public_addresses: whether machines get public addresses, without which an internet gateway
            is of no use.
    """
    return any(
        destination == _INTERNET and bool(target) and (public_addresses or target[:4] != "igw-")
        for destination, target in routes
    )


def endpoints_needed(settings: Settings, region: Region) -> tuple[str, ...]:
    """The services that need a VPC endpoint where no route leads out.

    Empty where endpoints cannot replace the route, because images come from public registries.
    """
    mirror = MirrorMode(settings.image_mirror, region)
    if not mirror.enabled or mirror.cached is not None:
        return ()
    karpenter = _OF_KARPENTER if settings.gpu_pool.enabled else ()
    admission = _OF_ADMISSION if mirror.in_cluster else ()
    files = _OF_SHARED_FILES if settings.shared_files.enabled else ()
    return (*_ENDPOINTS, *karpenter, *admission, *files)


def addresses_at_most(settings: Settings) -> int:
    """The addresses that a node group of its largest size and a GPU pool at its limit take."""
    gpus = settings.gpu_pool.max_gpus if settings.gpu_pool.enabled else 0
    return (settings.node_group.max + gpus) * ADDRESSES_OF_A_NODE


def problems_of_vpc(settings: Settings, region: Region, vpc: ExistingVpc) -> list[str]:
    """Why the stack could not be made in the VPC, one sentence each.

    Args:
        settings: with ``network.vpc_id``.
        region: of the stack.
        vpc: as AWS describes it.
    """
    if vpc.exists:
        rules = (_names, _subnets, _zones, _addresses, _ways_out)
        return [problem for rule in rules for problem in rule(settings, region, vpc)]
    return [refusal("network.vpcId", settings.network.vpc_id, _absent("VPC", region))]


def _absent(kind: str, region: Region) -> str:
    return (
        f"the account has no such {kind} in {region.name}: correct it, or choose another "
        "AWS_PROFILE"
    )


def _names(settings: Settings, _: Region, vpc: ExistingVpc) -> Iterator[str]:
    # Both are needed for the private endpoint's name (EKS user guide, cluster-endpoint.html).
    options = {"support": vpc.dns_support, "hostnames": vpc.dns_hostnames}
    for name, on in options.items():
        if not on:
            vpc_id = settings.network.vpc_id
            command = f"aws ec2 modify-vpc-attribute --vpc-id {vpc_id} --enable-dns-{name}"
            reason = f"its DNS {name} is off, so no name leads to the API server: `{command}`"
            yield refusal("network.vpcId", vpc_id, reason)


def _subnets(settings: Settings, region: Region, vpc: ExistingVpc) -> Iterator[str]:
    for index, subnet_id in enumerate(settings.network.private_subnet_ids):
        path = ("network", "privateSubnetIds", index)
        subnet = vpc.subnets.get(subnet_id)
        if subnet is None:
            yield refusal(path, subnet_id, _absent("subnet", region))
        elif subnet.vpc_id != settings.network.vpc_id:
            reason = f"it is in {subnet.vpc_id}, not in {settings.network.vpc_id}: name one of it"
            yield refusal(path, subnet_id, reason)
        elif not _holds_clusters(subnet, region):
            reason = f"EKS accepts no subnet in the zone {subnet.zone} ({subnet.zone_id}): "
            yield refusal(path, subnet_id, f"{reason}name one in another zone")


def _holds_clusters(subnet: Subnet, region: Region) -> bool:
    # Names of Local and Wavelength Zones have more than a letter behind the region's.
    ordinary = re.fullmatch(f"{region.name}[a-z]", subnet.zone)
    return bool(ordinary) and subnet.zone_id not in NO_CONTROL_PLANE


def _zones(settings: Settings, region: Region, vpc: ExistingVpc) -> Iterator[str]:
    usable = [each for each in vpc.subnets.values() if _holds_clusters(each, region)]
    zones = {subnet.zone for subnet in usable}
    if len(zones) == 1 and len(usable) == len(settings.network.private_subnet_ids):
        subnets = listed(settings.network.private_subnet_ids, "and")
        reason = f"all of them are in {zones.pop()}, and EKS and the database need two zones: "
        yield refusal("network.privateSubnetIds", subnets, f"{reason}add a subnet in another zone")


def _addresses(settings: Settings, _: Region, vpc: ExistingVpc) -> Iterator[str]:
    if vpc.in_use:
        return
    for index, subnet_id in enumerate(settings.network.private_subnet_ids):
        free = vpc.subnets[subnet_id].free if subnet_id in vpc.subnets else _ADDRESSES_OF_EKS
        if free < _ADDRESSES_OF_EKS:
            reason = (
                f"it has {free} free addresses, and EKS itself takes {_ADDRESSES_OF_EKS}: "
                "name a larger subnet"
            )
            yield refusal(("network", "privateSubnetIds", index), subnet_id, reason)
    free = sum(subnet.free for subnet in vpc.subnets.values())
    desired = settings.node_group.desired
    needed = desired * ADDRESSES_OF_A_NODE + len(vpc.subnets) * _ADDRESSES_OF_EKS
    if len(vpc.subnets) == len(settings.network.private_subnet_ids) and free < needed:
        subnets = listed(settings.network.private_subnet_ids, "and")
        reason = (
            f"they have {free} free addresses, and {desired} nodes "
            f"({full_key('nodeGroup.desired')}) with their pods take about {needed}: name larger "
            "subnets"
        )
        yield refusal("network.privateSubnetIds", subnets, reason)


def _ways_out(settings: Settings, region: Region, vpc: ExistingVpc) -> Iterator[str]:
    closed = [name for name, subnet in vpc.subnets.items() if not subnet.way_out]
    if not closed:
        return
    needed = endpoints_needed(settings, region)
    missing = [each for each in needed if not _has_endpoint(vpc, region, each)]
    reason = f"no route of {listed(closed, 'and')} leads to the internet"
    route = f"add a route for {_INTERNET} to a NAT gateway"
    if not needed:
        reason += f", where images come from: {route}"
    elif missing:
        reason += f", and the VPC has no endpoint of {listed(missing, 'and')}: {route}, or these"
    else:
        return
    yield refusal("network.vpcId", settings.network.vpc_id, reason)


def _has_endpoint(vpc: ExistingVpc, region: Region, service: str) -> bool:
    names = {region.vpc_endpoint_service(service)}
    if service == "s3":
        names.add(region.vpc_endpoint_service("s3-interface"))
    return bool(names & vpc.endpoints)
