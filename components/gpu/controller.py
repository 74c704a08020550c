"""The IAM identity of Karpenter's controller: the role of its service account, and its policies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.pod_identity import pod_identity_trust
from components.aws.roles import OidcProvider
from components.gpu import policies
from components.gpu.karpenter_objects import NAMESPACE, SERVICE_ACCOUNT
from components.gpu.node_pools import Pool
from regions.region import Feature
from settings.context import StackContext


@dataclass(frozen=True, kw_only=True)
class KarpenterControllerArgs:
    """Arguments of ``KarpenterController``.

    Args:
        context: shared by all components of the stack.
        pools: of the stack.
        asks_for_prices: whether the controller calls the price API.
        cluster_name: orders the association after the control plane.
        oidc: the cluster's OIDC provider, for the roles of service accounts.
        node_role_arn: the one role the controller may give to instances.
        queue_arn: the one queue the controller may read.
    """

    context: StackContext
    pools: Sequence[Pool]
    asks_for_prices: bool
    cluster_name: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]
    queue_arn: pulumi.Input[str]
    oidc: OidcProvider


class KarpenterController(pulumi.ComponentResource):
    """The controller's role with five policies; by Pod Identity where the region has it, else IRSA.

    Attributes:
        annotated_role_arn: the annotation of the service account; None with Pod Identity.
        ready: must exist before the controller's pods, which get their identity on creation.
    """

    annotated_role_arn: pulumi.Output[str] | None
    ready: Sequence[pulumi.Resource]

    def __init__(
        self, name: str, args: KarpenterControllerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:KarpenterController", name, None, opts)
        self._name = name
        self._args = args
        child = pulumi.ResourceOptions(parent=self)
        region, subject = args.context.region, (NAMESPACE, SERVICE_ACCOUNT)
        by_pod_identity = region.has(Feature.POD_IDENTITY)
        trust = (
            pod_identity_trust(region, args.context.cluster, subject)
            if by_pod_identity
            else args.oidc.trust(region, [subject])
        )
        role = aws.iam.Role(
            f"{name}-controller",
            description="Karpenter's service account",
            assume_role_policy=pulumi.Output.json_dumps(trust),
            tags=self._tags("controller"),
            opts=child,
        )
        ready: list[pulumi.Resource] = []
        for part, document in self._documents().items():
            policy = aws.iam.Policy(
                f"{name}-{part}",
                description=f"Karpenter of the EKS cluster {args.context.cluster}: {part}",
                policy=document,
                tags=self._tags(part),
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
                    cluster_name=args.cluster_name,
                    namespace=NAMESPACE,
                    service_account=SERVICE_ACCOUNT,
                    role_arn=role.arn,
                    tags=self._tags("controller"),
                    opts=child,
                )
            )
        self.annotated_role_arn = None if by_pod_identity else role.arn
        self.ready = ready
        self.register_outputs({"roleArn": role.arn})

    def _tags(self, role: str) -> dict[str, str]:
        return self._args.context.tagged(f"{self._name}-{role}")

    def _documents(self) -> dict[str, pulumi.Input[str]]:
        args, region = self._args, self._args.context.region
        cluster, account = args.context.cluster, args.context.account_id
        spot = any("spot" in pool.capacity_types for pool in args.pools)

        def node_identity(role_arn: str) -> str:
            return json.dumps(policies.node_identity_policy(region, account, role_arn, spot=spot))

        def interruption(queue_arn: str) -> str:
            return json.dumps(policies.interruption_policy(queue_arn))

        return {
            "node-lifecycle": json.dumps(policies.node_lifecycle_policy(region, cluster)),
            "node-identity": pulumi.Output.from_input(args.node_role_arn).apply(node_identity),
            "cluster-discovery": json.dumps(
                policies.cluster_discovery_policy(region, account, cluster)
            ),
            "interruption": pulumi.Output.from_input(args.queue_arn).apply(interruption),
            "resource-discovery": json.dumps(
                policies.resource_discovery_policy(
                    region, account, asks_for_prices=args.asks_for_prices
                )
            ),
        }
