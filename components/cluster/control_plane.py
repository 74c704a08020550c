"""The EKS control plane through pulumi-eks, with its key, its logs and those who may use it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks

from components.aws.adopted_log_group import adopted_log_group
from components.aws.keys import account_key
from regions.region import Feature
from settings.context import StackContext
from settings.sections import ApiAccess, ClusterSettings

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
        settings: name, version, administrators, who reaches the API server, logs.
        vpc_id: of the private endpoint.
        subnet_ids: private subnets in at least two zones.
        opts: of the component.

    Attributes:
        cluster: the remote component; its dependents wait for the API server.
        access: needed by every client of the API server outside the cluster.
    """

    cluster: eks.Cluster
    access: Sequence[pulumi.Resource]

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
            protect=context.protected,
        )
        logs = adopted_log_group(
            f"{name}-logs",
            f"/aws/eks/{context.cluster}/cluster",
            days=_LOG_DAYS,
            tags=context.tags,
            parent=self,
        )
        public = list(settings.public_access_cidrs)
        self.cluster = eks.Cluster(
            f"{name}-eks",
            name=settings.name,
            version=settings.version,
            authentication_mode=eks.AuthenticationMode.API,
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
            # Never absent: pulumi-eks refuses an explicit AWS provider without it, and would
            # otherwise write the deployer's AWS_PROFILE into its own kubeconfig (cluster.ts).
            provider_credential_opts=eks.KubeconfigOptionsArgs(
                profile_name=context.aws.profile,
                role_arn=context.aws.role.role_arn if context.aws.role else None,
            ),
            deletion_protection=context.protected
            if context.region.has(Feature.CLUSTER_DELETION_PROTECTION)
            else None,
            tags=dict(context.tags),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[logs],
                transforms=[_control_plane(context), _with_identity(context)],
            ),
        )
        # Not by pulumi-eks: its outputs do not wait for the entries that it makes.
        self.access = [
            *self._administrators(name, context, settings),
            *self._admitted(name, context, settings.api_access),
        ]
        self.register_outputs({"name": settings.name, "keyArn": key.arn})

    def _administrators(
        self, name: str, context: StackContext, settings: ClusterSettings
    ) -> Iterator[pulumi.Resource]:
        # Through the URN, as EksCluster.cluster_name.
        cluster_name = self.cluster.urn.apply(lambda _: settings.name)
        # No IAM policy: its region and account are the same in every partition (EKS user guide,
        # access-policy-permissions.html).
        policy = "cluster-access-policy/AmazonEKSClusterAdminPolicy"
        for arn in settings.admins:
            entry = aws.eks.AccessEntry(
                f"{name}-{arn_key(arn)}",
                cluster_name=cluster_name,
                principal_arn=arn,
                type="STANDARD",
                tags=dict(context.tags),
                opts=pulumi.ResourceOptions(parent=self),
            )
            yield aws.eks.AccessPolicyAssociation(
                f"{name}-{arn_key(arn)}-admin",
                cluster_name=cluster_name,
                principal_arn=entry.principal_arn,
                policy_arn=context.region.arn("eks", policy, account="aws", region=""),
                access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
                opts=pulumi.ResourceOptions(parent=self),
            )

    def _admitted(
        self, name: str, context: StackContext, admitted: ApiAccess
    ) -> Iterator[pulumi.Resource]:
        # EKS' own group, around the private endpoint, admits its members only (EKS user guide,
        # cluster-endpoint.html).
        sources = [("cidr_ipv4", cidr) for cidr in admitted.cidrs]
        sources += [("referenced_security_group_id", group) for group in admitted.security_groups]
        for kind, source in sources:
            role = f"api-{source.replace('/', '-')}"
            yield aws.vpc.SecurityGroupIngressRule(
                f"{name}-{role}",
                security_group_id=self.cluster.cluster_security_group_id,
                description="The API server",
                ip_protocol="tcp",
                from_port=443,
                to_port=443,
                **{kind: source},
                tags=context.tagged(f"{name}-{role}"),
                opts=pulumi.ResourceOptions(parent=self),
            )


def _control_plane(context: StackContext) -> pulumi.ResourceTransform:
    """Protects the control plane, and makes it admit the principals of the stack file only.

    pulumi-eks gives the principal that creates the cluster an entry that is in no plan
    (pulumi/pulumi-eks nodejs/eks/cluster/cluster.ts, accessConfig), and CreateAccessEntry refuses a
    second one: no list of administrators would be right for each of them. Protected as a whole, the
    remote component would refuse a change of its service role as well.
    """

    def transform(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
        if args.type_ != "aws:eks/cluster:Cluster":
            return None
        access = cast("dict[str, Any]", args.props["accessConfig"])
        access["bootstrapClusterCreatorAdminPermissions"] = False
        protect = pulumi.ResourceOptions(protect=context.protected)
        opts = pulumi.ResourceOptions.merge(args.opts, protect)
        return pulumi.ResourceTransformResult(args.props, opts)

    return transform


def _with_identity(context: StackContext) -> pulumi.ResourceTransform:
    """Gives the service role, for which pulumi-eks has no such arguments, path and boundary."""
    given = {"path": context.iam.path, "permissionsBoundary": context.iam.permissions_boundary}
    identity = {key: value for key, value in given.items() if value}

    def transform(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
        if args.type_ != "aws:iam/role:Role" or not identity:
            return None
        return pulumi.ResourceTransformResult({**args.props, **identity}, args.opts)

    return transform


def arn_key(arn: str) -> str:
    """A stable, readable name for a principal: its last part and a digest of the whole ARN.

    Two principals can share the last part (a role and a user, or two paths), hence the digest.
    """
    return f"{arn.rsplit('/', 1)[-1]}-{hashlib.sha256(arn.encode()).hexdigest()[:8]}"
