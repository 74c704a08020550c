"""What AWS charges for each resource of a plan: kinds and numbers of units, without prices.

How AWS counts: https://aws.amazon.com/eks/pricing/, /ec2/pricing/on-demand/, /ebs/pricing/,
/vpc/pricing/ (NAT gateways, public addresses), /privatelink/pricing/ (an interface endpoint counts
in each of its zones), /rds/mysql/pricing/, /elasticloadbalancing/pricing/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from regions.price_list import KEYS
from settings.support_ends import EKS, MYSQL

HOURS = 730
"""Of a month, as AWS's own calculator has it (https://calculator.aws, 8760 / 12)."""

Row = Mapping[str, Any]
_UNITS = {"machine": "hour", "database": "hour", "postgresql": "hour"}


@dataclass(frozen=True)
class Item:
    """Something that is charged as long as it exists.

    Attributes:
        kind: a key of the price lists, ``machine``, ``database`` (MySQL) or ``postgresql``.
        name: of the machine, or class and zones of the database; else empty.
        units: at the smallest size; where the price is for an hour, how many there are.
        most: as ``units``, in the busiest hour.
        purpose: what it is for; items of one kind and purpose are one line.
        refused: why no price list can have its price; empty: one can.
    """

    region: str
    kind: str
    units: float
    most: float
    purpose: str
    name: str = ""
    refused: str = ""

    @property
    def unit(self) -> str:
        """That its price is for."""
        return _UNITS.get(self.kind) or (KEYS[self.kind].unit if self.kind in KEYS else "GB-month")

    @property
    def hourly(self) -> bool:
        """Whether its price is for an hour."""
        return self.unit in ("hour", "vCPU-hour")


@dataclass(frozen=True)
class Use:
    """Something that is charged by use: nothing in a plan says how much."""

    region: str
    key: str


@dataclass(frozen=True)
class Uncounted:
    """A resource that nothing says the cost of.

    Attributes:
        reason: as a sentence without its full stop; empty: nothing is known of its type.
    """

    region: str
    type: str
    name: str
    reason: str = ""


Charge = Item | Use | Uncounted


@dataclass(frozen=True)
class Plan:
    """The rows of a plan.json, and what is asked of them again and again.

    Attributes:
        rows: without those of operation ``delete``, which have no inputs.
        region: of the stack.
        today: by which support has ended or not.
    """

    rows: Sequence[Row]
    region: str
    today: date

    def region_of(self, row: Row) -> str:
        """The region of a row's provider."""
        return self._regions.get(row.get("provider", ""), self.region)

    @cached_property
    def _regions(self) -> dict[str, str]:
        return {
            row["urn"]: row["inputs"]["region"]
            for row in self.rows
            if row["type"] == "pulumi:providers:aws" and "region" in row["inputs"]
        }

    def needed_by(self, row: Row, type_: str) -> Row | None:
        """What a row of the plan depends on, of one type."""
        urns = set(row["dependencies"])
        return next((each for each in self.of(type_) if each["urn"] in urns), None)

    def of(self, type_: str) -> list[Row]:
        """The rows of one type."""
        return [row for row in self.rows if row["type"] == type_]


# -- Rules, by type -------------------------------------------------------------------------------

Rule = Callable[[Plan, Row, str], Iterator[Charge]]
RULES: dict[str, Rule] = {}
"""Type -> its charges, from the plan, the row and its region."""


def _rule(*types: str) -> Callable[[Rule], Rule]:
    def registered(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(types, rule))
        return rule

    return registered


def by_use(type_: str, *keys: str) -> None:
    """Register a type of which all charges are by use."""

    @_rule(type_)
    def rule(  # pyright: ignore[reportUnusedFunction]
        _plan: Plan, _row: Row, region: str
    ) -> Iterator[Charge]:
        yield from (Use(region, key) for key in keys)


by_use("aws:apigatewayv2/api:Api", "api.requests")
by_use("aws:cloudwatch/logGroup:LogGroup", "logs.ingested", "logs.stored")
by_use("aws:codebuild/project:Project", "codebuild.small", "transfer.out")
by_use("aws:dynamodb/table:Table", "dynamodb.reads", "dynamodb.writes", "dynamodb.stored")
by_use("aws:ecr/pullThroughCacheRule:PullThroughCacheRule", "ecr.stored")
by_use("aws:efs/backupPolicy:BackupPolicy", "backup.stored")
by_use("aws:lambda/function:Function", "lambda.requests", "lambda.duration")
by_use("aws:s3/bucket:Bucket", "s3.stored")
by_use("aws:sqs/queue:Queue", "sqs.requests")
by_use("pulumi-python:dynamic:ImageRepositories", "ecr.stored")
by_use("pulumi-python:dynamic:MirroredImages")


