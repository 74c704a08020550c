"""AWS: ids and ARNs by resource type, and the other computed properties that the program reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from rehearsal.sample_outputs.resource import SimulatedResource

IDS = {
    "aws:apigatewayv2/api:Api": "{hex:10}",
    "aws:apigatewayv2/integration:Integration": "{hex:7}",
    "aws:apigatewayv2/route:Route": "{hex:7}",
    "aws:cloudwatch/eventTarget:EventTarget": "{rule}-{name}",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "sg-{hex:17}",
    "aws:ec2/eip:Eip": "eipalloc-{hex:17}",
    "aws:ec2/internetGateway:InternetGateway": "igw-{hex:17}",
    "aws:ec2/launchTemplate:LaunchTemplate": "lt-{hex:17}",
    "aws:ec2/natGateway:NatGateway": "nat-{hex:17}",
    "aws:ec2/route:Route": "r-{routeTableId}{hex:10}",
    "aws:ec2/routeTable:RouteTable": "rtb-{hex:17}",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "rtbassoc-{hex:17}",
    "aws:ec2/securityGroup:SecurityGroup": "sg-{hex:17}",
    "aws:ec2/subnet:Subnet": "subnet-{hex:17}",
    "aws:ec2/tag:Tag": "{resourceId},{key}",
    "aws:ec2/vpc:Vpc": "vpc-{hex:17}",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "vpce-{hex:17}",
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": "{ecrRepositoryPrefix}",
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": "{prefix}",
    "aws:eks/accessEntry:AccessEntry": "{clusterName}:{principalArn}",
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": (
        "{clusterName}#{principalArn}#{policyArn}"
    ),
    "aws:eks/addon:Addon": "{clusterName}:{addonName}",
    "aws:eks/nodeGroup:NodeGroup": "{clusterName}:{name}",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": "a-{hex:17}",
    "aws:iam/accessKey:AccessKey": "AKIA{HEX:16}",
    "aws:iam/rolePolicy:RolePolicy": "{role}:{name}",
    "aws:iam/userPolicy:UserPolicy": "{user}:{name}",
    "aws:rds/instance:Instance": "db-{HEX:26}",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "{bucket}",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": "{bucket}",
    "aws:s3/bucketPolicy:BucketPolicy": "{bucket}",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "{bucket}",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "{bucket}"
    ),
    "aws:s3/bucketVersioning:BucketVersioning": "{bucket}",
    "aws:secretsmanager/secretVersion:SecretVersion": "{secretId}|{hex:32}",
    "aws:sqs/queuePolicy:QueuePolicy": "{queueUrl}",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "sgr-{hex:17}",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "sgr-{hex:17}",
}
"""Resource type -> its id, see ``SimulatedResource.text``; any other id is the physical name."""

ARNS = {
    "aws:cloudwatch/eventRule:EventRule": ("events", "rule/{name}"),
    "aws:cloudwatch/logGroup:LogGroup": ("logs", "log-group:{name}"),
    "aws:codebuild/project:Project": ("codebuild", "project/{name}"),
    "aws:dynamodb/table:Table": ("dynamodb", "table/{name}"),
    "aws:eks/nodeGroup:NodeGroup": ("eks", "nodegroup/{clusterName}/{name}/{hex:8}"),
    "aws:iam/instanceProfile:InstanceProfile": ("iam", "instance-profile/{name}"),
    "aws:iam/policy:Policy": ("iam", "policy/{name}"),
    "aws:iam/role:Role": ("iam", "role{path}{name}"),
    "aws:iam/user:User": ("iam", "user/{name}"),
    "aws:lambda/function:Function": ("lambda", "function:{name}"),
    "aws:rds/instance:Instance": ("rds", "db:{name}"),
    "aws:s3/bucket:Bucket": ("s3", "{name}"),
    "aws:secretsmanager/getSecret:getSecret": ("secretsmanager", "secret:{name}-{hex:6}"),
    "aws:secretsmanager/secret:Secret": ("secretsmanager", "secret:{name}-{hex:6}"),
    "aws:sqs/queue:Queue": ("sqs", "{name}"),
}
"""Resource type -> service and resource part of its ARN, see ``SimulatedResource.text``."""

_ARN_IS_ID = (
    "aws:codebuild/project:Project",
    "aws:iam/policy:Policy",
    "aws:secretsmanager/secret:Secret",
)


def outputs(resource: SimulatedResource) -> dict[str, Any]:
    """The computed properties of a resource, with its ``id`` where that is not its name."""
    computed: dict[str, Any] = {}
    if resource.type in IDS:
        computed["id"] = resource.text(IDS[resource.type])
    if resource.type in ARNS:
        service, form = ARNS[resource.type]
        computed["arn"] = resource.arn(service, resource.text(form))
    if resource.type in _ARN_IS_ID:
        computed["id"] = computed["arn"]
    return computed | _OUTPUTS.get(resource.type, lambda _: {})(resource)


def _api(resource: SimulatedResource) -> dict[str, Any]:
    api = resource.hex(10)
    host = f"{api}.execute-api.{resource.region.name}.{resource.region.dns_suffix}"
    return {"apiEndpoint": f"https://{host}", "executionArn": resource.arn("execute-api", api)}


def _database(resource: SimulatedResource) -> dict[str, Any]:
    region = resource.region
    host = f"{resource.physical_name}.{resource.hex(12)}.{region.name}.rds.{region.dns_suffix}"
    return {"address": host, "port": resource.inputs.get("port", 3306)}


def _function(resource: SimulatedResource) -> dict[str, Any]:
    arn = resource.arn("lambda", f"function:{resource.physical_name}")
    path = f"path/2015-03-31/functions/{arn}/invocations"
    return {"invokeArn": resource.region.arn("apigateway", path, account="lambda")}


def _key(resource: SimulatedResource) -> dict[str, Any]:
    digits = resource.hex(32)
    key = "-".join(digits[start:end] for start, end in pairwise((0, 8, 12, 16, 20, 32)))
    return {"id": key, "keyId": key, "arn": resource.arn("kms", f"key/{key}")}


def _launch_template(resource: SimulatedResource) -> dict[str, Any]:
    # Another content is another version: whatever uses the newest one changes with it.
    content = json.dumps(resource.inputs, sort_keys=True, default=str)
    digits = hashlib.sha256(content.encode()).hexdigest()[:4]
    return {"latestVersion": int(digits, 16) + 1}


def _oidc_provider(resource: SimulatedResource) -> dict[str, Any]:
    issuer = str(resource.inputs.get("url", "")).removeprefix("https://")
    arn = resource.arn("iam", f"oidc-provider/{issuer}")
    return {"id": arn, "arn": arn}


def _queue(resource: SimulatedResource) -> dict[str, Any]:
    host = resource.region.service_host("sqs")
    url = f"https://{host}/{resource.account}/{resource.physical_name}"
    return {"id": url, "url": url}


_OUTPUTS: dict[str, Callable[[SimulatedResource], dict[str, Any]]] = {
    "aws:apigatewayv2/api:Api": _api,
    "aws:ec2/eip:Eip": lambda resource: {"allocationId": f"eipalloc-{resource.hex()}"},
    "aws:ec2/launchTemplate:LaunchTemplate": _launch_template,
    "aws:iam/accessKey:AccessKey": lambda key: {"secret": f"simulated-{key.hex(30)}"},
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": _oidc_provider,
    "aws:kms/key:Key": _key,
    "aws:lambda/function:Function": _function,
    "aws:rds/instance:Instance": _database,
    "aws:sqs/queue:Queue": _queue,
}

INVOKES: dict[str, Callable[[SimulatedResource], dict[str, Any]]] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": lambda call: {
        "names": [f"{call.region.name}{letter}" for letter in "abc"],
    },
    "aws:index/getCallerIdentity:getCallerIdentity": lambda call: {"accountId": call.account},
    "aws:secretsmanager/getSecret:getSecret": outputs,
}
"""Data source -> its result."""
