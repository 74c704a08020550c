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
    ],
)
def test_a_database_is_its_class_its_storage_and_its_support(
    inputs: Row, expected: list[tuple[str, float, float]]
) -> None:
    rest: Row = {"instanceClass": "db.m6g.large", "allocatedStorage": 100, "engineVersion": "8.4"}
    assert units(row("aws:rds/instance:Instance", **{**rest, **inputs})) == expected


@pytest.mark.parametrize(
    ("annotations", "kind"),
    [
        ({}, "balancer.classic"),
        ({"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}, "balancer.network"),
    ],
)
def test_a_service_of_that_type_is_a_load_balancer(annotations: Row, kind: str) -> None:
    metadata = {"name": "gateway", "annotations": annotations}
    service = row("kubernetes:core/v1:Service", metadata=metadata, spec={"type": "LoadBalancer"})
    inside = row("kubernetes:core/v1:Service", metadata=metadata, spec={"type": "ClusterIP"})
    assert units(service, inside) == [(kind, 1, 1)]


def test_an_ingress_of_the_load_balancer_controller_is_one() -> None:
    type_ = "kubernetes:networking.k8s.io/v1:Ingress"
    metadata = {"name": "ui"}
    made = row(type_, metadata=metadata, spec={"ingressClassName": "alb"})
    other = row(type_, metadata=metadata, spec={"ingressClassName": "nginx"})
    assert units(made, other) == [("balancer.application", 1, 1)]


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
    for size, gib in (("1Ti", 1024), ("524288Ki", 0.5), ("1073741824", 1), ("4294967296k", 4000)):
        volume = row("kubernetes:core/v1:PersistentVolumeClaim", spec=claim(size))
        assert units(*classes, volume) == [("ebs.gp3", gib, gib)]


@pytest.mark.parametrize(
    ("size", "gib"),
    [("1e3Gi", None), ("", None), ("5Gi", 5), ("1073741824e0", 1), ("0.5Ti", 512), ("2G", 1.8626)],
)
def test_a_volume_has_the_size_of_its_quantity_or_is_named(size: str, gib: float | None) -> None:
    spec = {"resources": {"requests": {"storage": size}}} if size else {}
    claim = row("kubernetes:core/v1:PersistentVolumeClaim", spec=spec)
    if gib is None:
        (unknown,) = cost_of([claim], REGION).unknown
        assert unknown == "PersistentVolumeClaim: nothing says what a volume without a size costs."
    else:
        ((_, size_in_gib, _),) = units(claim)
        assert size_in_gib == pytest.approx(gib, abs=1e-4)


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


def changed(change: Any) -> CostChange:
    rows = list(rows_of("us-west-2"))
    after = deepcopy(rows)
    change(after)
    return CostChange(*(cost_of(each, REGION) for each in (rows, after)))


def test_equal_sides_have_no_changed_line() -> None:
    change = changed(len)
    assert (change.monthly, change.lines) == (0, ())


def test_changed_lines_come_by_amount_and_those_without_price_last() -> None:
    def fewer(rows: list[Row]) -> None:
        gateways = [each for each in rows if each["type"] == "aws:ec2/natGateway:NatGateway"]
        rows.remove(gateways[0])
        for each in rows:
            if each["type"] == "aws:eks/nodeGroup:NodeGroup":
                each["inputs"]["scalingConfig"]["minSize"] = 5

    def other(rows: list[Row]) -> None:
        fewer(rows)
        for each in rows:
            if each["type"] == "aws:rds/instance:Instance":
                each["inputs"]["instanceClass"] = "db.m6g.xlarge"

    change = changed(fewer)
    disks = 100 * 0.08
    assert change.monthly == pytest.approx(0.192 * 730 + disks - 0.045 * 730)
    change = changed(other)
    assert change.monthly is None
    shown = [(line.label.partition(":")[0], line.monthly) for line in change.lines]
    assert shown == [
        ("m5.xlarge", pytest.approx(0.192 * 730)),
        ("NAT gateway", pytest.approx(-0.045 * 730)),
        ("volumes of EBS, gp3", pytest.approx(disks)),
        ("db.m6g.large multi-az", None),
        ("db.m6g.xlarge multi-az", None),
    ]
    new, gone = change.lines[-1], change.lines[-2]
    assert (new.before, gone.after) == (None, None)
