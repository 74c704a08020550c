"""The image mirror: whatever a pod asks for is pulled from the account's own registry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components import kubernetes_objects
from components.generated_secret import GeneratedSecret
from components.image_mirror_build import ImageMirrorBuild, ImageMirrorBuildArgs
from components.image_mirror_functions import ImageMirrorFunctions, ImageMirrorFunctionsArgs
from components.image_repositories import ImageRepositories, ImageRepositoriesArgs
from components.mirrored_images import MirroredImages
from components.region import Feature, Region
from components.settings import Settings
from webhook.admission import OPT_OUT

_LOG_DAYS = 30
_TIMEOUT_SECONDS = 5
# Nothing here may tell the path, which is what keeps strangers out (docs.aws.amazon.com
# apigateway/latest/developerguide/http-api-logging-variables.html).
_LOGGED = ("requestId", "requestTime", "status", "responseLatency", "integrationErrorMessage")


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
    """

    settings: Settings
    region: Region
    global_region: Region
    global_provider: aws.Provider
    account_id: str
    images: Sequence[str]
    tags: Mapping[str, str]
    global_account_id: str


class ImageMirrorWebhook(pulumi.ComponentResource):
    """Repositories with the known images; a webhook that rewrites, and copies, all others.

    A pod is sent to API Gateway by a MutatingWebhookConfiguration, judged by a Lambda function
    within its own region, and never held up: failurePolicy is Ignore, and a missing image is copied
    by a CodeBuild project of the global region while the kubelet retries.

    EKS cannot sign calls to webhooks, so the API has no authorizer; its path is generated, secret
    and logged nowhere, and its rate is limited. In China such an API answers only once the account
    has an ICP filing (docs.amazonaws.cn aws/userguide/api-gateway.html).

    Attributes:
        registry: ``<ecr host>/<prefix>`` of every copy.
        webhook_url: where the API server sends reviews; secret.
        ready: what pods depend on: the copies of known images, the rewriting of all others.
    """

    registry: pulumi.Output[str]
    webhook_url: pulumi.Output[str]
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
            ),
            here,
        )
        stage = self._api(name, args, functions.admission)
        configuration = kubernetes_objects.register(
            webhook_configuration(self.webhook_url),
            name=f"{name}-configuration",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[stage]),
        )
        self.ready = [configuration]
        if args.settings.image_mirror.inventory_first:
            self.ready.append(self._inventory(name, args, build, [repositories, build]))
        if args.region.has(Feature.UNAUTHENTICATED_API_NEEDS_ICP):
            pulumi.log.info(
                f"API Gateway in {args.region.name} answers 403 until the account has an ICP "
                "filing; pods then start with the images they name.",
                self,
            )
        self.register_outputs({"registry": self.registry, "webhook_url": self.webhook_url})

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

    def _api(
        self, name: str, args: ImageMirrorWebhookArgs, function: aws.lambda_.Function
    ) -> aws.apigatewayv2.Stage:
        here = pulumi.ResourceOptions(parent=self)
        cluster = args.settings.cluster.name
        # Letters and digits: the URL needs no quoting.
        path = GeneratedSecret(f"{name}-path", length=40, opts=here)
        api = aws.apigatewayv2.Api(
            f"{name}-api",
            name=f"{cluster}-image-admission",
            description="Admission of pods by the image mirror",
            protocol_type="HTTP",
            tags={**args.tags, "Name": f"{cluster}-image-admission"},
            opts=here,
        )
        integration = aws.apigatewayv2.Integration(
            f"{name}-integration",
            api_id=api.id,
            integration_type="AWS_PROXY",
            integration_uri=function.invoke_arn,
            payload_format_version="2.0",
            timeout_milliseconds=_TIMEOUT_SECONDS * 1000 - 500,
            opts=here,
        )
        route = aws.apigatewayv2.Route(
            f"{name}-route",
            api_id=api.id,
            route_key=pulumi.Output.secret(pulumi.Output.concat("POST /", path.value)),
            target=pulumi.Output.concat("integrations/", integration.id),
            opts=here,
        )
        group = f"/aws/apigateway/{cluster}-image-admission"
        log = aws.cloudwatch.LogGroup(
            f"{name}-api-log",
            name=group,
            retention_in_days=_LOG_DAYS,
            tags={**args.tags, "Name": group},
            opts=here,
        )
        stage = aws.apigatewayv2.Stage(
            f"{name}-stage",
            api_id=api.id,
            name="$default",
            auto_deploy=True,
            default_route_settings={"throttling_rate_limit": 100, "throttling_burst_limit": 200},
            access_log_settings={
                "destination_arn": log.arn,
                "format": json.dumps({field: f"$context.{field}" for field in _LOGGED}),
            },
            tags={**args.tags, "Name": f"{cluster}-image-admission"},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[route]),
        )
        aws.lambda_.Permission(
            f"{name}-api",
            function=function.name,
            action="lambda:InvokeFunction",
            principal=args.region.service_principal("apigateway"),
            source_arn=pulumi.Output.concat(api.execution_arn, "/*/*"),
            opts=here,
        )
        self.webhook_url = pulumi.Output.secret(
            pulumi.Output.concat(api.api_endpoint, "/", path.value)
        )
        return stage


def webhook_configuration(url: pulumi.Input[str]) -> dict[str, Any]:
    """The MutatingWebhookConfiguration that sends pods to ``url``.

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
                "clientConfig": {"url": url},
                "failurePolicy": "Ignore",
                "matchPolicy": "Equivalent",
                "reinvocationPolicy": "IfNeeded",
                "sideEffects": "NoneOnDryRun",
                "timeoutSeconds": _TIMEOUT_SECONDS,
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
