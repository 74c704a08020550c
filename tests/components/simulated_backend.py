"""The backend of a stack under mocks, for the tests that look at it from several sides."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pulumi
import pulumi_aws as aws

from components.kubeflow_rds_s3_backend import KubeflowRdsS3Backend, KubeflowRdsS3BackendArgs
from components.region import Region
from components.settings import Settings
from tests.harness import Recorded, Registered, run

ACCOUNT = "111122223333"
NODES, KARPENTER = "sg-0nodes", "sg-0karpenter"
TAGS = {"platform": "kubeflow"}
PARTITIONS = {
    "cn-north-1": ("aws-cn", "amazonaws.com.cn"),
    "cn-northwest-1": ("aws-cn", "amazonaws.com.cn"),
    "us-west-2": ("aws", "amazonaws.com"),
    "us-gov-west-1": ("aws-us-gov", "amazonaws.com"),
}
USERS = [{"email": "a@x.org", "namespace": "team-a"}, {"email": "b@x.org", "namespace": "team-b"}]
SECRET_TEXT = "aws:secretsmanager/secretVersion:SecretVersion"


def issuer(region: str) -> str:
    """The OIDC issuer of the simulated cluster."""
    return f"oidc.eks.{region}.{PARTITIONS[region][1]}/id/ABC"


def arn(region: str, rest: str) -> str:
    """``rest`` as an ARN of the region's partition."""
    return f"arn:{PARTITIONS[region][0]}:{rest}"


@cache
def _backend(region: str, sections: str) -> Recorded:
    settings = Settings.model_validate({"region": region, "users": USERS, **json.loads(sections)})

    def program() -> dict[str, Any]:
        made = KubeflowRdsS3Backend(
            "backend",
            KubeflowRdsS3BackendArgs(
                settings=settings,
                region=Region.of(region),
                tags=TAGS,
                account_id=ACCOUNT,
                vpc_id="vpc-0",
                subnet_ids=["subnet-1", "subnet-2"],
                client_security_group_ids=[NODES, pulumi.Output.from_input(KARPENTER)],
                oidc_provider_arn=arn(region, f"iam::{ACCOUNT}:oidc-provider/{issuer(region)}"),
                oidc_issuer=issuer(region),
            ),
            pulumi.ResourceOptions(providers=[aws.Provider("aws", region=region)]),
        )
        return {
            "bucket": made.bucket_name,
            "host": made.database_host,
            "port": made.database_port,
            "username": made.database_username,
            "password": made.database_password,
            "password_is_secret": pulumi.Output.from_input(made.database_password.is_secret()),
            "roles": pulumi.Output.all(**made.role_arns),
            "profiles": pulumi.Output.all(**made.profile_role_arns),
        }

    return run(program, region)


def backend(region: str = "cn-north-1", **sections: Any) -> Recorded:
    """The component ``backend`` of a stack with the given sections; made once for equal ones."""
    return _backend(region, json.dumps(sections, sort_keys=True))


def document(resource: Registered, key: str = "policy") -> dict[str, Any]:
    """An input that is JSON text, parsed."""
    return json.loads(resource.inputs[key])