def _one(region: str, kind: str, purpose: str, units: float = 1) -> Item:
    return Item(region, kind, units, units, purpose)


@_rule("aws:eks/cluster:Cluster")
def _cluster(plan: Plan, row: Row, region: str) -> Iterator[Charge]:
    extended = _support_ended(str(row["inputs"].get("version", "")), EKS, plan.today)
    yield _one(region, "eks.cluster-extended" if extended else "eks.cluster", "control plane")


def _support_ended(version: str, ends: Mapping[str, Any], today: date) -> bool:
    """Whether AWS supports a version only for more money, as all that are older than the table."""
    if version in ends:
        return today > ends[version].standard
    return bool(version) and _parts(version) < min(map(_parts, ends))


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


@_rule("aws:eks/nodeGroup:NodeGroup")
def _nodes(plan: Plan, row: Row, region: str) -> Iterator[Charge]:
    inputs, scaling = row["inputs"], row["inputs"]["scalingConfig"]
    template = plan.needed_by(row, "aws:ec2/launchTemplate:LaunchTemplate")
    of_template = template["inputs"] if template else {}
    # EKS takes t3.medium and 20 GiB where neither group nor template names them (CreateNodegroup).
    machine = of_template.get("instanceType") or (inputs.get("instanceTypes") or ["t3.medium"])[0]
    few, many = float(scaling["minSize"]), float(scaling["maxSize"])
    purpose = f"nodes of the group {inputs.get('nodeGroupName') or row['name']}"
    spot = "it is a price of Spot" if inputs.get("capacityType") == "SPOT" else ""
    yield Item(region, "machine", few, many, purpose, machine, spot)
    disks = of_template.get("blockDeviceMappings") or [
        {"ebs": {"volumeSize": inputs.get("diskSize", 20), "volumeType": "gp3"}}
    ]
    for disk in disks:
        ebs = disk["ebs"]
        of_disk = {"type": ebs.get("volumeType"), **ebs}
        sizes = few * float(ebs["volumeSize"]), many * float(ebs["volumeSize"])
        yield from _disks(region, of_disk, (few, many), sizes, f"disks of {purpose}")


def _disks(
    region: str,
    of_it: Row,
    number: tuple[float, float],
    sizes: tuple[float, float],
    purpose: str,
) -> Iterator[Charge]:
    """Equal disks of EBS, at least and at most: their GB, and what they do beyond that price.

    https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html: 3000 operations per
    second and 125 MiB/s of gp3.
    """
    kind = str(of_it.get("type") or "gp3")
    yield Item(region, f"ebs.{kind}", *sizes, purpose)
    included = {"iops": 3000, "throughput": 125} if kind == "gp3" else {}
    for name in ("iops", "throughput"):
        more = float(of_it.get(name) or 0) - included.get(name, 0)
        if more > 0 and f"ebs.{kind}.{name}" in KEYS:
            yield Item(region, f"ebs.{kind}.{name}", number[0] * more, number[1] * more, purpose)


@_rule("aws:ec2/natGateway:NatGateway")
def _nat(_plan: Plan, _row: Row, region: str) -> Iterator[Charge]:
    yield _one(region, "nat.gateway", "way out of the private subnets")
    yield Use(region, "nat.data")


@_rule("aws:ec2/eip:Eip")
def _address(plan: Plan, row: Row, region: str) -> Iterator[Charge]:
    gateways = plan.of("aws:ec2/natGateway:NatGateway")
    of_gateway = any(row["urn"] in each["dependencies"] for each in gateways)
    yield _one(region, "address", "NAT gateways" if of_gateway else "other addresses of the stack")


@_rule("aws:ec2/vpcEndpoint:VpcEndpoint")
def _endpoint(_plan: Plan, row: Row, region: str) -> Iterator[Charge]:
    if row["inputs"].get("vpcEndpointType", "Gateway") == "Gateway":  # those cost nothing
        return
    zones = len(row["inputs"].get("subnetIds", ()))
    yield _one(region, "endpoint.zone", "interface endpoints of AWS services", zones)
    yield Use(region, "endpoint.data")


