"""Where an interrupted creation left its thing in AWS: a look-up per type of resource.

A look-up returns every thing that the inputs of the creation describe: by the name in them, which
the program or Pulumi gave, else by the stack's tags, which are part of the creation. All calls are
read-only. The ids are those of ``pulumi import`` on each type's page below
https://www.pulumi.com/registry/packages/aws/api-docs/, also in the docstrings of pulumi_aws.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from botocore.exceptions import ClientError

from ops.account_calls import QUICK, aws_call
from settings.aws_session import aws_session
from webhook.claims import error_code

Inputs = Mapping[str, Any]
Tags = Mapping[str, str]

HARMLESS = {
    "aws:cloudwatch/eventTarget:EventTarget": "events:PutTargets updates a target of the same id",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "the group of the VPC is adopted",
    "aws:efs/backupPolicy:BackupPolicy": "elasticfilesystem:PutBackupPolicy replaces",
    "aws:efs/fileSystemPolicy:FileSystemPolicy": "elasticfilesystem:PutFileSystemPolicy replaces",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": (
        "iam:AttachRolePolicy has no error for what is attached"
    ),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": (
        "lambda:PutFunctionEventInvokeConfig overwrites"
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": (
        "s3:PutBucketLifecycleConfiguration replaces"
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": (
        "s3:PutBucketOwnershipControls replaces"
    ),
    "aws:s3/bucketPolicy:BucketPolicy": "s3:PutBucketPolicy replaces",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "s3:PutPublicAccessBlock replaces",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "s3:PutBucketEncryption replaces"
    ),
    "aws:s3/bucketVersioning:BucketVersioning": "s3:PutBucketVersioning replaces",
    "aws:secretsmanager/secretVersion:SecretVersion": (
        "secretsmanager:PutSecretValue makes a newer version the current one"
    ),
    "aws:sqs/queuePolicy:QueuePolicy": "sqs:SetQueueAttributes replaces",
}
"""Type -> why a second creation leaves nothing behind (each API's page in AWS's reference).

