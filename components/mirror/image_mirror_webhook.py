"""The image mirror: whatever a pod asks for is pulled from the account's own registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.aws.roles import OidcProvider
from components.dynamic.image_repositories import ImageRepositories
from components.dynamic.mirrored_images import MirroredImages
from components.mirror.api import TIMEOUT_SECONDS, ImageMirrorApi, ImageMirrorApiArgs
from components.mirror.build import BuildSide, ImageMirrorBuild, ImageMirrorBuildArgs
from components.mirror.functions import ImageMirrorFunctions, ImageMirrorFunctionsArgs
from components.mirror.pods import ImageMirrorPods, ImageMirrorPodsArgs
from components.objects import kubernetes_objects
from components.registry.pull_through_cache import PullThroughCache, PullThroughCacheArgs
from rendering import Rendered
from settings.context import StackContext
from settings.sections import ImageMirrorSettings
from webhook.admission import OPT_OUT


@dataclass(frozen=True, kw_only=True)
class ImageMirrorWebhookArgs:
    """Arguments of ``ImageMirrorWebhook``.

    Attributes:
        context: what all components of the stack share.
        mirror: the setting ``imageMirror``.
        build: who copies images; None where ECR pulls them through by itself.
        images: every image the platform pulls, as its source names it.
        pods: ``manifests/addons/image-mirror`` as rendered, where pods of the cluster answer
            admissions; None: an API Gateway does.
        oidc: the cluster's OIDC provider, for the roles of service accounts.
        ready: what pods wait for: nodes, DNS, the CNI.
    """

    context: StackContext
    mirror: ImageMirrorSettings
    build: BuildSide | None
    images: Sequence[str]
    pods: Rendered | None
    oidc: OidcProvider
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
        self.registry = pulumi.Output.from_input(args.context.image_prefix)
        build, filled = (
            (None, self._caches(name, args))
            if args.build is None
            else self._copies(name, args, args.build)
        )
        functions = ImageMirrorFunctions(
            f"{name}-functions",
            ImageMirrorFunctionsArgs(
                context=args.context,
                mirror=args.mirror,
                build=build,
                admission=args.pods is None,
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
        return PullThroughCache(
            f"{name}-cache",
            PullThroughCacheArgs(
                context=args.context, credentials=args.mirror.upstream_credentials
            ),
            pulumi.ResourceOptions(parent=self),
        ).ready

    def _copies(
        self, name: str, args: ImageMirrorWebhookArgs, side: BuildSide
    ) -> tuple[ImageMirrorBuild, Sequence[pulumi.Resource]]:
        """What copies images, and the copies that pods wait for."""
        here = pulumi.ResourceOptions(parent=self)
        repositories = ImageRepositories(
            f"{name}-repositories",
            images=args.images,
            registry=args.context.image_prefix,
            region=args.context.region.name,
            tags=args.context.tags,
            endpoints=args.context.endpoints,
            opts=here,
        )
        build = ImageMirrorBuild(
            f"{name}-build",
            ImageMirrorBuildArgs(context=args.context, mirror=args.mirror, side=side),
            here,
        )
        if not args.mirror.inventory_first:
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
        return MirroredImages(
            f"{name}-inventory",
            images=args.images,
            registry=args.context.image_prefix,
            region=args.context.region.name,
            project=build.project_name,
            table=build.table_name,
            build_region=build.region.name,
            build_profile=args.mirror.build_profile
            if args.context.mirror.crosses_partitions
            else "",
            endpoints=args.context.endpoints,
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
        if args.pods is not None:
            pods = ImageMirrorPods(
                f"{name}-pods",
                ImageMirrorPodsArgs(
                    context=args.context,
                    mirror=args.mirror,
                    rendered=args.pods,
                    copies=functions.copies,
                    oidc=args.oidc,
                    ready=ready,
                ),
                here,
            )
            return pods.client_config, pods.ready
        assert functions.admission is not None  # noqa: S101 - the function is there without pods
        api = ImageMirrorApi(
            f"{name}-api",
            ImageMirrorApiArgs(context=args.context, function=functions.admission),
            here,
        )
        return api.url, [api.stage]


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
