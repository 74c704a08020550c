"""A cluster under mocks, for the tests that look at it from several sides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from components.cluster import EksCluster, EksClusterArgs
from rehearsal.clouds import ACCOUNT
from settings import Settings, from_mapping
from settings.context import StackContext
from tests.harness import Recorded, Registered, run

CLUSTER, ADDON, GROUP = "eks:index:Cluster", "aws:eks/addon:Addon", "aws:eks/nodeGroup:NodeGroup"
ROLE, ATTACHMENT = "aws:iam/role:Role", "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
TEMPLATE, KEY = "aws:ec2/launchTemplate:LaunchTemplate", "aws:kms/key:Key"
PROVIDER = "pulumi:providers:kubernetes"
OIDC = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
ENTRY = "aws:eks/accessEntry:AccessEntry"
POLICY = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
CLUSTER_ADMIN = "cluster-access-policy/AmazonEKSClusterAdminPolicy"
STORAGE_CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"
TAGS = {"platform": "kubeflow", "stack": "test"}


def cluster_args(settings: Settings, tags: Mapping[str, str]) -> EksClusterArgs:
    """The arguments of the cluster of a stack with these settings."""
    return EksClusterArgs(
        context=StackContext.of(settings, ACCOUNT, tags),
        cluster=settings.cluster,
        network=settings.network,
        node_group=settings.node_group,
        shared_files=settings.shared_files,
    )


def cluster(region: str = "cn-north-1", **sections: Any) -> Recorded:
    """The component ``kf`` of a stack with the given sections, and what it exports."""
    settings = from_mapping({"region": region, **sections})

    def program() -> dict[str, Any]:
        made = EksCluster(
            "kf",
            cluster_args(settings, TAGS),
            opts=pulumi.ResourceOptions(providers=[aws.Provider("account", region=region)]),
        )
        return {
            "name": made.cluster_name,
            "arn": made.cluster_arn,
            "endpoint": made.endpoint,
            "issuer": made.oidc.issuer,
            "oidc": made.oidc.arn,
            "node_group": made.node_security_group_id,
            "subnets": made.private_subnet_ids,
            "kubeconfig_is_secret": made.kubeconfig_json.is_secret(),
            "ready": pulumi.Output.all(*[resource.urn for resource in made.ready]),
        }

    return run(program, region)


def policy(resource: Registered, key: str = "assumeRolePolicy") -> list[dict[str, Any]]:
    """The statements of a policy document among the inputs."""
    return json.loads(resource.inputs[key])["Statement"]


def names(resources: set[tuple[str, str]], kind: str) -> set[str]:
    """The names of the dependencies of one type."""
    return {name for type_, name in resources if type_ == kind}
