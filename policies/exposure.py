"""Nothing of a stack is open to the internet or to every account."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from policies.documents import everybody, listed, statements
from policies.model import UNKNOWN, Resource, Stack, Violation, policy

_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_SCHEME = "service.beta.kubernetes.io/aws-load-balancer-scheme"
_BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")


def _world(cidr: Any) -> bool:
    """Whether a range is the internet, or so much of it that nothing is kept out."""
    try:
        return ipaddress.ip_network(str(cidr), strict=False).prefixlen == 0
    except ValueError:
        return False


@policy("public-database", severity="critical")
def public_database(stack: Stack) -> Iterator[Violation]:
    """No database has an address on the internet."""
    for instance in stack.of("aws:rds/instance:", "aws:rds/clusterInstance:"):
        if instance.inputs.get("publiclyAccessible"):
            yield instance.finding(
                "publiclyAccessible", "it gets an address on the internet; set it to false."
            )


@policy("public-bucket", severity="critical")
def public_bucket(stack: Stack) -> Iterator[Violation]:
    """Every bucket blocks public access in all four ways."""
    blocks = list(stack.only("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"))
    for bucket in stack.only(*_BUCKETS):
        name = bucket.inputs.get("bucket")
        if not any(block.inputs.get("bucket") in (name, UNKNOWN) for block in blocks):
            yield bucket.finding(
                "bucket", "it has no BucketPublicAccessBlock; add one with all four settings true."
            )
    for block in blocks:
        for key in _BLOCKS:
            if block.inputs.get(key) is not True:
                yield block.finding(key, "the bucket can become public; set it to true.")
    for resource in stack.only(*_BUCKETS, "aws:s3/bucketAcl:BucketAcl"):
        if str(resource.inputs.get("acl") or "").startswith(("public", "authenticated-read")):
            yield resource.finding("acl", "everybody reads the bucket; remove it.")


@policy("public-document", severity="critical")
def public_document(stack: Stack) -> Iterator[Violation]:
    """No policy of a bucket, queue, key or secret allows everybody without a condition."""
    for resource in stack.of("aws:"):
        for path, statement in statements(resource):
            if (
                statement.get("Effect") == "Allow"
                and everybody(statement)
                and not statement.get("Condition")
            ):
                yield resource.finding(
                    path,
                    "it allows every account in the world; name the accounts, or add a Condition.",
                    value=statement.get("Sid") or statement.get("Action"),
                )
    for permission in stack.only("aws:lambda/permission:Permission"):
        narrowed = ("sourceArn", "sourceAccount", "principalOrgId")
        if permission.inputs.get("principal") == "*" and not any(
            permission.inputs.get(key) for key in narrowed
        ):
            yield permission.finding(
                "principal", "every account may call the function; name one, or set sourceArn."
            )


@policy("public-endpoint", severity="high")
def public_endpoint(stack: Stack) -> Iterator[Violation]:
    """No API server, function or load balancer answers the whole internet."""
    for cluster in stack.only("aws:eks/cluster:Cluster"):
        # Omitted, EKS makes the endpoint public for everybody (EKS API, VpcConfigRequest).
        if cluster.get("vpcConfig.endpointPublicAccess") is not False:
            cidrs = listed(cluster.get("vpcConfig.publicAccessCidrs"))
            if not cidrs or any(map(_world, cidrs)):
                yield cluster.finding(
                    "vpcConfig.publicAccessCidrs",
                    "the whole internet reaches the API server; "
                    "name address ranges in kubeflow:cluster publicAccessCidrs, or none.",
                )
    for url in stack.only("aws:lambda/functionUrl:FunctionUrl"):
        if url.inputs.get("authorizationType") == "NONE":
            yield url.finding("authorizationType", "everybody calls the function; use AWS_IAM.")
    for route in stack.only("aws:apigatewayv2/route:Route"):
        if (route.inputs.get("authorizationType") or "NONE") == "NONE":
            yield route.finding(
                "authorizationType", "everybody calls the API; use AWS_IAM, JWT or CUSTOM."
            )
    for service in stack.only("kubernetes:core/v1:Service"):
        yield from _load_balancer(service)


def _load_balancer(service: Resource) -> Iterator[Violation]:
    if service.get("spec.type") != "LoadBalancer":
        return
    annotations = service.get("metadata.annotations") or {}
    ranges = listed(service.get("spec.loadBalancerSourceRanges"))
    # The controller's default is internal, that of the in-tree provider is internet-facing
    # (kubernetes-sigs/aws-load-balancer-controller docs/guide/service/annotations.md).
    outside = annotations.get(_SCHEME) == "internet-facing" or (
        _SCHEME not in annotations and not service.get("spec.loadBalancerClass")
    )
    if outside and (not ranges or any(map(_world, ranges))):
        yield service.finding(
            "spec.loadBalancerSourceRanges",
            "the load balancer answers the whole internet; name ranges, or set "
            f"{_SCHEME}: internal.",
        )


@policy("open-ingress", severity="high")
def open_ingress(stack: Stack) -> Iterator[Violation]:
    """No security group admits the whole internet."""
    for rule in stack.only("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"):
        for key in ("cidrIpv4", "cidrIpv6"):
            if _world(rule.inputs.get(key)):
                yield rule.finding(key, _INGRESS)
    for rule in stack.only("aws:ec2/securityGroupRule:SecurityGroupRule"):
        if rule.inputs.get("type") == "ingress":
            yield from _ranges(rule, "")
    groups = ("aws:ec2/securityGroup:", "aws:ec2/defaultSecurityGroup:")
    for group in stack.of(*groups):
        for index in range(len(listed(group.inputs.get("ingress")))):
            yield from _ranges(group, f"ingress.{index}.")


_INGRESS = "the whole internet is admitted; name the range or the security group that needs it."


def _ranges(resource: Resource, prefix: str) -> Iterator[Violation]:
    for key in ("cidrBlocks", "ipv6CidrBlocks"):
        if any(map(_world, listed(resource.get(f"{prefix}{key}")))):
            yield resource.finding(f"{prefix}{key}", _INGRESS)
