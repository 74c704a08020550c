"""Things in a moto account as a stack, AWS's services and the cluster's controllers make them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3

from tests.ops.account import TRUST

CLUSTER, DATABASE = "kubeflow", "kubeflow-kubeflow"
BUILDS = f"{CLUSTER}-123456789012-cn-north-1"
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}],
    }
)
Pairs = list[dict[str, str]]


@cache
def client_of(service: str, region: str) -> Any:
    """One for all tests: a client takes a tenth of a second."""
    make: Any = boto3.client
    return make(service, region_name=region)


@dataclass(frozen=True)
class Maker:
    """Makes things in one region, with the stack's tags where it has them."""

    region: str
    stack: str

    @property
    def tags(self) -> dict[str, str]:
        return {"project": "kubeflow", "stack": self.stack, "cluster": CLUSTER}

    @property
    def partition(self) -> str:
        return "aws-cn" if self.region.startswith("cn-") else "aws"

    def client(self, service: str) -> Any:
        return client_of(service, self.region)

    def pairs(self, key: str = "Key", value: str = "Value", **more: str) -> Pairs:
        return [{key: name, value: text} for name, text in {**self.tags, **more}.items()]

    def ec2(
        self, operation: str, kind: str, tags: dict[str, str] | None = None, **parameters: Any
    ) -> Any:
        given = self.pairs() if tags is None else [{"Key": k, "Value": v} for k, v in tags.items()]
        specified = [{"ResourceType": kind, "Tags": given}]
        return getattr(self.client("ec2"), operation)(TagSpecifications=specified, **parameters)

    # -- By the program ---------------------------------------------------------------------------

    def network(self) -> str:
        """A VPC with what is in it; returns a subnet."""
        vpc = self.ec2("create_vpc", "vpc", CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        subnet = self.ec2("create_subnet", "subnet", VpcId=vpc, CidrBlock="10.1.1.0/24")
        gateway = self.ec2("create_internet_gateway", "internet-gateway")["InternetGateway"]
        self.client("ec2").attach_internet_gateway(
            InternetGatewayId=gateway["InternetGatewayId"], VpcId=vpc
        )
        address = self.ec2("allocate_address", "elastic-ip", Domain="vpc")["AllocationId"]
        id_ = subnet["Subnet"]["SubnetId"]
        self.ec2("create_nat_gateway", "natgateway", SubnetId=id_, AllocationId=address)
        self.ec2("create_route_table", "route-table", VpcId=vpc)
        service = f"com.amazonaws.{self.region}.s3"
        endpoint: dict[str, Any] = {"ServiceName": service, "VpcEndpointType": "Gateway"}
        self.ec2("create_vpc_endpoint", "vpc-endpoint", VpcId=vpc, **endpoint)
        group: dict[str, Any] = {"GroupName": "clients", "Description": "clients", "VpcId": vpc}
        self.ec2("create_security_group", "security-group", **group)
        return id_

    def identities(self) -> None:
        iam, role = self.client("iam"), {"RoleName": "nodes-1a2b"}
        path = {"Path": "/team/ml/", "Tags": self.pairs()}
        iam.create_role(**role, **path, AssumeRolePolicyDocument=TRUST)
        policy = iam.create_policy(PolicyName="rights", PolicyDocument=POLICY, **path)["Policy"]
        iam.attach_role_policy(**role, PolicyArn=policy["Arn"])
        iam.put_role_policy(**role, PolicyName="own", PolicyDocument=POLICY)
        profile = {"InstanceProfileName": "kubeflow-gpu"}
        iam.create_instance_profile(**profile, **path)
        iam.add_role_to_instance_profile(**profile, **role)
        iam.create_user(UserName="kubeflow-push", **path)
        iam.put_user_policy(UserName="kubeflow-push", PolicyName="push", PolicyDocument=POLICY)
        iam.create_access_key(UserName="kubeflow-push")
        iam.create_open_id_connect_provider(
            Url="https://oidc.eks.example.com/id/A", ThumbprintList=["0" * 40], Tags=self.pairs()
        )

    def platform(self) -> None:
        """What a destroy deletes, in one region."""
        subnet = self.network()
        self.identities()
        self.client("dynamodb").create_table(
            TableName="kubeflow-image-copies",
            KeySchema=[{"AttributeName": "image", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "image", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            Tags=self.pairs(),
        )
        self.client("sqs").create_queue(QueueName="kubeflow-interruptions", tags=self.tags)
        events = self.client("events")
        events.put_rule(Name="spot", EventPattern='{"source": ["aws.ec2"]}', Tags=self.pairs())
        arn = f"arn:{self.partition}:sqs:{self.region}:123456789012:kubeflow-interruptions"
        events.put_targets(Rule="spot", Targets=[{"Id": "queue", "Arn": arn}])
        role = f"arn:{self.partition}:iam::123456789012:role/team/ml/nodes-1a2b"
        self.client("lambda").create_function(
            FunctionName="kubeflow-image-copier",
            Role=role,
            Code={"ZipFile": b"it"},
            Runtime="python3.13",
            Handler="it.it",
            Tags=self.tags,
        )
        self.client("apigatewayv2").create_api(Name="it", ProtocolType="HTTP", Tags=self.tags)
        rds = self.client("rds")
        rds.create_db_parameter_group(
            DBParameterGroupName="kubeflow-1a2b",
            DBParameterGroupFamily="mysql8.4",
            Description="KFP",
            Tags=self.pairs(),
        )
        rds.create_db_subnet_group(
            DBSubnetGroupName="kubeflow-1a2b",
            DBSubnetGroupDescription="private",
            SubnetIds=[subnet],
            Tags=self.pairs(),
        )
        self.database(DeletionProtection=True)

    def database(self, **more: Any) -> None:
        self.client("rds").create_db_instance(
            DBInstanceIdentifier=DATABASE,
            DBInstanceClass="db.m6g.large",
            Engine="mysql",
            BackupRetentionPeriod=7,
            CopyTagsToSnapshot=True,
            Tags=self.pairs(),
            **more,
        )

    def project(self, builds: str = BUILDS) -> None:
        """The project that copies images, with what it logs to."""
        self.client("codebuild").create_project(
            name=f"{builds}-image-copy",
            source={"type": "S3", "location": "bucket/key", "buildspec": "{}"},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
            serviceRole=f"arn:{self.partition}:iam::123456789012:role/service-role/its-own",
            tags=self.pairs("key", "value", **{"copies-images-of": builds}),
        )
        self.logs(f"/aws/codebuild/{builds}-image-copy")

    # -- What a destroy keeps ---------------------------------------------------------------------

    def bucket(self) -> str:
        name, s3 = f"{CLUSTER}-123456789012-{self.region}", self.client("s3")
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.region})
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": self.pairs()})
        s3.put_object(Bucket=name, Key="private-artifacts/run", Body=b"artifact")
        return name

    def files(self, **of_key: str) -> str:
        """A file system with a mount target, as a destroy that ended early leaves it."""
        efs, tags = self.client("efs"), self.pairs()
        made = efs.create_file_system(CreationToken="it", Encrypted=True, Tags=tags, **of_key)
        efs.create_mount_target(FileSystemId=made["FileSystemId"], SubnetId=self.network())
        return made["FileSystemId"]

    def kept(self) -> None:
        """The bucket, both keys, a deleted secret, the last snapshot and the backups."""
        self.bucket()
        kms = self.client("kms")
        for role in ("backend", "secrets"):
            tags = self.pairs("TagKey", "TagValue", Name=f"{CLUSTER}-{role}")
            key = kms.create_key(Tags=tags)["KeyMetadata"]["KeyId"]
        kms.schedule_key_deletion(KeyId=key)
        secrets = self.client("secretsmanager")
        name = f"{CLUSTER}/kubeflow/database-20261128213257031300000001"
        secrets.create_secret(Name=name, SecretString="hidden", Tags=self.pairs())
        secrets.delete_secret(SecretId=name, RecoveryWindowInDays=7)
        rds = self.client("rds")
        self.database()
        rds.delete_db_instance(
            DBInstanceIdentifier=DATABASE,
            FinalDBSnapshotIdentifier=f"{CLUSTER}-kubeflow-final-a1b2c3d4",
            DeleteAutomatedBackups=False,
        )

    # -- By others --------------------------------------------------------------------------------

    def logs(self, *names: str) -> None:
        for name in names:
            self.client("logs").create_log_group(logGroupName=name)

    def others(self) -> None:
        """What services and controllers make, most of it without the stack's tags."""
        self.logs(
            f"/aws/rds/instance/{DATABASE}/error",
            f"/aws/rds/instance/{DATABASE}/slowquery",
            f"/aws/eks/{CLUSTER}/cluster",
            f"/aws/lambda/{CLUSTER}-image-copier",
        )
        owned = {f"kubernetes.io/cluster/{CLUSTER}": "owned"}
        zone = self.client("ec2").describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
        claim = "kubernetes.io/created-for/pvc"
        of_claim = {f"{claim}/namespace": "team-a", f"{claim}/name": "data"}
        for tags in ({**owned, **of_claim}, {**self.tags, **of_claim}):
            self.ec2("create_volume", "volume", tags, AvailabilityZone=zone, Size=8)
        vpc = self.client("ec2").create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            self.client("ec2").create_subnet(VpcId=vpc, CidrBlock=f"10.2.{n}.0/24")["Subnet"]
            for n in (0, 1)
        ]
        ids = [subnet["SubnetId"] for subnet in subnets]
        by_controller = [{"Key": "elbv2.k8s.aws/cluster", "Value": CLUSTER}]
        elbv2 = self.client("elbv2")
        elbv2.create_load_balancer(
            Name="k8s-a", Subnets=ids, Type="network", Scheme="internal", Tags=by_controller
        )
        elbv2.create_target_group(
            Name="k8s-a", Protocol="TCP", Port=80, VpcId=vpc, Tags=by_controller
        )
        group = {"Description": "for a Service", "VpcId": vpc}
        self.ec2("create_security_group", "security-group", owned, GroupName="k8s-elb", **group)
        eks = {"aws:eks:cluster-name": CLUSTER, **owned}
        self.ec2("create_security_group", "security-group", eks, GroupName="eks-sg", **group)
        self.client("elb").create_load_balancer(
            LoadBalancerName="classic",
            Listeners=[{"Protocol": "TCP", "LoadBalancerPort": 80, "InstancePort": 80}],
            Subnets=ids,
            Tags=[{"Key": key, "Value": value} for key, value in owned.items()],
        )
        by_karpenter = {"eks:eks-cluster-name": CLUSTER, "karpenter.sh/nodepool": "gpu", **owned}
        self.ec2(
            "run_instances",
            "instance",
            by_karpenter,
            ImageId="ami-12c6146b",
            MinCount=1,
            MaxCount=1,
            SubnetId=ids[0],
        )
        self.ec2(
            "create_launch_template",
            "launch-template",
            {"karpenter.k8s.aws/cluster": CLUSTER},
            LaunchTemplateName="karpenter.k8s.aws/1",
            LaunchTemplateData={"InstanceType": "g5.xlarge"},
        )
        self.client("ec2").create_network_interface(
            SubnetId=ids[0], Description=f"Amazon EKS {CLUSTER}"
        )
        self.repository(f"{CLUSTER}/quay.io/team/notebook", *self.pairs())

    def repository(self, name: str, *tags: dict[str, str]) -> None:
        self.client("ecr").create_repository(repositoryName=name, tags=[*tags])

    def strangers(self) -> None:
        """The same things of another stack, of another cluster, of nobody."""
        other = Maker(self.region, "another")
        other.network()
        owned = {"kubernetes.io/cluster/kubeflow-dev": "owned"}
        shared = {f"kubernetes.io/cluster/{CLUSTER}": "shared"}
        vpc = self.client("ec2").create_vpc(CidrBlock="10.3.0.0/16")["Vpc"]["VpcId"]
        for tags, block in (
            (owned, "10.3.0.0/24"),
            (shared, "10.3.1.0/24"),
            ({"Name": "theirs"}, "10.3.2.0/24"),
        ):
            self.ec2("create_subnet", "subnet", tags, VpcId=vpc, CidrBlock=block)
        self.logs(
            "/aws/rds/instance/kubeflow-kubeflow-2/error",
            "/aws/eks/kubeflow-dev/cluster",
            "/aws/lambda/kubeflow-dev-image-copier",
            "/aws/lambda/kubeflow-image-copier-2",
        )
        other.repository("kubeflow/docker.io/library/a", *other.pairs())
        other.repository("kubeflow/docker.io/library/b")
        other.repository("shop/front")
        iam = self.client("iam")
        iam.create_role(RoleName="x", AssumeRolePolicyDocument=TRUST, Tags=other.pairs())
        iam.create_user(UserName="person")
        secrets = self.client("secretsmanager")
        secrets.create_secret(Name="kubeflow-another", SecretString="x", Tags=other.pairs())
