"""The objects of one user's namespace: the Profile, its quota, and what lets contributors in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pulumi

from rendering.parts import Parts
from settings.users import QuotaSettings, User, binding_name

_RBAC = "rbac.authorization.k8s.io"
_ROLE = "edit"
_QUOTA = "profile-quota"
_SMALLEST = {"cpu": "100m", "memory": "128Mi"}
"""What a container is counted with that requests nothing."""


def profile(user: User, role_arn: pulumi.Input[str] | None) -> dict[str, Any]:
    """The Profile of one user; its ``default-editor`` assumes ``role_arn`` if there is one.

    With ``annotateOnly`` the profile controller does not rewrite the role's trust policy, which
    belongs to the stack (kubeflow/kubeflow PR 6887).
    """
    identity = {
        "kind": "AwsIamForServiceAccount",
        "spec": {"awsIamRole": role_arn, "annotateOnly": True},
    }
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "Profile",
        "metadata": {"name": user.namespace},
        "spec": {
            "owner": {"kind": "User", "name": user.email},
            **({"plugins": [identity]} if role_arn is not None else {}),
        },
    }


def contributor_objects(user: User, parts: Parts) -> Iterator[dict[str, Any]]:
    """What the dashboard's "Manage Contributors" makes, so that it lists and removes them too.

    kubeflow/dashboard components/access-management/kfam/bindings.go: names, annotations and rules.

    Args:
        user: who lets them in.
        parts: of the release; gateway and Pipelines' UI send a header with a user's address.
    """
    accounts = [str(part.account).split("/") for part in (parts.gateway, parts.pipelines_ui)]
    callers = [f"cluster.local/ns/{namespace}/sa/{name}" for namespace, name in accounts]
    for email in user.contributors:
        metadata = {
            "name": binding_name(email),
            "namespace": user.namespace,
            "annotations": {"role": _ROLE, "user": email},
        }
        yield {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": f"kubeflow-{_ROLE}"},
            "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": email}],
        }
        header = {"key": "request.headers[kubeflow-userid]", "values": [email]}
        caller = {"source": {"principals": callers}}
        yield {
            "apiVersion": "security.istio.io/v1beta1",
            "kind": "AuthorizationPolicy",
            "metadata": metadata,
            "spec": {"rules": [{"from": [caller], "when": [header]}]},
        }


def quota_objects(user: User) -> Iterator[dict[str, Any]]:
    """The quota of a user's namespace, and requests of containers that have none.

    Objects of their own, not ``resourceQuotaSpec`` of the Profile: when that is removed, the
    controller leaves its quota in force (kubeflow/kubeflow v1.10.0
    components/profile-controller/controllers/profile_controller.go, "No update on resource quota").
    """
    if user.quota is None:
        return
    metadata = {"name": _QUOTA, "namespace": user.namespace}
    hard = limits_of(user.quota)
    yield {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": metadata,
        "spec": {"hard": hard},
    }
    # Under a quota of one, a container without a request of it is refused (kubernetes/kubernetes
    # pkg/quota/v1/evaluator/core/pods.go, Constraints); some of the platform's own have none.
    needed = {name: _SMALLEST[name] for name in _SMALLEST if f"requests.{name}" in hard}
    if needed:
        yield {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": metadata,
            "spec": {"limits": [{"type": "Container", "defaultRequest": needed}]},
        }


def limits_of(quota: QuotaSettings) -> dict[str, str]:
    """The limits of a quota, by the names that Kubernetes has for them."""
    slices = quota.gpus if quota.gpu_slices is None else quota.gpu_slices
    given = {
        "requests.cpu": quota.cpus,
        "requests.memory": quota.memory_gib and f"{quota.memory_gib}Gi",
        "requests.nvidia.com/gpu": quota.gpus,
        "requests.nvidia.com/gpu.shared": slices,
        "requests.storage": quota.storage_gib and f"{quota.storage_gib}Gi",
        "pods": quota.pods,
    }
    return {name: str(limit) for name, limit in given.items() if limit is not None}
