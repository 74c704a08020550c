"""Volumes for pods: the EBS CSI driver with its role, and the default StorageClass."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
import yaml

from components.aws.roles import OidcProvider
from components.objects.kubernetes_objects import register
from settings.context import StackContext
from settings.sections import TAGS_OF_EVERYTHING

# The service account of the add-on's controller (EKS user guide, ebs-csi.html).
_CONTROLLER = ("kube-system", "ebs-csi-controller-sa")
_DEFAULT_CLASS = Path(__file__).with_name("gp3.yaml")


class BlockStorage(pulumi.ComponentResource):
    """The EBS CSI add-on and the StorageClass ``gp3``, encrypted and default.

    EKS makes a class ``gp2`` on every cluster; since 1.30 it is not the default (EKS user guide,
    kubernetes-versions-extended.html).

    Args:
        name: of the component.
        context: shared by all components of the stack.
        cluster_name: the cluster of the add-on.
        addon_version: the version of ``aws-ebs-csi-driver``.
        oidc: the cluster's OIDC provider, for the roles of service accounts.
        kubernetes_provider: of the cluster.
        after: needed by the controller's pods.
        opts: of the component.

    Attributes:
        ready: needed by pods with a volume claim.
    """

    ready: Sequence[pulumi.Resource]

    def __init__(
        self,
        name: str,
        context: StackContext,
        *,
        cluster_name: pulumi.Input[str],
        addon_version: pulumi.Input[str],
        oidc: OidcProvider,
        kubernetes_provider: k8s.Provider,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("kubeflow:platform:BlockStorage", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = context.tagged(name)
        volume_tags = {key: context.tags[key] for key in TAGS_OF_EVERYTHING if key in context.tags}

        role = aws.iam.Role(
            f"{name}-role",
            description="EBS CSI driver of the EKS cluster",
            assume_role_policy=pulumi.Output.json_dumps(oidc.trust(context.region, [_CONTROLLER])),
            **context.identity,
            tags=tags,
            opts=child,
        )
        attachment = aws.iam.RolePolicyAttachment(
            f"{name}-policy",
            role=role.name,
            policy_arn=context.region.managed_policy("service-role/AmazonEBSCSIDriverPolicy"),
            opts=child,
        )
        driver = aws.eks.Addon(
            f"{name}-driver",
            cluster_name=cluster_name,
            addon_name="aws-ebs-csi-driver",
            addon_version=addon_version,
            service_account_role_arn=role.arn,
            # A volume may outlive its cluster: `./kf leftovers` finds it by these tags. Not by all
            # of the stack's: EC2 allows 50, and the driver writes some of its own.
            configuration_values=json.dumps({"controller": {"extraVolumeTags": volume_tags}}),
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[attachment, *after]),
        )
        default_class = register(
            yaml.safe_load(_DEFAULT_CLASS.read_text("utf-8")),
            name=f"{name}-gp3",
            opts=pulumi.ResourceOptions(
                parent=self, provider=kubernetes_provider, depends_on=[driver]
            ),
        )
        self.ready = [driver, default_class]
        self.register_outputs({"roleArn": role.arn})
