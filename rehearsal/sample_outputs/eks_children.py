"""Which resources pulumi-eks registers under ``eks.Cluster`` for the arguments of this project.

Read from pulumi-eks nodejs/eks/cluster/cluster.ts (createCore, createCluster), servicerole.ts and
authenticationMode.ts. Without default node group and security groups, with the three add-ons, the
instance role and the OIDC provider off, in authentication mode API and without access entries, what
remains is: the service role and its policy, the control plane, and a Kubernetes provider.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rehearsal.sample_outputs.eks import CLUSTER, kubeconfig
from rehearsal.sample_outputs.resource import SimulatedResource

_ROLE = "aws:iam/role:Role"


@dataclass(frozen=True)
class Child:
    """One resource the component registers.

    Args:
        type: token.
        name: Pulumi name.
        inputs: plain values; what comes from another child is that child's sample output.
        parent: name of the child it belongs to; empty for the component itself.
        dependencies: names of the children that its inputs come from, or that it waits for.
        ignore_changes: property paths.
    """

    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str = ""
    dependencies: Sequence[str] = ()
    ignore_changes: Sequence[str] = ()

    @property
    def custom(self) -> bool:
        """Whether a provider makes it; the service role is a component inside the component."""
        return self.type != "eks:index:ServiceRole"


def children(component: SimulatedResource) -> list[Child]:
    """The children of an ``eks.Cluster`` in the order they can be registered.

    Raises:
        NotImplementedError: an argument that would make resources this table does not have.
    """
    name, inputs = component.name, component.inputs
    _refuse_unknown(inputs)
    service_role, role, cluster = f"{name}-eksRole", f"{name}-eksRole-role", f"{name}-eksCluster"
    role_name = replace(component, type=_ROLE, name=role, inputs={}).physical_name
    policy = "AmazonEKSClusterPolicy"
    attachment = f"{service_role}-{_digest(f'arn:aws:iam::aws:policy/{policy}')}"
    return [
        Child("eks:index:ServiceRole", service_role, {}),
        Child(
            _ROLE,
            role,
            {
                "description": "Allows EKS to manage clusters on your behalf.",
                "assumeRolePolicy": json.dumps(_TRUST),
                "tags": inputs.get("tags") or {},
            },
            parent=service_role,
        ),
        Child(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            attachment,
            {"policyArn": component.region.managed_policy(policy), "role": role_name},
            parent=service_role,
            dependencies=[role],
        ),
        Child(
            CLUSTER,
            cluster,
            _cluster_inputs(inputs, cluster, component.arn("iam", f"role/{role_name}")),
            dependencies=[role, attachment],
            ignore_changes=[
                "accessConfig.bootstrapClusterCreatorAdminPermissions",
                "bootstrapSelfManagedAddons",
            ],
        ),
        Child(
            "pulumi:providers:kubernetes",
            f"{name}-eks-k8s",
            {"kubeconfig": json.dumps(kubeconfig(component))},
            dependencies=[cluster],
        ),
    ]


_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Effect": "Allow",
            "Principal": {"Service": ["eks.amazonaws.com"]},
        }
    ],
}


def _refuse_unknown(inputs: Mapping[str, Any]) -> None:
    def enabled(key: str) -> bool:
        return bool((inputs.get(key) or {}).get("enabled", True))

    supported = {
        "name": bool(inputs.get("name")),
        "authenticationMode": inputs.get("authenticationMode") == "API",
        "skipDefaultNodeGroup": inputs.get("skipDefaultNodeGroup") is True,
        "skipDefaultSecurityGroups": inputs.get("skipDefaultSecurityGroups") is True,
        "useDefaultVpcCni": inputs.get("useDefaultVpcCni") is True,
        "createOidcProvider": not inputs.get("createOidcProvider"),
        "createInstanceRole": not inputs.get("createInstanceRole"),
        "kubeProxyAddonOptions": not enabled("kubeProxyAddonOptions"),
        "corednsAddonOptions": not enabled("corednsAddonOptions"),
        "accessEntries": not inputs.get("accessEntries"),
        "serviceRole": not inputs.get("serviceRole"),
    }
    wrong = [key for key, fits in supported.items() if not fits]
    if wrong:
        raise NotImplementedError(
            f"eks.Cluster was given {', '.join(wrong)} in a way whose children are not in "
            "rehearsal/sample_outputs/eks_children.py: add them there."
        )


def _cluster_inputs(inputs: Mapping[str, Any], name: str, role_arn: str) -> dict[str, Any]:
    echoed = ("name", "version", "enabledClusterLogTypes", "upgradePolicy", "deletionProtection")
    access = ("endpointPrivateAccess", "endpointPublicAccess", "publicAccessCidrs")
    network = {key: inputs.get(key) for key in access}
    subnets = [*(inputs.get("publicSubnetIds") or []), *(inputs.get("privateSubnetIds") or [])]
    key_arn = inputs.get("encryptionConfigKeyArn")
    all_inputs = {
        **{key: inputs.get(key) for key in echoed},
        "roleArn": role_arn,
        "bootstrapSelfManagedAddons": inputs.get("bootstrapSelfManagedAddons", True),
        "vpcConfig": _given({"subnetIds": subnets, **network}),
        "tags": {"Name": name, **(inputs.get("clusterTags") or {}), **(inputs.get("tags") or {})},
        "encryptionConfig": key_arn and {"provider": {"keyArn": key_arn}, "resources": ["secrets"]},
        "accessConfig": {
            "authenticationMode": inputs.get("authenticationMode"),
            "bootstrapClusterCreatorAdminPermissions": True,
        },
    }
    return _given(all_inputs)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _digest(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:8]
