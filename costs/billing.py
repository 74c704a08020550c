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
_UNITS = {"machine": "hour", "database": "hour"}


@dataclass(frozen=True)
class Item:
    """Something that is charged as long as it exists.

    Attributes:
        kind: a key of the price lists, ``machine`` or ``database``.
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
    """A resource of a type that nothing says the cost of."""

    type: str
    name: str


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
        size, kind = float(disk["ebs"]["volumeSize"]), disk["ebs"].get("volumeType", "gp3")
        yield Item(region, f"ebs.{kind}", few * size, many * size, f"disks of {purpose}")


@_rule("aws:ec2/natGateway:NatGateway")
def _nat(_plan: Plan, _row: Row, region: str) -> Iterator[Charge]:
    yield _one(region, "nat.gateway", "way out of the private subnets")
    yield Use(region, "nat.data")


@_rule("aws:ec2/eip:Eip")
def _address(_plan: Plan, _row: Row, region: str) -> Iterator[Charge]:
    yield _one(region, "address", "addresses of the NAT gateways")


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
    yield Item(region, "database", 1, 1, "database", f"{inputs['instanceClass']} {zones}")
    size = float(inputs["allocatedStorage"])
    yield _one(region, f"rds.{inputs.get('storageType', 'gp2')}.{zones}", "database", size)
    if _support_ended(".".join(inputs["engineVersion"].split(".")[:2]), MYSQL, plan.today):
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

_BALANCER = "service.beta.kubernetes.io/aws-load-balancer-type"


@_rule("kubernetes:core/v1:Service")
def _service(_plan: Plan, row: Row, region: str) -> Iterator[Charge]:
    if row["inputs"].get("spec", {}).get("type") != "LoadBalancer":
        return
    # Without annotation a classic one (kubernetes/cloud-provider-aws docs/service_controller.md).
    metadata = row["inputs"]["metadata"]
    named = (metadata.get("annotations") or {}).get(_BALANCER, "")
    yield _one(region, "balancer.network" if named else "balancer.classic", metadata["name"])


@_rule("kubernetes:networking.k8s.io/v1:Ingress")
def _ingress(_plan: Plan, row: Row, region: str) -> Iterator[Charge]:
    if row["inputs"].get("spec", {}).get("ingressClassName") == "alb":
        yield _one(region, "balancer.application", row["inputs"]["metadata"]["name"])


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
    kind = (made_by["inputs"].get("parameters") or {}).get("type", "gp3") if made_by else "gp3"
    requests = (spec.get("resources") or {}).get("requests") or {}
    size = _gib(str(requests.get("storage", "")))
    if size is None:
        yield Uncounted("volume without a size", wanted or "PersistentVolumeClaim")
    else:
        yield _one(region, f"ebs.{kind}", "volumes of the platform", copies * size)


_QUANTITY = re.compile(r"(\d+\.?\d*|\.\d+)(?:([kMGTPE]|[KMGTPE]i|m)|[eE]([+-]?\d+))?")


def _gib(quantity: str) -> float | None:
    """A quantity of Kubernetes in GiB (kubernetes/apimachinery pkg/api/resource/quantity.go).

    None where it is none.
    """
    found = _QUANTITY.fullmatch(quantity)
    if not found:
        return None
    number, unit, exponent = float(found[1]), found[2] or "", int(found[3] or 0)
    step = 1024 if unit.endswith("i") else 1000
    power = " kmgtpe".index(unit[:1].lower() or " ") if unit != "m" else -1
    return number * 10**exponent * step**power / 2**30


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
            yield from RULES[type_](plan, row, plan.region_of(row))
        elif type_.startswith(("aws:", "pulumi-python:dynamic:")) and type_ not in free_types():
            yield Uncounted(type_, row["name"])
