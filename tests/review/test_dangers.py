"""What is dangerous in a change, why, and what follows from what."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from review.changes import ABSENT, Change
from review.danger_rules import KINDS, rules_of, table
from review.review import Review
from review.review import review as review_of_sides
from review.settings_changes import short
from review.sides import Finding
from tests.review.plans import (
    SETTINGS,
    kubernetes,
    policy,
    renamed_cluster,
    reviewed,
    row,
    sides,
    urn_of,
)

PROJECT = Path(__file__).resolve().parent.parent.parent
CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("dangers.yaml").read_bytes())


def nested(flat: dict[str, Any], side: int) -> dict[str, Any]:
    """A stack file's settings from ``section.key.key`` and ``users[email]`` to both values."""
    made: dict[str, Any] = {"kubeflow:region": "cn-north-1"}
    for path, values in flat.items():
        if values[side] is None:
            continue
        if "[" in path:
            made.setdefault(path.partition("[")[0], []).append(values[side])
            continue
        *sections, key = path.split(".")
        place = made
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = values[side]
    return made


def review_of(case: dict[str, Any]) -> Review:
    verb = next((each for each in ("create", "delete", "replace") if each in case), "update")
    changed = row(
        case["type"],
        case.get("name", "thing"),
        verb,
        case.get("before"),
        case.get("after"),
        replacing=case.get("replace", []),
        protect=case.get("protect", False),
        retain=case.get("retain", False),
        component="Database" if "rds" in case["type"] else "",
    )
    flat = case.get("settings", {})
    return reviewed(
        [changed], settings=(nested(flat, 0), nested(flat, 1)), files=case.get("files", [])
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_a_change_is_these_dangers(case: dict[str, Any]) -> None:
    review = review_of(case)
    found = [f"{each.what} {each.event} ({each.kind})" for each in review.dangers]
    assert found == ([] if case["is"] == "none" else case["is"])
    assert all(each.avoid and each.happens for each in review.dangers)
    if "because" in case:
        assert all(each.cause.certain for each in review.dangers)
        named = {short(s.path) for each in review.dangers for s in each.cause.settings}
        assert sorted(named) == sorted(case["because"])
    if "maybe" in case:
        assert not review.dangers[0].cause.certain
        assert list(review.dangers[0].cause.files) == case["maybe"]


def test_a_resource_without_rules_hides_no_danger_of_the_others() -> None:
    sides = {"version": "1.36"}, {"version": "1.35"}
    types = ("aaa:a:A", "aws:eks/cluster:Cluster", "zzz:z:Z")
    made = reviewed([row(type_, "it", "update", *sides) for type_ in types])
    assert [each.what for each in made.dangers] == ["Kubernetes version goes back"]


def test_each_rule_is_whole_and_of_a_known_kind() -> None:
    rules = [
        *table().resources,
        *table().changes,
        *table().others.values(),
        *table().settings,
    ]
    assert len(rules) > 90
    for rule in rules:
        assert rule.kind in KINDS
        assert rule.what, rule
        assert rule.avoid.endswith("."), rule.what
        assert rule.happens or rule.replace or rule.delete, rule.what


def test_entries_of_a_stack_for_administrators_and_for_nodes_are_told_apart() -> None:
    entry = "aws:eks/accessEntry:AccessEntry"
    lines = (PROJECT / "tests" / "names_in_state.txt").read_text().splitlines()
    names = [line.rpartition(" ")[2] for line in lines if f"{entry} " in line]
    rules, _ = rules_of(entry)
    found = [next(rule.what for rule in rules if rule.has_name(name)) for name in names]
    assert found == [*["Access to the cluster"] * 2, "Access of Karpenter's nodes"]


def test_each_setting_that_a_way_out_names_is_one() -> None:
    """So that nobody is sent to a key that no stack file may have."""
    rules = [*table().resources, *table().changes, *table().others.values(), *table().settings]
    rows = yaml.safe_load((PROJECT / "settings" / "reference.yaml").read_bytes())["settings"]
    sections = {key.partition(".")[0] for key in rows}
    named = {
        key
        for rule in rules
        for text in (rule.avoid, rule.avoid_delete, rule.unlock)
        for key in re.findall(r"\b[a-z]\w+\.[a-z]\w+", text)
        if key.partition(".")[0] in sections
    }
    assert len(named) > 8
    assert named - set(rows) == set()
    assert {key for rule in rules for key in rule.settings} - {*rows, *sections} == set()


def test_a_renamed_cluster_is_a_handful_of_dangers_and_not_hundreds() -> None:
    before, after = ({**SETTINGS, "kubeflow:cluster": {"name": n}} for n in ("kubeflow", "acme-ml"))
    review = reviewed(renamed_cluster(650), settings=(before, after))
    worst = [(each.what, each.names) for each in review.dangers]
    assert worst == [
        ("EKS cluster", ("kubeflow",)),
        ("S3 bucket", ("kubeflow-111122223333",)),
        ("Profile", ("li-na (li.na@example.com)",)),
        ("Database is renamed", ("kubeflow-kubeflow",)),
    ]
    assert dict(review.dangers[0].taken) == {"Kubernetes objects": 651}
    assert all(each.cause.certain for each in review.dangers)
    assert {s.path for each in review.dangers for s in each.cause.settings} == {
        "kubeflow:cluster.name"
    }


def test_what_depends_on_a_replaced_resource_is_counted_with_it() -> None:
    vpc, subnet = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"
    rows = [
        row(
            vpc,
            "vpc",
            "replace",
            {"cidrBlock": "10.0.0.0/16"},
            {"cidrBlock": "10.1.0.0/16"},
            replacing=["cidrBlock"],
        ),
        *(
            row(
                subnet,
                f"subnet-{n}",
                "replace",
                {"vpcId": "10.0.0.0/16"},
                {"vpcId": "10.1.0.0/16"},
                replacing=["vpcId"],
                dependencies=[urn_of(vpc, "vpc")],
            )
            for n in range(3)
        ),
    ]
    review = reviewed(rows)
    assert [(each.what, dict(each.taken)) for each in review.dangers] == [
        ("VPC", {"other resources": 3})
    ]


def test_objects_of_a_deleted_namespace_go_with_it() -> None:
    rows = [
        kubernetes("Namespace", "team", "delete"),
        kubernetes("Deployment", "app", "delete", namespace="team"),
        kubernetes("Deployment", "other", "delete", namespace="kubeflow"),
    ]
    assert [(each.what, each.names) for each in reviewed(rows).dangers] == [
        ("Namespace", ("team",)),
        ("Workload", ("kubeflow/other",)),
    ]


@pytest.mark.parametrize(
    ("type_", "unlock"),
    [
        ("aws:rds/instance:Instance", "kubeflow:deletionProtection: false"),
        ("kubernetes:kubeflow.org/v1:Profile", "kubeflow:deletableNamespaces"),
    ],
)
def test_what_is_protected_says_what_unlocks_it(type_: str, unlock: str) -> None:
    gone = {"metadata": {"name": "thing"}}
    for protect in (True, False):
        (danger,) = reviewed([row(type_, "thing", "delete", gone, protect=protect)]).dangers
        assert (unlock in danger.unlock) is protect


def test_protection_and_retention_that_go_are_dangers_although_nothing_else_changes() -> None:
    key = {"description": "key"}
    base, head = sides([row("aws:kms/key:Key", "key", "same", after=key)])
    before = {**base.rows[0], "protect": True, "retain": True}
    found = review_of_sides("test", replace(base, rows=(before,)), head).dangers
    assert [each.what for each in found] == ["Protection by the engine", "Retention"]


def test_crds_that_leave_the_release_say_whether_their_objects_go() -> None:
    crds = {"a.example.com": "1", "b.example.com": "2"}
    for keep, what in ((True, "stays in the cluster"), (False, "deletes every object")):
        rows = [
            row(
                "pulumi-python:dynamic:CustomResourceDefinitions",
                "crds",
                "update",
                {"digests": crds, "keep": keep},
                {"digests": {"a.example.com": "1"}, "keep": keep},
            )
        ]
        (danger,) = reviewed(rows, crds=(crds, {"a.example.com": "1"})).dangers
        assert danger.names == ("b.example.com",)
        assert what in danger.happens


def test_rights_on_everything_and_for_everybody_are_dangers() -> None:
    wide = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    public = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::b/*",
    }
    rows = [
        row(
            "aws:iam/rolePolicy:RolePolicy",
            "role",
            "update",
            {"policy": policy()},
            {"policy": policy(wide)},
        ),
        row(
            "aws:s3/bucketPolicy:BucketPolicy", "bucket", "create", after={"policy": policy(public)}
        ),
    ]
    assert [each.what for each in reviewed(rows).dangers] == [
        "Rights for everybody",
        "Rights on everything",
    ]


@pytest.mark.parametrize(
    "arns", ["*", "arn:*", "arn:aws:*", "arn:aws-cn:*", "arn:aws-us-gov:*", "arn:*:*:*:*:*"]
)
def test_a_condition_that_every_caller_meets_leaves_a_right_for_everybody(arns: str) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws-cn:s3:::b/*",
        "Condition": {"StringLike": {"aws:PrincipalArn": arns}},
    }
    bucket = "aws:s3/bucketPolicy:BucketPolicy"
    rows = [row(bucket, "bucket", "create", after={"policy": policy(statement)})]
    assert [each.what for each in reviewed(rows).dangers] == ["Rights for everybody"]


def test_a_cause_needs_more_than_a_value_that_stands_anywhere() -> None:
    changed = row(
        "aws:rds/instance:Instance",
        "db",
        "update",
        {"publiclyAccessible": False},
        {"publiclyAccessible": True},
    )
    flags = [
        {"kubeflow:region": "r", "kubeflow:gpuPool": {"dcgmExporter": value}}
        for value in (False, True)
    ]
    review = reviewed(
        [changed], settings=(flags[0], flags[1]), files=["components/backend/database.py"]
    )
    cause = review.dangers[0].cause
    assert not cause.certain
    assert [each.path for each in cause.settings] == ["kubeflow:gpuPool.dcgmExporter"]
    assert cause.files == ("components/backend/database.py",)


def test_files_of_the_component_come_first_and_documents_never() -> None:
    changed = row(
        "aws:rds/instance:Instance",
        "db",
        "update",
        {"multiAz": True},
        {"multiAz": False},
        component="KubeflowRdsS3Backend$kubeflow:platform:Database",
    )
    files = [
        "manifests/26.03/release.yaml",
        "components/backend/database.py",
        "docs/a.md",
        "tests/x.py",
    ]
    (danger,) = reviewed([changed], files=files).dangers
    assert danger.cause.files == ("components/backend/database.py", "manifests/26.03/release.yaml")


def test_changes_have_values_of_both_sides() -> None:
    (danger,) = reviewed(
        [row("aws:rds/instance:Instance", "db", "update", {"multiAz": True}, {})]
    ).dangers
    assert danger.values == (Change("multiAz", True, ABSENT),)


def test_a_mandatory_verdict_is_a_danger_where_it_is_new() -> None:
    bucket = row("aws:s3/bucket:Bucket", "b", "update", {"tags": {}}, {"tags": {"a": "b"}})
    verdict = Finding("public-bucket", "high", "mandatory", bucket["urn"], "It is public.")
    for before, number in (((), 1), ((verdict,), 0)):
        review = reviewed([bucket], findings=(before, (verdict,)))
        assert [(each.what, each.names) for each in review.dangers] == [
            ("Mandatory policy", ("b",))
        ] * number
        advisory = replace(verdict, level="advisory")
        assert not reviewed([bucket], findings=((), (advisory,))).dangers


def test_an_object_under_another_hash_is_compared_with_its_predecessor() -> None:
    rows = [
        kubernetes(
            "ConfigMap",
            f"proxy-{hashed}",
            verb,
            namespace="oauth2-proxy",
            **{side: {"data": {"proxy.cfg": text}}},
        )
        for verb, side, hashed, text in (
            ("delete", "before", "hk55gm96k4", "a = 1"),
            ("create", "after", "tg4m9982d4", "a = 2"),
        )
    ]
    (danger,) = reviewed(rows).dangers
    assert danger.what == "How users log in"
    assert danger.values == (Change("data[proxy.cfg]", "a = 1", "a = 2"),)


def test_the_stacks_own_registry_is_new_to_nobody() -> None:
    own = "111122223333.dkr.ecr.us-west-2.amazonaws.com"
    pods = [{"spec": {"containers": [{"image": f"{host}/a/b:1"}]}} for host in ("quay.io", own)]
    workload = kubernetes("Deployment", "d", "update", before=pods[0], after=pods[1])
    mirror = row("pulumi-python:dynamic:ImageRepositories", "r", "create", after={"registry": own})
    assert [each.what for each in reviewed([workload]).dangers] == [
        "Image from a registry that is new to the stack"
    ]
    assert reviewed([workload, mirror]).dangers == ()
