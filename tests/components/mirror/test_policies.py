"""What each part of the image mirror may do: as little as its work needs, in every partition."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from components.aws.documents import Document, document
from components.aws.trust import service_trust
from components.mirror import policies
from regions.region import Region
from settings import from_mapping
from settings.context import StackContext
from tests.harness import REGIONS

ACCOUNT = "111122223333"
LOG = "log-arn"
TABLE = "table-arn"
COPIER = "copier-arn"
EVENTS = "events-arn"
PROJECT = "project-arn"
SECRET = "secret-arn"


def context(region: str) -> StackContext:
    return StackContext.of(from_mapping({"region": region}), ACCOUNT, {})


def admission(region: str) -> Document:
    return policies.admission_policy(
        context(region), table_arn=TABLE, invoked=[COPIER, EVENTS], log_arn=LOG
    )


def copier(secret: str | None) -> Document:
    return policies.copier_policy(
        table_arn=TABLE, log_arn=LOG, project_arn=PROJECT, secret_arn=secret
    )


def build(region: str, secret: str | None) -> Document:
    return policies.build_policy(context(region), table_arn=TABLE, log_arn=LOG, secret_arn=secret)


def push(region: str) -> Document:
    return document(*policies.push_statements(context(region), table_arn=TABLE))


def start() -> Document:
    return document(*policies.start_build_statements(PROJECT))


def all_of(region: str) -> dict[str, Document]:
    return {
        "admission": admission(region),
        "admission of a cache": policies.admission_policy(
            context(region), table_arn=None, invoked=[EVENTS], log_arn=LOG
        ),
        "events": policies.events_policy(function_arn=EVENTS, log_arn=LOG),
        "copier across": copier(SECRET),
        "copier within": copier(None),
        "push": push(region),
        "start": start(),
        "build across": build(region, SECRET),
        "build within": build(region, None),
    }


def statements(policy: Document, effect: str = "Allow") -> Iterator[dict[str, Any]]:
    return (s for s in policy["Statement"] if s["Effect"] == effect)


def allowed(policy: Document) -> dict[str, str]:
    """Action -> the one resource it is allowed on."""
    return {action: s["Resource"] for s in statements(policy) for action in s["Action"]}


@pytest.mark.parametrize("region", REGIONS)
def test_rights_name_actions_and_end_at_the_prefix_and_the_partition(region: str) -> None:
    own = Region.of(region).arn("ecr", "repository/kubeflow/*", account=ACCOUNT)
    for name, policy in all_of(region).items():
        for action, resource in allowed(policy).items():
            assert "*" not in action, name
            unlimited = action == "ecr:GetAuthorizationToken" or action.startswith("ec2:")
            assert (resource == "*") == unlimited, name
            if action.startswith("ecr:") and resource != "*":
                assert resource == own, name


@pytest.mark.parametrize("region", REGIONS)
def test_the_function_that_faces_the_network_holds_no_secret(region: str) -> None:
    assert set(allowed(admission(region))) == {
        "ecr:DescribeImages",
        "dynamodb:GetItem",
        "dynamodb:UpdateItem",
        "lambda:InvokeFunction",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    }


def test_a_function_in_a_network_is_denied_what_lambda_does_for_it() -> None:
    policy = policies.events_policy(function_arn=EVENTS, log_arn=LOG)
    (denied,) = statements(policy, "Deny")
    own = {"ArnEquals": {"lambda:SourceFunctionArn": EVENTS}}
    assert (denied["Condition"], denied["Resource"]) == (own, "*")
    assert {a for a in allowed(policy) if a.startswith("ec2:")} == {*denied["Action"]}


def test_the_copier_reads_one_secret_across_partitions_and_none_within() -> None:
    across = allowed(copier(SECRET))
    assert across["secretsmanager:GetSecretValue"] == SECRET
    assert "codebuild:StartBuild" not in across
    assert not [action for action in across if action.startswith("ecr:")]
    within = allowed(copier(None))
    assert within["codebuild:StartBuild"] == PROJECT
    assert "secretsmanager:GetSecretValue" not in within


@pytest.mark.parametrize("region", REGIONS)
def test_the_push_key_deletes_nothing_and_writes_to_one_table(region: str) -> None:
    rights = allowed(push(region))
    assert [action for action in rights if "Create" in action] == ["ecr:CreateRepository"]
    assert not [action for action in rights if "Delete" in action]
    elsewhere = {a: r for a, r in rights.items() if not a.startswith("ecr:")}
    assert elsewhere == {"dynamodb:UpdateItem": TABLE}


def test_the_start_key_starts_one_project_and_nothing_else() -> None:
    assert allowed(start()) == {"codebuild:StartBuild": PROJECT}


def test_a_build_cannot_be_started_as_another_program_and_takes_only_its_images() -> None:
    denials = [s for s in statements(start(), "Deny") if "codebuild:StartBuild" in s["Action"]]
    names = {"codebuild:environment.environmentVariables.name": ["IMAGES", "NAMESPACE"]}
    assert [denial["Condition"] for denial in denials] == [
        {"Null": {"codebuild:source.buildspec": "false"}},
        {"Null": {"codebuild:source.location": "false"}},
        {"Null": {"codebuild:environment.image": "false"}},
        {"Null": {"codebuild:environment.privilegedMode": "false"}},
        {"Null": {"codebuild:serviceRole": "false"}},
        {"ForAnyValue:StringNotEquals": names},
    ]


@pytest.mark.parametrize("region", REGIONS)
def test_services_take_roles_under_their_own_names(region: str) -> None:
    trust = service_trust(Region.of(region), "codebuild", account=ACCOUNT)["Statement"][0]
    assert trust["Principal"] == {"Service": "codebuild.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    function = service_trust(Region.of(region), "lambda")["Statement"][0]
    assert function["Principal"] == {"Service": "lambda.amazonaws.com"}


@pytest.mark.parametrize("region", REGIONS)
def test_a_policy_fits_the_limit_of_an_inline_one(region: str) -> None:
    # IAM quotas: 2,048 characters inline for a user, 10,240 for a role, white space not counted.
    sizes = {name: len(json.dumps(p).replace(" ", "")) for name, p in all_of(region).items()}
    assert max(sizes["push"], sizes["start"]) <= 2048
    assert max(sizes.values()) <= 10240
