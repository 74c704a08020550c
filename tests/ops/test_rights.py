"""`./kf rights`: policies that allow what a plan does, and little else."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from typer.testing import CliRunner

from ops import targets
from ops.__main__ import app
from ops.rights import LONGEST, policies_of, rights_table
from rehearsal.clouds import SimulatedCloud
from rehearsal.sample_outputs.eks_children import children
from settings import from_mapping
from tests.components.cluster.simulated_cluster import cluster

NOT_OPERATIONS = {
    *("apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST"),
    *("apigateway:PUT", "iam:PassRole", "kms:DescribeKey"),
}
"""Of services whose actions are not named after operations; S3 is left out as a whole."""
ASSUMED = {"assumeRolePolicy": '{"Statement": []}'}
ROLE, USER = "aws:iam/role:Role", "aws:iam/user:User"


@cache
def plan(name: str) -> list[dict[str, Any]]:
    """The rows of plan.json: a whole cluster, and parts of a mirror on both sides."""
    rows: list[dict[str, Any]] = [
        {
            "urn": each.urn,
            "type": each.type,
            "name": each.name,
            "provider": each.provider.rsplit("::", 1)[0],
            "dependencies": list(each.dependencies),
            "inputs": each.inputs,
        }
        for each in cluster(name).all
    ]
    (component,) = (each for each in rows if each["type"] == "eks:index:Cluster")
    cloud = SimulatedCloud(name)
    made = children(cloud.resource(component["type"], component["name"], component["inputs"]))
    built = [row("aws:codebuild/project:Project", "p"), row(USER, "u", name="kubeflow-start")]
    for each in built:
        each["provider"] += "-build"
    return [
        *rows,
        *(row(child.type, child.name, **child.inputs) for child in made),
        *built,
        row(USER, "push", name="kubeflow-cn-north-1-push"),
        row("aws:rds/instance:Instance", "database"),
        row("pulumi-python:dynamic:ImageRepositories", "repositories"),
        row("pulumi-python:dynamic:GeneratedSecret", "password"),
    ]


def policies(name: str, **sections: Any) -> dict[str, dict[str, Any]]:
    return policies_of(from_mapping({"region": name, **sections}), plan(name))


def statements(documents: dict[str, dict[str, Any]], side: str) -> list[dict[str, Any]]:
    named = (policy for name, policy in documents.items() if name.startswith(side))
    return [statement for policy in named for statement in policy["Statement"]]


def row(type_: str, name: str, /, **inputs: Any) -> dict[str, Any]:
    urn = f"urn:pulumi:s::p::{type_}::{name}"
    provider = "urn:pulumi:s::p::pulumi:providers:aws::aws"
    return {
        "urn": urn,
        "type": type_,
        "name": name,
        "provider": provider,
        "dependencies": [],
        "inputs": inputs,
    }


def test_each_action_of_the_table_is_an_operation_of_its_service() -> None:
    rows = [*rights_table()["types"].values(), *rights_table()["lookups"].values()]
    actions = {action for row in rows for action in row} | {*rights_table()["build"]}
    session: Any = botocore.session.get_session()
    wrong = [
        action
        for action in sorted(actions - NOT_OPERATIONS)
        for service, _, name in [action.partition(":")]
        if service not in ("s3", "apigateway")
        and name.lower() not in {n.lower() for n in operations(session, service)}
    ]
    assert wrong == []
    assert len(actions) > 200


_MODELS = {"elasticfilesystem": "efs"}
"""Prefix of actions -> botocore's name of the service, where that is another."""


@cache
def operations(session: Any, service: str) -> tuple[str, ...]:
    return tuple(session.get_service_model(_MODELS.get(service, service)).operation_names)


def test_both_accounts_of_a_china_stack_get_policies_within_iams_limit() -> None:
    documents = policies("cn-north-1", accountId="111122223333")
    assert {name.partition("-")[0] for name in documents} == {"own", "build"}
    assert all(len(json.dumps(d, separators=(",", ":"))) <= LONGEST for d in documents.values())
    own, build = statements(documents, "own"), statements(documents, "build")
    text = json.dumps(own)
    assert "arn:aws:" not in text
    assert "codebuild:" not in text
    assert "arn:aws-cn:" not in json.dumps(build)
    regions = [s["Condition"]["StringEquals"]["aws:RequestedRegion"] for s in (own[0], build[0])]
    assert regions == [["cn-north-1"], ["ap-southeast-1"]]
    assert {"codebuild:StartBuild", "codebuild:CreateProject"} <= set(build[0]["Action"])
    allowed = {action for statement in own for action in statement["Action"]}
    assert {"eks:CreateCluster", "rds:CreateDBInstance", "ecr:CreateRepository"} <= allowed
    assert not any("*" in action for action in allowed)


def test_only_roles_of_the_stack_are_passed_and_made() -> None:
    own = statements(policies("cn-north-1", accountId="111122223333"), "own")
    (passing,) = (s for s in own if s["Action"] == ["iam:PassRole"])
    assert all(arn.startswith("arn:aws-cn:iam::111122223333:role/") for arn in passing["Resource"])
    for service in ("ec2.amazonaws.com", "ec2.amazonaws.com.cn", "eks.amazonaws.com"):
        assert service in passing["Condition"]["StringEquals"]["iam:PassedToService"]
    for name in (
        "kf-nodes-role-0a1b2c3",
        "kf-storage-role-0a1b2c3",
        "kf-control-plane-eks-eksRole-role-1",
    ):
        arn = f"arn:aws-cn:iam::111122223333:role/{name}"
        assert any(fnmatchcase(arn, pattern) for pattern in passing["Resource"]), name
    made = next(s for s in own if "iam:CreateRole" in s["Action"])
    assert "*" not in made["Resource"]
    user = "arn:aws-cn:iam::111122223333:user/kubeflow-cn-north-1-push"
    assert user in made["Resource"]
    (linked,) = (s for s in own if s["Action"] == ["iam:CreateServiceLinkedRole"])
    services = linked["Condition"]["StringEquals"]["iam:AWSServiceName"]
    assert {name.partition(".")[0] for name in services} >= {
        *("eks", "eks-nodegroup", "rds", "elasticloadbalancing", "spot")
    }


