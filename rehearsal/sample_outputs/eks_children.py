"""Which resources pulumi-eks registers under ``eks.Cluster`` for the arguments this project gives.

Read from pulumi-eks nodejs/eks/cluster/cluster.ts (createCore, createCluster), servicerole.ts and
authenticationMode.ts. Without default node group and security groups, with the three add-ons, the
instance role and the OIDC provider off, in authentication mode API, what remains is: the service
role and its policy, the control plane, a Kubernetes provider, and an access entry with its policy
associations per administrator.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rehearsal.clouds import ACCOUNT, Invention, SimulatedCloud
from rehearsal.sample_outputs.eks import kubeconfig

_ROLE = "aws:iam/role:Role"


@dataclass(frozen=True)
class Child:
    """One resource the component registers.

    Args:
        type: token.
        name: Pulumi name.
        inputs: plain values; what comes from another child is that child's invented value.
        parent: name of the child it belongs to; empty for the component itself.
        dependencies: names of the children its inputs come from, or that it waits for.
        output: the output of the component that refers to it, if there is one.
        custom: False for a component without a provider of its own.
        ignore_changes: property paths.
    """

    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str = ""
    dependencies: Sequence[str] = ()
    output: str = ""
    custom: bool = True
    ignore_changes: Sequence[str] = field(default=())


def children(
    name: str, inputs: Mapping[str, Any], cloud: SimulatedCloud | None = None
) -> list[Child]:
    """The children of ``eks.Cluster(name)`` in the order they can be registered.

    Args:
        name: Pulumi name of the component.
        inputs: its inputs, plain and in the protocol's camelCase.
        cloud: invents what one child takes from another; Beijing by default.

    Raises:
        NotImplementedError: an argument that would make resources this table does not know.
    """
    _refuse_unknown(inputs)
    where = cloud or SimulatedCloud("cn-north-1", ACCOUNT)
    tags = dict(inputs.get("tags") or {})
    service_role, role = f"{name}-eksRole", f"{name}-eksRole-role"
    cluster = f"{name}-eksCluster"
    role_inputs = {
        "description": "Allows EKS to manage clusters on your behalf.",
        "assumeRolePolicy": json.dumps(_TRUST),
        "tags": tags,
    }
    _, role_outputs = where.outputs(_ROLE, role, role_inputs)
    policy = "AmazonEKSClusterPolicy"
    attachment = f"{service_role}-{_digest(f'arn:aws:iam::aws:policy/{policy}')}"
    made = Invention("eks:index:Cluster", name, inputs, where.region, where.account)
    cluster_name = str(inputs.get("name") or where.outputs(_CLUSTER, cluster, {})[1]["name"])
    found = [
        Child("eks:index:ServiceRole", service_role, {}, custom=False),
        Child(_ROLE, role, role_inputs, parent=service_role),
        Child(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            attachment,
            {"policyArn": where.region.managed_policy(policy), "role": role_outputs["name"]},
            parent=service_role,
            dependencies=[role],
        ),
        Child(
            _CLUSTER,
            cluster,
            _cluster_inputs(inputs, cluster, role_outputs["arn"], tags),
            dependencies=[role, attachment],
            output="eksCluster",
            ignore_changes=[
                "accessConfig.bootstrapClusterCreatorAdminPermissions",
                "bootstrapSelfManagedAddons",
            ],
        ),
        Child(
            "pulumi:providers:kubernetes",
            f"{name}-eks-k8s",
            {"kubeconfig": json.dumps(kubeconfig(made))},
            dependencies=[cluster],
        ),
    ]
    entries: Mapping[str, Any] = inputs.get("accessEntries") or {}
    for key, entry in entries.items():
        found += _access(f"{name}-{key}", entry, cluster, cluster_name)
    return found


_CLUSTER = "aws:eks/cluster:Cluster"
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

    expected = {
        "authenticationMode": inputs.get("authenticationMode") == "API",
        "skipDefaultNodeGroup": inputs.get("skipDefaultNodeGroup") is True,
        "skipDefaultSecurityGroups": inputs.get("skipDefaultSecurityGroups") is True,
        "useDefaultVpcCni": inputs.get("useDefaultVpcCni") is True,
        "createOidcProvider": not inputs.get("createOidcProvider"),
        "createInstanceRole": not inputs.get("createInstanceRole"),
        "kubeProxyAddonOptions": not enabled("kubeProxyAddonOptions"),
        "corednsAddonOptions": not enabled("corednsAddonOptions"),
        "serviceRole": not inputs.get("serviceRole"),
    }
    wrong = [key for key, fits in expected.items() if not fits]
    if wrong:
        raise NotImplementedError(
            f"eks.Cluster was given {', '.join(wrong)} in a way whose children "
            f"rehearsal/sample_outputs/eks_children.py does not know: add them there."
        )


def _cluster_inputs(
    inputs: Mapping[str, Any], name: str, role_arn: str, tags: Mapping[str, str]
) -> dict[str, Any]:
    subnets = [*(inputs.get("publicSubnetIds") or []), *(inputs.get("privateSubnetIds") or [])]
    network = {
        "subnetIds": subnets,
        "endpointPrivateAccess": inputs.get("endpointPrivateAccess"),
        "endpointPublicAccess": inputs.get("endpointPublicAccess"),
        "publicAccessCidrs": inputs.get("publicAccessCidrs"),
    }
    key = inputs.get("encryptionConfigKeyArn")
    all_inputs = {
        "name": inputs.get("name"),
        "roleArn": role_arn,
        "bootstrapSelfManagedAddons": inputs.get("bootstrapSelfManagedAddons", True),
        "vpcConfig": {key: value for key, value in network.items() if value is not None},
        "version": inputs.get("version"),
        "enabledClusterLogTypes": inputs.get("enabledClusterLogTypes"),
        "tags": {"Name": name, **(inputs.get("clusterTags") or {}), **tags},
        "encryptionConfig": key and {"provider": {"keyArn": key}, "resources": ["secrets"]},
        "accessConfig": {
            "authenticationMode": inputs.get("authenticationMode"),
            "bootstrapClusterCreatorAdminPermissions": True,
        },
        "upgradePolicy": inputs.get("upgradePolicy"),
        "deletionProtection": inputs.get("deletionProtection"),
    }
    return {key: value for key, value in all_inputs.items() if value is not None}


def _access(name: str, entry: Mapping[str, Any], cluster: str, cluster_name: str) -> list[Child]:
    # The real component hands the whole entry over; the SDK drops its accessPolicies.
    own = {key: value for key, value in entry.items() if key not in ("accessPolicies", "username")}
    if entry.get("username"):
        own["userName"] = entry["username"]
    policies: Mapping[str, Any] = entry.get("accessPolicies") or {}
    return [
        Child(
            "aws:eks/accessEntry:AccessEntry",
            name,
            {**own, "clusterName": cluster_name},
            dependencies=[cluster],
        ),
        *(
            Child(
                "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
                f"{name}-{key}",
                {
                    "accessScope": policy["accessScope"],
                    "policyArn": policy["policyArn"],
                    "principalArn": entry["principalArn"],
                    "clusterName": cluster_name,
                },
                parent=name,
                dependencies=[name, cluster],
            )
            for key, policy in policies.items()
        ),
    ]


def _digest(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:8]


def _of_cluster(made: Invention) -> list[dict[str, Any]]:
    cloud = SimulatedCloud(made.region.name, made.account)
    return [asdict(child) for child in children(made.name, made.inputs, cloud)]


CHILDREN: Mapping[str, Callable[[Invention], Sequence[Mapping[str, Any]]]] = {
    "eks:index:Cluster": _of_cluster,
}
"""Component type -> its children as plain mappings, for ``rehearsal.cluster_component``."""
