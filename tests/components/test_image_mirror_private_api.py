"""imageMirror.transport private-api: the function behind an API that only the VPC reaches."""

from __future__ import annotations

import json

import pytest

from components.region import Region
from rehearsal.clouds import ACCOUNT
from tests.components.simulated_image_mirror import CACHED, CROSSING, WITHIN, stack
from tests.harness import MASKED, Recorded

API = "aws:apigateway/restApi:RestApi"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
WEBHOOK = "kubernetes:admissionregistration.k8s.io/v1:MutatingWebhookConfiguration"

every_region = pytest.mark.parametrize(
    ("region", "build_region"), [*CROSSING, *WITHIN, *((region, None) for region in CACHED)]
)


def made(region: str, build_region: str | None) -> Recorded:
    return stack(region, build_region, "private-api")


def path_of(recorded: Recorded) -> str:
    return recorded.only("aws:apigateway/resource:Resource").inputs["pathPart"]


def endpoints(recorded: Recorded) -> list[str]:
    """The ids of the endpoints that are the API's own."""
    return recorded.only(API).inputs["endpointConfiguration"]["vpcEndpointIds"]


@every_region
def test_there_is_no_public_api_and_no_pod(region: str, build_region: str | None) -> None:
    recorded = made(region, build_region)
    assert recorded.none("aws:apigatewayv2/api:Api")
    assert recorded.none("kubernetes:apps/v1:Deployment")
    assert recorded.only(API).inputs["endpointConfiguration"]["types"] == "PRIVATE"


@every_region
def test_its_endpoint_is_in_the_clusters_vpc_under_the_partitions_own_name(
    region: str, build_region: str | None
) -> None:
    endpoint = made(region, build_region).only(ENDPOINT)
    prefix = "cn.com.amazonaws" if region.startswith("cn-") else "com.amazonaws"
    assert endpoint.inputs["serviceName"] == f"{prefix}.{region}.execute-api"
    assert endpoint.inputs["vpcEndpointType"] == "Interface"
    assert len(endpoints(made(region, build_region))) == 1
    assert endpoint.inputs["vpcId"] == "vpc-1"
    assert endpoint.inputs["subnetIds"] == ["subnet-1", "subnet-2"]
    # With it the VPC would lose its way to the public APIs of everybody else.
    assert endpoint.inputs["privateDnsEnabled"] is False


@every_region
def test_only_the_control_planes_group_reaches_the_endpoint(
    region: str, build_region: str | None
) -> None:
    recorded = made(region, build_region)
    rule = recorded.only("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").inputs
    assert rule["referencedSecurityGroupId"] == "sg-control-plane"
    assert (rule["fromPort"], rule["toPort"]) == (443, 443)
    assert "cidrIpv4" not in rule


@every_region
def test_the_api_answers_its_own_endpoint_and_no_other(
    region: str, build_region: str | None
) -> None:
    recorded = made(region, build_region)
    policy = recorded.only("aws:apigateway/restApiPolicy:RestApiPolicy").inputs["policy"]
    (statement,) = json.loads(policy)["Statement"]
    api, (endpoint,) = recorded.only(API).outputs, endpoints(recorded)
    assert statement["Action"] == "execute-api:Invoke"
    assert statement["Resource"] == f"{api['executionArn']}/admission/POST/*"
    assert statement["Condition"] == {"StringEquals": {"aws:SourceVpce": endpoint}}
    assert api["executionArn"].startswith(Region.of(region).arn("execute-api", "", account=ACCOUNT))


@every_region
def test_the_address_is_the_apis_name_at_its_endpoint_and_a_secret(
    region: str, build_region: str | None
) -> None:
    recorded = made(region, build_region)
    configuration, there = recorded.only(WEBHOOK), Region.of(region)
    assert configuration.visible["webhooks"][0]["clientConfig"]["url"] == MASKED
    url = configuration.inputs["webhooks"][0]["clientConfig"]["url"]
    api = recorded.only("aws:apigateway/stage:Stage").inputs["restApi"]
    names = "-".join([api, *endpoints(recorded)])
    host = f"{names}.execute-api.{region}.{there.dns_suffix}"
    assert url == f"https://{host}/admission/{path_of(recorded)}"


@every_region
def test_the_path_is_secret_and_logged_nowhere(region: str, build_region: str | None) -> None:
    recorded = made(region, build_region)
    resource = recorded.only("aws:apigateway/resource:Resource")
    assert "pathPart" in resource.secrets
    assert len(path_of(recorded)) == 40
    stage = recorded.only("aws:apigateway/stage:Stage")
    assert "accessLogSettings" not in stage.inputs
    settings = recorded.only("aws:apigateway/methodSettings:MethodSettings").inputs["settings"]
    assert settings["loggingLevel"] == "OFF"
    for each in recorded.all:
        if each.type.startswith("aws:apigateway/") and each.name != resource.name:
            assert path_of(recorded) not in json.dumps(each.visible, default=str), each.name


@every_region
def test_the_rate_is_limited_and_reviews_are_counted(region: str, build_region: str | None) -> None:
    limits = made(region, build_region).only("aws:apigateway/methodSettings:MethodSettings").inputs
    assert limits["methodPath"] == "*/*"
    assert limits["settings"]["throttlingRateLimit"] == 100
    assert limits["settings"]["throttlingBurstLimit"] == 200
    assert limits["settings"]["metricsEnabled"] is True


@every_region
def test_the_function_is_handed_requests_whole_and_by_this_api_alone(
    region: str, build_region: str | None
) -> None:
    recorded = made(region, build_region)
    function = recorded.only("aws:lambda/function:Function", "image-mirror-functions-admission")
    integration = recorded.only("aws:apigateway/integration:Integration").inputs
    assert (integration["type"], integration["httpMethod"]) == ("AWS_PROXY", "POST")
    assert integration["uri"] == function.outputs["invokeArn"]
    assert integration["timeoutMilliseconds"] < 5000
    permission = recorded.only("aws:lambda/permission:Permission").inputs
    execution = recorded.only(API).outputs["executionArn"]
    assert permission["sourceArn"] == f"{execution}/admission/POST/*"


@every_region
def test_it_is_deployed_whole_and_pods_are_judged_only_then(
    region: str, build_region: str | None
) -> None:
    recorded = made(region, build_region)
    deployment = recorded.only("aws:apigateway/deployment:Deployment")
    needed = {kind.rpartition(":")[2] for kind, _ in recorded.dependencies_of(deployment)}
    assert {"RestApiPolicy", "Resource", "Method", "Integration"} <= needed
    before = {kind for kind, _ in recorded.dependencies_of(recorded.only(WEBHOOK))}
    assert "aws:apigateway/stage:Stage" in before
    stage = recorded.dependencies_of(recorded.only("aws:apigateway/stage:Stage"))
    assert ENDPOINT in {kind for kind, _ in stage}


@every_region
def test_all_of_it_carries_the_stacks_tags(region: str, build_region: str | None) -> None:
    tagged = [r for r in made(region, build_region).beneath("image-mirror-api") if r.custom]
    for each in tagged:
        if "tags" in each.inputs:
            assert each.inputs["tags"]["project"] == "kubeflow", each.name
    assert sum("tags" in each.inputs for each in tagged) == 5
