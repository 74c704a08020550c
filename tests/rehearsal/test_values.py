"""Values that a simulated provider refuses because AWS or Kubernetes would."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rehearsal import protocol
from rehearsal.inputs import Failure, check
from rehearsal.protocol import SIGNATURE
from webhook import lambda_handler

ROUTE, FUNCTION = "aws:ec2/route:Route", "aws:lambda/function:Function"
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
INTEGRATION = "aws:apigatewayv2/integration:Integration"
ATTEMPTS = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
PROJECT = "aws:codebuild/project:Project"
ROLE, ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
POLICY, USER_POLICY = "aws:iam/policy:Policy", "aws:iam/userPolicy:UserPolicy"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
SECRET, CONFIG_MAP = "kubernetes:core/v1:Secret", "kubernetes:core/v1:ConfigMap"
SERVICE = "kubernetes:core/v1:Service"


def rule(**fields: Any) -> dict[str, Any]:
    return {"securityGroupId": "sg-1", "ipProtocol": "tcp", **fields}


def function(handler: str) -> dict[str, Any]:
    # As the engine receives an AssetArchive (sdk/go/common/resource/sig/sig.go).
    asset = {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "path": lambda_handler.__file__}
    archive = {SIGNATURE: "0def7320c3a5731c473e5ecbe6d01bc7"}
    code = {**archive, "assets": {"webhook/lambda_handler.py": asset}}
    return {"role": "arn", "handler": handler, "code": code}


def policy(**changes: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": ["s3:Get*"], "Resource": "*"}
    statement |= {key: value for key, value in changes.items() if key != "Version"}
    document = {"Version": changes.get("Version", "2012-10-17"), "Statement": [statement]}
    return {"role": "r", "policy": json.dumps(document)}


def of_bucket(**changes: Any) -> dict[str, Any]:
    public = {"Principal": "*", **changes}
    return {"bucket": "b", "policy": policy(**public)["policy"]}


def without(element: str) -> dict[str, Any]:
    document = json.loads(policy()["policy"])
    del document["Statement"][0][element]
    return {"role": "r", "policy": json.dumps(document)}


def trust(**changes: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", **changes}
    return {"assumeRolePolicy": json.dumps({"Version": "2012-10-17", "Statement": statement})}


def long(characters: int) -> str:
    """A document of one statement whose resource makes it so long, without its white space."""
    statement = {"Effect": "Allow", "Action": "s3:Get*", "Resource": ""}
    rest = len(json.dumps({"Statement": [statement]}, separators=(",", ":")))
    return json.dumps({"Statement": [{**statement, "Resource": "a" * (characters - rest)}]})


SERVICE_PRINCIPAL = {"Service": "ec2.amazonaws.com"}


def project(**environment: Any) -> dict[str, Any]:
    whole = {"computeType": "BUILD_GENERAL1_SMALL", "image": "i", "type": "ARM_CONTAINER"}
    return {
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": whole | environment,
        "serviceRole": "r",
        "source": {"type": "NO_SOURCE"},
    }


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "network with host bits": (
        ROUTE,
        {"routeTableId": "r", "destinationCidrBlock": "1.0.0.0/0"},
        "destinationCidrBlock",
    ),
    "network of 33 bits": (RULE, rule(cidrIpv4="10.0.0.0/33"), "cidrIpv4"),
    "port beyond the last": (RULE, rule(fromPort=443, toPort=65536), "toPort"),
    "port of a Service": (SERVICE, {"spec": {"ports": [{"port": 0}]}}, "spec.ports[0].port"),
    "module that the archive lacks": (
        FUNCTION,
        function("webhook.lambda_handles.admit"),
        "handler",
    ),
    "build specification too long": (
        "aws:codebuild/project:Project",
        {
            "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": {"computeType": "BUILD_GENERAL1_SMALL", "image": "i", "type": "ARM_EC2"},
            "serviceRole": "arn",
            "source": {"type": "NO_SOURCE", "buildspec": "x" * 25601},
        },
        "source.buildspec",
    ),
    "function that the module lacks": (FUNCTION, function("webhook.lambda_handler.adm"), "handler"),
    "word that the API does not list": (
        INTEGRATION,
        {"apiId": "a", "integrationType": "AWS_PROXZ"},
        "integrationType",
    ),
    "word inside": (PROJECT, project(type="ARM_CONTAINES"), "environment.type"),
    "word of a list": (
        FUNCTION,
        {"role": "r", "architectures": ["arm65"]},
        "architectures[0]",
    ),
    "key of a certificate": (
        SECRET,
        {"type": "kubernetes.io/tls", "stringData": {"tls.cru": "c", "tls.key": "k"}},
        "data",
    ),
    "Secret that is not encoded": (SECRET, {"data": {"a": "clear text"}}, "data.a"),
    "ConfigMap that is not encoded": (CONFIG_MAP, {"binaryData": {"a": "?"}}, "binaryData.a"),
    "policy that is no JSON": (ROLE_POLICY, {"role": "r", "policy": "{"}, "policy"),
    "policy's version": (ROLE_POLICY, policy(Version="2012-10-18"), "policy.Version"),
    "effect": (ROLE_POLICY, policy(Effect="Bllow"), "policy.Statement[0].Effect"),
    "element of a statement": (ROLE_POLICY, policy(Actioo="s3:*"), "policy.Statement[0].Actioo"),
    "name of a statement": (ROLE_POLICY, policy(Sid="a-b"), "policy.Statement[0].Sid"),
    "action": (ROLE_POLICY, policy(Action="s3.GetObject"), "policy.Statement[0].Action"),
    "kind of principal": (
        BUCKET_POLICY,
        of_bucket(Principal={"Servicf": "ec2.amazonaws.com"}),
        "policy.Statement[0].Principal.Servicf",
    ),
    "condition operator": (
        ROLE_POLICY,
        policy(Condition={"StringEqualt": {"aws:x": "y"}}),
        "policy.Statement[0].Condition.StringEqualt",
    ),
    "condition key": (
        ROLE_POLICY,
        policy(Condition={"StringLike": {"awsx": "y"}}),
        "policy.Statement[0].Condition.StringLike.awsx",
    ),
    "policy of nothing": (ROLE_POLICY, {"role": "r", "policy": "{}"}, "policy.Statement"),
    "policy without statement": (
        ROLE_POLICY,
        {"role": "r", "policy": '{"Version": "2012-10-17", "Statement": []}'},
        "policy.Statement",
    ),
    "statement without effect": (ROLE_POLICY, without("Effect"), "policy.Statement[0].Effect"),
    "statement without action": (ROLE_POLICY, without("Action"), "policy.Statement[0].Action"),
    "statement without resource": (
        ROLE_POLICY,
        without("Resource"),
        "policy.Statement[0].Resource",
    ),
    "action and its opposite": (
        ROLE_POLICY,
        policy(NotAction="s3:Put*"),
        "policy.Statement[0].Action",
    ),
    "identity policy of somebody": (
        ROLE_POLICY,
        policy(NotPrincipal={"AWS": "*"}),
        "policy.Statement[0].Principal",
    ),
    "policy of a bucket for nobody": (
        BUCKET_POLICY,
        {"bucket": "b", "policy": policy()["policy"]},
        "policy.Statement[0].Principal",
    ),
    "trust in nobody": (ROLE, trust(), "assumeRolePolicy.Statement[0].Principal"),
    "trust with a resource": (
        ROLE,
        trust(Principal=SERVICE_PRINCIPAL, Resource="*"),
        "assumeRolePolicy.Statement[0].Resource",
    ),
    "policy beyond 6144": (POLICY, {"policy": long(6145)}, "policy"),
    "policy of a role beyond 10240": (ROLE_POLICY, {"role": "r", "policy": long(10241)}, "policy"),
    "policy of a user beyond 2048": (USER_POLICY, {"user": "u", "policy": long(2049)}, "policy"),
    "trust beyond 2048": (
        ROLE,
        trust(Principal={"AWS": ["a" * 2048]}),
        "assumeRolePolicy",
    ),
    "truth of a condition": (
        ROLE_POLICY,
        policy(Condition={"Bool": {"aws:SecureTransport": "fblse"}}),
        "policy.Statement[0].Condition.Bool.aws:SecureTransport",
    ),
}


@pytest.mark.parametrize(("type_", "inputs", "path"), REFUSED.values(), ids=REFUSED)
def test_an_impossible_value_is_refused_with_its_path(
    type_: str, inputs: dict[str, Any], path: str
) -> None:
    assert [failure.path for failure in check(type_, inputs)] == [path]


def test_a_refusal_names_what_is_missing() -> None:
    inputs = {"type": "kubernetes.io/tls", "stringData": {"tls.key": "k"}}
    assert check(SECRET, inputs) == [Failure("data", "has no tls.crt, which its type requires")]
    assert check(INTEGRATION, {"apiId": "a", "integrationType": "X"}) == [
        Failure("integrationType", "must be one of AWS, HTTP, MOCK, HTTP_PROXY, AWS_PROXY")
    ]


def test_a_refusal_of_a_number_names_the_range() -> None:
    def attempts(retries: int, age: int) -> list[Failure]:
        numbers = {"maximumRetryAttempts": retries, "maximumEventAgeInSeconds": age}
        return check(ATTEMPTS, {"functionName": "f", **numbers})

    assert attempts(2, 60) == attempts(0, 21600) == []
    assert attempts(3, 59) == [
        Failure("maximumEventAgeInSeconds", "must be from 60 to 21600"),
        Failure("maximumRetryAttempts", "must be from 0 to 2"),
    ]


ACCEPTED: dict[str, tuple[str, dict[str, Any]]] = {
    "every address": (ROUTE, {"routeTableId": "r", "destinationCidrBlock": "0.0.0.0/0"}),
    "the last port": (RULE, rule(fromPort=0, toPort=65535)),
    "every port": (RULE, rule(fromPort=-1, toPort=-1, ipProtocol="icmp")),
    "a port by name": (SERVICE, {"spec": {"ports": [{"port": 1, "targetPort": "http"}]}}),
    "a handler of its archive": (FUNCTION, function("webhook.lambda_handler.admit")),
    "code that is an image": (FUNCTION, {"role": "r", "imageUri": "i", "packageType": "Image"}),
    "a late handler": (FUNCTION, function(protocol.UNKNOWN)),
    "a listed word": (PROJECT, project()),
    "an encoded Secret": (SECRET, {"data": {"a": "Y2xlYXI="}}),
    "a late value of a Secret": (SECRET, {"data": {"a": protocol.UNKNOWN}}),
    "every action": (ROLE_POLICY, policy(Action="*", Sid="All1")),
    "all others": (BUCKET_POLICY, of_bucket(Action="*")),
    "trust": (ROLE, trust(Principal=SERVICE_PRINCIPAL)),
    "the longest policies": (POLICY, {"policy": long(6144)}),
    "the longest policy of a role": (ROLE_POLICY, {"role": "r", "policy": long(10240)}),
    "the longest policy of a user": (USER_POLICY, {"user": "u", "policy": long(2048)}),
    "a long policy of a bucket": (BUCKET_POLICY, of_bucket(Resource="a" * 12000)),
    "a condition on sets": (
        ROLE_POLICY,
        policy(Condition={"ForAllValues:StringEqualsIfExists": {"aws:TagKeys": ["a"]}}),
    ),
    "a late policy": (ROLE_POLICY, {"role": "r", "policy": protocol.UNKNOWN}),
}


@pytest.mark.parametrize(("type_", "inputs"), ACCEPTED.values(), ids=ACCEPTED)
def test_a_possible_value_is_taken(type_: str, inputs: dict[str, Any]) -> None:
    assert check(type_, inputs) == []
