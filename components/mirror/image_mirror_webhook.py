"""The image mirror: whatever a pod asks for is pulled from the account's own registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.dynamic.image_repositories import ImageRepositories
from components.dynamic.mirrored_images import MirroredImages
from components.mirror.api import TIMEOUT_SECONDS, ImageMirrorApi, ImageMirrorApiArgs
from components.mirror.build import BuildSide, ImageMirrorBuild, ImageMirrorBuildArgs
from components.mirror.functions import ImageMirrorFunctions, ImageMirrorFunctionsArgs
from components.mirror.pods import ImageMirrorPods, ImageMirrorPodsArgs
from components.objects import kubernetes_objects
from components.registry.pull_through_cache import PullThroughCache, PullThroughCacheArgs
from regions.region import Region
from rendering import Rendered
from settings import Settings
from webhook.admission import OPT_OUT


@dataclass(frozen=True, kw_only=True)
class ImageMirrorWebhookArgs:
    """Arguments of ``ImageMirrorWebhook``.

    Attributes:
        settings: the stack's settings.
        region: the stack's own region.
        build: who copies images; None where ECR pulls them through by itself.
        account_id: account of the stack's region.
        images: every image the platform pulls, as its source names it.
        tags: AWS tags.
        pods: ``manifests/addons/image-mirror``, for the transport inside the cluster.
        oidc_provider_arn, oidc_issuer: for the role of those pods.
        ready: what pods wait for: nodes, DNS, the CNI.
    """

    settings: Settings
    region: Region
    build: BuildSide | None
    account_id: str
    images: Sequence[str]
    tags: Mapping[str, str]
    pods: Rendered
    oidc_provider_arn: pulumi.Input[str]
    oidc_issuer: pulumi.Input[str]
    ready: Sequence[pulumi.Resource] = ()


class ImageMirrorWebhook(pulumi.ComponentResource):
    """A registry of the account's own that fills itself, and a webhook that rewrites pods to it.

    A pod is judged by a handler in the cluster's own region (pods, or Lambda behind an API)
    and never held up: failurePolicy is Ignore. Where ECR has pull-through caches, one for each
    registry it knows is all there is. Elsewhere the known images are copied into repositories of
    their own, and a missing one by a CodeBuild project while the kubelet retries.

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
        registry = args.settings.image_mirror.registry(args.region, args.account_id)
        self.registry = pulumi.Output.from_input(registry)
        build, filled = (
            (None, self._caches(name, args))
            if args.build is None
            else self._copies(name, args, args.build, registry)
        )
        functions = ImageMirrorFunctions(
            f"{name}-functions",
            ImageMirrorFunctionsArgs(
                settings=args.settings,
                region=args.region,
                build=build,
                account_id=args.account_id,
                registry=registry,
                tags=args.tags,
                admission=not args.settings.image_mirror.in_cluster(args.region),
            ),
            pulumi.ResourceOptions(parent=self),
        )
        client, answering = self._transport(name, args, functions, [*args.ready, *filled])
        configuration = kubernetes_objects.register(
            webhook_configuration(client),
            name=f"{name}-configuration",
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(answering)),
        )
        self.ready = [configuration, *filled]
        self.register_outputs({"registry": self.registry})

    def _caches(self, name: str, args: ImageMirrorWebhookArgs) -> Sequence[pulumi.Resource]:
        mirror = args.settings.image_mirror
        return PullThroughCache(
            f"{name}-cache",
            PullThroughCacheArgs(
                region=args.region,
                account_id=args.account_id,
                prefix=mirror.repository_prefix,
                registries=mirror.cached(args.region) or (),
                credentials=mirror.upstream_credentials,
                tags=args.tags,
            ),
            pulumi.ResourceOptions(parent=self),
        ).ready

    def _copies(
        self, name: str, args: ImageMirrorWebhookArgs, side: BuildSide, registry: str
    ) -> tuple[ImageMirrorBuild, Sequence[pulumi.Resource]]:
        """What copies images, and the copies that pods wait for."""
        here = pulumi.ResourceOptions(parent=self)
        repositories = ImageRepositories(
            f"{name}-repositories",
            images=args.images,
            registry=registry,
            region=args.region.name,
            tags=args.tags,
            endpoints=args.settings.endpoints,
            opts=here,
        )
        build = ImageMirrorBuild(
            f"{name}-build",
            ImageMirrorBuildArgs(
                settings=args.settings,
                region=args.region,
                build_region=side.region,
                build_provider=side.provider,
                account_id=args.account_id,
                build_account_id=side.account_id,
                registry=registry,
                tags=args.tags,
            ),
            here,
        )
        if not args.settings.image_mirror.inventory_first:
            return build, []
        return build, [self._inventory(name, args, build, [repositories, build])]

    def _inventory(
        self,
        name: str,
        args: ImageMirrorWebhookArgs,
        build: ImageMirrorBuild,
        needed: Sequence[pulumi.Resource],
    ) -> MirroredImages:
        """Every image the platform is known to pull; pods that wait for it find theirs."""
        settings, crossing = args.settings, build.region.partition != args.region.partition
        return MirroredImages(
            f"{name}-inventory",
            images=args.images,
            registry=settings.image_mirror.registry(args.region, args.account_id),
            region=args.region.name,
            project=build.project_name,
            table=build.table_name,
            build_region=build.region.name,
            build_profile=settings.image_mirror.build_profile if crossing else "",
            endpoints=settings.endpoints,
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
                copies=functions.copies,
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
