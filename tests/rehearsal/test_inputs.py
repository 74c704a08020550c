"""What a simulated provider refuses, by the SDKs' own types."""

from __future__ import annotations

import time
from typing import Any

import pytest

from rehearsal import protocol
from rehearsal.inputs import Failure, check


def deployment(**spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "app", "resources": {"limits": {"cpu": 1}}}
    template = {"spec": {"containers": [container]}}
    whole = {"selector": {"matchLabels": {"app": "x"}}, "template": template, **spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x", "creationTimestamp": None},
        "spec": whole,
        "status": {},
    }


def with_container(**fields: Any) -> dict[str, Any]:
    whole = deployment()
    whole["spec"]["template"]["spec"]["containers"][0] |= fields
    return whole


CONTAINER = "spec.template.spec.containers[0]"

REFUSED = {
    "unknown property": (
        "kubernetes:apps/v1:Deployment",
        deployment(replica=1),
        Failure("spec.replica", "is no property of DeploymentSpec; did you mean replicas?"),
    ),
    "unknown property, deep": (
        "kubernetes:apps/v1:Deployment",
        with_container(envs=[]),
        Failure(f"{CONTAINER}.envs", "is no property of Container; did you mean env?"),
    ),
    "text for a number": (
        "kubernetes:apps/v1:Deployment",
        with_container(ports=[{"containerPort": "80"}]),
        Failure(f"{CONTAINER}.ports[0].containerPort", "must be a whole number, not a string"),
    ),
    "number for an environment variable": (
        "kubernetes:apps/v1:Deployment",
        with_container(env=[{"name": "DEBUG", "value": True}]),
        Failure(f"{CONTAINER}.env[0].value", "must be a string, not true"),
    ),
    "list for a map": (
        "kubernetes:core/v1:Service",
        {"spec": {"selector": ["app"]}},
        Failure("spec.selector", "must be a map, not a list"),
    ),
    "missing": (
        "aws:iam/role:Role",
        {"name": "x"},
        Failure("assumeRolePolicy", "is required by Role"),
    ),
    "missing, nested": (
        "aws:ec2/securityGroup:SecurityGroup",
        {"ingress": [{"fromPort": 1, "toPort": 2}]},
        Failure("ingress[0].protocol", "is required by SecurityGroupIngress"),
    ),
    "map for a list": (
        "aws:lambda/function:Function",
        {"role": "x", "layers": {"a": "b"}},
        Failure("layers", "must be a list, not an object"),
    ),
    "word for a switch": (
        "aws:rds/instance:Instance",
        {"instanceClass": "db.m6g.large", "multiAz": "yes"},
        Failure("multiAz", "must be true or false, not a string"),
    ),
    "component": (
        "eks:index:Cluster",
        {"vpcid": "vpc-1"},
        Failure("vpcid", "is no property of Cluster; did you mean vpcId?"),
    ),
}


@pytest.mark.parametrize(("type_", "inputs", "failure"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_input_is_refused_with_its_path(
    type_: str, inputs: dict[str, Any], failure: Failure
) -> None:
    assert check(type_, inputs) == [failure]


ACCEPTED = {
    "a whole Deployment, quantities as numbers": ("kubernetes:apps/v1:Deployment", deployment()),
    "unknown values anywhere": (
        "kubernetes:apps/v1:Deployment",
        with_container(image=protocol.UNKNOWN, ports=protocol.UNKNOWN),
    ),
    "a port by number or by name": (
        "kubernetes:core/v1:Service",
        {"spec": {"ports": [{"port": 1, "targetPort": "http"}, {"port": 2, "targetPort": 8}]}},
    ),
    "numbers as text, for AWS": (
        "aws:rds/instance:Instance",
        {"instanceClass": "db.m6g.large", "allocatedStorage": "20", "multiAz": "true"},
    ),
    "a custom resource": ("kubernetes:networking.istio.io/v1:Gateway", {"spec": {"any": 1}}),
    "a type no SDK knows": ("aws:quantum/entangler:Entangler", {"qubits": 3}),
    "a package no SDK is for": ("random:index/randomId:RandomId", {"length": "x"}),
}


@pytest.mark.parametrize(("type_", "inputs"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_a_real_provider_takes_is_taken(type_: str, inputs: dict[str, Any]) -> None:
    assert check(type_, inputs) == []


def test_a_refusal_never_repeats_the_text_of_an_input() -> None:
    inputs = {"instanceClass": "db.m6g.large", "multiAz": "correct-horse-battery"}
    assert "horse" not in repr(check("aws:rds/instance:Instance", inputs))


def test_six_hundred_objects_are_checked_in_a_blink() -> None:
    check("kubernetes:apps/v1:Deployment", deployment())
    start = time.process_time()
    for _ in range(600):
        check("kubernetes:apps/v1:Deployment", deployment())
    assert time.process_time() - start < 1.5  # seconds; 0.1 on a quiet machine
