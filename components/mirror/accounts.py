"""The accounts of an image mirror: the cluster's own, and the one that copies images."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from components.mirror.build import BuildSide
from settings.account import AwsSettings
from settings.mirror_context import BUILDS_TAG, MirrorContext


def provider_credentials(given: AwsSettings) -> dict[str, Any]:
    """The arguments of an AWS provider for these credentials."""
    role = given.role
    assumed = aws.ProviderAssumeRoleArgs(**role.model_dump(exclude_none=True)) if role else None
    return {"profile": given.profile, "assume_roles": [assumed] if assumed else None}


def build_side(context: MirrorContext) -> BuildSide | None:
    """Where images are copied for the cluster; None where ECR itself pulls them.

    IAM trust never crosses partitions, so the credentials of another partition's account come from
    a named profile.
    """
    if context.mirror.cached is not None:
        return None
    region, mirror = context.mirror.build_region, context.mirror
    own: dict[str, Any] = {"profile": mirror.settings.build_profile}
    credentials = own if mirror.crosses_partitions else provider_credentials(context.aws)
    provider = aws.Provider(
        "aws-build",
        region=region.name,
        **credentials,
        default_tags=aws.ProviderDefaultTagsArgs(
            tags={**context.tags, BUILDS_TAG: context.name_of_builds}
        ),
    )
    return BuildSide(region=region, provider=provider, account_id=account_of(provider))


def account_of(provider: aws.Provider) -> str:
    """The account of the provider's credentials, looked up also in a preview."""
    return aws.get_caller_identity(opts=pulumi.InvokeOptions(provider=provider)).account_id
