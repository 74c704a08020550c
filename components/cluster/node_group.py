"""The managed node group that carries the platform itself; GPU nodes come from Karpenter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.node_role import JOINING, node_role
from settings.context import StackContext
from settings.sections import NodeGroupSettings

# The AMI family of AL2023 without accelerators; EKS picks the newest release when it creates or
# rolls the group. AL2 ends with Kubernetes 1.32 (aws/karpenter-provider-aws
# website/content/en/docs/concepts/nodeclasses.md).
_AMI_TYPE = "AL2023_x86_64_STANDARD"
_ROOT_DEVICE = "/dev/xvda"  # of every AL2023 AMI (awslabs/amazon-eks-ami)


@dataclass(frozen=True, kw_only=True)
class NodeGroupArgs:
    """What decides the group.

    Args:
        context: what all components of the stack share.
        node_group: name, instance type, sizes and disk. ``desired`` counts when the group is made;
            to raise ``min`` above the current size later, scale the group up first.
        cluster_name: the cluster the nodes join.
        kubernetes_version: of the nodes; changing it rolls them, one at a time.
        subnet_ids: private subnets.
        after: what must exist before the first node starts: the CNI, and the network's ways out.
        pull_policy: what the nodes may do besides to pull images (JSON); None: nothing.
    """

    context: StackContext
    node_group: NodeGroupSettings
    cluster_name: pulumi.Input[str]
    kubernetes_version: str
    subnet_ids: pulumi.Input[Sequence[str]]
    after: Sequence[pulumi.Resource]
    pull_policy: pulumi.Input[str] | None = None


class NodeGroup(pulumi.ComponentResource):
    """An EKS managed node group with its role and launch template.

    EKS itself makes the access entry of the role (EKS user guide, creating-access-entries.html) and
    puts the nodes into the cluster security group, because the launch template names none.

    Attributes:
        group: the node group; a pod has a place to run once it exists.
        role_arn: the role of the nodes.
    """

    group: aws.eks.NodeGroup
    role_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: NodeGroupArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:NodeGroup", name, None, opts)
        here = pulumi.ResourceOptions(parent=self)
        tags = args.context.tagged(name)
        role, rights = node_role(
            f"{name}-role",
            name,
            description="Nodes of the EKS cluster",
            region=args.context.region,
            policies=JOINING,
            pull_policy=args.pull_policy,
            tags=tags,
            opts=here,
        )
        template = self._template(name, args, tags)
        wanted = args.node_group
        self.group = aws.eks.NodeGroup(
            f"{name}-group",
            cluster_name=args.cluster_name,
            node_group_name=wanted.name,
            version=args.kubernetes_version,
            node_role_arn=role.arn,
            subnet_ids=args.subnet_ids,
            ami_type=_AMI_TYPE,
            capacity_type="ON_DEMAND",
            launch_template={
                "id": template.id,
                "version": template.latest_version.apply(lambda version: str(int(version))),
            },
            scaling_config={
                "desired_size": wanted.desired,
                "min_size": wanted.min,
                "max_size": wanted.max,
            },
            update_config={"max_unavailable": 1},
            tags=tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*rights, *args.after],
                # People and autoscalers move the size between min and max; a deployment must not
                # move it back.
                ignore_changes=["scalingConfig.desiredSize"],
                # The name is the reference's own and fixed, so two of them cannot exist at once.
                # Instance type and disk are in the template and change without replacement.
                delete_before_replace=True,
            ),
        )
        self.role_arn = role.arn
        self.register_outputs({"roleArn": self.role_arn, "name": self.group.node_group_name})

    def _template(
        self, name: str, args: NodeGroupArgs, tags: Mapping[str, str]
    ) -> aws.ec2.LaunchTemplate:
        return aws.ec2.LaunchTemplate(
            f"{name}-template",
            description=f"Nodes of the group {args.node_group.name}",
            instance_type=args.node_group.instance_type,
            block_device_mappings=[
                {
                    "device_name": _ROOT_DEVICE,
                    "ebs": {
                        "volume_type": "gp3",
                        "volume_size": args.node_group.disk_gib,
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            # One hop: pods cannot reach the instance's credentials, only IRSA gives them any.
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