Only types whose inputs have no name of their own: a name that Pulumi adds is another one next time,
so that the first thing would stay behind even where the API overwrites.
"""


class Undescribed(Exception):
    """The inputs of a creation lack the value that a look-up is by, or have it encrypted."""


@dataclass(frozen=True)
class Thing:
    """Something that exists in an account.

    Args:
        id: by which the provider imports it.
        tags: None where they are not compared.
        status: AWS's word, where the thing is not ready yet or never will be.
        state_id: the id in a stack's state, where it differs from ``id``.
        deletion: the command that removes it, where a stack cannot take it in.
    """

    id: str
    tags: Tags | None = None
    status: str = ""
    state_id: str | None = None
    deletion: str = ""


class Account:
    """The account, region and endpoints of one AWS provider of a stack."""

    def __init__(self, provider: Inputs) -> None:
        with aws_call("loading the AWS credentials"):
            # As texts, the form in which a provider's inputs are in the state.
            urls: list[dict[str, str]] = json.loads(provider.get("endpoints") or "[]")
            self._urls = urls[0] if urls else {}
            roles = json.loads(provider.get("assumeRoles") or "[]")
            self._session: Any = aws_session(
                {"profile": provider.get("profile"), "assumeRoles": roles},
                provider.get("region"),
                self._urls.get("sts"),
            )
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def id(self) -> str:
        """The account's number."""
        return str(self.one("sts", "get_caller_identity")["Account"])

    def client(self, service: str) -> Any:
        """The client of a service."""
        # One at a time, like a session's clients; its callers may be threads.
        with self._lock, aws_call(service):
            if service not in self._clients:
                url = self._urls.get(service.replace("-", ""))
                self._clients[service] = self._session.client(
                    service, endpoint_url=url, config=QUICK
                )
        return self._clients[service]

    def one(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """The answer of a call; empty where AWS answers that there is no such thing.

        Raises:
            CallFailed: any other error.
        """
        client = self.client(service)
        with aws_call(service):
            try:
                answer: dict[str, Any] = getattr(client, operation)(**parameters)
            except ClientError as error:
                if _ABSENT.search(error_code(error)):
                    return {}
                raise
        return answer

    def all(
        self, service: str, operation: str, key: str = "", **parameters: Any
    ) -> Iterator[dict[str, Any]]:
        """The items below ``key`` in every page of an answer, or the answer; none where absent."""
        client = self.client(service)
        if not client.can_paginate(operation):
            answer = self.one(service, operation, **parameters)
            items = answer.get(key, []) if key else answer
            yield from items if isinstance(items, list) else [items] if items else []
            return
        with aws_call(service):
            try:
                for page in client.get_paginator(operation).paginate(**parameters):
                    yield from page.get(key, [])
            except ClientError as error:
                if not _ABSENT.search(error_code(error)):
                    raise


_ABSENT = re.compile(r"NotFound|NoSuch|NonExistent|DoesNotExist|^404$")
# EC2 lists what failed or was deleted for about an hour.
_GONE = ("deleting", "deleted", "failed", "rejected", "expired")
_UNREADY = ("pending", "creating", "deleting", "failed", "create_failed", "delete_failed")
LookUp = Callable[[Account, Inputs], Iterable[Thing]]
LOOK_UPS: dict[str, LookUp] = {}


def _finds(type_: str) -> Callable[[LookUp], LookUp]:
    def register(look_up: LookUp) -> LookUp:
        LOOK_UPS[type_] = look_up
        return look_up

    return register


def text(inputs: Inputs, key: str) -> str:
    """An input that is plain text.

    Raises:
        Undescribed: it is missing or encrypted.
    """
    value = inputs.get(key)
    if not isinstance(value, str) or not value:
        raise Undescribed(key)
    return value


def tags_of(inputs: Inputs) -> Tags:
    """The tags of the inputs, with the provider's default tags."""
    tags: dict[str, Any] = {**(inputs.get("tagsAll") or {}), **(inputs.get("tags") or {})}
    return {name: value for name, value in tags.items() if isinstance(value, str)}


def _required(inputs: Inputs) -> Tags:
    if tags := tags_of(inputs):
        return tags
    raise Undescribed("tags")


def plain_tags(given: Any) -> Tags:
    """Tags, of which AWS has three forms."""
    if isinstance(given, dict):
        return cast("Tags", given)
    pairs = [{name.lower(): value for name, value in pair.items()} for pair in given]
    return {pair["key"]: pair.get("value", "") for pair in pairs}


def _unready(status: Any) -> str:
    return str(status) if str(status).lower() in _UNREADY else ""


# -- By a name, or by what a thing belongs to -----------------------------------------------------


@dataclass(frozen=True)
class _Call:
    """A call of AWS whose answer has the thing, and how to read it.

    Args:
        operation: ``iam.get_user``.
        id: a template over the inputs in ``by`` and ``where``, and over the item.
        by: parameter of the call -> input; in a tuple where the parameter is a list.
        key: of the item or the items in the answer; empty if the answer is the item.
        where: field of the item -> input that it equals.
        tags: field of the item; empty where they are not compared, because Pulumi's own names are
            unique, or because AWS gets the tags in a later call.
        status: field of the item.
        state_id: as ``id``, where it differs.
        more: parameters.
    """

    operation: str
    id: str
    by: Mapping[str, str | tuple[str]]
    key: str = ""
    where: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: str = ""
    status: str = ""
    state_id: str = ""
    more: Mapping[str, str] = field(default_factory=dict[str, str])

    def __call__(self, account: Account, inputs: Inputs) -> Iterator[Thing]:
        """The things."""
        parameters: dict[str, Any] = dict(self.more)
        texts: dict[str, str] = {name: text(inputs, name) for name in self.where.values()}
        for parameter, name in self.by.items():
            key = name if isinstance(name, str) else name[0]
            value = texts[key] = text(inputs, key)
            parameters[parameter] = value if isinstance(name, str) else [value]
        service, operation = self.operation.split(".")
        for item in account.all(service, operation, self.key, **parameters):
            if any(item.get(name) != texts[key] for name, key in self.where.items()):
                continue
            values = {**item, **texts}
            yield Thing(
                self.id.format(**values),
                plain_tags(item.get(self.tags) or []) if self.tags else None,
                _unready(item.get(self.status)),
                self.state_id.format(**values) or None,
            )


_CLUSTER = {"clusterName": "clusterName"}
_API = {"ApiId": "apiId"}
_BY_NAME: dict[str, LookUp] = {
    "aws:apigatewayv2/api:Api": _Call(
        "apigatewayv2.get_apis", "{ApiId}", {}, "Items", {"Name": "name"}
    ),
    "aws:apigatewayv2/integration:Integration": _Call(
        "apigatewayv2.get_integrations",
        "{apiId}/{IntegrationId}",
        _API,
        "Items",
        {"IntegrationUri": "integrationUri"},
        state_id="{IntegrationId}",
    ),
    # By its target, because its key is the secret path.
    "aws:apigatewayv2/route:Route": _Call(
        "apigatewayv2.get_routes",
        "{apiId}/{RouteId}",
        _API,
        "Items",
        {"Target": "target"},
        state_id="{RouteId}",
    ),
    "aws:apigatewayv2/stage:Stage": _Call(
        "apigatewayv2.get_stages",
        "{apiId}/{name}",
        _API,
        "Items",
        {"StageName": "name"},
        state_id="{name}",
    ),
    "aws:cloudwatch/eventRule:EventRule": _Call("events.describe_rule", "{name}", {"Name": "name"}),
    # EKS, Lambda and CodeBuild make their group themselves if they are first.
    "aws:cloudwatch/logGroup:LogGroup": _Call(
        "logs.describe_log_groups",
        "{name}",
        {"logGroupNamePrefix": "name"},
        "logGroups",
        {"logGroupName": "name"},
    ),
    "aws:codebuild/project:Project": _Call(
        "codebuild.batch_get_projects",
        "{name}",
        {"names": ("name",)},
        "projects",
        tags="tags",
        state_id="{arn}",
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": _Call(
        "ec2.describe_launch_templates",
        "{LaunchTemplateId}",
        {"LaunchTemplateNames": ("name",)},
        "LaunchTemplates",
    ),
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": _Call(
        "ecr.describe_pull_through_cache_rules",
        "{ecrRepositoryPrefix}",
        {"ecrRepositoryPrefixes": ("ecrRepositoryPrefix",)},
        "pullThroughCacheRules",
    ),
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": _Call(
        "ecr.describe_repository_creation_templates",
        "{prefix}",
        {"prefixes": ("prefix",)},
        "repositoryCreationTemplates",
    ),
    "aws:efs/mountTarget:MountTarget": _Call(
        "efs.describe_mount_targets",
        "{MountTargetId}",
        {"FileSystemId": "fileSystemId"},
        "MountTargets",
        {"SubnetId": "subnetId"},
        status="LifeCycleState",
    ),
    "aws:eks/accessEntry:AccessEntry": _Call(
        "eks.describe_access_entry",
        "{clusterName}:{principalArn}",
        {**_CLUSTER, "principalArn": "principalArn"},
        "accessEntry",
        tags="tags",
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": _Call(
        "eks.list_associated_access_policies",
        "{clusterName}#{principalArn}#{policyArn}",
        {**_CLUSTER, "principalArn": "principalArn"},
        "associatedAccessPolicies",
        {"policyArn": "policyArn"},
    ),
    "aws:eks/addon:Addon": _Call(
        "eks.describe_addon",
        "{clusterName}:{addonName}",
        {**_CLUSTER, "addonName": "addonName"},
        "addon",
        tags="tags",
        status="status",
    ),
    "aws:eks/cluster:Cluster": _Call(
        "eks.describe_cluster",
        "{name}",
        {"name": "name"},
        "cluster",
        tags="tags",
        status="status",
    ),
    "aws:eks/nodeGroup:NodeGroup": _Call(
        "eks.describe_nodegroup",
        "{clusterName}:{nodeGroupName}",
        {**_CLUSTER, "nodegroupName": "nodeGroupName"},
        "nodegroup",
        tags="tags",
        status="status",
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": _Call(
        "eks.list_pod_identity_associations",
        "{clusterName},{associationId}",
        {**_CLUSTER, "namespace": "namespace", "serviceAccount": "serviceAccount"},
        "associations",
        state_id="{associationId}",
    ),
    "aws:iam/instanceProfile:InstanceProfile": _Call(
        "iam.get_instance_profile", "{name}", {"InstanceProfileName": "name"}
    ),
    "aws:iam/policy:Policy": _Call(
        "iam.list_policies",
        "{Arn}",
        {},
        "Policies",
        {"PolicyName": "name"},
        more={"Scope": "Local"},
    ),
    "aws:iam/rolePolicy:RolePolicy": _Call(
        "iam.get_role_policy", "{role}:{name}", {"RoleName": "role", "PolicyName": "name"}
    ),
    "aws:iam/user:User": _Call("iam.get_user", "{name}", {"UserName": "name"}, "User", tags="Tags"),
    "aws:iam/userPolicy:UserPolicy": _Call(
        "iam.get_user_policy", "{user}:{name}", {"UserName": "user", "PolicyName": "name"}
    ),
    "aws:kms/alias:Alias": _Call(
        "kms.list_aliases", "{name}", {}, "Aliases", {"AliasName": "name"}
    ),
    "aws:lambda/function:Function": _Call(
        "lambda.get_function", "{name}", {"FunctionName": "name"}, tags="Tags"
    ),
    "aws:rds/instance:Instance": _Call(
        "rds.describe_db_instances",
        "{identifier}",
        {"DBInstanceIdentifier": "identifier"},
        "DBInstances",
        tags="TagList",
        status="DBInstanceStatus",
        state_id="{DbiResourceId}",
    ),
    "aws:rds/parameterGroup:ParameterGroup": _Call(
        "rds.describe_db_parameter_groups",
        "{name}",
        {"DBParameterGroupName": "name"},
        "DBParameterGroups",
    ),
    "aws:rds/subnetGroup:SubnetGroup": _Call(
        "rds.describe_db_subnet_groups",
        "{name}",
        {"DBSubnetGroupName": "name"},
        "DBSubnetGroups",
    ),
    # S3 gets the tags in a call of their own.
    "aws:s3/bucket:Bucket": _Call("s3.head_bucket", "{bucket}", {"Bucket": "bucket"}),
    "aws:sqs/queue:Queue": _Call("sqs.get_queue_url", "{QueueUrl}", {"QueueName": "name"}),
}
LOOK_UPS.update(_BY_NAME)