@_rule("aws:rds/instance:Instance")
def _database(plan: Plan, row: Row, region: str) -> Iterator[Charge]:
    inputs = row["inputs"]
    zones = "multi-az" if inputs.get("multiAz") else "single-az"
    catalog = inputs.get("engine", "mysql") != "mysql"
    purpose = "database of the model catalog" if catalog else "database"
    engine = "postgresql" if catalog else "database"
    yield Item(region, engine, 1, 1, purpose, f"{inputs['instanceClass']} {zones}")
    size, kind = float(inputs["allocatedStorage"]), inputs.get("storageType", "gp2")
    yield _one(region, f"rds.{kind}.{zones}", purpose, size)
    # What is in the price of gp3, of both engines: docs.aws.amazon.com/AmazonRDS/latest/UserGuide/
    # CHAP_Storage.html, "gp3 storage".
    included = {
        "iops": 12000 if size >= 400 else 3000,
        "storageThroughput": 500 if size >= 400 else 125,
    }
    for name, part in (("iops", "iops"), ("storageThroughput", "throughput")):
        more = float(inputs.get(name) or 0) - (included[name] if kind == "gp3" else 0)
        if more > 0 and f"rds.{kind}.{part}.{zones}" in KEYS:
            yield _one(region, f"rds.{kind}.{part}.{zones}", purpose, more)
    line = ".".join(inputs["engineVersion"].split(".")[:2])
    if not catalog and _support_ended(line, MYSQL, plan.today):
        copies = 2 if zones == "multi-az" else 1
        yield _one(region, "rds.extended", "database", copies * _vcpus(inputs["instanceClass"]))
    if int(inputs.get("backupRetentionPeriod", 0)):
        yield Use(region, "rds.backup")


def _vcpus(class_: str) -> int:
    """Of the general and memory classes that MySQL has: xlarge 4, 2xlarge 8; large and below 2."""
    times, xlarge, _ = class_.rpartition(".")[2].partition("xlarge")
    return 4 * int(times or 1) if xlarge else 2


@_rule("aws:kms/key:Key")
def _key(_plan: Plan, _row: Row, region: str) -> Iterator[Charge]:
    yield _one(region, "kms.key", "encryption keys")
    yield Use(region, "kms.requests")


@_rule("aws:secretsmanager/secret:Secret")
def _secret(_plan: Plan, _row: Row, region: str) -> Iterator[Charge]:
    yield _one(region, "secret", "passwords and keys")


@_rule("aws:efs/fileSystem:FileSystem")
def _files(_plan: Plan, row: Row, region: str) -> Iterator[Charge]:
    yield Use(region, "efs.standard")
    if row["inputs"].get("lifecyclePolicies"):
        yield Use(region, "efs.infrequent")
    if row["inputs"].get("throughputMode") == "elastic":
        yield Use(region, "efs.read")
        yield Use(region, "efs.written")


# -- What objects in the cluster make in AWS ------------------------------------------------------

_SERVICE = "service.beta.kubernetes.io/aws-load-balancer-"
_INGRESS = "alb.ingress.kubernetes.io/"
_NETWORK = ("service.k8s.aws/nlb", "eks.amazonaws.com/nlb")


@_rule("kubernetes:core/v1:Service")
def _service(plan: Plan, row: Row, region: str) -> Iterator[Charge]:
    """A load balancer, as its controller reads class and annotations.

    kubernetes/cloud-provider-aws docs/service_controller.md makes a classic one without any, with a
    public address; kubernetes-sigs/aws-load-balancer-controller docs/guide/service/annotations.md
    makes one for the network, inside the VPC unless it is told otherwise.
    """
    spec, metadata = row["inputs"].get("spec") or {}, row["inputs"].get("metadata") or {}
    if spec.get("type") != "LoadBalancer":
        return
    annotations = metadata.get("annotations") or {}
    named, class_ = annotations.get(f"{_SERVICE}type", ""), spec.get("loadBalancerClass")
    name = str(metadata.get("name") or row["name"])
    if class_ and class_ not in _NETWORK:
        reason = f"nothing says what the load balancer class {class_} makes"
        yield Uncounted(region, row["type"], name, reason)
        return
    by_controller = class_ or named in ("external", "nlb-ip")
    kind = "network" if by_controller or named == "nlb" else "classic"
    yield _one(region, f"balancer.{kind}", name)
    inside = annotations.get(f"{_SERVICE}internal", "true" if by_controller else "false")
    scheme = annotations.get(f"{_SERVICE}scheme") if by_controller else None
    public = scheme == "internet-facing" if scheme else inside in ("false", "")
    # Addresses of one's own are counted where they stand.
    if public and not annotations.get(f"{_SERVICE}eip-allocations"):
        yield _one(region, "address", f"load balancer {name}", _zones(plan, 1))


