"""A thing of each type in moto, made by the API of its service, and the inputs that describe it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3

from tests.ops.account import TRUST

REGION = "us-west-2"
TAGS = {"Name": "it", "stack": REGION}
Inputs = dict[str, Any]
Maker = Callable[[], tuple[Inputs, str]]


def client(service: str) -> Any:
    make: Any = boto3.client
    return make(service, region_name=REGION)


def pairs(key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    return [{key: name, value: text} for name, text in TAGS.items()]


def ec2(operation: str, answer: str, id_: str, kind: str, **parameters: Any) -> str:
    """The id of something made with the tags."""
    tags = [{"ResourceType": kind, "Tags": pairs()}]
    made = getattr(client("ec2"), operation)(TagSpecifications=tags, **parameters)
    return str(made[answer][id_] if answer else made[id_])


def vpc() -> tuple[Inputs, str]:
    id_ = ec2("create_vpc", "Vpc", "VpcId", "vpc", CidrBlock="10.1.0.0/16")
    return {"cidrBlock": "10.1.0.0/16", "tags": TAGS}, id_


def subnet() -> tuple[Inputs, str]:
    inputs = {"vpcId": vpc()[1], "cidrBlock": "10.1.1.0/24"}
    parameters = {"VpcId": inputs["vpcId"], "CidrBlock": inputs["cidrBlock"]}
    id_ = ec2("create_subnet", "Subnet", "SubnetId", "subnet", **parameters)
    return {**inputs, "tags": TAGS}, id_


def internet_gateway() -> tuple[Inputs, str]:
    kind = "internet-gateway"
    id_ = ec2("create_internet_gateway", "InternetGateway", "InternetGatewayId", kind)
    return {"vpcId": "vpc-1", "tags": TAGS}, id_


def eip() -> tuple[Inputs, str]:
    id_ = ec2("allocate_address", "", "AllocationId", "elastic-ip", Domain="vpc")
    return {"domain": "vpc", "tags": TAGS}, id_


def nat_gateway() -> tuple[Inputs, str]:
    inputs = {"subnetId": subnet()[1], "allocationId": eip()[1], "tags": TAGS}
    parameters = {"SubnetId": inputs["subnetId"], "AllocationId": inputs["allocationId"]}
    id_ = ec2("create_nat_gateway", "NatGateway", "NatGatewayId", "natgateway", **parameters)
    return inputs, id_


def route_table() -> tuple[Inputs, str]:
    inputs = {"vpcId": vpc()[1], "tags": TAGS}
    kind = "route-table"
    return inputs, ec2(
        "create_route_table", "RouteTable", "RouteTableId", kind, VpcId=inputs["vpcId"]
    )


def route() -> tuple[Inputs, str]:
    table = route_table()[1]
    gateway, cidr = internet_gateway()[1], "0.0.0.0/0"
    target = {"DestinationCidrBlock": cidr, "GatewayId": gateway}
    client("ec2").create_route(RouteTableId=table, **target)
    return {"routeTableId": table, "destinationCidrBlock": cidr}, f"{table}_{cidr}"


def route_table_association() -> tuple[Inputs, str]:
    inputs, id_ = subnet()
    other = client("ec2").create_route_table(VpcId=inputs["vpcId"])["RouteTable"]["RouteTableId"]
    client("ec2").associate_route_table(RouteTableId=other, SubnetId=id_)
    return {"routeTableId": other, "subnetId": id_}, f"{id_}/{other}"


def security_group() -> tuple[Inputs, str]:
    inputs = {"vpcId": vpc()[1], "tags": TAGS}
    parameters = {"GroupName": "it", "Description": "it", "VpcId": inputs["vpcId"]}
    id_ = ec2("create_security_group", "", "GroupId", "security-group", **parameters)
    return inputs, id_


def ingress_rule() -> tuple[Inputs, str]:
    group = security_group()[1]
    rule = {"FromPort": 443, "ToPort": 443, "IpProtocol": "tcp"}
    authorize = client("ec2").authorize_security_group_ingress
    authorize(GroupId=group, IpPermissions=[{**rule, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}])
    made = authorize(
        GroupId=group, IpPermissions=[{**rule, "IpRanges": [{"CidrIp": "10.1.0.0/16"}]}]
    )
    id_ = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    ports = {"fromPort": 443, "toPort": 443, "ipProtocol": "tcp"}
    return {**ports, "securityGroupId": group, "cidrIpv4": "10.1.0.0/16"}, id_


def egress_rule() -> tuple[Inputs, str]:
    """To another group; everywhere else, and back, are rules besides."""
    group, other = security_group()[1], security_group()[1]
    rule = {"FromPort": 443, "ToPort": 443, "IpProtocol": "tcp"}
    to_other = {"IpPermissions": [{**rule, "UserIdGroupPairs": [{"GroupId": other}]}]}
    client("ec2").authorize_security_group_ingress(GroupId=group, **to_other)
    made = client("ec2").authorize_security_group_egress(GroupId=group, **to_other)
    id_ = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    ports = {"fromPort": 443, "toPort": 443, "ipProtocol": "tcp"}
    return {**ports, "securityGroupId": group, "referencedSecurityGroupId": other}, id_


def vpc_endpoint() -> tuple[Inputs, str]:
    inputs = {"vpcId": vpc()[1], "serviceName": f"com.amazonaws.{REGION}.s3", "tags": TAGS}
    parameters = {"VpcId": inputs["vpcId"], "ServiceName": inputs["serviceName"]}
    kind = "vpc-endpoint"
    return inputs, ec2("create_vpc_endpoint", "VpcEndpoint", "VpcEndpointId", kind, **parameters)


def launch_template() -> tuple[Inputs, str]:
    parameters = {"LaunchTemplateName": "its", "LaunchTemplateData": {"InstanceType": "m5.large"}}
    made = client("ec2").create_launch_template(**parameters)["LaunchTemplate"]
    return {"name": "its"}, made["LaunchTemplateId"]


STATEMENT = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}
DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]})


def role() -> tuple[Inputs, str]:
    client("iam").create_role(RoleName="it", AssumeRolePolicyDocument="{}", Tags=pairs())
    return {"name": "it", "tags": TAGS}, "it"


def role_policy() -> tuple[Inputs, str]:
    role()
    client("iam").put_role_policy(RoleName="it", PolicyName="p", PolicyDocument=DOCUMENT)
    return {"role": "it", "name": "p"}, "it:p"


def policy() -> tuple[Inputs, str]:
    made = client("iam").create_policy(PolicyName="it", PolicyDocument=DOCUMENT)
    return {"name": "it"}, made["Policy"]["Arn"]


def user() -> tuple[Inputs, str]:
    client("iam").create_user(UserName="it", Tags=pairs())
    return {"name": "it", "tags": TAGS}, "it"


def user_policy() -> tuple[Inputs, str]:
    user()
    client("iam").put_user_policy(UserName="it", PolicyName="p", PolicyDocument=DOCUMENT)
    return {"user": "it", "name": "p"}, "it:p"


def access_key() -> tuple[Inputs, str]:
    user()
    made = client("iam").create_access_key(UserName="it")["AccessKey"]
    return {"user": "it"}, made["AccessKeyId"]


def instance_profile() -> tuple[Inputs, str]:
    client("iam").create_instance_profile(InstanceProfileName="it")
    return {"name": "it"}, "it"


def oidc_provider() -> tuple[Inputs, str]:
    create = client("iam").create_open_id_connect_provider
    create(Url="https://example.com/id/A2", ThumbprintList=["0" * 40])
    made = create(Url="https://example.com/id/A", ThumbprintList=["0" * 40], Tags=pairs())
    inputs = {"url": "https://example.com/id/A", "tags": TAGS}
    return inputs, made["OpenIDConnectProviderArn"]


def cluster() -> tuple[Inputs, str]:
    network = {"subnetIds": [subnet()[1]]}
    arn = "arn:aws:iam::123456789012:role/it"
    client("eks").create_cluster(name="it", roleArn=arn, resourcesVpcConfig=network, tags=TAGS)
    return {"name": "it", "tags": TAGS}, "it"


def node_group() -> tuple[Inputs, str]:
    cluster()
    client("eks").create_nodegroup(
        clusterName="it",
        nodegroupName="kf",
        subnets=[client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]],
        nodeRole="arn:aws:iam::123456789012:role/it",
        tags=TAGS,
    )
    return {"clusterName": "it", "nodeGroupName": "kf", "tags": TAGS}, "it:kf"


def bucket() -> tuple[Inputs, str]:
    where = {"LocationConstraint": REGION}
    client("s3").create_bucket(Bucket="its-own", CreateBucketConfiguration=where)
    return {"bucket": "its-own", "tags": TAGS}, "its-own"


def table() -> tuple[Inputs, str]:
    client("dynamodb").create_table(
        TableName="it",
        KeySchema=[{"AttributeName": "image", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "image", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        Tags=pairs(),
    )
    return {"name": "it", "tags": TAGS}, "it"


def key() -> tuple[Inputs, str]:
    kms = client("kms")
    ids = [
        kms.create_key(Tags=pairs("TagKey", "TagValue"))["KeyMetadata"]["KeyId"] for _ in range(2)
    ]
    kms.schedule_key_deletion(KeyId=ids[0])
    return {"description": "it", "tags": TAGS}, ids[1]


def alias() -> tuple[Inputs, str]:
    id_ = client("kms").create_key()["KeyMetadata"]["KeyId"]
    client("kms").create_alias(AliasName="alias/it", TargetKeyId=id_)
    return {"name": "alias/it", "targetKeyId": id_}, "alias/it"


def secret() -> tuple[Inputs, str]:
    name = "kf/login-20261128213257031300000001"
    made = client("secretsmanager").create_secret(Name=name, Tags=pairs())
    client("secretsmanager").create_secret(Name="kf/login-of-somebody", Tags=pairs())
    return {"namePrefix": "kf/login-", "tags": TAGS}, made["ARN"]


def database() -> tuple[Inputs, str]:
    made = client("rds").create_db_instance(
        DBInstanceIdentifier="it", DBInstanceClass="db.m6g.large", Engine="mysql", Tags=pairs()
    )["DBInstance"]
    assert made["DbiResourceId"] != "it"
    return {"identifier": "it", "tags": TAGS}, "it"


def file_system() -> tuple[Inputs, str]:
    made = [
        client("efs").create_file_system(CreationToken=name, Encrypted=True, Tags=tags)
        for name, tags in (("it", pairs()), ("theirs", []))
    ]
    return {"encrypted": True, "tags": TAGS}, made[0]["FileSystemId"]


def mount_target() -> tuple[Inputs, str]:
    given = {"FileSystemId": file_system()[1], "SubnetId": subnet()[1]}
    made = client("efs").create_mount_target(**given)
    ids = {"fileSystemId": given["FileSystemId"], "subnetId": given["SubnetId"]}
    return ids, made["MountTargetId"]


def parameter_group() -> tuple[Inputs, str]:
    client("rds").create_db_parameter_group(
        DBParameterGroupName="it", DBParameterGroupFamily="mysql8.4", Description="it"
    )
    return {"name": "it"}, "it"


def subnet_group() -> tuple[Inputs, str]:
    client("rds").create_db_subnet_group(
        DBSubnetGroupName="it", DBSubnetGroupDescription="it", SubnetIds=[subnet()[1]]
    )
    return {"name": "it"}, "it"


def event_rule() -> tuple[Inputs, str]:
    client("events").put_rule(Name="it", EventPattern='{"source": ["aws.ec2"]}')
    return {"name": "it"}, "it"


def log_group() -> tuple[Inputs, str]:
    for name in ("/aws/it", "/aws/it-too"):
        client("logs").create_log_group(logGroupName=name)
    return {"name": "/aws/it"}, "/aws/it"


def queue() -> tuple[Inputs, str]:
    return {"name": "it"}, client("sqs").create_queue(QueueName="it")["QueueUrl"]


def function() -> tuple[Inputs, str]:
    made = client("iam").create_role(
        RoleName="f",
        AssumeRolePolicyDocument=TRUST,
    )
    client("lambda").create_function(
        FunctionName="it",
        Role=made["Role"]["Arn"],
        Code={"ZipFile": b"it"},
        Runtime="python3.13",
        Handler="it.it",
        Tags=TAGS,
    )
    return {"name": "it", "tags": TAGS}, "it"


def permission() -> tuple[Inputs, str]:
    function()
    client("lambda").add_permission(
        FunctionName="it",
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
    )
    return {"function": "it", "statementId": "s"}, "it/s"


def build_project() -> tuple[Inputs, str]:
    client("codebuild").create_project(
        name="its",
        source={"type": "S3", "location": "bucket/key", "buildspec": "{}"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        serviceRole="arn:aws:iam::123456789012:role/service-role/its-own-role",
        tags=pairs("key", "value"),
    )
    return {"name": "its", "tags": TAGS}, "its"


def api() -> tuple[Inputs, str]:
    made = client("apigatewayv2").create_api(Name="it", ProtocolType="HTTP")
    return {"name": "it"}, made["ApiId"]


def integration() -> tuple[Inputs, str]:
    id_ = api()[1]
    inputs = {"apiId": id_, "integrationUri": "arn:aws:lambda:us-west-2:123456789012:function:f"}
    made = client("apigatewayv2").create_integration(
        ApiId=id_, IntegrationType="AWS_PROXY", IntegrationUri=inputs["integrationUri"]
    )
    return inputs, f"{id_}/{made['IntegrationId']}"


def api_route() -> tuple[Inputs, str]:
    id_ = api()[1]
    create = client("apigatewayv2").create_route
    create(ApiId=id_, RouteKey="POST /other", Target="integrations/other")
    made = create(ApiId=id_, RouteKey="POST /x", Target="integrations/it")
    return {"apiId": id_, "target": "integrations/it"}, f"{id_}/{made['RouteId']}"


def stage() -> tuple[Inputs, str]:
    id_ = api()[1]
    client("apigatewayv2").create_stage(ApiId=id_, StageName="$default")
    return {"apiId": id_, "name": "$default"}, f"{id_}/$default"


MADE: dict[str, Maker] = {
    "aws:apigatewayv2/api:Api": api,
    "aws:apigatewayv2/integration:Integration": integration,
    "aws:apigatewayv2/route:Route": api_route,
    "aws:apigatewayv2/stage:Stage": stage,
    "aws:cloudwatch/eventRule:EventRule": event_rule,
    "aws:cloudwatch/logGroup:LogGroup": log_group,
    "aws:codebuild/project:Project": build_project,
    "aws:dynamodb/table:Table": table,
    "aws:ec2/eip:Eip": eip,
    "aws:ec2/internetGateway:InternetGateway": internet_gateway,
    "aws:ec2/launchTemplate:LaunchTemplate": launch_template,
    "aws:ec2/natGateway:NatGateway": nat_gateway,
    "aws:ec2/route:Route": route,
    "aws:ec2/routeTable:RouteTable": route_table,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": route_table_association,
    "aws:ec2/securityGroup:SecurityGroup": security_group,
    "aws:ec2/subnet:Subnet": subnet,
    "aws:ec2/vpc:Vpc": vpc,
    "aws:ec2/vpcEndpoint:VpcEndpoint": vpc_endpoint,
    "aws:efs/fileSystem:FileSystem": file_system,
    "aws:efs/mountTarget:MountTarget": mount_target,
    "aws:eks/cluster:Cluster": cluster,
    "aws:eks/nodeGroup:NodeGroup": node_group,
    "aws:iam/accessKey:AccessKey": access_key,
    "aws:iam/instanceProfile:InstanceProfile": instance_profile,
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": oidc_provider,
    "aws:iam/policy:Policy": policy,
    "aws:iam/role:Role": role,
    "aws:iam/rolePolicy:RolePolicy": role_policy,
    "aws:iam/user:User": user,
    "aws:iam/userPolicy:UserPolicy": user_policy,
    "aws:kms/alias:Alias": alias,
    "aws:kms/key:Key": key,
    "aws:lambda/function:Function": function,
    "aws:lambda/permission:Permission": permission,
    "aws:rds/instance:Instance": database,
    "aws:rds/parameterGroup:ParameterGroup": parameter_group,
    "aws:rds/subnetGroup:SubnetGroup": subnet_group,
    "aws:s3/bucket:Bucket": bucket,
    "aws:secretsmanager/secret:Secret": secret,
    "aws:sqs/queue:Queue": queue,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": egress_rule,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": ingress_rule,
}
