"""Nothing of a stack is open to the internet or to every account."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from policies.documents import everybody, listed, narrowed, statements
from policies.model import UNKNOWN, Resource, Stack, Violation, policy

_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_OF_SERVICE = "service.beta.kubernetes.io/"
_SCHEME = f"{_OF_SERVICE}aws-load-balancer-scheme"
_INTERNAL = f"{_OF_SERVICE}aws-load-balancer-internal"
_RANGES = f"{_OF_SERVICE}load-balancer-source-ranges"
_OF_INGRESS = "alb.ingress.kubernetes.io/"
_BALANCERS = (
    "aws:lb/loadBalancer:LoadBalancer",
    "aws:alb/loadBalancer:LoadBalancer",
    "aws:elb/loadBalancer:LoadBalancer",
)
_BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")


# No registry gives one network a wider range (https://www.iana.org/assignments/ipv4-address-space,
# /ipv6-unicast-address-assignments), and two halves are the whole.
_WIDEST = {4: 8, 6: 19}


def _world(cidr: Any) -> bool:
    """Whether a range is the internet, or so much of it that nothing is kept out."""
    try:
        network = ipaddress.ip_network(str(cidr), strict=False)
    except ValueError:
        return False
    return network.prefixlen < _WIDEST[network.version]


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
                and not narrowed(statement)
            ):
                yield resource.finding(
                    path,
                    "it allows every account in the world; name the accounts, or add a "
                    "Condition that holds it to some.",
                    value=statement.get("Sid") or statement.get("Action"),
                )
    for permission in stack.only("aws:lambda/permission:Permission"):
        narrowing = ("sourceArn", "sourceAccount", "principalOrgId")
        if permission.inputs.get("principal") == "*" and not any(
            permission.inputs.get(key) for key in narrowing
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
    for balancer in stack.only(*_BALANCERS):
        if balancer.inputs.get("internal") is not True:
            yield balancer.finding("internal", "it answers the whole internet; set it to true.")
    for service in stack.only("kubernetes:core/v1:Service"):
        yield from _load_balancer(service)
    for ingress in stack.of("kubernetes:networking.k8s.io/"):
        yield from _ingress(ingress)


def _load_balancer(service: Resource) -> Iterator[Violation]:
    if service.get("spec.type") != "LoadBalancer":
        return
    annotations = service.get("metadata.annotations") or {}
    ranges = [
        *listed(service.get("spec.loadBalancerSourceRanges")),
        *str(annotations.get(_RANGES, "")).replace(",", " ").split(),
    ]
    if _SCHEME in annotations:
        outside = annotations[_SCHEME] == "internet-facing"
    elif _INTERNAL in annotations:
        outside = str(annotations[_INTERNAL]).lower() not in ("true", "0.0.0.0/0")
    else:
        # The controller's default is internal, that of the in-tree provider is internet-facing
        # (kubernetes-sigs/aws-load-balancer-controller docs/guide/service/annotations.md).
        outside = not service.get("spec.loadBalancerClass")
    if outside and (not ranges or any(map(_world, ranges))):
        yield service.finding(
            "spec.loadBalancerSourceRanges",
            "the load balancer answers the whole internet; name ranges, or set "
            f"{_SCHEME}: internal.",
        )


def _ingress(ingress: Resource) -> Iterator[Violation]:
    """An ALB (the same controller, docs/guide/ingress/annotations.md)."""
    annotations = ingress.get("metadata.annotations") or {}
    if ingress.inputs.get("kind") != "Ingress":
        return
    cidrs = str(annotations.get(f"{_OF_INGRESS}inbound-cidrs", "")).replace(",", " ").split()
    if annotations.get(f"{_OF_INGRESS}scheme") == "internet-facing" and (
        not cidrs or any(map(_world, cidrs))
    ):
        yield ingress.finding(
            "metadata.annotations",
            "the load balancer answers the whole internet; name ranges in "
            f"{_OF_INGRESS}inbound-cidrs, or set {_OF_INGRESS}scheme: internal.",
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
    for prefixes in stack.only("aws:ec2/managedPrefixList:ManagedPrefixList"):
        for index, entry in enumerate(listed(prefixes.inputs.get("entries"))):
            if _world(entry.get("cidr")):
                yield prefixes.finding(f"entries.{index}.cidr", _INGRESS)
    groups = ("aws:ec2/securityGroup:", "aws:ec2/defaultSecurityGroup:")
    for group in stack.of(*groups):
        for index in range(len(listed(group.inputs.get("ingress")))):
            yield from _ranges(group, f"ingress.{index}.")


_INGRESS = "the whole internet is admitted; name the range or the security group that needs it."


def _ranges(resource: Resource, prefix: str) -> Iterator[Violation]:
    for key in ("cidrBlocks", "ipv6CidrBlocks"):
        if any(map(_world, listed(resource.get(f"{prefix}{key}")))):
            yield resource.finding(f"{prefix}{key}", _INGRESS)
