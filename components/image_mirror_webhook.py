"""The image mirror: whatever a pod asks for is pulled from the account's own registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components import kubernetes_objects
from components.image_mirror_api import TIMEOUT_SECONDS, ImageMirrorApi, ImageMirrorApiArgs
from components.image_mirror_build import ImageMirrorBuild, ImageMirrorBuildArgs
from components.image_mirror_functions import ImageMirrorFunctions, ImageMirrorFunctionsArgs
from components.image_mirror_pods import ImageMirrorPods, ImageMirrorPodsArgs
from components.image_repositories import ImageRepositories, ImageRepositoriesArgs
from components.mirrored_images import MirroredImages
from components.region import Region
from components.settings import Settings
from rendering import Rendered
from webhook.admission import OPT_OUT


@dataclass(frozen=True, kw_only=True)
class ImageMirrorWebhookArgs:
    """Arguments of ``ImageMirrorWebhook``.

    Attributes:
        settings: the stack's settings.
        region: the stack's own region.
        global_region: the region that reaches the registries and copies from them.
        global_provider: AWS provider of that region, with credentials of its own partition.
        account_id: account of the stack's region.
        images: every image the platform pulls, as its source names it.
        tags: AWS tags.
        global_account_id: account of the global region's provider.
        pods: ``manifests/addons/image-mirror``, for the transport inside the cluster.
        oidc_provider_arn, oidc_issuer: for the role of those pods.
        ready: what pods wait for: nodes, DNS, the CNI.
    """

    settings: Settings
    region: Region
    global_region: Region
    global_provider: aws.Provider
    account_id: str
    images: Sequence[str]
    tags: Mapping[str, str]
    global_account_id: str
    pods: Rendered
    oidc_provider_arn: pulumi.Input[str]
    oidc_issuer: pulumi.Input[str]
    ready: Sequence[pulumi.Resource] = ()


class ImageMirrorWebhook(pulumi.ComponentResource):
    """Repositories with the known images; a webhook that rewrites, and copies, all others.

    A pod is judged by a handler in the cluster's own region (pods, or Lambda behind API Gateway)
    and never held up: failurePolicy is Ignore, and a missing image is copied by a CodeBuild project
    of the global region while the kubelet retries.

    Attributes:
        registry: ``<ecr host>/<prefix>`` of every copy.
        ready: what pods depend on: the copies of known images, the rewriting of all others.
    """

    registry: pulumi.Output[str]
    ready: list[pulumi.Resource]

    def __init__(
        self, name: str, args: ImageMirrorWebhookArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:ImageMirrorWebhook", name, None, opts)
        here = pulumi.ResourceOptions(parent=self)
        prefix = args.settings.image_mirror.repository_prefix
        registry = args.settings.image_mirror.registry(args.region, args.account_id)
        self.registry = pulumi.Output.from_input(registry)
        repositories = ImageRepositories(
            f"{name}-repositories",
            ImageRepositoriesArgs(prefix=prefix, images=args.images, tags=args.tags),
            here,
        )
        build = ImageMirrorBuild(
            f"{name}-build",
            ImageMirrorBuildArgs(
                settings=args.settings,
                region=args.region,
                build_region=args.global_region,
                build_provider=args.global_provider,
                account_id=args.account_id,
                build_account_id=args.global_account_id,
                registry=registry,
                tags=args.tags,
            ),
            here,
        )
        functions = ImageMirrorFunctions(
            f"{name}-functions",
            ImageMirrorFunctionsArgs(
                settings=args.settings,
                region=args.region,
                build_region=args.global_region,
                build=build,
                account_id=args.account_id,
                registry=registry,
                tags=args.tags,
                admission=not args.settings.image_mirror.in_cluster(args.region),
            ),
            here,
        )
        copies = (
            [self._inventory(name, args, build, [repositories, build])]
            if args.settings.image_mirror.inventory_first
            else []
        )
        client, answering = self._transport(name, args, functions, [*args.ready, *copies])
        configuration = kubernetes_objects.register(
            webhook_configuration(client),
            name=f"{name}-configuration",
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(answering)),
        )
        self.ready = [configuration, *copies]
        self.register_outputs({"registry": self.registry})

    def _inventory(
        self,
        name: str,
        args: ImageMirrorWebhookArgs,
        build: ImageMirrorBuild,
        needed: Sequence[pulumi.Resource],
    ) -> MirroredImages:
        """Every image the platform is known to pull; pods that wait for it find theirs."""
        settings, crossing = args.settings, args.global_region.partition != args.region.partition
        return MirroredImages(
            f"{name}-inventory",
            images=args.images,
            registry=settings.image_mirror.registry(args.region, args.account_id),
            region=args.region.name,
            project=build.project_name,
            build_region=args.global_region.name,
            build_profile=settings.image_mirror.build_profile if crossing else "",
            ecr_endpoint=settings.endpoints.get("ecr", ""),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(needed)),
        )

    def _transport(
        self,
        name: str,
        args: ImageMirrorWebhookArgs,
        functions: ImageMirrorFunctions,
        ready: Sequence[pulumi.Resource],
    ) -> tuple[pulumi.Input[str] | Mapping[str, Any], Sequence[pulumi.Resource]]:
        """How the API server reaches the handler, and what must exist before it is asked to."""
        here = pulumi.ResourceOptions(parent=self)
        if functions.admission is not None:
            api = ImageMirrorApi(
                f"{name}-api",
                ImageMirrorApiArgs(
                    region=args.region,
                    cluster=args.settings.cluster.name,
                    function=functions.admission,
                    tags=args.tags,
                ),
                here,
            )
            return api.url, [api.stage]
        pods = ImageMirrorPods(
            f"{name}-pods",
            ImageMirrorPodsArgs(
                settings=args.settings,
                region=args.region,
                account_id=args.account_id,
                rendered=args.pods,
                functions=functions,
                registry=args.settings.image_mirror.registry(args.region, args.account_id),
                oidc_provider_arn=args.oidc_provider_arn,
                oidc_issuer=args.oidc_issuer,
                tags=args.tags,
                ready=ready,
            ),
            here,
        )
        return pods.client_config, pods.ready


def webhook_configuration(client: pulumi.Input[str] | Mapping[str, Any]) -> dict[str, Any]:
    """The MutatingWebhookConfiguration that sends pods to a URL, or as a ``clientConfig`` says.

    kube-system and namespaces or pods labelled ``image-mirror/skip: "true"`` are left out; a
    webhook that does not answer in time is passed over.
    """
    not_skipped = {"key": OPT_OUT, "operator": "NotIn", "values": ["true"]}
    outside_system = {
        "key": "kubernetes.io/metadata.name",
        "operator": "NotIn",
        "values": ["kube-system", "kube-node-lease", "kube-public"],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "image-mirror"},
        "webhooks": [
            {
                "name": "pods.image-mirror.internal",
                "admissionReviewVersions": ["v1"],
                "clientConfig": client if isinstance(client, Mapping) else {"url": client},
                "failurePolicy": "Ignore",
                "matchPolicy": "Equivalent",
                "reinvocationPolicy": "IfNeeded",
                "sideEffects": "NoneOnDryRun",
                "timeoutSeconds": TIMEOUT_SECONDS,
                "namespaceSelector": {"matchExpressions": [outside_system, not_skipped]},
                "objectSelector": {"matchExpressions": [not_skipped]},
                "rules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["pods", "pods/ephemeralcontainers"],
                        "scope": "Namespaced",
                    }
                ],
            }
        ],
    }