_UNIQUE_SUFFIX = 26
"""Characters that Terraform adds to a ``namePrefix``: 18 of the time, 8 of a counter.

(hashicorp/terraform-plugin-sdk, helper/id/id.go)
"""


def _name_or_prefix(inputs: Inputs) -> str:
    return text(inputs, "name" if "name" in inputs else "namePrefix")


def _is_named(inputs: Inputs, name: str) -> bool:
    begin = _name_or_prefix(inputs)
    if "name" in inputs:
        return name == begin
    return name.startswith(begin) and len(name) == len(begin) + _UNIQUE_SUFFIX


def _with_tags(thing: Thing, inputs: Inputs) -> Iterator[Thing]:
    """Only with the stack's tags, where the inputs have no more than a prefix of the name."""
    if "name" in inputs or tags_of(inputs).items() <= (thing.tags or {}).items():
        yield thing


@_finds("aws:iam/role:Role")
def _role(account: Account, inputs: Inputs) -> Iterator[Thing]:
    names = [_name_or_prefix(inputs)]
    if "name" not in inputs:
        names = [role["RoleName"] for role in account.all("iam", "list_roles", "Roles")]
    for name in names:
        if _is_named(inputs, name) and (answer := account.one("iam", "get_role", RoleName=name)):
            yield from _with_tags(Thing(name, plain_tags(answer["Role"].get("Tags") or [])), inputs)


