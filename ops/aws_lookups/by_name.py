"""Look-ups by a name, or by what a thing belongs to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.aws_lookups.account import Account, Inputs
from ops.aws_lookups.look_up import (
    GONE,
    LookUps,
    Thing,
    plain_tags,
    required_tags,
    tags_of,
    text,
    unready,
)


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
                unready(item.get(self.status)),
                self.state_id.format(**values) or None,
            )


_CLUSTER = {"clusterName": "clusterName"}
_API = {"ApiId": "apiId"}
LOOK_UPS = LookUps(
    {
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
        "aws:cloudwatch/eventRule:EventRule": _Call(
            "events.describe_rule", "{name}", {"Name": "name"}
        ),
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
        "aws:iam/user:User": _Call(
            "iam.get_user", "{name}", {"UserName": "name"}, "User", tags="Tags"
        ),
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
)


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


@LOOK_UPS.of("aws:iam/role:Role")
def _role(account: Account, inputs: Inputs) -> Iterator[Thing]:
    names = [_name_or_prefix(inputs)]
    if "name" not in inputs:
        names = [role["RoleName"] for role in account.all("iam", "list_roles", "Roles")]
    for name in names:
        if _is_named(inputs, name) and (answer := account.one("iam", "get_role", RoleName=name)):
            yield from _with_tags(Thing(name, plain_tags(answer["Role"].get("Tags") or [])), inputs)


@LOOK_UPS.of("aws:iam/accessKey:AccessKey")
def _access_key(account: Account, inputs: Inputs) -> Iterator[Thing]:
    """Its secret part was in the answer to the creation alone, so that no stack can use it."""
    user = text(inputs, "user")
    for item in account.all("iam", "list_access_keys", "AccessKeyMetadata", UserName=user):
        key = item["AccessKeyId"]
        command = f"aws iam delete-access-key --user-name {user} --access-key-id {key}"
        yield Thing(key, deletion=command)


@LOOK_UPS.of("aws:iam/openIdConnectProvider:OpenIdConnectProvider")
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


@LOOK_UPS.of("aws:dynamodb/table:Table")
def _table(account: Account, inputs: Inputs) -> Iterator[Thing]:
    name = text(inputs, "name")
    if answer := account.one("dynamodb", "describe_table", TableName=name):
        table = answer["Table"]
        arn = table["TableArn"]
        tags = account.all("dynamodb", "list_tags_of_resource", "Tags", ResourceArn=arn)
        yield Thing(name, plain_tags([*tags]), unready(table["TableStatus"]))


@LOOK_UPS.of("aws:kms/key:Key")
def _key(account: Account, inputs: Inputs) -> Iterator[Thing]:
    filters = [{"Key": name, "Values": [value]} for name, value in required_tags(inputs).items()]
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


@LOOK_UPS.of("aws:efs/fileSystem:FileSystem")
def _file_system(account: Account, inputs: Inputs) -> Iterator[Thing]:
    tags = required_tags(inputs)
    for item in account.all("efs", "describe_file_systems", "FileSystems"):
        state = item["LifeCycleState"]
        if state not in GONE and tags.items() <= plain_tags(item["Tags"]).items():
            yield Thing(item["FileSystemId"], status=unready(state))


@LOOK_UPS.of("aws:secretsmanager/secret:Secret")
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


@LOOK_UPS.of("aws:lambda/permission:Permission")
def _permission(account: Account, inputs: Inputs) -> Iterator[Thing]:
    function, statement = text(inputs, "function"), text(inputs, "statementId")
    answer = account.one("lambda", "get_policy", FunctionName=function)
    for item in json.loads(answer.get("Policy", "{}")).get("Statement", []):
        if item.get("Sid") == statement:
            yield Thing(f"{function}/{statement}", state_id=statement)
