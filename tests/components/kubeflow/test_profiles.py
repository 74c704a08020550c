"""The objects of a user's namespace, as the platform's own programs would make and read them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from components.kubeflow.profiles import contributor_objects
from settings.sections import User, binding_name
from tests.rendering.beijing import kubeflow

RELEASES = ("26.03", "1.5.1-aws-b1.0.0")
ANN = User(email="ann@example.org", namespace="team-a", contributors=["Bo.Li@example.org"])
NAME = "user-bo-li-example-org-clusterrole-edit"


def objects() -> tuple[dict[str, Any], dict[str, Any]]:
    binding, policy = contributor_objects(ANN)
    return binding, policy


def test_a_contributor_gets_what_the_dashboard_would_make() -> None:
    """kubeflow/dashboard components/access-management/kfam/bindings.go, Create, line by line."""
    binding, policy = objects()
    metadata = {
        "name": NAME,
        "namespace": "team-a",
        "annotations": {"role": "edit", "user": "bo.li@example.org"},
    }
    assert binding == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "kubeflow-edit",
        },
        "subjects": [
            {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "User",
                "name": "bo.li@example.org",
            }
        ],
    }
    assert policy["metadata"] == metadata
    assert policy["spec"]["rules"] == [
        {
            "from": [
                {
                    "source": {
                        "principals": [
                            "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account",
                            "cluster.local/ns/kubeflow/sa/ml-pipeline-ui",
                        ]
                    }
                }
            ],
            "when": [{"key": "request.headers[kubeflow-userid]", "values": ["bo.li@example.org"]}],
        }
    ]


@pytest.mark.parametrize("release", RELEASES)
def test_the_release_has_what_the_objects_name(release: str) -> None:
    binding, policy = objects()
    (rule,) = policy["spec"]["rules"]
    rendered = kubeflow(release).rendered
    names = {
        (obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        for obj in rendered.objects
    }
    assert ("ClusterRole", "", binding["roleRef"]["name"]) in names
    for principal in rule["from"][0]["source"]["principals"]:
        found = re.fullmatch("cluster.local/ns/(.*)/sa/(.*)", principal)
        assert found
        assert ("ServiceAccount", *found.groups()) in names
    config = kubeflow(release).get("ConfigMap", "profiles-config")["data"]
    (condition,) = rule["when"]
    assert condition["key"] == f"request.headers[{config['USERID_HEADER']}]"
    assert config["USERID_PREFIX"] == ""
    (policies,) = [
        crd
        for crd in rendered.crds
        if crd["metadata"]["name"] == "authorizationpolicies.security.istio.io"
    ]
    served = {each["name"] for each in policies["spec"]["versions"] if each["served"]}
    assert policy["apiVersion"].rpartition("/")[2] in served


@pytest.mark.parametrize("email", ["a.b@x.cn", "a_b@x.cn", "a+b@x-y.cn", "1$`&|~!#%^@x.cn"])
def test_a_binding_has_a_name_that_kubernetes_accepts(email: str) -> None:
    assert re.fullmatch("[a-z0-9]([a-z0-9-]*[a-z0-9])?", binding_name(email))
