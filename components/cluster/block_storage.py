"""Volumes for pods: the EBS CSI driver with its role, and the default StorageClass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.aws.roles import OidcProvider
from components.objects.kubernetes_objects import register
from settings.context import StackContext

# The service account of the add-on's controller (EKS user guide, ebs-csi.html).
_CONTROLLER = ("kube-system", "ebs-csi-controller-sa")


@dataclass(frozen=True, kw_only=True)
class BlockStorageArgs:
    """Arguments of ``BlockStorage``.

    Args:
        context: shared by all components of the stack.
        cluster_name: the cluster of the add-on.
        addon_version: the version of ``aws-ebs-csi-driver``.
        oidc: the cluster's OIDC provider, for the roles of service accounts.
        kubernetes_provider: of the cluster.
        after: needed by the controller's pods.
    """

    context: StackContext
    cluster_name: pulumi.Input[str]
    addon_version: pulumi.Input[str]
    kubernetes_provider: k8s.Provider
    after: Sequence[pulumi.Resource]
    oidc: OidcProvider


class BlockStorage(pulumi.ComponentResource):
    """The EBS CSI add-on and the StorageClass ``gp3``, encrypted and default.

    EKS makes a class ``gp2`` on every cluster; since 1.30 it is not the default (EKS user guide,
    kubernetes-versions-extended.html).

    Attributes:
        ready: needed by pods with a volume claim.
    """

    ready: Sequence[pulumi.Resource]

    def __init__(
        self, name: str, args: BlockStorageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:BlockStorage", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = args.context.tagged(name)

        role = aws.iam.Role(
            f"{name}-role",
            description="EBS CSI driver of the EKS cluster",
            assume_role_policy=pulumi.Output.json_dumps(
                args.oidc.trust(args.context.region, [_CONTROLLER])
            ),
            tags=tags,
            opts=child,
        )
        attachment = aws.iam.RolePolicyAttachment(
            f"{name}-policy",
            role=role.name,
            policy_arn=args.context.region.managed_policy("service-role/AmazonEBSCSIDriverPolicy"),
            opts=child,
        )
        driver = aws.eks.Addon(
            f"{name}-driver",
            cluster_name=args.cluster_name,
            addon_name="aws-ebs-csi-driver",
            addon_version=args.addon_version,
            service_account_role_arn=role.arn,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[attachment, *args.after]),
        )
        default_class = register(
            gp3_class(),
            name=f"{name}-gp3",
            opts=pulumi.ResourceOptions(
                parent=self, provider=args.kubernetes_provider, depends_on=[driver]
            ),
        )
        self.ready = [driver, default_class]
        self.register_outputs({"roleArn": role.arn})


def gp3_class() -> dict[str, Any]:
    """The default StorageClass: encrypted gp3, created in the zone of the pod's node."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "gp3",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "ebs.csi.aws.com",
        "parameters": {"type": "gp3", "encrypted": "true"},
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
        "reclaimPolicy": "Delete",
    }
