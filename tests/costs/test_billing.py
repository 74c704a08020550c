"""Kinds and numbers of what AWS charges, row by row; and that no type of a plan is forgotten."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from typing import Any

import pytest

from costs import CostChange, cost_of
from costs.billing import RULES, Item, Plan, Uncounted, Use, charges, free_types
from ops.rights import key_of, rights_table
from tests.costs.plans import TODAY, rows_of

REGION = "us-west-2"
Row = dict[str, Any]


def row(type_: str, name: str = "it", **inputs: Any) -> Row:
    return {
        "urn": f"urn:pulumi:x::kubeflow::{type_}::{name}",
        "type": type_,
        "name": name,
        "provider": "",
        "dependencies": [],
        "inputs": inputs,
    }


def units(*rows: Row) -> list[tuple[str, float, float]]:
    """Kind, units and most units of what is charged as long as it exists."""
    found = charges(Plan(rows, REGION, TODAY))
    return [(each.kind, each.units, each.most) for each in found if isinstance(each, Item)]


def test_every_type_that_calls_aws_is_charged_by_a_rule_or_free_with_a_reason() -> None:
    """That table has every type of every plan (tests/ops/test_aws_lookups.py)."""
    reviewed = {key_of(type_) for type_ in {*RULES, *free_types()}}
    assert set(rights_table()["types"]) - reviewed == set()
    assert RULES.keys() & free_types() == set()


@pytest.mark.parametrize("plan", ["cn-north-1", "us-west-2", "cn-north-1-kf151"])
def test_no_row_of_a_shipped_plan_is_of_a_type_that_is_not_reviewed(plan: str) -> None:
    of_aws = [each["type"] for each in rows_of(plan) if each["type"].startswith("aws:")]
    assert len(of_aws) > 50
    uncounted = [c for c in charges(Plan(rows_of(plan), REGION, TODAY)) if isinstance(c, Uncounted)]
    assert uncounted == []


def test_a_type_that_nobody_reviewed_is_an_unknown_price() -> None:
    cost = cost_of([row("aws:msk/cluster:Cluster", "events")], REGION)
    assert cost.unknown == ("events: nothing says what a aws:msk/cluster:Cluster costs.",)


@pytest.mark.parametrize(
    ("version", "kind"),
    [("1.36", "eks.cluster"), ("1.33", "eks.cluster-extended"), ("1.21", "eks.cluster-extended")],
)
def test_a_cluster_out_of_standard_support_costs_more(version: str, kind: str) -> None:
    assert units(row("aws:eks/cluster:Cluster", version=version)) == [(kind, 1, 1)]


def test_support_ends_after_its_last_day() -> None:
    cluster = row("aws:eks/cluster:Cluster", version="1.34")
    for day, kind in ((2, "eks.cluster"), (3, "eks.cluster-extended")):
        [item] = charges(Plan([cluster], REGION, date(2026, 12, day)))
        assert isinstance(item, Item)
        assert item.kind == kind


def test_a_node_group_has_the_machine_and_disks_of_its_template() -> None:
    template = row(
        "aws:ec2/launchTemplate:LaunchTemplate",
        instanceType="m5.2xlarge",
        blockDeviceMappings=[
            {"ebs": {"volumeSize": 50, "volumeType": "gp3"}},
            {"ebs": {"volumeSize": 8, "volumeType": "gp3"}},
        ],
    )
    group = row("aws:eks/nodeGroup:NodeGroup", scalingConfig={"minSize": 2, "maxSize": 5})
    group["dependencies"] = [template["urn"]]
    assert units(template, group) == [
        ("machine", 2, 5),
        ("ebs.gp3", 2 * 50, 5 * 50),
        ("ebs.gp3", 2 * 8, 5 * 8),
    ]


def test_a_node_group_of_spot_machines_has_no_price() -> None:
    group = row(
        "aws:eks/nodeGroup:NodeGroup",
        nodeGroupName="cheap",
        capacityType="SPOT",
        instanceTypes=["m5.xlarge"],
        scalingConfig={"minSize": 1, "maxSize": 1},
    )
    cost = cost_of([group], REGION)
    [machine] = [line for line in cost.lines if line.label.startswith("m5")]
    assert machine.price is None
    [sentence] = [each for each in cost.unknown if each.startswith("m5.xlarge")]
    assert sentence.endswith("730 hours a month: no price (it is a price of Spot).")


def test_an_interface_endpoint_counts_in_each_zone_and_a_gateway_endpoint_not_at_all() -> None:
    type_ = "aws:ec2/vpcEndpoint:VpcEndpoint"
    interface = row(type_, vpcEndpointType="Interface", subnetIds=["a", "b", "c"])
    assert units(interface, row(type_, vpcEndpointType="Gateway"), row(type_)) == [
        ("endpoint.zone", 3, 3)
    ]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (
            {"multiAz": True, "storageType": "gp3"},
            [("database", 1, 1), ("rds.gp3.multi-az", 100, 100)],
        ),
        ({"storageType": "gp3"}, [("database", 1, 1), ("rds.gp3.single-az", 100, 100)]),
        ({}, [("database", 1, 1), ("rds.gp2.single-az", 100, 100)]),
        (
            {"engineVersion": "8.0.46", "storageType": "gp3", "multiAz": True},
            [("database", 1, 1), ("rds.gp3.multi-az", 100, 100), ("rds.extended", 4, 4)],
        ),
        (
            {"engineVersion": "8.0", "storageType": "gp3", "instanceClass": "db.r6g.4xlarge"},
            [("database", 1, 1), ("rds.gp3.single-az", 100, 100), ("rds.extended", 16, 16)],
        ),
        (
            {"storageType": "gp3", "iops": 3000, "storageThroughput": 125},
            [("database", 1, 1), ("rds.gp3.single-az", 100, 100)],
        ),
        (
            {
                **{"storageType": "gp3", "iops": 15000, "storageThroughput": 700},
                **{"allocatedStorage": 400, "multiAz": True},
            },
            [
                ("database", 1, 1),
                ("rds.gp3.multi-az", 400, 400),
                ("rds.gp3.iops.multi-az", 3000, 3000),
                ("rds.gp3.throughput.multi-az", 200, 200),
            ],
        ),
        (
            {"engine": "postgres", "engineVersion": "17", "storageType": "gp3"},
            [("postgresql", 1, 1), ("rds.gp3.single-az", 100, 100)],
        ),
        (
            {"storageType": "io1", "iops": 2000},
            [
                ("database", 1, 1),
                ("rds.io1.single-az", 100, 100),
                ("rds.io1.iops.single-az", 2000, 2000),
            ],
        ),
    ],
)
def test_a_database_is_its_class_its_storage_and_its_support(
    inputs: Row, expected: list[tuple[str, float, float]]
) -> None:
    rest: Row = {"instanceClass": "db.m6g.large", "allocatedStorage": 100, "engineVersion": "8.4"}
    assert units(row("aws:rds/instance:Instance", **{**rest, **inputs})) == expected


def catalog(class_: str, **inputs: Any) -> Row:
    """The database of the model catalog."""
    rest: Row = {"allocatedStorage": 20, "engineVersion": "17", "storageType": "gp3"}
    instance: Row = {**rest, "instanceClass": class_, **inputs}
    return row("aws:rds/instance:Instance", engine="postgres", **instance)


def test_an_hour_of_postgresql_has_its_own_price_and_none_of_mysql() -> None:
    mysql = catalog("db.m6g.large", engineVersion="8.4")
    mysql["inputs"]["engine"] = "mysql"
    of_both = cost_of([mysql, catalog("db.m6g.large")], "us-west-2")
    hours = {line.label: line.price for line in of_both.lines if line.unit == "hour"}
    assert hours == {
        "db.m6g.large single-az: database": 0.152,
        "db.m6g.large single-az, PostgreSQL: database of the model catalog": 0.159,
    }


def test_a_price_of_postgresql_that_no_table_has_is_named_with_its_key() -> None:
    cost = cost_of([catalog("db.t4g.micro", multiAz=True)], "us-west-2")
    (sentence,) = [each for each in cost.unknown if each.startswith("db.t4g.micro")]
    assert sentence == (
        "db.t4g.micro multi-az, PostgreSQL in us-west-2, 730 hours a month: no price "
        "(postgresql: db.t4g.micro multi-az)."
    )


TYPE = "service.beta.kubernetes.io/aws-load-balancer-type"
SCHEME = "service.beta.kubernetes.io/aws-load-balancer-scheme"
INTERNAL = "service.beta.kubernetes.io/aws-load-balancer-internal"
EIPS = "service.beta.kubernetes.io/aws-load-balancer-eip-allocations"
PUBLIC = {SCHEME: "internet-facing"}
NLB, CLASSIC = ("balancer.network", 1, 1), ("balancer.classic", 1, 1)
OF_ALB = "alb.ingress.kubernetes.io/scheme"


def subnets(number: int) -> list[Row]:
    """One in each zone, and a private one that no public load balancer is in."""
    type_ = "aws:ec2/subnet:Subnet"
    zones = [
        row(type_, availabilityZone=f"z{n}", tags={"kubernetes.io/role/elb": "1"})
        for n in range(number)
    ]
    return [
        *zones,
        row(type_, availabilityZone="z9", tags={"kubernetes.io/role/internal-elb": "1"}),
    ]


@pytest.mark.parametrize(
    ("annotations", "class_", "expected"),
    [
        ({}, None, [CLASSIC, ("address", 3, 3)]),
        ({INTERNAL: "true"}, None, [CLASSIC]),
        ({TYPE: "nlb"}, None, [NLB, ("address", 3, 3)]),
        ({TYPE: "nlb", INTERNAL: "true"}, None, [NLB]),
        ({TYPE: "external"}, None, [NLB]),
        ({TYPE: "external", **PUBLIC}, None, [NLB, ("address", 3, 3)]),
        ({TYPE: "nlb-ip", **PUBLIC, EIPS: "eipalloc-1"}, None, [NLB]),
        ({}, "service.k8s.aws/nlb", [NLB]),
        (PUBLIC, "service.k8s.aws/nlb", [NLB, ("address", 3, 3)]),
        ({INTERNAL: "false"}, "service.k8s.aws/nlb", [NLB, ("address", 3, 3)]),
        ({INTERNAL: "false", SCHEME: "internal"}, "service.k8s.aws/nlb", [NLB]),
        (PUBLIC, "eks.amazonaws.com/nlb", [NLB, ("address", 3, 3)]),
        ({}, "example.com/other", []),
    ],
)
def test_a_service_of_that_type_is_a_load_balancer(
    annotations: Row, class_: str | None, expected: list[tuple[str, float, float]]
) -> None:
    metadata = {"name": "gateway", "annotations": annotations}
    spec = {"type": "LoadBalancer", **({"loadBalancerClass": class_} if class_ else {})}
    service = row("kubernetes:core/v1:Service", metadata=metadata, spec=spec)
    inside = row("kubernetes:core/v1:Service", metadata=metadata, spec={"type": "ClusterIP"})
    assert units(*subnets(3), service, inside) == expected
    named = cost_of([service], REGION).unknown
    other = "gateway: nothing says what the load balancer class example.com/other makes."
    assert (other in named) is (class_ == "example.com/other")


@pytest.mark.parametrize(
    ("spec", "annotations", "zones", "expected"),
    [
        ({"ingressClassName": "alb"}, {}, 3, [("balancer.application", 1, 1)]),
        ({}, {"kubernetes.io/ingress.class": "alb"}, 3, [("balancer.application", 1, 1)]),
        ({"ingressClassName": "nginx"}, {OF_ALB: "internet-facing"}, 3, []),
        (
            {"ingressClassName": "alb"},
            {OF_ALB: "internet-facing"},
            3,
            [("balancer.application", 1, 1), ("address", 3, 3)],
        ),
        # In a VPC of somebody else: it needs two zones at least.
        (
            {"ingressClassName": "alb"},
            {OF_ALB: "internet-facing"},
            0,
            [("balancer.application", 1, 1), ("address", 2, 2)],
        ),
    ],
)
def test_an_ingress_of_the_load_balancer_controller_is_one(
    spec: Row, annotations: Row, zones: int, expected: list[tuple[str, float, float]]
) -> None:
    type_ = "kubernetes:networking.k8s.io/v1:Ingress"
    made = row(type_, metadata={"name": "ui", "annotations": annotations}, spec=spec)
    assert units(*subnets(zones), made) == expected


def test_an_address_says_what_it_is_for() -> None:
    own, of_gateway = row("aws:ec2/eip:Eip", "own"), row("aws:ec2/eip:Eip", "nat")
    gateway = row("aws:ec2/natGateway:NatGateway")
    gateway["dependencies"] = [of_gateway["urn"]]
    labels = {line.label for line in cost_of([own, of_gateway, gateway], REGION).lines}
    assert labels >= {
        "public IPv4 address: NAT gateways",
        "public IPv4 address: other addresses of the stack",
    }
    public = {"name": "ui", "annotations": {OF_ALB: "internet-facing"}}
    type_ = "kubernetes:networking.k8s.io/v1:Ingress"
    ingress = row(type_, "of-pulumi", metadata=public, spec={"ingressClassName": "alb"})
    labels = {line.label for line in cost_of([ingress], REGION).lines}
    assert "public IPv4 address: load balancer ui" in labels


@pytest.mark.parametrize(
    ("size", "gib"),
    [
        ("1Ti", 1024),
        ("524288Ki", 0.5),
        ("1073741824", 1),
        ("4294967296k", 4000),
        ("1e9", 1e9 / 2**30),
        ("1E9", 1e9 / 2**30),
        ("1073741824000m", 1),
        (".5Gi", 0.5),
        ("1Ei", 2**30),
        ("1e3Gi", None),
        ("10 Gi", None),
        ("[unknown]", None),
        ("", None),
    ],
)
def test_a_claim_has_a_size_or_is_named(size: str, gib: float | None) -> None:
    spec = {"resources": {"requests": {"storage": size}}} if size else {}
    claim = row("kubernetes:core/v1:PersistentVolumeClaim", spec=spec)
    cost = cost_of([claim], REGION)
    if gib is None:
        reason = f"{size} is no size" if size else "its claim names no size"
        assert cost.unknown == (f"volumes of EBS, gp3 in {REGION}, 1 GB: no price ({reason}).",)
        assert not cost.complete
    else:
        assert units(claim) == [("ebs.gp3", pytest.approx(gib), pytest.approx(gib))]


def test_operations_and_throughput_beyond_what_is_in_the_price_are_charged() -> None:
    storage = row(
        "kubernetes:storage.k8s.io/v1:StorageClass",
        metadata={"name": "fast"},
        provisioner="ebs.csi.aws.com",
        parameters={"type": "gp3", "iops": "4000", "throughput": "125"},
    )
    spec = {"storageClassName": "fast", "resources": {"requests": {"storage": "10Gi"}}}
    claim = row("kubernetes:core/v1:PersistentVolumeClaim", spec=spec)
    assert units(storage, claim) == [("ebs.gp3", 10, 10), ("ebs.gp3.iops", 1000, 1000)]


@pytest.mark.parametrize(
    ("type_", "inputs"),
    [
        ("aws:eks/nodeGroup:NodeGroup", {"scalingConfig": "[unknown]"}),
        ("aws:rds/instance:Instance", {}),
        ("kubernetes:apps/v1:StatefulSet", {"spec": {"volumeClaimTemplates": [{}]}}),
    ],
)
def test_inputs_of_another_form_are_an_unknown_cost_and_no_error(type_: str, inputs: Row) -> None:
    cost = cost_of([row(type_, **inputs)], REGION)
    sentence = f"it: the inputs of this {type_} have another form, so its cost is unknown."
    assert cost.unknown == (sentence,)
    assert [line.price for line in cost.lines] == [None]


def test_volumes_of_the_platform_are_disks_and_those_in_efs_are_not() -> None:
    def claim(size: str, class_: str | None = None) -> Row:
        named = {"storageClassName": class_} if class_ else {}
        return {"resources": {"requests": {"storage": size}}, **named}

    storage = "kubernetes:storage.k8s.io/v1:StorageClass"
    classes = [
        row(storage, "gp3", metadata={"name": "gp3"}, provisioner="ebs.csi.aws.com"),
        row(storage, "efs", metadata={"name": "efs"}, provisioner="efs.csi.aws.com"),
    ]
    claims = [
        row("kubernetes:core/v1:PersistentVolumeClaim", spec=claim("10Gi")),
        row("kubernetes:core/v1:PersistentVolumeClaim", spec=claim("5Gi", "efs")),
        row(
            "kubernetes:apps/v1:StatefulSet",
            spec={"replicas": 3, "volumeClaimTemplates": [{"spec": claim("2048Mi", "gp3")}]},
        ),
    ]
    assert units(*classes, *claims) == [("ebs.gp3", 10, 10), ("ebs.gp3", 6, 6)]


def test_shared_files_are_charged_by_use_alone() -> None:
    files = row(
        "aws:efs/fileSystem:FileSystem",
        throughputMode="elastic",
        lifecyclePolicies=[{"transitionToIa": "AFTER_30_DAYS"}],
    )
    found = list(charges(Plan([files], REGION, TODAY)))
    keys = ["efs.standard", "efs.infrequent", "efs.read", "efs.written"]
    assert found == [Use(REGION, key) for key in keys]


def test_what_the_plan_deletes_costs_nothing() -> None:
    secret = row("aws:secretsmanager/secret:Secret")
    gone = {**row("aws:secretsmanager/secret:Secret", "old"), "operation": "delete", "inputs": {}}
    pool = {**row("kubernetes:karpenter.sh/v1:NodePool"), "operation": "delete", "inputs": {}}
    cost = cost_of([secret, gone, pool], REGION)
    assert cost.monthly == pytest.approx(0.40)
    assert cost.pools == ()


# -- Before and after -----------------------------------------------------------------------------


def changed(change: Any, region: str = "us-west-2") -> CostChange:
    rows = list(rows_of(region))
    after = deepcopy(rows)
    change(after)
    return CostChange(*(cost_of(each, region) for each in (rows, after)))


def test_equal_sides_have_no_changed_line() -> None:
    change = changed(len)
    assert (change.monthly, change.lines) == (0, ())


def test_changed_lines_come_by_amount_and_those_without_price_last() -> None:
    def fewer(rows: list[Row]) -> None:
        gateways = [each for each in rows if each["type"] == "aws:ec2/natGateway:NatGateway"]
        needed = [each for each in rows if each["urn"] in gateways[0]["dependencies"]]
        [address] = [each for each in needed if each["type"] == "aws:ec2/eip:Eip"]
        rows.remove(gateways[0])
        rows.remove(address)
        for each in rows:
            if each["type"] == "aws:eks/nodeGroup:NodeGroup":
                each["inputs"]["scalingConfig"]["minSize"] = 5
            if each["type"] == "aws:rds/instance:Instance":
                each["inputs"]["instanceClass"] = "db.m6g.xlarge"

    change = changed(fewer)
    disks = 100 * 0.08
    assert change.monthly is None
    assert change.rest == pytest.approx(0.192 * 730 + disks - (0.045 + 0.005) * 730)
    shown = [(line.label.partition(":")[0], line.monthly) for line in change.lines]
    assert shown == [
        ("m5.xlarge", pytest.approx(0.192 * 730)),
        ("NAT gateway", pytest.approx(-0.045 * 730)),
        ("volumes of EBS, gp3", pytest.approx(disks)),
        ("public IPv4 address", pytest.approx(-0.005 * 730)),
        ("db.m6g.large multi-az", None),
        ("db.m6g.xlarge multi-az", None),
    ]
    new, gone = change.lines[-1], change.lines[-2]
    assert (new.before, gone.after) == (None, None)


def test_a_machine_without_price_in_place_of_one_is_no_saving() -> None:
    def larger(rows: list[Row]) -> None:
        for each in rows:
            if each["type"] == "aws:ec2/launchTemplate:LaunchTemplate":
                each["inputs"]["instanceType"] = "m5.2xlarge"

    change = changed(larger)
    assert (change.monthly, change.rest) == (None, 0)
    [label] = change.untold
    assert label.startswith("m5.2xlarge: nodes of the group")


@pytest.mark.parametrize(
    ("type_", "untold"),
    [
        ("aws:kms/key:Key", "KMS key: encryption keys"),
        ("aws:msk/cluster:Cluster", "aws:msk/cluster:Cluster: it"),
    ],
)
def test_more_of_what_has_no_price_is_a_change_that_cannot_be_told(type_: str, untold: str) -> None:
    def more(rows: list[Row]) -> None:
        rows.append(row(type_))

    change = changed(more, "cn-north-1")
    assert (change.monthly, change.untold) == (None, (untold,))
