"""The role of controllers that read images from registries themselves, as nodes otherwise do."""

from __future__ import annotations

import pulumi

from components.aws.roles import OidcProvider, role_with_rights
from components.registry.policies import image_reading_policy
from rendering import Rendered
from settings.context import StackContext

VALUE = "role.image-reader"
"""The marker of service accounts that get the role."""


def image_reader_role(
    name: str,
    context: StackContext,
    rendered: Rendered,
    oidc: OidcProvider,
    opts: pulumi.ResourceOptions,
) -> dict[str, pulumi.Input[str]]:
    """Makes: one role for every service account that a release marks with ``VALUE``.

    Returns:
        The marker's value; empty where no account is marked.
    """
    marked = f"<<{VALUE}>>"
    accounts = [
        (obj["metadata"]["namespace"], obj["metadata"]["name"])
        for obj in rendered.objects
        if obj["kind"] == "ServiceAccount"
        and marked in (obj["metadata"].get("annotations") or {}).values()
    ]
    if not accounts:
        return {}
    arn = role_with_rights(
        name,
        name_prefix=f"{context.cluster}-image-reader",
        description="Entrypoints of images, for "
        + " and ".join("/".join(account) for account in accounts),
        trust=oidc.trust(context.region, accounts),
        policy=image_reading_policy(context),
        identity=context.identity,
        tags=context.named("image-reader"),
        opts=opts,
    )
    return {VALUE: arn}