@_finds("aws:iam/accessKey:AccessKey")
def _access_key(account: Account, inputs: Inputs) -> Iterator[Thing]:
    """Its secret part was in the answer to the creation alone, so that no stack can use it."""
    user = text(inputs, "user")
    for item in account.all("iam", "list_access_keys", "AccessKeyMetadata", UserName=user):
        key = item["AccessKeyId"]
        command = f"aws iam delete-access-key --user-name {user} --access-key-id {key}"
        yield Thing(key, deletion=command)


@_finds("aws:iam/openIdConnectProvider:OpenIdConnectProvider")
def _oidc_provider(account: Account, inputs: Inputs) -> Iterator[Thing]:
    host = text(inputs, "url").removeprefix("https://")
    operation = "list_open_id_connect_providers"
    for item in account.all("iam", operation, "OpenIDConnectProviderList"):
        arn = item["Arn"]
        if arn.endswith(f":oidc-provider/{host}"):
            answer = account.one(
                "iam", "get_open_id_connect_provider", OpenIDConnectProviderArn=arn
            )
            yield Thing(arn, plain_tags(answer.get("Tags") or []))


@_finds("aws:dynamodb/table:Table")
def _table(account: Account, inputs: Inputs) -> Iterator[Thing]:
    name = text(inputs, "name")
    if answer := account.one("dynamodb", "describe_table", TableName=name):
        table = answer["Table"]
        arn = table["TableArn"]
        tags = account.all("dynamodb", "list_tags_of_resource", "Tags", ResourceArn=arn)
        yield Thing(name, plain_tags([*tags]), _unready(table["TableStatus"]))


