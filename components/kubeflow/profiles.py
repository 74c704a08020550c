"""The objects of one user's namespace: the Profile, and what lets contributors work in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pulumi

from settings.sections import User, binding_name

_RBAC = "rbac.authorization.k8s.io"
_ROLE = "edit"
_CALLERS = [
    "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account",
    "cluster.local/ns/kubeflow/sa/ml-pipeline-ui",
]
"""Whose requests carry a header with the user's e-mail address."""


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


def contributor_objects(user: User) -> Iterator[dict[str, Any]]:
    """What the dashboard's "Manage Contributors" makes, so that it lists and removes them too.

    kubeflow/dashboard components/access-management/kfam/bindings.go: names, annotations and rules.
    """
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
        caller = {"source": {"principals": _CALLERS}}
        yield {
            "apiVersion": "security.istio.io/v1beta1",
            "kind": "AuthorizationPolicy",
            "metadata": metadata,
            "spec": {"rules": [{"from": [caller], "when": [header]}]},
        }
