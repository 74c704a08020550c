"""The code and the environment of a cluster's admission handlers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.objects.webhook_code import handler_sources
from settings.mirror_context import MirrorContext


@dataclass(frozen=True, kw_only=True)
class Copies:
    """What a handler uses to request a missing copy.

    Attributes:
        table: one row per image.
        table_arn: its ARN, known before it exists.
        copier: the function that starts copies.
        copier_arn: its ARN, known before it exists.
    """

    table: aws.dynamodb.Table
    table_arn: str
    copier: aws.lambda_.Function
    copier_arn: str


def handler_variables(
    context: MirrorContext, copies: Copies | None
) -> dict[str, pulumi.Input[str]]:
    """The environment of ``webhook.service``; empty values need not be set.

    Args:
        context: of the cluster and its account.
        copies: None where the registry's pull-through caches fill it.
    """
    mirror = context.mirror.settings
    return {
        "MIRROR_REGISTRY": context.image_prefix,
        "MIRROR_CACHED": " ".join(context.mirror.cached or ()),
        "MIRROR_TABLE": copies.table.name if copies else "",
        "MIRROR_COPIER": copies.copier.name if copies else "",
        "MIRROR_IN_FLIGHT_SECONDS": str(mirror.in_flight_minutes * 60) if copies else "",
        "MIRROR_FOLLOW_SECONDS": str(context.mirror.follow_seconds) if copies else "",
        "MIRROR_WHEN_ABSENT": mirror.when_absent,
        "MIRROR_RULES": mirror.rules_json(),
        "MIRROR_LOGINS": " ".join(context.mirror.source_secrets) if copies else "",
        "MIRROR_PUBLIC": " ".join(context.mirror.public_out_of_reach) if copies else "",
        "MIRROR_ENFORCE": "true" if mirror.enforce else "",
        "MIRROR_DOMESTIC": "keep" if context.mirror.keeps_domestic else "",
        "MIRROR_BUDGETS": mirror.budgets.as_json(),
    }


def handler_archive(data: Mapping[str, str] | None = None) -> pulumi.AssetArchive:
    """The handler's sources as a Lambda archive.

    Args:
        data: further files: name within the archive -> text.
    """
    sources = {name: pulumi.FileAsset(str(source)) for name, source in handler_sources().items()}
    texts = {name: pulumi.StringAsset(text) for name, text in (data or {}).items()}
    return pulumi.AssetArchive({**sources, **texts})
