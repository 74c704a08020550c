"""The objects of a user's namespace, as the platform's own programs would make and read them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from components.gpu.node_pools import GPU_RESOURCE, SLICE_RESOURCE
from components.kubeflow.profiles import contributor_objects, limits_of, quota_objects
from rendering.release import load
from settings import MANIFESTS
from settings.users import QuotaSettings, User, binding_name
from tests.releases import DEFAULT, RELEASES
from tests.rendering.beijing import kubeflow

ANN = User(email="ann@example.org", namespace="team-a", contributors=["Bo.Li@example.org"])
NAME = "user-bo-li-example-org-clusterrole-edit"


def objects(release: str = DEFAULT) -> tuple[dict[str, Any], dict[str, Any]]:
    binding, policy = contributor_objects(ANN, load(MANIFESTS / release).parts)
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
    assert policy["kind"] == "AuthorizationPolicy"
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
    binding, policy = objects(release)
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


# -- quotas ---------------------------------------------------------------------------------------


def quota(**limits: int) -> list[dict[str, Any]]:
    user = User.model_validate({"email": "a@x.cn", "namespace": "team-a", "quota": limits or None})
    return list(quota_objects(user))


def test_a_quota_limits_what_is_listed() -> None:
    found, smallest = quota(cpus=32, memoryGib=128, gpus=2, storageGib=500, pods=50)
    assert (found["apiVersion"], found["kind"]) == ("v1", "ResourceQuota")
    assert found["metadata"] == smallest["metadata"]
    assert found["metadata"]["namespace"] == "team-a"
    assert found["spec"] == {
        "hard": {
            "requests.cpu": "32",
            "requests.memory": "128Gi",
            "requests.nvidia.com/gpu": "2",
            "requests.nvidia.com/gpu.shared": "2",
            "requests.storage": "500Gi",
            "pods": "50",
        }
    }
    # No limit of a container, which could slow it down or end it.
    assert smallest["spec"] == {
        "limits": [{"type": "Container", "defaultRequest": {"cpu": "100m", "memory": "128Mi"}}]
    }


def test_a_container_gets_a_request_of_what_is_limited_alone() -> None:
    _, smallest = quota(memoryGib=8)
    assert smallest["spec"]["limits"][0]["defaultRequest"] == {"memory": "128Mi"}
    assert [obj["kind"] for obj in quota(gpus=1, storageGib=10, pods=5)] == ["ResourceQuota"]


def test_no_gpu_is_a_limit_too_and_no_quota_is_no_object() -> None:
    assert limits_of(QuotaSettings(gpus=0)) == {
        "requests.nvidia.com/gpu": "0",
        "requests.nvidia.com/gpu.shared": "0",
    }
    (slices,) = quota(gpuSlices=8)
    assert slices["spec"]["hard"] == {"requests.nvidia.com/gpu.shared": "8"}
    both = quota(gpus=2, gpuSlices=8)[0]["spec"]["hard"]
    assert (both["requests.nvidia.com/gpu"], both["requests.nvidia.com/gpu.shared"]) == ("2", "8")
    assert quota() == []


def test_a_quota_counts_gpus_by_the_names_that_nodes_register() -> None:
    counted = {name.removeprefix("requests.") for name in limits_of(QuotaSettings(gpus=1))}
    assert counted == {GPU_RESOURCE, SLICE_RESOURCE}


@pytest.mark.parametrize("release", RELEASES)
def test_nobody_in_a_profile_changes_its_quota_or_reaches_other_volumes(release: str) -> None:
    guarded = {"resourcequotas", "limitranges", "persistentvolumes", "storageclasses", "*"}
    of_profiles = [
        role
        for role in kubeflow(release).all("ClusterRole")
        if "rbac.authorization.kubeflow.org" in str(role["metadata"].get("labels"))
    ]
    verbs = {
        verb
        for role in of_profiles
        for rule in role.get("rules") or []
        if guarded & {*rule["resources"]} and {"", "storage.k8s.io", "*"} & {*rule["apiGroups"]}
        for verb in rule["verbs"]
    }
    assert verbs == {"get", "list", "watch"}
