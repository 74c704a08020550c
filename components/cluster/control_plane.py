"""The EKS control plane through pulumi-eks, with its encryption key and its logs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks

from components.aws.eks_policies import cluster_access_policy, secrets_key_policy
from settings.context import StackContext
from settings.sections import ClusterSettings

_LOG_DAYS = 90
_KEY_DELETION_DAYS = 30  # the longest: a lost key is a lost cluster


@dataclass(frozen=True, kw_only=True)
class ControlPlaneArgs:
    """Arguments of ``ControlPlane``.

    Args:
        context: shared by all components of the stack.
        cluster: name, version, administrators, ranges with access to the public endpoint, logs.
        vpc_id: of the private endpoint.
        subnet_ids: private subnets in at least two zones.
    """

    context: StackContext
    cluster: ClusterSettings
    vpc_id: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]


class ControlPlane(pulumi.ComponentResource):
    """pulumi-eks' ``Cluster`` with everything optional off, its key and its log group.

    Attributes:
        cluster: the remote component; its dependents wait for the API server.
    """

    cluster: eks.Cluster

    def __init__(
        self, name: str, args: ControlPlaneArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:ControlPlane", name, None, opts)
        settings, tags = args.cluster, dict(args.context.tags)
        key = self._secrets_key(name, args)
        # EKS would make this group itself, without expiry of logs.
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/eks/{settings.name}/cluster",
            retention_in_days=_LOG_DAYS,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        public = list(settings.public_access_cidrs)
        self.cluster = eks.Cluster(
            f"{name}-eks",
            name=settings.name,
            version=settings.version,
            authentication_mode=eks.AuthenticationMode.API,
            access_entries={arn_key(arn): _administrator(arn, args) for arn in settings.admins},
            vpc_id=args.vpc_id,
            private_subnet_ids=args.subnet_ids,
            endpoint_private_access=True,
            endpoint_public_access=bool(public),
            # pulumi-eks refuses even an empty list without public access.
            public_access_cidrs=public or None,
            enabled_cluster_log_types=list(settings.log_types),
            encryption_config_key_arn=key.arn,
            skip_default_node_group=True,
            skip_default_security_groups=True,
            create_instance_role=False,
            create_oidc_provider=False,
            bootstrap_self_managed_addons=False,
            use_default_vpc_cni=True,
            kube_proxy_addon_options=eks.KubeProxyAddonOptionsArgs(enabled=False),
            coredns_addon_options=eks.CoreDnsAddonOptionsArgs(enabled=False),
            # Empty, because pulumi-eks refuses an explicit AWS provider without it, and would
            # otherwise write the deployer's AWS_PROFILE into its own kubeconfig (cluster.ts).
            provider_credential_opts=eks.KubeconfigOptionsArgs(),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[logs]),
        )
        self.register_outputs({"name": settings.name, "keyArn": key.arn})

    def _secrets_key(self, name: str, args: ControlPlaneArgs) -> aws.kms.Key:
        cluster, region = args.cluster.name, args.context.region
        key = aws.kms.Key(
            f"{name}-secrets",
            description=f"Secrets of the EKS cluster {cluster}",
            enable_key_rotation=True,
            deletion_window_in_days=_KEY_DELETION_DAYS,
            policy=json.dumps(secrets_key_policy(region, args.context.account_id)),
            tags=args.context.tagged(f"{name}-secrets"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.kms.Alias(
            f"{name}-secrets",
            name=f"alias/eks/{cluster}/secrets",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        return key


def _administrator(arn: str, args: ControlPlaneArgs) -> eks.AccessEntryArgs:
    # The creator of the cluster has an entry from EKS; CreateAccessEntry refuses a second one, so
    # the list is for everybody else.
    return eks.AccessEntryArgs(
        principal_arn=arn,
        type=eks.AccessEntryType.STANDARD,
        access_policies={
            "admin": eks.AccessPolicyAssociationArgs(
                policy_arn=cluster_access_policy(
                    args.context.region, "AmazonEKSClusterAdminPolicy"
                ),
                access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
            )
        },
        tags=dict(args.context.tags),
    )


def arn_key(arn: str) -> str:
    """A stable, readable name for a principal: its last part and a digest of the whole ARN.

    Two principals can share the last part (a role and a user, or two paths), hence the digest.
    """
    return f"{arn.rsplit('/', 1)[-1]}-{hashlib.sha256(arn.encode()).hexdigest()[:8]}"
