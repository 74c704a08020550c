"""The role of EC2 machines that join the cluster, those of the node group and of Karpenter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from components.aws.trust import service_trust
from regions.region import Region

JOINING = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEC2ContainerRegistryPullOnly",
)
"""AWS' own policies that every node needs: to join, for the pod network, to pull images."""


def node_role(
    role_name: str,
    name: str,
    *,
    description: str,
    region: Region,
    policies: Sequence[str],
    pull_policy: pulumi.Input[str] | None,
    identity: Mapping[str, Any],
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    """Makes: a role that EC2 may assume, and its policies.

    Args:
        role_name: the Pulumi name of the role.
        name: prefix of the Pulumi names of its policies.
        description: of the role.
        region: gives the ARNs of AWS' own policies and the principal of EC2.
        policies: names of AWS' own policies.
        pull_policy: an inline policy (JSON) with further rights to pull images; None: none.
        identity: ``MirrorContext.identity``.
        tags: of the role.
        opts: of every resource.

    Returns:
        The role, and its policies, which must exist before a node joins.
    """
    role = aws.iam.Role(
        role_name,
        description=description,
        assume_role_policy=json.dumps(service_trust(region, "ec2")),
        **identity,
        tags=dict(tags),
        opts=opts,
    )
    rights: list[pulumi.Resource] = [
        aws.iam.RolePolicyAttachment(
            f"{name}-{policy}",
            role=role.name,
            policy_arn=region.managed_policy(policy),
            opts=opts,
        )
        for policy in policies
    ]
    if pull_policy is not None:
        rights.append(
            aws.iam.RolePolicy(f"{name}-pull", role=role.name, policy=pull_policy, opts=opts)
        )
    return role, rights
