"""The image mirror's admission behind an API that only the cluster's own VPC can reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.generated_secret import GeneratedSecret
from components.image_mirror_api import RATE_BURST, RATE_LIMIT, TIMEOUT_SECONDS
from components.region import Feature, Region

_STAGE = "admission"


@dataclass(frozen=True, kw_only=True)
class ImageMirrorPrivateApiArgs:
    """Arguments of ``ImageMirrorPrivateApi``.

    Attributes:
        region: of the function.
        cluster: name of the cluster; the API is called after it.
        function: answers admission reviews.
        vpc_id, subnet_ids: where the API's endpoint is: the cluster's VPC, its private subnets.
        client_security_group_ids: who may reach it: the control plane's group.
        tags: AWS tags.
    """

    region: Region
    cluster: str
    function: aws.lambda_.Function
    vpc_id: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]
    client_security_group_ids: Sequence[pulumi.Input[str]]
    tags: Mapping[str, str]


class ImageMirrorPrivateApi(pulumi.ComponentResource):
    """A private REST API with one secret path, a limited rate and an endpoint of its own.

    The control plane reaches it where EKS sends its requests through the VPC
    (``cluster.controlPlaneEgress``). There is no access log: a REST API writes one with a role that
    is set for all APIs of an account and region at once (API Gateway developer guide, set-up-
    logging), which no stack may own. The function logs each review, and CloudWatch counts the rest.

    Attributes:
        url: where the API server sends reviews; secret.
        stage: who sends reviews depends on it.
    """

    url: pulumi.Output[str]
    stage: aws.apigateway.Stage

    def __init__(
        self, name: str, args: ImageMirrorPrivateApiArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:ImageMirrorPrivateApi", name, None, opts)
        here = pulumi.ResourceOptions(parent=self)
        called = f"{args.cluster}-image-admission"
        endpoint, ways = self._endpoint(name, args)
        api = aws.apigateway.RestApi(
            f"{name}-api",
            name=called,
            description="Admission of pods by the image mirror, from inside the VPC",
            endpoint_configuration={"types": "PRIVATE", "vpc_endpoint_ids": [endpoint.id]},
            tags={**args.tags, "Name": called},
            opts=here,
        )
        policy = aws.apigateway.RestApiPolicy(
            f"{name}-api",
            rest_api_id=api.id,
            policy=pulumi.Output.json_dumps(
                pulumi.Output.all(api.execution_arn, endpoint.id).apply(
                    lambda found: endpoint_policy(found[0], found[1])
                )
            ),
            opts=here,
        )
        path, parts = self._path(name, args, api)
        deployment = aws.apigateway.Deployment(
            f"{name}-deployment",
            rest_api=api.id,
            description="Admission of pods",
            # What a stage serves is a copy: whatever changes below makes another one.
            triggers={
                "policy": policy.policy,
                **{f"part-{number}": part.id for number, part in enumerate(parts)},
            },
            # Without a policy a private API cannot be deployed.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy, *parts]),
        )
        self.stage = aws.apigateway.Stage(
            f"{name}-stage",
            rest_api=api.id,
            deployment=deployment.id,
            stage_name=_STAGE,
            tags={**args.tags, "Name": called},
            opts=pulumi.ResourceOptions(parent=self, depends_on=ways),
        )
        aws.apigateway.MethodSettings(
            f"{name}-limits",
            rest_api=api.id,
            stage_name=self.stage.stage_name,
            method_path="*/*",
            settings={
                "throttling_rate_limit": RATE_LIMIT,
                "throttling_burst_limit": RATE_BURST,
                "metrics_enabled": True,
                "logging_level": "OFF",
            },
            opts=here,
        )
        aws.lambda_.Permission(
            f"{name}-api",
            function=args.function.name,
            action="lambda:InvokeFunction",
            principal=args.region.service_principal("apigateway"),
            source_arn=pulumi.Output.concat(api.execution_arn, "/", _STAGE, "/POST/*"),
            opts=here,
        )
        # The name of the API at its endpoint: public DNS knows its private addresses, so the VPC
        # keeps its way to the public APIs of others, which private DNS would take from it.
        domain = f"execute-api.{args.region.name}.{args.region.dns_suffix}"
        self.url = pulumi.Output.secret(
            pulumi.Output.concat(
                "https://", api.id, "-", endpoint.id, f".{domain}/{_STAGE}/", path.value
            )
        )
        if args.region.has(Feature.UNAUTHENTICATED_API_NEEDS_ICP):
            pulumi.log.info(
                "Whether a private API needs an ICP filing, as others without authorization do in "
                f"{args.region.name}, is not documented. Where it does not answer, pods start with "
                "the images they name.",
                self,
            )
        self.register_outputs({"url": self.url})

    def _endpoint(
        self, name: str, args: ImageMirrorPrivateApiArgs
    ) -> tuple[aws.ec2.VpcEndpoint, list[pulumi.Resource]]:
        """The way into the API, and what opens it to the clients."""
        here = pulumi.ResourceOptions(parent=self)
        called = f"{args.cluster}-image-admission"
        group = aws.ec2.SecurityGroup(
            f"{name}-endpoint",
            description="Admission of pods by the image mirror, for the control plane",
            vpc_id=args.vpc_id,
            tags={**args.tags, "Name": called},
            opts=here,
        )
        admitted = [
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-client-{number}",
                security_group_id=group.id,
                description="HTTPS from the control plane",
                ip_protocol="tcp",
                from_port=443,
                to_port=443,
                referenced_security_group_id=client,
                tags={**args.tags, "Name": called},
                opts=here,
            )
            for number, client in enumerate(args.client_security_group_ids, start=1)
        ]
        endpoint = aws.ec2.VpcEndpoint(
            f"{name}-endpoint",
            vpc_id=args.vpc_id,
            service_name=args.region.vpc_endpoint_service("execute-api"),
            vpc_endpoint_type="Interface",
            private_dns_enabled=False,
            subnet_ids=args.subnet_ids,
            security_group_ids=[group.id],
            tags={**args.tags, "Name": called},
            opts=here,
        )
        return endpoint, [endpoint, *admitted]

    def _path(
        self, name: str, args: ImageMirrorPrivateApiArgs, api: aws.apigateway.RestApi
    ) -> tuple[GeneratedSecret, list[pulumi.CustomResource]]:
        """The one thing that can be asked, and what answers: ``POST`` to a path nobody knows."""
        here = pulumi.ResourceOptions(parent=self)
        # Letters and digits: the URL needs no quoting.
        path = GeneratedSecret(f"{name}-path", length=40, opts=here)
        resource = aws.apigateway.Resource(
            f"{name}-path",
            rest_api=api.id,
            parent_id=api.root_resource_id,
            path_part=path.value,
            opts=here,
        )
        method = aws.apigateway.Method(
            f"{name}-method",
            rest_api=api.id,
            resource_id=resource.id,
            http_method="POST",
            authorization="NONE",
            opts=here,
        )
        integration = aws.apigateway.Integration(
            f"{name}-integration",
            rest_api=api.id,
            resource_id=resource.id,
            http_method=method.http_method,
            type="AWS_PROXY",
            integration_http_method="POST",
            uri=args.function.invoke_arn,
            timeout_milliseconds=TIMEOUT_SECONDS * 1000 - 500,
            opts=here,
        )
        return path, [resource, method, integration]


def endpoint_policy(execution_arn: str, endpoint_id: str) -> dict[str, Any]:
    """The API's own policy: who comes by that endpoint may call it, and nobody else."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "execute-api:Invoke",
                "Resource": f"{execution_arn}/{_STAGE}/POST/*",
                "Condition": {"StringEquals": {"aws:SourceVpce": endpoint_id}},
            }
        ],
    }