@_finds("aws:kms/key:Key")
def _key(account: Account, inputs: Inputs) -> Iterator[Thing]:
    filters = [{"Key": name, "Values": [value]} for name, value in _required(inputs).items()]
    for item in account.all(
        "resourcegroupstaggingapi",
        "get_resources",
        "ResourceTagMappingList",
        ResourceTypeFilters=["kms:key"],
        TagFilters=filters,
    ):
        key = item["ResourceARN"].rsplit("/", 1)[-1]
        metadata = account.one("kms", "describe_key", KeyId=key).get("KeyMetadata", {})
        if metadata.get("KeyState") not in (None, "PendingDeletion"):
            yield Thing(key)


@_finds("aws:efs/fileSystem:FileSystem")
def _file_system(account: Account, inputs: Inputs) -> Iterator[Thing]:
    tags = _required(inputs)
    for item in account.all("efs", "describe_file_systems", "FileSystems"):
        state = item["LifeCycleState"]
        if state not in _GONE and tags.items() <= plain_tags(item["Tags"]).items():
            yield Thing(item["FileSystemId"], status=_unready(state))


@_finds("aws:secretsmanager/secret:Secret")
def _secret(account: Account, inputs: Inputs) -> Iterator[Thing]:
    begin = _name_or_prefix(inputs)
    for item in account.all(
        "secretsmanager",
        "list_secrets",
        "SecretList",
        Filters=[{"Key": "name", "Values": [begin]}],
    ):
        if _is_named(inputs, item["Name"]):
            yield from _with_tags(Thing(item["ARN"], plain_tags(item.get("Tags") or [])), inputs)


@_finds("aws:lambda/permission:Permission")
def _permission(account: Account, inputs: Inputs) -> Iterator[Thing]:
    function, statement = text(inputs, "function"), text(inputs, "statementId")
    answer = account.one("lambda", "get_policy", FunctionName=function)
    for item in json.loads(answer.get("Policy", "{}")).get("Statement", []):
        if item.get("Sid") == statement:
            yield Thing(f"{function}/{statement}", state_id=statement)


# -- EC2: by tags ---------------------------------------------------------------------------------


def _ec2(
    type_: str, operation: str, key: str, id_: str, filtered: str = "Filters", **more: str
) -> None:
    """Register the look-up of a type that EC2 describes by tags and the inputs ``more`` names."""

    def look_up(account: Account, inputs: Inputs) -> Iterator[Thing]:
        tags = _required(inputs)
        values = {f"tag:{name}": value for name, value in tags.items()} | {
            name.replace("_", "-"): text(inputs, given) for name, given in more.items()
        }
        parameters = {filtered: [{"Name": n, "Values": [v]} for n, v in values.items()]}
        for item in account.all("ec2", operation, key, **parameters):
            state = str(item.get("State")).lower()
            if state not in _GONE and tags.items() <= plain_tags(item.get("Tags") or []).items():
                yield Thing(item[id_], status=_unready(state))

    LOOK_UPS[type_] = look_up


