"""Every plan is taken by CloudFormation's schemas of its region, and its documents by IAM."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from moto.iam.aws_managed_policies import aws_managed_policies_data

from tests.judges import cloudformation, iam
from tests.judges.cloudformation import TABLE, Untranslated, translated
from tests.judges.findings import Finding, unreviewed
from tests.judges.plans import PLANS, VARIANTS, Planned, planned

FAULTS: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("seeded_faults.yaml").read_text()
)
Plans = Mapping[str, list[Planned]]


@pytest.fixture(scope="module")
def plans() -> Plans:
    return {name: planned(name) for name in PLANS}


@pytest.fixture(scope="module")
def resources(plans: Plans) -> list[Planned]:
    return [resource for plan in plans.values() for resource in plan]


def judged(plans: Collection[list[Planned]]) -> set[Finding]:
    # Quotas of inline documents are of one plan's role; schemas judge equal resources once.
    resources = [resource for plan in plans for resource in plan]
    documents = (finding for plan in plans for finding in iam.findings(plan))
    return {*cloudformation.findings(resources), *documents}


def test_no_plan_has_a_finding_without_a_reviewed_reason(plans: Plans) -> None:
    assert len(VARIANTS) >= 10
    left, unused = unreviewed(judged(plans.values()))
    assert left == []
    assert unused == []


def test_the_tables_of_types_have_no_more_than_the_plans(resources: list[Planned]) -> None:
    assert {*TABLE["types"], *TABLE["without"]} - {each.type for each in resources} == set()


def test_every_policy_of_aws_that_is_attached_exists(resources: list[Planned]) -> None:
    arns = {
        each.inputs.get("policyArn", "") for each in resources if each.type.startswith("aws:iam/")
    }
    names = {arn.rpartition("/")[2] for arn in arns if ":iam::aws:policy/" in arn}
    assert names
    assert names - json.loads(aws_managed_policies_data).keys() == set()


def faulty(name: str, fault: Mapping[str, Any], plan: list[Planned]) -> Planned:
    """The plan's resource with the fault, under the fault's name."""
    sought = fault["type"], fault.get("name")
    subject = next(r for r in plan if (r.type, r.name if sought[1] else None) == sought)
    inputs = {**subject.inputs, **fault.get("set", {})}
    for old, new in fault.get("replace", {}).items():
        before = inputs
        inputs = {k: v.replace(old, new) if isinstance(v, str) else v for k, v in before.items()}
        assert inputs != before, f"{subject.name} has no {old}"
    if fault.get("long"):
        inputs["policy"] = json.dumps({**json.loads(inputs["policy"]), "Id": "x" * 6144})
    return replace(subject, name=name, inputs=inputs)


@pytest.fixture(scope="module")
def found(plans: Plans) -> set[tuple[str, str]]:
    """The rule and the fault's name of every unreviewed finding in the faulty resources."""
    wrong = [faulty(name, fault, plans[fault["plan"]]) for name, fault in FAULTS.items()]
    left, _ = unreviewed(judged([[each] for each in wrong]))
    return {(each.rule, each.resource.partition(" ")[2]) for each in left}


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_found(name: str, found: set[tuple[str, str]]) -> None:
    assert (FAULTS[name]["rule"], name) in found, sorted(each for each in found if name in each)


@pytest.mark.parametrize(
    "resource",
    [
        Planned("aws:ec2/instance:Instance", "a", "us-west-2", {}),
        Planned("aws:ec2/vpc:Vpc", "a", "us-west-2", {"cidrBlok": "10.0.0.0/16"}),
    ],
    ids=["type", "property"],
)
def test_what_no_table_decides_is_refused(resource: Planned) -> None:
    with pytest.raises(Untranslated, match="is not in cloudformation"):
        translated(resource)
