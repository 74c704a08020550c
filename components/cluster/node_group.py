"""The managed node group of the platform itself; GPU nodes come from Karpenter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components.aws.node_role import JOINING, node_role
from components.registry.pull_through_cache import node_pull_policy
from settings.context import StackContext
from settings.sections import NodeGroupSettings

# The AMI family of AL2023 without accelerators; EKS uses the newest release when it creates or
# replaces the nodes. AL2 ends with Kubernetes 1.32 (aws/karpenter-provider-aws
# website/content/en/docs/concepts/nodeclasses.md).
_AMI_TYPE = "AL2023_x86_64_STANDARD"
_ROOT_DEVICE = "/dev/xvda"  # of every AL2023 AMI (awslabs/amazon-eks-ami)


class NodeGroup(pulumi.ComponentResource):
    """An EKS managed node group with its role and launch template.

    EKS itself makes the access entry of the role (EKS user guide, creating-access-entries.html) and
    adds the nodes to the cluster security group, because the launch template names none.

    Args:
        name: of the component.
        context: shared by all components of the stack.
        settings: name, instance type, sizes and disk. ``desired`` has effect only on creation;
            before ``min`` is raised above the current size, the group must be scaled up.
        cluster_name: the cluster the nodes join.
        kubernetes_version: of the nodes; a change replaces them, one at a time.
        subnet_ids: private subnets.
        after: needed by the first node: the CNI, and the network's routes.
        opts: of the component.

    Attributes:
        group: the node group; pods can run once it exists.
    """

    group: aws.eks.NodeGroup

    def __init__(
        self,
        name: str,
        context: StackContext,
        settings: NodeGroupSettings,
        *,
        cluster_name: pulumi.Input[str],
        kubernetes_version: str,
        subnet_ids: pulumi.Input[Sequence[str]],
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("kubeflow:platform:NodeGroup", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = context.tagged(name)
        role, rights = node_role(
            f"{name}-role",
            name,
            description="Nodes of the EKS cluster",
            region=context.region,
            policies=JOINING,
            pull_policy=node_pull_policy(context),
            identity=context.identity,
            tags=tags,
            opts=child,
        )
        template = self._template(name, settings, tags)
        self.group = aws.eks.NodeGroup(
            f"{name}-group",
            cluster_name=cluster_name,
            node_group_name=settings.name,
            version=kubernetes_version,
            node_role_arn=role.arn,
            subnet_ids=subnet_ids,
            ami_type=_AMI_TYPE,
            capacity_type="ON_DEMAND",
            launch_template={
                "id": template.id,
                "version": template.latest_version.apply(lambda version: str(int(version))),
            },
            scaling_config={
                "desired_size": settings.desired,
                "min_size": settings.min,
                "max_size": settings.max,
            },
            update_config={"max_unavailable": 1},
            tags=tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*rights, *after],
                # Operators and autoscalers change the size between min and max; a deployment must
                # not reset it.
                ignore_changes=["scalingConfig.desiredSize"],
                # The name is fixed (the reference's), so that two groups cannot exist at once.
                # Instance type and disk are in the template, which changes without replacement.
                delete_before_replace=True,
            ),
        )
        self.register_outputs({"roleArn": role.arn, "name": self.group.node_group_name})

    def _template(
        self, name: str, settings: NodeGroupSettings, tags: Mapping[str, str]
    ) -> aws.ec2.LaunchTemplate:
        return aws.ec2.LaunchTemplate(
            f"{name}-template",
            description=f"Nodes of the group {settings.name}",
            instance_type=settings.instance_type,
            block_device_mappings=[
                {
                    "device_name": _ROOT_DEVICE,
                    "ebs": {
                        "volume_type": "gp3",
                        "volume_size": settings.disk_gib,
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            # One hop: pods cannot reach the instance's credentials, and have only those of IRSA.
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 1,
            },
            tag_specifications=[
                {"resource_type": kind, "tags": dict(tags)}
                for kind in ("instance", "volume", "network-interface")
            ],
            update_default_version=True,
            tags=dict(tags),
            opts=pulumi.ResourceOptions(parent=self),
        )
