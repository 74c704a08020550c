"""The image mirror of a stack under mocks, for the tests that look at it from several sides."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pulumi
import pulumi_aws as aws

from components.aws.roles import OidcProvider
from components.mirror import ApiServer, ImageMirrorWebhook, ImageMirrorWebhookArgs
from components.mirror.build import BuildSide
from regions.region import Region
from rehearsal.clouds import ACCOUNT
from settings import from_mapping
from settings.context import StackContext
from tests.harness import Recorded, run
from tests.rendering.beijing import rendered

CROSSING = [("cn-north-1", "us-west-2"), ("cn-northwest-1", "ap-southeast-1")]
WITHIN = [("us-gov-west-1", "us-gov-west-1")]
CACHED = ["us-west-2"]
"""Where ECR pulls through by itself; the others copy, across a partition's border or inside it."""
SHA = "sha256:" + "0123456789abcdef" * 4
EKS = "918309763551.dkr.ecr.cn-north-1.amazonaws.com.cn/eks/pause:3.10"
IMAGES = ("python:3.9", "python:3.10", f"quay.io/a/b@{SHA}", "reg.example.com:5000/x:1", EKS)
DIGESTS = {"python:3.9": SHA}
CONTROL_PLANE = ("10.64.255.208/28", "10.64.255.224/28")
SERVER = ApiServer(
    cluster="kubeflow",
    endpoint="https://0123456789ABCDEF.gr7.eks.test",
    authority="LS0t",
    vpc_id="vpc-0123456789abcdef0",
    subnet_ids=["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    security_group_id="sg-0123456789abcdef0",
)
NODES = ("aws:eks/nodeGroup:NodeGroup", "nodes")


def mirror_program(
    region: str,
    build_region: str | None,
    transport: str = "api-gateway",
    logins: tuple[tuple[str, str], ...] = (),
    **more: Any,
) -> Callable[[], dict[str, Any]]:
    """The component as the stack makes it, for mocks or for the engine.

    Args:
        region: of the stack.
        build_region: where images are copied; None where ECR pulls them through.
        transport: of admissions.
        logins: registry and name of a secret, of each.
        more: settings of the image mirror.
    """
    mirror_settings: dict[str, Any] = {"enabled": True, "transport": transport, **more}
    if "sourceCredentials" in more:  # pairs, which a cache of runs can compare
        mirror_settings["sourceCredentials"] = dict(more["sourceCredentials"])
    if logins:
        mirror_settings["upstreamCredentials"] = dict(logins)

    settings = from_mapping({"region": region, "imageMirror": mirror_settings})

    def program() -> dict[str, Any]:
        own = aws.Provider("aws", region=region)
        nodes = aws.eks.NodeGroup(
            "nodes",
            cluster_name="kubeflow",
            node_role_arn="arn:of:role",
            subnet_ids=[],
            scaling_config={"desired_size": 1, "max_size": 1, "min_size": 1},
            opts=pulumi.ResourceOptions(provider=own),
        )
        mirror = ImageMirrorWebhook(
            "image-mirror",
            ImageMirrorWebhookArgs(
                context=StackContext.of(settings, ACCOUNT, {"project": "kubeflow"}),
                build=BuildSide(
                    region=Region.of(build_region),
                    provider=aws.Provider("aws-build", region=build_region),
                    account_id=ACCOUNT,
                )
                if build_region
                else None,
                images=IMAGES,
                digests=DIGESTS,
                pods=rendered("addons/image-mirror") if transport == "in-cluster" else None,
                oidc=OidcProvider(Region.of(region).arn("iam", "oidc-provider/issuer"), "issuer"),
                callers=CONTROL_PLANE,
                ready=[nodes],
                api_server=SERVER,
            ),
            pulumi.ResourceOptions(providers=[own]),
        )
        return {"registry": mirror.registry}

    return program


@cache
def stack(region: str, build_region: str | None, *choices: Any, **named: Any) -> Recorded:
    """The program of ``mirror_program`` under mocks; one run for equal arguments."""
    return run(mirror_program(region, build_region, *choices, **named), region=region)
