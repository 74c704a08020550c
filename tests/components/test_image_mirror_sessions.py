"""imageMirror.credentials web-identity: a pod's token in place of access keys, on both sides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.image_mirror_sessions import SCHEDULE
from components.region import Region
from rehearsal.clouds import ACCOUNT
from tests.components.simulated_image_mirror import CROSSING, stack
from tests.harness import Recorded, Registered
from webhook.sessions import SESSION_SECONDS, Handover, read

GOV = [("us-gov-west-1", "us-west-2"), ("us-gov-east-1", "us-west-2")]
SUBJECT = "system:serviceaccount:image-mirror:image-mirror-sessions"
ALLOWED = {
    "push": {
        "dynamodb:UpdateItem",
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload",
        "ecr:DescribeImages",
        "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    },
    "push-writer": {"secretsmanager:PutSecretValue"},
    "start": {"codebuild:StartBuild"},
    "start-writer": {"secretsmanager:PutSecretValue"},
}
every_border = pytest.mark.parametrize(("region", "build_region"), [*CROSSING, *GOV])


def made(region: str, build_region: str) -> Recorded:
    return stack(region, build_region, "in-cluster", credentials="web-identity")


def pod(recorded: Recorded) -> dict[str, Any]:
    job = recorded.only("kubernetes:batch/v1:CronJob").inputs["spec"]
    return job["jobTemplate"]["spec"]["template"]["spec"]


def handovers(recorded: Recorded) -> dict[str, Handover]:
    (container,) = pod(recorded)["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    return {each.purpose: each for each in read(variables)}


def roles(recorded: Recorded) -> dict[str, Registered]:
    """The roles for sessions, by the last part of their names."""
    found = recorded.of("aws:iam/role:Role")
    start = "image-mirror-build-"
    return {r.name.removeprefix(start): r for r in found if "Federated" in str(r.inputs)}


def policy(recorded: Recorded, name: str) -> dict[str, Any]:
    found = recorded.only("aws:iam/rolePolicy:RolePolicy", f"image-mirror-build-{name}")
    return json.loads(found.inputs["policy"])


@every_border
def test_there_is_no_user_and_no_key(region: str, build_region: str) -> None:
    recorded = made(region, build_region)
    assert recorded.none("aws:iam/user:User")
    assert recorded.none("aws:iam/accessKey:AccessKey")
    # What is in the secrets is no business of the engine, or of its state.
    assert recorded.none("aws:secretsmanager/secretVersion:SecretVersion")


@every_border
def test_the_build_account_learns_of_the_clusters_issuer(region: str, build_region: str) -> None:
    known = made(region, build_region).only("aws:iam/openIdConnectProvider:OpenIdConnectProvider")
    assert known.provider_name == "aws-build"
    assert known.inputs["url"] == "https://issuer"
    assert known.inputs["clientIdLists"] == ["sts.amazonaws.com"]


@every_border
def test_each_role_trusts_one_service_account_by_its_own_sides_provider(
    region: str, build_region: str
) -> None:
    found = roles(made(region, build_region))
    assert {name: role.provider_name for name, role in found.items() if name in ALLOWED} == {
        "push": "aws",
        "push-writer": "aws-build",
        "start": "aws-build",
        "start-writer": "aws",
    }
    for name in ALLOWED:
        (trust,) = json.loads(found[name].inputs["assumeRolePolicy"])["Statement"]
        there = Region.of(region if found[name].provider_name == "aws" else build_region)
        assert trust["Principal"]["Federated"].startswith(f"arn:{there.partition}:iam:")
        assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert trust["Condition"] == {
            "StringEquals": {"issuer:aud": "sts.amazonaws.com", "issuer:sub": SUBJECT}
        }


@every_border
@pytest.mark.parametrize("name", ALLOWED)
def test_a_role_may_do_one_thing(region: str, build_region: str, name: str) -> None:
    allowed = [
        statement
        for statement in policy(made(region, build_region), name)["Statement"]
        if statement["Effect"] == "Allow"
    ]
    assert {action for each in allowed for action in each["Action"]} == ALLOWED[name]
    wide = [action for each in allowed if each["Resource"] == "*" for action in each["Action"]]
    assert set(wide) <= {"ecr:GetAuthorizationToken"}


@every_border
def test_what_is_handed_over_ends_at_one_prefix_and_one_project(
    region: str, build_region: str
) -> None:
    recorded, own, build = made(region, build_region), Region.of(region), Region.of(build_region)
    push, start = (json.dumps(policy(recorded, name)) for name in ("push", "start"))
    assert own.arn("ecr", "repository/kubeflow/*", account=ACCOUNT) in push
    project = f"project/kubeflow-{region}-image-copy"
    assert build.arn("codebuild", project, account=ACCOUNT) in start
    assert "codebuild:source.buildspec" in start


@every_border
def test_the_pod_is_told_the_roles_and_secrets_of_both_ways(region: str, build_region: str) -> None:
    recorded = made(region, build_region)
    told = handovers(recorded)
    assert set(told) == {"push", "start"}
    for purpose, (giver, holder) in {
        "push": (region, build_region),
        "start": (build_region, region),
    }.items():
        each, found = told[purpose], roles(recorded)
        assert (each.giver, each.holder) == (giver, holder)
        assert each.session_role == found[purpose].outputs["arn"]
        assert each.writer_role == found[f"{purpose}-writer"].outputs["arn"]
        secret = recorded.only("aws:secretsmanager/secret:Secret", f"image-mirror-build-{purpose}")
        assert each.secret == secret.inputs["name"]
        assert secret.outputs["arn"] in json.dumps(policy(recorded, f"{purpose}-writer"))


@every_border
def test_its_readers_read_the_same_secrets_as_with_keys(region: str, build_region: str) -> None:
    told = handovers(made(region, build_region))
    with_keys = stack(region, build_region, "in-cluster")
    copier = with_keys.only("aws:lambda/function:Function").inputs["environment"]["variables"]
    assert told["start"].secret == copier["MIRROR_CREDENTIALS_SECRET"]
    environment = with_keys.only("aws:codebuild/project:Project").inputs["environment"]
    build = {each["name"]: each["value"] for each in environment["environmentVariables"]}
    assert told["push"].secret == build["CREDENTIALS_SECRET"]


def test_the_pod_has_a_token_for_aws_and_none_for_the_api_server() -> None:
    spec = pod(made(*CROSSING[0]))
    assert spec["automountServiceAccountToken"] is False
    (token,) = (v["projected"]["sources"] for v in spec["volumes"] if "projected" in v)
    assert [each["serviceAccountToken"]["audience"] for each in token] == ["sts.amazonaws.com"]


def test_the_pod_is_the_image_and_code_of_those_that_answer_admissions() -> None:
    recorded = made(*CROSSING[0])
    (own,) = pod(recorded)["containers"]
    answering = recorded.only("kubernetes:apps/v1:Deployment").inputs["spec"]["template"]["spec"]
    (other,) = answering["containers"]
    assert own["image"] == other["image"]
    assert own["securityContext"] == other["securityContext"]
    code = {v["name"]: v.get("configMap") for v in answering["volumes"]}["code"]
    assert {v["name"]: v.get("configMap") for v in pod(recorded)["volumes"]}["code"] == code


def test_nobody_may_call_the_pod() -> None:
    recorded = made(*CROSSING[0])
    found = {
        each.inputs["metadata"]["name"]: each.inputs["spec"]
        for each in recorded.of("kubernetes:networking.k8s.io/v1:NetworkPolicy")
    }["image-mirror-sessions"]
    assert found["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in found


def test_two_runs_may_fail_before_a_session_ends() -> None:
    minutes = int(SCHEDULE.removeprefix("*/").split()[0])
    assert 3 * minutes * 60 <= SESSION_SECONDS


def test_with_key_pairs_there_is_no_such_pod() -> None:
    assert stack(*CROSSING[0], "in-cluster").none("kubernetes:batch/v1:CronJob")
