"""GPU machines that exist only while a pod asks for them: Karpenter, its AWS side and one pool."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components import karpenter_objects as objects
from components import karpenter_policies as policies
from components.crds import CustomResourceDefinitions
from components.eks_policies import service_trust
from components.irsa import irsa_trust
from components.kubernetes_objects import bind, register
from components.pull_through_cache import node_pull_policy
from components.region import Region
from components.settings import Settings

# Karpenter's cloudformation.yaml, KarpenterNodeRole: joining, pod network, pulling images, and a
# way onto the machine without SSH.
_NODE_POLICIES = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonSSMManagedInstanceCore",
)
# The same file: events that tell of an instance's end. A rebalance recommendation only becomes a
# Kubernetes event, Karpenter drains nothing for it (concepts/disruption.md).
INTERRUPTIONS: Mapping[str, tuple[str, str]] = {
    "scheduled-change": ("aws.health", "AWS Health Event"),
    "spot-interruption": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "state-change": ("aws.ec2", "EC2 Instance State-change Notification"),
    "reservation-end": ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"),
}
"""Role in the resource's name -> source and detail type of the event."""

QUEUE_RETENTION_SECONDS = 300  # an older warning is about an instance that is gone
_INSTALL_SECONDS = 600
# The nodes drain first, then EC2 has to end them.
_DELETE_POOL = f"{objects.DRAIN_MINUTES + 15}m"


@dataclass(frozen=True, kw_only=True)
class KarpenterGpuPoolArgs:
    """What decides the pool.

    Args:
        settings: the sections ``gpu_pool``, ``image_mirror`` and ``cluster.name`` are used.
        region: where it runs; must be the region of the AWS provider.
        tags: for everything that takes tags, machines and disks included.
        account_id: of the AWS provider.
        cluster_name: orders this component after the control plane.
        cluster_arn: identity of the cluster for the CRDs.
        cluster_endpoint: URL of the API server.
        kubeconfig_json: for the CRDs; a secret.
        oidc_provider_arn: for the controller's trust policy.
        oidc_issuer: likewise, without ``https://``.
        image_registry: ``<ECR host>/<prefix>`` that holds chart and images; None: their publishers.
        crds: Karpenter's CRDs as rendered.
        device_plugin: NVIDIA's device plugin as rendered; may hold ``<<registry.host>>``.
        ready: what pods need: nodes, network, DNS. All of it outlives the pool on destroy.
    """

    settings: Settings
    region: Region
    tags: Mapping[str, str]
    account_id: pulumi.Input[str]
    cluster_name: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    cluster_endpoint: pulumi.Input[str]
    kubeconfig_json: pulumi.Input[str]
    oidc_provider_arn: pulumi.Input[str]
    oidc_issuer: pulumi.Input[str]
    image_registry: pulumi.Input[str] | None
    crds: Sequence[Mapping[str, Any]]
    device_plugin: Sequence[Mapping[str, Any]]
    ready: Sequence[pulumi.Resource] = ()


