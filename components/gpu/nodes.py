"""Who a node of Karpenter is: its role, its instance profile and its place in the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.node_role import JOINING, node_role
from settings.context import StackContext


@dataclass(frozen=True, kw_only=True)
class KarpenterNodesArgs:
    """What decides the identity.

    Args:
        context: what all components of the stack share.
        cluster_name: the cluster the nodes join.
        pull_policy: what the nodes may do besides to pull images (JSON); None: nothing.
    """

    context: StackContext
    cluster_name: pulumi.Input[str]
    pull_policy: pulumi.Input[str] | None


class KarpenterNodes(pulumi.ComponentResource):
    """Role, instance profile and access entry that the nodes of all pools share.

    Attributes:
        role_arn: of the role.
        profile_name: what an EC2NodeClass names.
        ready: what must exist before the first node can join.
    """

    role_arn: pulumi.Output[str]
    profile_name: pulumi.Output[str]
    ready: Sequence[pulumi.Resource]

    def __init__(
        self, name: str, args: KarpenterNodesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:KarpenterNodes", name, None, opts)
        here = pulumi.ResourceOptions(parent=self)
        tags = args.context.tagged(name)
        role, rights = node_role(
            name,
            name,
            description="Nodes that Karpenter launches",
            region=args.context.region,
            # And a way onto the machine without SSH (Karpenter's cloudformation.yaml,
            # KarpenterNodeRole).
            policies=(*JOINING, "AmazonSSMManagedInstanceCore"),
            pull_policy=args.pull_policy,
            tags=tags,
            opts=here,
        )
        profile = aws.iam.InstanceProfile(name, role=role.name, tags=tags, opts=here)
        entry = aws.eks.AccessEntry(
            name,
            cluster_name=args.cluster_name,
            principal_arn=role.arn,
            # Brings the groups nodes need; no groups or access policies of one's own are allowed.
            type="EC2_LINUX",
            tags=tags,
            opts=here,
        )
        self.role_arn = role.arn
        self.profile_name = profile.name
        self.ready = [*rights, entry]
        self.register_outputs({"roleArn": self.role_arn, "profileName": self.profile_name})