def test_names_and_paths_of_roles_are_those_of_the_plan() -> None:
    trust = json.dumps({"Statement": [{"Principal": {"Service": "lambda.amazonaws.com"}}]})
    rows = [
        row(ROLE, "plain", assumeRolePolicy=trust, path="/team/"),
        row(ROLE, "prefixed", assumeRolePolicy='{"Statement": []}', namePrefix="kf-x-"),
    ]
    own = statements(policies_of(from_mapping({"region": "us-west-2"}), rows), "own")
    arns = [f"arn:aws:iam::*:role/{name}" for name in ("kf-x-*", "team/plain-*")]
    assert own[1]["Resource"] == arns
    assert own[2]["Resource"] == arns[1:]


def test_many_roles_are_divided_over_documents() -> None:
    rows = [
        row(ROLE, f"profile-{n}-{'x' * 40}", assumeRolePolicy='{"Statement": []}')
        for n in range(200)
    ]
    documents = policies_of(from_mapping({"region": "us-west-2"}), rows)
    assert len(documents) > 2
    assert all(len(json.dumps(d, separators=(",", ":"))) <= LONGEST for d in documents.values())
    made = [s for s in statements(documents, "own") if "iam:CreateRole" in s["Action"]]
    assert len({arn for statement in made for arn in statement["Resource"]}) == 200


def test_the_command_writes_files_and_a_plan_must_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = from_mapping({"region": "us-west-2"})
    monkeypatch.setattr(targets, "settings_of", {"us-west-2": settings}.get)
    monkeypatch.setattr(targets, "PROJECT", tmp_path)
    done = CliRunner().invoke(app, ["rights", "--stack", "us-west-2"])
    assert done.exit_code == 2
    assert "run `make preview STACK=us-west-2` first" in done.stderr
    folder = tmp_path / "build" / "us-west-2"
    folder.mkdir(parents=True)
    unknown = row("aws:quantum/entangler:Entangler", "x")
    (folder / "plan.json").write_text(json.dumps([unknown]))
    done = CliRunner().invoke(app, ["rights", "--stack", "us-west-2"])
    assert done.exit_code == 2
    assert done.stderr.startswith("quantum/entangler: add the type")
    (folder / "plan.json").write_text(json.dumps([row("aws:sqs/queue:Queue", "q")]))
    (folder / "rights").mkdir(exist_ok=True)
    (folder / "rights" / "own-9.json").write_text("{}")
    done = CliRunner().invoke(app, ["rights", "--stack", "us-west-2"])
    assert done.stdout.split() == ["build/us-west-2/rights/own-1.json"]
    assert [file.name for file in (folder / "rights").iterdir()] == ["own-1.json"]


def test_what_a_plan_deletes_or_replaces_may_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"s": from_mapping({"region": "us-west-2"})}
    monkeypatch.setattr(targets, "settings_of", settings.get)
    monkeypatch.setattr(targets, "PROJECT", tmp_path)
    gone = {**row(ROLE, "g"), "operation": "delete", "before": {"name": "gone", **ASSUMED}}
    renamed = {**row(ROLE, "r", name="new", **ASSUMED), "operation": "replace"}
    renamed["before"] = {"name": "old", **ASSUMED}
    folder = tmp_path / "build" / "s"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps([gone, renamed]))
    assert CliRunner().invoke(app, ["rights", "--stack", "s"]).exit_code == 0
    written = (folder / "rights" / "own-1.json").read_text()
    assert [name for name in ("gone", "old", "new") if f"role/{name}" not in written] == []


def test_with_a_boundary_no_role_is_made_or_widened_without_it() -> None:
    boundary = "arn:aws:iam::111122223333:policy/boundary"
    iam = {"permissionsBoundary": boundary}
    rows = [row(ROLE, "r", assumeRolePolicy='{"Statement": []}'), row(USER, "u")]
    own = statements(policies_of(from_mapping({"region": "us-west-2", "iam": iam}), rows), "own")
    bounded = [s for s in own if "iam:PermissionsBoundary" in str(s.get("Condition"))]
    assert [s["Condition"] for s in bounded] == [
        {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    ]
    made = {"iam:CreateRole", "iam:CreateUser", "iam:PutRolePermissionsBoundary"}
    assert made <= set(bounded[0]["Action"])
    others = {action for s in own if s not in bounded for action in s["Action"]}
    assert not others & {*made, "iam:DeleteRolePermissionsBoundary"}
    assert "iam:GetRole" in others


@pytest.mark.parametrize(("build_region", "copies"), [("us-gov-east-1", True), (None, False)])
def test_copies_by_the_own_account_need_its_build_region_too(
    build_region: str | None, copies: bool
) -> None:
    name = "us-gov-west-1" if copies else "us-west-2"
    mirror = {"enabled": True, "buildRegion": build_region}
    settings = from_mapping({"region": name, "imageMirror": mirror})
    own = statements(policies_of(settings, [row("aws:sqs/queue:Queue", "q")]), "own")
    regions = own[0]["Condition"]["StringEquals"]["aws:RequestedRegion"]
    assert regions == (["us-gov-east-1", name] if copies else [name])
    assert ("codebuild:StartBuild" in own[0]["Action"]) is copies
