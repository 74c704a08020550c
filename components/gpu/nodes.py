"""The IAM identity of Karpenter's nodes: role, instance profile, access entry."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.aws.node_role import JOINING, node_role
from components.registry.pull_through_cache import node_pull_policy
from settings.context import StackContext


class KarpenterNodes(pulumi.ComponentResource):
    """Role, instance profile and access entry that the nodes of all pools share.

    Args:
        name: of the component.
        context: shared by all components of the stack.
        cluster_name: the cluster the nodes join.
        opts: of the component.

    Attributes:
        role_arn: of the role.
        profile_name: for the EC2NodeClasses.
        ready: must exist before the first node can join.
    """

    role_arn: pulumi.Output[str]
    profile_name: pulumi.Output[str]
    ready: Sequence[pulumi.Resource]

    def __init__(
        self,
        name: str,
        context: StackContext,
        cluster_name: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("kubeflow:platform:KarpenterNodes", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = context.tagged(name)
        role, rights = node_role(
            name,
            name,
            description="Nodes that Karpenter launches",
            region=context.region,
            # The last for a shell without SSH (Karpenter's cloudformation.yaml, KarpenterNodeRole).
            policies=(*JOINING, "AmazonSSMManagedInstanceCore"),
            pull_policy=node_pull_policy(context),
            identity=context.identity,
            tags=tags,
            opts=child,
        )
        profile = aws.iam.InstanceProfile(
            name, role=role.name, path=context.iam.path, tags=tags, opts=child
        )
        entry = aws.eks.AccessEntry(
            name,
            cluster_name=cluster_name,
            principal_arn=role.arn,
            # Includes the groups of nodes; no other groups or access policies are allowed.
            type="EC2_LINUX",
            tags=tags,
            opts=child,
        )
        self.role_arn = role.arn
        self.profile_name = profile.name
        self.ready = [*rights, entry]
        self.register_outputs({"roleArn": self.role_arn, "profileName": self.profile_name})
