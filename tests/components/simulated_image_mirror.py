"""The image mirror of a stack under mocks, for the tests that look at it from several sides."""

from __future__ import annotations

from functools import cache
from typing import Any

import pulumi
import pulumi_aws as aws

from components.image_mirror_webhook import ImageMirrorWebhook, ImageMirrorWebhookArgs
from components.region import Region
from components.settings import from_mapping
from rehearsal.clouds import ACCOUNT
from tests.harness import Recorded, run
from tests.rendering.beijing import rendered

CROSSING = [("cn-north-1", "us-west-2"), ("cn-northwest-1", "ap-southeast-1")]
WITHIN = [("us-west-2", "us-west-2"), ("us-gov-west-1", "us-gov-west-1")]
SHA = "sha256:" + "0123456789abcdef" * 4
EKS = "918309763551.dkr.ecr.cn-north-1.amazonaws.com.cn/eks/pause:3.10"
IMAGES = ("python:3.9", "python:3.10", f"quay.io/a/b@{SHA}", "reg.example.com:5000/x:1", EKS)
NODES = ("aws:eks/nodeGroup:NodeGroup", "nodes")


@cache
def stack(region: str, build_region: str, transport: str = "api-gateway") -> Recorded:
    """The component as the stack makes it; one run for equal arguments."""
    mirror_settings = {"enabled": True, "transport": transport}

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
                settings=from_mapping({"region": region, "imageMirror": mirror_settings}),
                region=Region.of(region),
                global_region=Region.of(build_region),
                global_provider=aws.Provider("aws-build", region=build_region),
                account_id=ACCOUNT,
                global_account_id=ACCOUNT,
                images=IMAGES,
                tags={"project": "kubeflow"},
                pods=rendered("addons/image-mirror"),
                oidc_provider_arn=Region.of(region).arn("iam", "oidc-provider/issuer"),
                oidc_issuer="issuer",
                ready=[nodes],
            ),
            pulumi.ResourceOptions(providers=[own]),
        )
        return {"registry": mirror.registry}

    return run(program, region=region)