_ec2("aws:ec2/vpc:Vpc", "describe_vpcs", "Vpcs", "VpcId", cidr="cidrBlock")
_ec2(
    "aws:ec2/subnet:Subnet",
    "describe_subnets",
    "Subnets",
    "SubnetId",
    vpc_id="vpcId",
    cidr_block="cidrBlock",
)
# Made first and attached in a second call, so not by its VPC.
_ec2(
    "aws:ec2/internetGateway:InternetGateway",
    "describe_internet_gateways",
    "InternetGateways",
    "InternetGatewayId",
)
_ec2("aws:ec2/eip:Eip", "describe_addresses", "Addresses", "AllocationId")
_ec2(
    "aws:ec2/natGateway:NatGateway",
    "describe_nat_gateways",
    "NatGateways",
    "NatGatewayId",
    "Filter",
    subnet_id="subnetId",
)
_ec2(
    "aws:ec2/routeTable:RouteTable",
    "describe_route_tables",
    "RouteTables",
    "RouteTableId",
    vpc_id="vpcId",
)
_ec2(
    "aws:ec2/securityGroup:SecurityGroup",
    "describe_security_groups",
    "SecurityGroups",
    "GroupId",
    vpc_id="vpcId",
)
_ec2(
    "aws:ec2/vpcEndpoint:VpcEndpoint",
    "describe_vpc_endpoints",
    "VpcEndpoints",
    "VpcEndpointId",
    vpc_id="vpcId",
    service_name="serviceName",
)


def _route_tables(account: Account, **parameters: Any) -> Iterator[dict[str, Any]]:
    return account.all("ec2", "describe_route_tables", "RouteTables", **parameters)


@_finds("aws:ec2/route:Route")
def _route(account: Account, inputs: Inputs) -> Iterator[Thing]:
    table, destination = text(inputs, "routeTableId"), text(inputs, "destinationCidrBlock")
    for item in _route_tables(account, RouteTableIds=[table]):
        if any(route.get("DestinationCidrBlock") == destination for route in item["Routes"]):
            yield Thing(f"{table}_{destination}")


@_finds("aws:ec2/routeTableAssociation:RouteTableAssociation")
def _route_table_association(account: Account, inputs: Inputs) -> Iterator[Thing]:
    table, subnet = text(inputs, "routeTableId"), text(inputs, "subnetId")
    for item in _route_tables(account, RouteTableIds=[table]):
        for association in item["Associations"]:
            if association.get("SubnetId") == subnet:
                yield Thing(f"{subnet}/{table}", state_id=association["RouteTableAssociationId"])


@_finds("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
def _egress_rule(account: Account, inputs: Inputs) -> Iterator[Thing]:
    return _rule(account, inputs, egress=True)


@_finds("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
def _ingress_rule(account: Account, inputs: Inputs) -> Iterator[Thing]:
    return _rule(account, inputs, egress=False)


def _rule(account: Account, inputs: Inputs, *, egress: bool) -> Iterator[Thing]:
    filters = [{"Name": "group-id", "Values": [text(inputs, "securityGroupId")]}]
    described = [
        (inputs.get(given), key)
        for given, key in (
            ("cidrIpv4", "CidrIpv4"),
            ("fromPort", "FromPort"),
            ("ipProtocol", "IpProtocol"),
            ("toPort", "ToPort"),
        )
    ]
    for item in account.all(
        "ec2", "describe_security_group_rules", "SecurityGroupRules", Filters=filters
    ):
        source = item.get("ReferencedGroupInfo", {}).get("GroupId")
        if (
            item["IsEgress"] is egress
            and source == inputs.get("referencedSecurityGroupId")
            and all(item.get(key) == value for value, key in described)
        ):
            yield Thing(item["SecurityGroupRuleId"], plain_tags(item.get("Tags", [])))


def things(account: Account, type_: str, inputs: Inputs) -> list[Thing]:
    """Everything that the inputs of a creation describe.

    Raises:
        Undescribed: the inputs lack the value that the look-up is by.
        CallFailed: AWS refuses a call, or is out of reach.
        KeyError: there is no look-up for the type.
    """
    return list(LOOK_UPS[type_](account, inputs))