class KarpenterGpuPool(pulumi.ComponentResource):
    """Karpenter with everything it needs in AWS, and one pool of GPU nodes that starts at zero.

    Needs the providers ``aws`` and ``kubernetes``. On destroy the order is the reverse of the
    dependencies: NodePool (Karpenter ends its nodes), EC2NodeClass, Karpenter, its permissions, and
    only then the node group it runs on: whoever has to remove a finalizer is still there.

    Attributes:
        node_role_arn: role of the GPU nodes.
        controller_role_arn: role of Karpenter's service account.
        queue_name: the interruption queue.
    """

    node_role_arn: pulumi.Output[str]
    controller_role_arn: pulumi.Output[str]
    queue_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: KarpenterGpuPoolArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:KarpenterGpuPool", name, None, opts)
        self._name = name
        self._args = args
        self._here = pulumi.ResourceOptions(parent=self)

        node_role, profile, nodes_may_join = self._node_identity()
        queue, events = self._interruption_queue()
        controller_role, permissions = self._controller_identity(node_role, queue)
        crds = CustomResourceDefinitions(
            f"{name}-crds",
            crds=args.crds,
            kubeconfig=args.kubeconfig_json,
            cluster=args.cluster_arn,
            opts=self._here,
        )
        karpenter = self._karpenter(controller_role, queue, [crds, *permissions])
        self._pool(profile, [karpenter, *nodes_may_join, *events])
        self._device_plugin()

        self.node_role_arn = node_role.arn
        self.controller_role_arn = controller_role.arn
        self.queue_name = queue.name
        self.register_outputs(
            {
                "nodeRoleArn": self.node_role_arn,
                "controllerRoleArn": self.controller_role_arn,
                "queueName": self.queue_name,
            }
        )

    def _tags(self, role: str) -> dict[str, str]:
        return {**self._args.tags, "Name": f"{self._name}-{role}"}

    def _after(self, resources: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(resources))

    def _node_identity(
        self,
    ) -> tuple[aws.iam.Role, aws.iam.InstanceProfile, list[pulumi.Resource]]:
        role = aws.iam.Role(
            f"{self._name}-node",
            description="GPU nodes that Karpenter launches",
            assume_role_policy=json.dumps(service_trust(self._args.region, "ec2")),
            tags=self._tags("node"),
            opts=self._here,
        )
        attachments: list[pulumi.Resource] = [
            aws.iam.RolePolicyAttachment(
                f"{self._name}-node-{policy}",
                role=role.name,
                policy_arn=self._args.region.managed_policy(policy),
                opts=self._here,
            )
            for policy in _NODE_POLICIES
        ]
        pull = node_pull_policy(self._args.settings, self._args.region, self._args.account_id)
        if pull is not None:
            attachments.append(
                aws.iam.RolePolicy(
                    f"{self._name}-node-pull", role=role.name, policy=pull, opts=self._here
                )
            )
        profile = aws.iam.InstanceProfile(
            f"{self._name}-node", role=role.name, tags=self._tags("node"), opts=self._here
        )
        entry = aws.eks.AccessEntry(
            f"{self._name}-node",
            cluster_name=self._args.cluster_name,
            principal_arn=role.arn,
            # Brings the groups nodes need; no groups or access policies of one's own are allowed.
            type="EC2_LINUX",
            tags=self._tags("node"),
            opts=self._here,
        )
        return role, profile, [*attachments, entry]

    def _interruption_queue(self) -> tuple[aws.sqs.Queue, list[pulumi.Resource]]:
        queue = aws.sqs.Queue(
            f"{self._name}-interruption",
            message_retention_seconds=QUEUE_RETENTION_SECONDS,
            sqs_managed_sse_enabled=True,
            tags=self._tags("interruption"),
            opts=self._here,
        )
        admitted = aws.sqs.QueuePolicy(
            f"{self._name}-interruption",
            queue_url=queue.url,
            policy=_policy(partial(policies.queue_policy, self._args.region), queue.arn),
            opts=self._here,
        )
        targets: list[pulumi.Resource] = []
        for role, (source, detail_type) in INTERRUPTIONS.items():
            rule = aws.cloudwatch.EventRule(
                f"{self._name}-{role}",
                description=f"{detail_type}, for Karpenter",
                event_pattern=json.dumps({"source": [source], "detail-type": [detail_type]}),
                tags=self._tags(role),
                opts=self._here,
            )
            targets.append(
                aws.cloudwatch.EventTarget(
                    f"{self._name}-{role}",
                    rule=rule.name,
                    target_id="interruption-queue",
                    arn=queue.arn,
                    opts=self._here,
                )
            )
        return queue, [admitted, *targets]

    def _controller_identity(
        self, node_role: aws.iam.Role, queue: aws.sqs.Queue
    ) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        args, region = self._args, self._args.region
        cluster = args.settings.cluster.name
        spot = "spot" in args.settings.gpu_pool.capacity_types
        account = args.account_id
        subjects = [(objects.NAMESPACE, objects.SERVICE_ACCOUNT)]
        role = aws.iam.Role(
            f"{self._name}-controller",
            description="Karpenter's service account",
            assume_role_policy=_policy(
                partial(irsa_trust, region, subjects=subjects),
                args.oidc_provider_arn,
                args.oidc_issuer,
            ),
            tags=self._tags("controller"),
            opts=self._here,
        )
        documents: dict[str, pulumi.Input[str]] = {
            "node-lifecycle": json.dumps(policies.node_lifecycle_policy(region, cluster)),
            "node-identity": _policy(
                partial(policies.node_identity_policy, region, spot=spot),
                account,
                node_role.arn,
            ),
            "cluster-discovery": _policy(
                partial(policies.cluster_discovery_policy, region, cluster_name=cluster), account
            ),
            "interruption": _policy(policies.interruption_policy, queue.arn),
            "resource-discovery": _policy(
                partial(policies.resource_discovery_policy, region), account
            ),
        }
        attachments: list[pulumi.Resource] = []
        for part, document in documents.items():
            policy = aws.iam.Policy(
                f"{self._name}-{part}",
                description=f"Karpenter of the EKS cluster {cluster}: {part}",
                policy=document,
                tags=self._tags(part),
                opts=self._here,
            )
            attachments.append(
                aws.iam.RolePolicyAttachment(
                    f"{self._name}-{part}",
                    role=role.name,
                    policy_arn=policy.arn,
                    opts=self._here,
                )
            )
        return role, attachments

    def _karpenter(
        self, role: aws.iam.Role, queue: aws.sqs.Queue, needs: Sequence[pulumi.Resource]
    ) -> k8s.helm.v3.Release:
        args = self._args
        version = args.settings.gpu_pool.karpenter_version
        registry = args.image_registry
        return k8s.helm.v3.Release(
            f"{self._name}-karpenter",
            name="karpenter",
            chart=_in_registry(objects.chart_location, registry),
            version=version,
            namespace=objects.NAMESPACE,
            # The chart installs its CRDs once and never upgrades them; here they are a resource.
            skip_crds=True,
            timeout=_INSTALL_SECONDS,
            values=objects.helm_values(
                region=args.region,
                version=version,
                cluster_name=args.settings.cluster.name,
                cluster_endpoint=args.cluster_endpoint,
                queue_name=queue.name,
                role_arn=role.arn,
                repository=_in_registry(objects.controller_repository, registry),
            ),
            opts=self._after([*needs, *args.ready]),
        )

    def _pool(self, profile: aws.iam.InstanceProfile, needs: Sequence[pulumi.Resource]) -> None:
        args, wanted = self._args, self._args.settings.gpu_pool
        node_class = register(
            objects.ec2_node_class(
                cluster_name=args.settings.cluster.name,
                instance_profile=profile.name,
                ami_alias=wanted.ami_alias,
                tags=args.tags,
                reserved="reserved" in wanted.capacity_types,
            ),
            name=f"{self._name}-node-class",
            opts=self._after(needs),
        )
        register(
            objects.gpu_node_pool(
                families=wanted.families(args.region),
                capacity_types=wanted.capacity_types,
                max_gpus=wanted.max_gpus,
                consolidate_after=wanted.consolidate_after,
            ),
            name=f"{self._name}-node-pool",
            opts=pulumi.ResourceOptions.merge(
                self._after([node_class]),
                pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(delete=_DELETE_POOL)),
            ),
        )

    def _device_plugin(self) -> None:
        registry = self._args.image_registry
        late = {} if registry is None else {"registry.host": registry}
        plugin = [objects.unawaited(dict(obj)) for obj in self._args.device_plugin]
        made: list[pulumi.Resource] = []
        # A namespace of its own comes before what lives in it; the sort keeps the rest in order.
        for obj in sorted(plugin, key=lambda found: found["kind"] != "Namespace"):
            resource = register(
                cast(dict[str, Any], bind(obj, late)),
                name=f"{self._name}-plugin-{obj['kind'].lower()}-{obj['metadata']['name']}",
                opts=self._after([*made, *self._args.ready]),
            )
            if obj["kind"] == "Namespace":
                made.append(resource)


def _policy(
    document: Callable[..., policies.Policy], *inputs: pulumi.Input[str]
) -> pulumi.Output[str]:
    """A policy document as JSON; known in the preview as soon as its inputs are."""
    return pulumi.Output.all(*inputs).apply(lambda known: json.dumps(document(*known)))


def _in_registry(
    place: Callable[[str | None], str], registry: pulumi.Input[str] | None
) -> pulumi.Input[str]:
    if registry is None:
        return place(None)
    return pulumi.Output.from_input(registry).apply(place)
