"""The names real providers invent for resources that were given none, with a suffix that is stable.

pulumi-aws appends seven random hexadecimal digits to the resource's name for the property in this
table (its ``AutoName`` marks); here the digits come from the resource, so that two previews agree.
"""

from __future__ import annotations

from google.protobuf.struct_pb2 import Struct

from rehearsal.clouds import Invention

_LOWER = frozenset({"bucket", "identifier", "repository"})

AUTONAMED: dict[str, str] = {
    "aws:apigatewayv2/api:Api": "name",
    "aws:cloudwatch/eventRule:EventRule": "name",
    "aws:cloudwatch/logGroup:LogGroup": "name",
    "aws:codebuild/project:Project": "name",
    "aws:dynamodb/table:Table": "name",
    "aws:ec2/keyPair:KeyPair": "keyName",
    "aws:ec2/launchTemplate:LaunchTemplate": "name",
    "aws:ec2/securityGroup:SecurityGroup": "name",
    "aws:eks/cluster:Cluster": "name",
    "aws:eks/nodeGroup:NodeGroup": "nodeGroupName",
    "aws:iam/instanceProfile:InstanceProfile": "name",
    "aws:iam/policy:Policy": "name",
    "aws:iam/role:Role": "name",
    "aws:iam/rolePolicy:RolePolicy": "name",
    "aws:iam/user:User": "name",
    "aws:kms/alias:Alias": "name",
    "aws:lambda/function:Function": "name",
    "aws:rds/instance:Instance": "identifier",
    "aws:rds/parameterGroup:ParameterGroup": "name",
    "aws:rds/subnetGroup:SubnetGroup": "name",
    "aws:s3/bucket:Bucket": "bucket",
    "aws:scheduler/schedule:Schedule": "name",
    "aws:secretsmanager/secret:Secret": "name",
    "aws:sns/topic:Topic": "name",
    "aws:sqs/queue:Queue": "name",
}
"""Resource type -> the property that gets a name."""


def with_autoname(news: Struct, made: Invention) -> Struct:
    """The inputs with the name the provider would have chosen, where none was given."""
    if made.type.startswith("kubernetes:"):
        return _with_kubernetes_name(news, made)
    key = AUTONAMED.get(made.type)
    if key is None or made.inputs.get(key) or made.inputs.get(f"{key}Prefix"):
        return news
    name = made.physical_name(key)
    if key in _LOWER or made.type.startswith(("aws:ecr/", "aws:rds/")):
        name = name.lower()
    named = Struct()
    named.CopyFrom(news)
    named.fields[key].string_value = f"alias/{name}" if made.type == "aws:kms/alias:Alias" else name
    return named


def _with_kubernetes_name(news: Struct, made: Invention) -> Struct:
    metadata = made.inputs.get("metadata")
    known = isinstance(metadata, dict) and ("name" in metadata or "generateName" in metadata)
    if known or "apiVersion" not in made.inputs:
        return news
    named = Struct()
    named.CopyFrom(news)
    own = named.fields["metadata"].struct_value.fields
    own["name"].string_value = f"{made.name.rsplit('/', 1)[-1]}-{made.hex(8)}".lower()
    return named
