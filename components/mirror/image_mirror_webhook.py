"""The image mirror: whatever a pod asks for is pulled from the account's own registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import yaml

from components.aws.roles import OidcProvider
from components.dynamic.image_repositories import ImageRepositories
from components.dynamic.mirrored_images import MirroredImages
from components.mirror.admission_policy import admission_policy
from components.mirror.api import TIMEOUT_SECONDS, ImageMirrorApi
from components.mirror.build import BuildSide, ImageMirrorBuild
from components.mirror.events import ApiServer, ImageMirrorEvents
from components.mirror.functions import ImageMirrorFunctions
from components.mirror.pods import ImageMirrorPods
from components.objects import kubernetes_objects
from components.registry.pull_through_cache import PullThroughCache, node_pull_policy
from rendering import Rendered
from settings.mirror_context import MirrorContext
from settings.mirror_mode import POLICIES_SINCE, has_policies
from webhook.inventory import FILE, marks, text
from webhook.rules import read


@dataclass(frozen=True, kw_only=True)
class ImageMirrorWebhookArgs:
    """Arguments of ``ImageMirrorWebhook``.

    Args:
        context: of the cluster and its account.
        build: copies images; None where ECR pulls them through by itself.
        images: every image the platform pulls, as its source names it; no request of a user
            replaces a copy of one.
        digests: source -> digest of the whole source, of those that are known.
        sizes: source -> bytes of its copy, likewise.
        pods: ``manifests/addons/image-mirror`` as rendered, where pods of the cluster answer
            admissions; None: an API Gateway does.
        oidc: the cluster's OIDC provider, for the roles of service accounts.
        callers: ranges of the API server's network interfaces, from which alone it is answered by
            pods; none: unknown ranges, and every request with the secret path is answered.
        ready: prerequisites of pods: nodes, DNS, the CNI.
        unready_pods: hooks of workloads (``EksCluster.unready_pods``).
        kubernetes: the cluster's version.
        api_server: of the cluster, for Events where an API Gateway serves admission; None: the
            annotation of pods has the content of those Events.
    """

    context: MirrorContext
    build: BuildSide | None
    images: Sequence[str]
    pods: Rendered | None
    oidc: OidcProvider
    digests: Mapping[str, str] = field(default_factory=dict[str, str])
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    callers: Sequence[str] = ()
    ready: Sequence[pulumi.Resource] = ()
    unready_pods: pulumi.ResourceHookBinding | None = None
    kubernetes: str = POLICIES_SINCE
    api_server: ApiServer | None = None


class ImageMirrorWebhook(pulumi.ComponentResource):
    """A registry of the account's own that fills itself, and a webhook that rewrites pods to it.

    A handler in the cluster's own region (pods, or Lambda behind an API) judges each pod; without
    its answer pods start unchanged, or with ``enforce`` not at all. The policy of the API server
    needs no handler, so no pod waits for it. Where ECR has pull-through caches, it
    fetches the images itself. Elsewhere the platform's images are copied into repositories of the
    account first, and a user's image by a CodeBuild project while the kubelet retries.

    Attributes:
        registry: ``<ecr host>/<prefix>`` of every copy.
        node_policy: JSON of the right that a node's role needs beside AWS's own policy for nodes;
            None: it needs no other.
        ready: prerequisites of pods: the platform's copies, and the rewriting of all other images.
    """

    registry: pulumi.Output[str]
    node_policy: str | None
    ready: list[pulumi.Resource]

    def __init__(
        self, name: str, args: ImageMirrorWebhookArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:ImageMirrorWebhook", name, None, opts)
        context, own = args.context, pulumi.ResourceOptions(parent=self)
        self.registry = pulumi.Output.from_input(context.image_prefix)
        self.node_policy = node_pull_policy(context)
        if args.build is None:
            build, filled = None, PullThroughCache(f"{name}-cache", context, own).ready
        else:
            build, filled = self._copies(name, args, args.build)
        inventory = {FILE: text(args.images, args.digests)}
        events = None
        if args.pods is None and args.api_server is not None:
            events = ImageMirrorEvents(f"{name}-events", context, args.api_server, own)
        functions = ImageMirrorFunctions(
            f"{name}-functions",
            context,
            build,
            data=inventory,
            answers_admissions=args.pods is None,
            events=events,
            opts=own,
        )
        client: pulumi.Input[str] | Mapping[str, Any]
        if functions.admission is not None:
            api = ImageMirrorApi(f"{name}-api", context, functions.admission, own)
            client, answering = api.url, [api.stage]
        else:
            assert args.pods is not None  # noqa: S101 - the functions answer without pods
            pods = ImageMirrorPods(
                f"{name}-pods",
                context,
                rendered=args.pods,
                copies=functions.copies,
                data=inventory,
                oidc=args.oidc,
                prerequisites=[*args.ready, *filled],
                callers=args.callers,
                unready_pods=args.unready_pods,
                opts=own,
            )
            client, answering = pods.client_config, pods.ready
        # Made once its pods answer, and deleted before them: with failurePolicy Fail nothing else
        # could start in between.
        configuration = kubernetes_objects.register(
            webhook_configuration(
                client,
                enforce=context.mirror.settings.enforce,
                conditions=has_policies(args.kubernetes),
            ),
            name=f"{name}-configuration",
            opts=pulumi.ResourceOptions(parent=self, depends_on=answering),
        )
        self.ready = [configuration, *filled]
        if context.mirror.has_policy(args.kubernetes):
            self._policy(name, args)
        self.register_outputs({"registry": self.registry})

    def _policy(self, name: str, args: ImageMirrorWebhookArgs) -> None:
        """The rules as a policy of the API server, independent of the webhook."""
        rules = read(args.context.mirror.settings.rules_json())
        prefix, namespaces = args.context.image_prefix, judged_namespaces()
        before: list[pulumi.Resource] = list(args.ready)
        for obj in admission_policy(prefix, rules, args.images, namespaces):
            kind = "policy" if obj["kind"] == "ValidatingAdmissionPolicy" else "policy-binding"
            made = kubernetes_objects.register(
                obj,
                name=f"{name}-{kind}",
                opts=pulumi.ResourceOptions(parent=self, depends_on=before),
            )
            before = [made]

    def _copies(
        self, name: str, args: ImageMirrorWebhookArgs, side: BuildSide
    ) -> tuple[ImageMirrorBuild, Sequence[pulumi.Resource]]:
        """The project that copies images, and the copies of the inventory."""
        context, own = args.context, pulumi.ResourceOptions(parent=self)
        repositories = ImageRepositories(
            f"{name}-repositories",
            images=args.images,
            registry=context.image_prefix,
            region=context.region.name,
            tags=context.tags,
            cluster=context.cluster,
            shared=context.mirror.settings.shared_inventory,
            credentials=context.aws.credentials(),
            endpoints=context.endpoints,
            opts=own,
        )
        build = ImageMirrorBuild(f"{name}-build", context, side, marks(args.images), own)
        mirror = context.mirror.settings
        if not mirror.inventory_first:
            return build, []
        inventory = MirroredImages(
            f"{name}-inventory",
            images=args.images,
            digests=args.digests,
            sizes=args.sizes,
            registry=context.image_prefix,
            region=context.region.name,
            project=build.project_name,
            table=build.table_name,
            build_region=build.region.name,
            build_profile=mirror.build_profile if context.mirror.crosses_partitions else "",
            credentials=context.aws.credentials(),
            endpoints=context.endpoints,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[repositories, build]),
        )
        return build, [inventory]


def webhook_configuration(
    client: pulumi.Input[str] | Mapping[str, Any],
    *,
    enforce: bool = False,
    conditions: bool = False,
) -> dict[str, Any]:
    """The MutatingWebhookConfiguration that sends pods to a URL, or to a ``clientConfig``.

    Args:
        client: the one or the other.
        enforce: refuse what gets no answer.
        conditions: whether the cluster's version has match conditions.
    """
    configuration = _configuration()
    (webhook,) = configuration["webhooks"]
    webhook["clientConfig"] = client if isinstance(client, Mapping) else {"url": client}
    webhook["timeoutSeconds"] = TIMEOUT_SECONDS
    if enforce:
        webhook["failurePolicy"] = "Fail"
        if conditions:
            webhook["matchConditions"] = [_CHANGES]
    return configuration


# Labels and finalizers of pods that run can be changed while the webhook is away.
_CHANGES = {
    "name": "spec-changes",
    "expression": "request.operation != 'UPDATE' || object.kind != 'Pod' || "
    "object.spec != oldObject.spec",
}


def judged_namespaces() -> dict[str, Any]:
    """The selector of the namespaces whose pods are judged."""
    return _configuration()["webhooks"][0]["namespaceSelector"]


def _configuration() -> dict[str, Any]:
    text = Path(__file__).with_name("webhook_configuration.yaml").read_text("utf-8")
    return yaml.safe_load(text)
