"""The backend of a stack under mocks, for the tests that look at it from several sides."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pulumi
import pulumi_aws as aws

from components.aws.roles import OidcProvider
from components.backend import KubeflowRdsS3Backend, KubeflowRdsS3BackendArgs
from program import database_users
from settings import Settings
from settings.context import StackContext
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
SECRET = "aws:secretsmanager/secret:Secret"
SECRET_TEXT = "aws:secretsmanager/secretVersion:SecretVersion"
DRAWN = "pulumi-python:dynamic:GeneratedSecret"


def issuer(region: str) -> str:
    """The OIDC issuer of the simulated cluster."""
    return f"oidc.eks.{region}.{PARTITIONS[region][1]}/id/ABC"


def arn(region: str, rest: str) -> str:
    """``rest`` as an ARN of the region's partition."""
    return f"arn:{PARTITIONS[region][0]}:{rest}"


def component(settings: Settings) -> KubeflowRdsS3Backend:
    """The component, for a program that runs in the region of the settings."""
    region = settings.region
    return KubeflowRdsS3Backend(
        "backend",
        KubeflowRdsS3BackendArgs(
            context=StackContext.of(settings, ACCOUNT, TAGS),
            database=settings.database,
            database_users=database_users(settings),
            model_catalog=settings.model_catalog,
            artifacts=settings.artifacts,
            shared_files=settings.shared_files,
            profiles=[user.namespace for user in settings.users],
            team_buckets={user.namespace: user.buckets for user in settings.users},
            vpc_id="vpc-0",
            subnet_ids=["subnet-1", "subnet-2"],
            client_security_group_ids=[NODES, pulumi.Output.from_input(KARPENTER)],
            oidc=OidcProvider(
                arn(region, f"iam::{ACCOUNT}:oidc-provider/{issuer(region)}"), issuer(region)
            ),
            mount_target_subnet_ids=["subnet-1", "subnet-2"],
            cluster_name="kubeflow",
            kubernetes_version=settings.cluster.version,
            ready=[],
        ),
        pulumi.ResourceOptions(providers=[aws.Provider("aws", region=region)]),
    )


@cache
def _backend(region: str, sections: str) -> Recorded:
    settings = Settings.model_validate({"region": region, "users": USERS, **json.loads(sections)})

    def program() -> dict[str, Any]:
        made = component(settings)
        return {
            "bucket": made.bucket_name,
            "host": made.database.host,
            "port": made.database.port,
            "authorities": made.database_authorities,
            "secrets": pulumi.Output.all(**{k: kept.name for k, kept in made.secrets.items()}),
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


def secret_texts(recorded: Recorded) -> dict[str, dict[str, str]]:
    """What each secret holds, by the name of its resource."""
    return {r.name: document(r, "secretString") for r in recorded.of(SECRET_TEXT)}
