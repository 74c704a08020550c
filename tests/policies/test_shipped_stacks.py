"""What this project ships keeps its own policies, and every exemption is about something."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from policy_sentry.querying.actions import get_action_data

from policies import exemptions, loading
from policies.exemptions import Exemption
from policies.model import Policy, Stack, Violation
from policies.verdicts import Finding, findings
from tests.judges.plans import PLANS
from tests.policies import stacks

TODAY = date(2026, 11, 29)
UNPROTECTED = "another region, small database, artifacts that expire"
"""The variant whose database.deletionProtection is false."""


@pytest.fixture(scope="module")
def policies() -> list[Policy]:
    """The policies, each of which looks at a stack once."""
    return [once(each) for each in loading.shipped()]


def once(policy: Policy) -> Policy:
    seen: dict[int, list[Violation]] = {}

    def check(stack: Stack) -> list[Violation]:
        if id(stack) not in seen:
            seen[id(stack)] = list(policy(stack))
        return seen[id(stack)]

    return replace(policy, check=check)


@pytest.fixture(scope="module")
def reviewed(policies: list[Policy]) -> list[Exemption]:
    rows, problems = exemptions.read(policies=[each.name for each in policies])
    assert problems == []
    return rows


def judged(stack: Stack, policies: list[Policy], reviewed: list[Exemption]) -> list[Finding]:
    return findings(stack, policies, reviewed, TODAY)


def test_no_plan_breaks_a_policy_without_a_reviewed_reason(
    policies: list[Policy], reviewed: list[Exemption]
) -> None:
    # From the end: another worker may be making them from the beginning (tests/judges).
    broken = {
        (name, each.policy, each.message)
        for name in reversed(PLANS)
        for each in judged(stacks.stack(name), policies, reviewed)
        if each.level != "exempt"
    }
    assert {row for row in broken if (row[0], row[1]) != (UNPROTECTED, "unprotected-data")} == set()
    assert len(broken) == 6


def test_every_exemption_is_about_something(
    policies: list[Policy], reviewed: list[Exemption]
) -> None:
    plans = [stacks.whole("cn-north-1"), *map(stacks.stack, PLANS)]
    found = {
        (policy.name, violation.resource.place, violation.sentence)
        for stack in plans
        for policy in policies
        for violation in policy(stack)
    }
    assert len(reviewed) > 10
    assert [row for row in reviewed if not any(row.covers(*each) for each in found)] == []


def test_a_whole_stack_is_advised_of_open_advisories_and_of_nothing_else(
    policies: list[Policy], reviewed: list[Exemption]
) -> None:
    left = [
        each
        for each in judged(stacks.whole("cn-north-1"), policies, reviewed)
        if each.level != "exempt"
    ]
    assert {(each.policy, each.level) for each in left} == {("open-advisory", "advisory")}
    assert {each.severity for each in left} == {"high", "medium"}
    assert [each for each in left if "kfp-api-server:2.17.0" in each.message]


def test_rights_for_every_resource_are_actions_that_take_no_other(
    policies: list[Policy],
) -> None:
    """By policy_sentry's copy of the Service Authorization Reference."""
    actions = {
        action
        for name in PLANS
        for policy in policies
        if policy.name == "iam-wildcard"
        for violation in policy(stacks.stack(name))
        for action in violation.sentence.partition('"*": ')[2].partition(" of ")[0].split(", ")
    }
    assert len(actions) > 10
    narrower = {
        action
        for action in actions
        for entry in get_action_data(*action.split(":")).get(action.split(":")[0], [])
        if entry["resource_arn_format"] != "*"
    }
    # The second are Lambda's, which tries them without a resource; the function is denied them.
    interfaces = {"CreateNetworkInterface", "DeleteNetworkInterface"}
    interfaces |= {"AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"}
    assert narrower <= {"iam:ListInstanceProfiles", *(f"ec2:{each}" for each in interfaces)}
