"""The image mirror's admission behind API Gateway, for API servers that reach public addresses."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from components.dynamic.generated_secret import LETTERS_AND_DIGITS
from components.mirror.build import log_group
from components.objects.callers import CallerPaths
from regions.region import Feature
from settings.mirror_context import MirrorContext

TIMEOUT_SECONDS = 5
RATE_LIMIT, RATE_BURST = 100, 200
"""Reviews a second, and at once."""
# Without the path, the secret that admits callers (docs.aws.amazon.com
# apigateway/latest/developerguide/http-api-logging-variables.html).
_LOGGED = ("requestId", "requestTime", "status", "responseLatency", "integrationErrorMessage")


class ImageMirrorApi(pulumi.ComponentResource):
    """An HTTP API with one secret path and a limited rate.

    EKS cannot sign calls to webhooks, so the API has no authorizer; its path is generated, secret
    and not logged. In China such an API answers only once the account has an ICP filing
    (docs.amazonaws.cn aws/userguide/api-gateway.html).

    Args:
        context: of the cluster and its account.
        function: answers admission reviews.

    Attributes:
        url: of reviews; secret.
        stage: a prerequisite of the webhook configuration.
    """

    def __init__(
        self,
        name: str,
        context: MirrorContext,
        function: aws.lambda_.Function,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubeflow:platform:ImageMirrorApi", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        api_name = f"{context.cluster}-image-admission"
        secret = CallerPaths(
            f"{name}-path",
            context.mirror.settings.path_rotation,
            own,
            # As states have it since before there were rotations.
            alphabet=LETTERS_AND_DIGITS,
        )
        api = aws.apigatewayv2.Api(
            f"{name}-api",
            name=api_name,
            description="Admission of pods by the image mirror",
            protocol_type="HTTP",
            tags=context.tagged(api_name),
            opts=own,
        )
        integration = aws.apigatewayv2.Integration(
            f"{name}-integration",
            api_id=api.id,
            integration_type="AWS_PROXY",
            integration_uri=function.invoke_arn,
            payload_format_version="2.0",
            timeout_milliseconds=TIMEOUT_SECONDS * 1000 - 500,
            opts=own,
        )
        routes = [
            aws.apigatewayv2.Route(
                f"{name}-route" if number == 1 else f"{name}-route-{number}",
                api_id=api.id,
                route_key=pulumi.Output.secret(pulumi.Output.concat("POST /", path)),
                target=pulumi.Output.concat("integrations/", integration.id),
                opts=own,
            )
            for number, path in secret.numbered
        ]
        log = log_group(f"{name}-api-log", f"/aws/apigateway/{api_name}", context, own)
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
            tags=context.tagged(api_name),
            opts=pulumi.ResourceOptions(parent=self, depends_on=routes),
        )
        aws.lambda_.Permission(
            f"{name}-api",
            function=function.name,
            action="lambda:InvokeFunction",
            principal=context.region.service_principal("apigateway"),
            source_arn=pulumi.Output.concat(api.execution_arn, "/*/*"),
            opts=own,
        )
        url = pulumi.Output.concat(api.api_endpoint, "/", secret.paths[0])
        self.url = pulumi.Output.secret(url)
        if context.region.has(Feature.UNAUTHENTICATED_API_NEEDS_ICP):
            pulumi.log.info(
                f"API Gateway in {context.region.name} answers 403 until the account has an ICP "
                "filing; pods then start with the images they name.",
                self,
            )
        self.register_outputs({"url": self.url})
