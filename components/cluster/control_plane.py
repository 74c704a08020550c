"""The EKS control plane through pulumi-eks, with its encryption key and its logs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks

from components.aws.keys import account_key
from settings.context import StackContext
from settings.sections import ClusterSettings

_LOG_DAYS = 90
# EKS uses the key through a grant that the cluster's creator makes (EKS user guide,
# enable-kms.html: kms:DescribeKey and kms:CreateGrant, without a condition on
# kms:GrantIsForAWSResource).
_USE_KEY = ("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt")


class ControlPlane(pulumi.ComponentResource):
    """pulumi-eks' ``Cluster`` with everything optional off, its key and its log group.

    Args:
        name: of the component.
        context: shared by all components of the stack.
        settings: name, version, administrators, ranges with access to the public endpoint, logs.
        vpc_id: of the private endpoint.
        subnet_ids: private subnets in at least two zones.
        opts: of the component.

    Attributes:
        cluster: the remote component; its dependents wait for the API server.
    """

    cluster: eks.Cluster

    def __init__(
        self,
        name: str,
        context: StackContext,
        settings: ClusterSettings,
        *,
        vpc_id: pulumi.Input[str],
        subnet_ids: pulumi.Input[Sequence[str]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("kubeflow:platform:ControlPlane", name, None, opts)
        key = account_key(
            f"{name}-secrets",
            region=context.region,
            account_id=context.account_id,
            alias=f"eks/{settings.name}/secrets",
            description=f"Secrets of the EKS cluster {settings.name}",
            sid="AccountLetsTheClusterUseTheKey",
            use=_USE_KEY,
            tags=context.tagged(f"{name}-secrets"),
            parent=self,
        )
        # EKS would make this group itself, without expiry of logs.
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/eks/{settings.name}/cluster",
            retention_in_days=_LOG_DAYS,
            tags=dict(context.tags),
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        public = list(settings.public_access_cidrs)
        self.cluster = eks.Cluster(
            f"{name}-eks",
            name=settings.name,
            version=settings.version,
            authentication_mode=eks.AuthenticationMode.API,
            access_entries={arn_key(arn): _administrator(arn, context) for arn in settings.admins},
            vpc_id=vpc_id,
            private_subnet_ids=subnet_ids,
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
            tags=dict(context.tags),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[logs]),
        )
        self.register_outputs({"name": settings.name, "keyArn": key.arn})


def _administrator(arn: str, context: StackContext) -> eks.AccessEntryArgs:
    # The creator of the cluster has an entry from EKS; CreateAccessEntry refuses a second one, so
    # the list is for everybody else.
    policy = "cluster-access-policy/AmazonEKSClusterAdminPolicy"
    return eks.AccessEntryArgs(
        principal_arn=arn,
        type=eks.AccessEntryType.STANDARD,
        access_policies={
            "admin": eks.AccessPolicyAssociationArgs(
                # No IAM policy: its region and account are the same in every partition (EKS user
                # guide, access-policy-permissions.html).
                policy_arn=context.region.arn("eks", policy, account="aws", region=""),
                access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
            )
        },
        tags=dict(context.tags),
    )


def arn_key(arn: str) -> str:
    """A stable, readable name for a principal: its last part and a digest of the whole ARN.

    Two principals can share the last part (a role and a user, or two paths), hence the digest.
    """
    return f"{arn.rsplit('/', 1)[-1]}-{hashlib.sha256(arn.encode()).hexdigest()[:8]}"