@_rule("kubernetes:networking.k8s.io/v1:Ingress")
def _ingress(plan: Plan, row: Row, region: str) -> Iterator[Charge]:
    spec, metadata = row["inputs"].get("spec") or {}, row["inputs"].get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    class_ = spec.get("ingressClassName") or annotations.get("kubernetes.io/ingress.class")
    if class_ != "alb":
        return
    name = str(metadata.get("name") or row["name"])
    yield _one(region, "balancer.application", name)
    if annotations.get(f"{_INGRESS}scheme") == "internet-facing":
        yield _one(region, "address", f"load balancer {name}", _zones(plan, 2))


def _zones(plan: Plan, least: int) -> int:
    """In how many zones a load balancer has an address: in each with a subnet for it.

    Args:
        plan: with subnets, or in a VPC of somebody else.
        least: as many a load balancer of its kind has without.
    """
    public = [
        each["inputs"]
        for each in plan.of("aws:ec2/subnet:Subnet")
        if "kubernetes.io/role/elb" in (each["inputs"].get("tags") or {})
    ]
    return max(least, len({each.get("availabilityZone") for each in public}))


@_rule("kubernetes:core/v1:PersistentVolumeClaim")
def _volume(plan: Plan, row: Row, region: str) -> Iterator[Charge]:
    yield from _claims(plan, region, row["inputs"]["spec"], 1)


@_rule("kubernetes:apps/v1:StatefulSet")
def _volumes(plan: Plan, row: Row, region: str) -> Iterator[Charge]:
    spec = row["inputs"]["spec"]
    for claim in spec.get("volumeClaimTemplates") or ():
        yield from _claims(plan, region, claim["spec"], float(spec.get("replicas", 1)))


def _claims(plan: Plan, region: str, spec: Row, copies: float) -> Iterator[Charge]:
    classes = plan.of("kubernetes:storage.k8s.io/v1:StorageClass")
    wanted = spec.get("storageClassName")
    of_name = [each for each in classes if each["inputs"]["metadata"]["name"] == wanted]
    made_by = next(iter(of_name or classes), None)
    if made_by and made_by["inputs"].get("provisioner") == "efs.csi.aws.com":
        return  # stored in the file system, which is charged by what it holds
    parameters = (made_by["inputs"].get("parameters") or {}) if made_by else {}
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    size = _gib(str(asked))
    if size is None:
        kind, purpose = f"ebs.{parameters.get('type') or 'gp3'}", "volumes of an unknown size"
        refused = f"{asked} is no size" if asked else "its claim names no size"
        yield Item(region, kind, copies, copies, purpose, refused=refused)
    else:
        number, sizes = (copies, copies), (copies * size, copies * size)
        yield from _disks(region, parameters, number, sizes, "volumes of the platform")


_QUANTITY = re.compile(r"(\d+\.?\d*|\.\d+)(?:([KMGTPE])i|([numkMGTPE])|[eE]([+-]?\d{1,2}))?")


def _gib(quantity: str) -> float | None:
    """A quantity of Kubernetes in GiB; None: it is none.

    kubernetes/apimachinery pkg/api/resource/quantity.go
    """
    found = _QUANTITY.fullmatch(quantity)
    if not found:
        return None
    number, binary, decimal, exponent = found.groups()
    if binary:
        factor = 1024.0 ** (1 + "KMGTPE".index(binary))
    elif decimal:
        factor = 1000.0 ** ("num kMGTPE".index(decimal) - 3)
    else:
        factor = 10.0 ** int(exponent or 0)
    return float(number) * factor / 2**30


# -- A whole plan ---------------------------------------------------------------------------------


@cache
def free_types() -> frozenset[str]:
    """The types of ``free.yaml``."""
    table = yaml.safe_load(Path(__file__).with_name("free.yaml").read_text("utf-8"))
    return frozenset(type_ for types in table.values() for type_ in types)


def charges(plan: Plan) -> Iterator[Charge]:
    """What AWS charges for a plan, in the order of its rows, without the pools of Karpenter."""
    for row in plan.rows:
        type_ = row["type"]
        if type_ in RULES:
            yield from _charged(plan, row)
        elif type_.startswith(("aws:", "pulumi-python:dynamic:")) and type_ not in free_types():
            yield Uncounted(plan.region_of(row), type_, row["name"])


def _charged(plan: Plan, row: Row) -> list[Charge]:
    """The charges of one row; one of another form than its rule knows ends no preview."""
    region = plan.region_of(row)
    try:
        return list(RULES[row["type"]](plan, row, region))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        reason = f"the inputs of this {row['type']} have another form, so its cost is unknown"
        return [Uncounted(region, row["type"], row["name"], reason)]
