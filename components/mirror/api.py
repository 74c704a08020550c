"""The image mirror's admission behind API Gateway: for clusters whose webhooks may go outside."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.dynamic.generated_secret import GeneratedSecret
from components.mirror.build import LOG_DAYS
from regions.region import Feature
from settings.context import StackContext

TIMEOUT_SECONDS = 5
RATE_LIMIT, RATE_BURST = 100, 200
"""Reviews a second, and at once."""
# Nothing here may tell the path, which is what keeps strangers out (docs.aws.amazon.com
# apigateway/latest/developerguide/http-api-logging-variables.html).
_LOGGED = ("requestId", "requestTime", "status", "responseLatency", "integrationErrorMessage")


@dataclass(frozen=True, kw_only=True)
class ImageMirrorApiArgs:
    """Arguments of ``ImageMirrorApi``.

    Attributes:
        context: what all components of the stack share.
        function: answers admission reviews.
    """

    context: StackContext
    function: aws.lambda_.Function


class ImageMirrorApi(pulumi.ComponentResource):
    """An HTTP API with one secret path and a limited rate.

    EKS cannot sign calls to webhooks, so the API has no authorizer; its path is generated, secret
    and logged nowhere. In China such an API answers only once the account has an ICP filing
    (docs.amazonaws.cn aws/userguide/api-gateway.html).

    Attributes:
        url: where the API server sends reviews; secret.
        stage: who sends reviews depends on it.
    """

    url: pulumi.Output[str]
    stage: aws.apigatewayv2.Stage

    def __init__(
        self, name: str, args: ImageMirrorApiArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:ImageMirrorApi", name, None, opts)
        here = pulumi.ResourceOptions(parent=self)
        called = f"{args.context.cluster}-image-admission"
        # Letters and digits: the URL needs no quoting.
        path = GeneratedSecret(f"{name}-path", length=40, opts=here)
        api = aws.apigatewayv2.Api(
            f"{name}-api",
            name=called,
            description="Admission of pods by the image mirror",
            protocol_type="HTTP",
            tags=args.context.tagged(called),
            opts=here,
        )
        integration = aws.apigatewayv2.Integration(
            f"{name}-integration",
            api_id=api.id,
            integration_type="AWS_PROXY",
            integration_uri=args.function.invoke_arn,
            payload_format_version="2.0",
            timeout_milliseconds=TIMEOUT_SECONDS * 1000 - 500,
            opts=here,
        )
        route = aws.apigatewayv2.Route(
            f"{name}-route",
            api_id=api.id,
            route_key=pulumi.Output.secret(pulumi.Output.concat("POST /", path.value)),
            target=pulumi.Output.concat("integrations/", integration.id),
            opts=here,
        )
        group = f"/aws/apigateway/{called}"
        log = aws.cloudwatch.LogGroup(
            f"{name}-api-log",
            name=group,
            retention_in_days=LOG_DAYS,
            tags=args.context.tagged(group),
            opts=here,
        )
        self.stage = aws.apigatewayv2.Stage(
            f"{name}-stage",
            api_id=api.id,
            name="$default",
            auto_deploy=True,
            default_route_settings={
                "throttling_rate_limit": RATE_LIMIT,
                "throttling_burst_limit": RATE_BURST,
            },
            access_log_settings={
                "destination_arn": log.arn,
                "format": json.dumps({field: f"$context.{field}" for field in _LOGGED}),
            },
            tags=args.context.tagged(called),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[route]),
        )
        aws.lambda_.Permission(
            f"{name}-api",
            function=args.function.name,
            action="lambda:InvokeFunction",
            principal=args.context.region.service_principal("apigateway"),
            source_arn=pulumi.Output.concat(api.execution_arn, "/*/*"),
            opts=here,
        )
        self.url = pulumi.Output.secret(pulumi.Output.concat(api.api_endpoint, "/", path.value))
        region = args.context.region
        if region.has(Feature.UNAUTHENTICATED_API_NEEDS_ICP):
            pulumi.log.info(
                f"API Gateway in {region.name} answers 403 until the account has an ICP "
                "filing; pods then start with the images they name.",
                self,
            )
        self.register_outputs({"url": self.url})
