"""Parts of plans that policies judge: what is changed in one, and what stands beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from policies.model import Stack
from tests.policies.stacks import beside, changed, resource

CN, US, API = "cn-north-1", "us-west-2", "copies through an API Gateway"
FILES = "shared files"
Inputs = dict[str, Any]

BUCKET = "aws:s3/bucket:Bucket backend-artifacts"
TLS_ONLY = "aws:s3/bucketPolicy:BucketPolicy backend-artifacts-tls-only"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock backend-artifacts-private"
DATABASE = "aws:rds/instance:Instance backend-database"
CLUSTER = "aws:eks/cluster:Cluster cluster-control-plane-eks-eksCluster"
INGRESS = (
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule cluster-network-endpoints-https"
)
GROUP = "aws:ec2/securityGroup:SecurityGroup backend-database-clients"
POOL = "kubernetes:karpenter.sh/v1:NodePool gpu-node-pool"
NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass gpu-node-class"
NODES = "aws:eks/nodeGroup:NodeGroup cluster-nodes-group"
KEY = "aws:kms/key:Key backend-key"
QUEUE = "aws:sqs/queue:Queue gpu-interruption"
EFS = "aws:efs/fileSystem:FileSystem backend-shared-files"
LIFECYCLE = "aws:iam/policy:Policy gpu-node-lifecycle"


def put(path: str, value: Any) -> Callable[[Inputs], None]:
    """Writes a value at a path like ``spec.taints.0.key``."""

    def change(inputs: Inputs) -> None:
        *before, last = path.split(".")
        at: Any = inputs
        for part in before:
            at = at[int(part)] if isinstance(at, list) else at[part]
        at[last] = value

    return change


def drop(key: str) -> Callable[[Inputs], object]:
    return lambda inputs: inputs.pop(key)


def statement(key: str, **values: Any) -> Callable[[Inputs], None]:
    """Adds a statement to the policy document at a key."""

    def change(inputs: Inputs) -> None:
        document = json.loads(inputs[key])
        document["Statement"].append({"Effect": "Allow", **values})
        inputs[key] = json.dumps(document)

    return change


def cluster(**values: Any) -> Callable[[Inputs], None]:
    return lambda inputs: inputs["vpcConfig"].update(values)


def pod(**container: Any) -> Mapping[str, Any]:
    return {
        "kind": "Deployment",
        "spec": {"template": {"spec": {"containers": [{"name": "main", **container}]}}},
    }


def deployment(**container: Any) -> Stack:
    return beside(CN, resource("kubernetes:apps/v1:Deployment", "a/b", **pod(**container)))


def secret(**values: Any) -> Stack:
    return beside(CN, resource("kubernetes:core/v1:Secret", "a/b", kind="Secret", **values))


def service(**values: Any) -> Stack:
    return beside(CN, resource("kubernetes:core/v1:Service", "a/b", kind="Service", **values))


NOT_NARROWED: Sequence[Inputs] = [
    {"Principal": ["*"]},
    {"NotPrincipal": {"AWS": "arn:aws-cn:iam::1:root"}},
    {"Principal": "*", "Condition": {"StringEquals": {}}},
    {"Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
    {"Principal": "*", "Condition": {"StringLike": {"aws:PrincipalArn": "*"}}},
    {"Principal": "*", "Condition": {"StringLike": {"aws:PrincipalArn": "arn:*"}}},
    {"Principal": "*", "Condition": {"StringLike": {"aws:PrincipalArn": "arn:aws-cn:*"}}},
    {"Principal": "*", "Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}},
    {"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": ["0.0.0.0/0"]}}},
]


def grant(**values: Any) -> Stack:
    return changed(CN, LIFECYCLE, statement("policy", **values))


def own_pool(*requirements: Any, limits: Any = None) -> Stack:
    spec = {"template": {"spec": {"requirements": [*requirements]}}, "limits": limits or {}}
    return beside(
        CN, resource("kubernetes:karpenter.sh/v1:NodePool", "own", kind="NodePool", spec=spec)
    )


def needs(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": f"karpenter.k8s.aws/instance-{key}", "operator": operator, "values": [*values]}


NEEDS_ARM = {"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}


def ingress(**annotations: str) -> Stack:
    named = {
        f"alb.ingress.kubernetes.io/{key.replace('_', '-')}": value
        for key, value in annotations.items()
    }
    made = resource(
        "kubernetes:networking.k8s.io/v1:Ingress",
        "a/b",
        kind="Ingress",
        metadata={"annotations": named},
    )
    return beside(CN, made)


def balancer(annotations: Mapping[str, str], **spec: Any) -> Stack:
    named = {f"service.beta.kubernetes.io/{key}": value for key, value in annotations.items()}
    return service(metadata={"annotations": named}, spec={"type": "LoadBalancer", **spec})


OBJECT = "arn:aws-cn:s3:::b"
OWN = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow"
DIGEST = f"sha256:{'0' * 64}"
