"""The IAM identity of Karpenter's controller: the role of its service account, and its policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components.aws.roles import OidcProvider
from components.aws.trust import pod_identity_trust
from components.gpu.karpenter_objects import NAMESPACE, SERVICE_ACCOUNT
from regions.region import Feature
from settings.context import StackContext


class KarpenterController(pulumi.ComponentResource):
    """The controller's role; by Pod Identity where the region has it, else by IRSA.

    Args:
        name: of the component.
        context: shared by all components of the stack.
        policies: of the role, JSON by a part of their resources' names.
        cluster_name: orders the association after the control plane.
        oidc: the cluster's OIDC provider, for the roles of service accounts.
        opts: of the component.

    Attributes:
        annotated_role_arn: the annotation of the service account; None with Pod Identity.
        ready: must exist before the controller's pods, which get their identity on creation.
    """

    annotated_role_arn: pulumi.Output[str] | None
    ready: Sequence[pulumi.Resource]

    def __init__(
        self,
        name: str,
        context: StackContext,
        policies: Mapping[str, pulumi.Input[str]],
        *,
        cluster_name: pulumi.Input[str],
        oidc: OidcProvider,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("kubeflow:platform:KarpenterController", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        region, subject = context.region, (NAMESPACE, SERVICE_ACCOUNT)
        by_pod_identity = region.has(Feature.POD_IDENTITY)
        trust = (
            pod_identity_trust(region, context.cluster, subject)
            if by_pod_identity
            else oidc.trust(region, [subject])
        )
        role = aws.iam.Role(
            f"{name}-controller",
            description="Karpenter's service account",
            assume_role_policy=pulumi.Output.json_dumps(trust),
            **context.identity,
            tags=context.tagged(f"{name}-controller"),
            opts=child,
        )
        ready: list[pulumi.Resource] = []
        for part, document in policies.items():
            policy = aws.iam.Policy(
                f"{name}-{part}",
                description=f"Karpenter of the EKS cluster {context.cluster}: {part}",
                policy=document,
                path=context.iam.path,
                tags=context.tagged(f"{name}-{part}"),
                opts=child,
            )
            ready.append(
                aws.iam.RolePolicyAttachment(
                    f"{name}-{part}", role=role.name, policy_arn=policy.arn, opts=child
                )
            )
        if by_pod_identity:
            ready.append(
                aws.eks.PodIdentityAssociation(
                    f"{name}-controller",
                    cluster_name=cluster_name,
                    namespace=NAMESPACE,
                    service_account=SERVICE_ACCOUNT,
                    role_arn=role.arn,
                    tags=context.tagged(f"{name}-controller"),
                    opts=child,
                )
            )
        self.annotated_role_arn = None if by_pod_identity else role.arn
        self.ready = ready
        self.register_outputs({"roleArn": role.arn})
