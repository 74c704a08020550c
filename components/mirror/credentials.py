"""The access keys that the two sides of the image mirror store of each other across partitions.

IAM trust never crosses partitions, so each side stores an access key of the other in its Secrets
Manager: the build side one that may push below one prefix, the cluster's side one that may start
one project. The stack creates and rotates both.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import pulumi
import pulumi_aws as aws

from components.aws.documents import document
from regions.region import Region
from settings.mirror_context import MirrorContext, shortened

_LONGEST_USER = 64  # of IAM


class Purpose(StrEnum):
    """The use of a key."""

    PUSH = "push"
    START = "start"


def user_name(context: MirrorContext, purpose: Purpose) -> str:
    """The IAM user of a key, on either side: `./kf doctor` looks up the age of its keys.

    The stack's region is part of it, for users belong to no region and stacks may share an account.
    """
    if purpose is Purpose.PUSH:
        return f"{context.cluster}-{context.region.name}-{purpose}"
    return f"{shortened(context.name_of_builds, _LONGEST_USER - len(purpose) - 1)}-{purpose}"


def secret_name(context: MirrorContext, purpose: Purpose) -> str:
    """The secret that holds a key, in the Secrets Manager of the other side."""
    if purpose is Purpose.PUSH:
        return f"{context.mirror.settings.credentials_secret}/{context.name_of_builds}"
    return f"{context.cluster}/image-mirror/start-build"


def login_arns(context: MirrorContext, side: Region, account: str) -> list[str]:
    """The secrets with logins of source registries, in the region and account that build.

    Their owner may delete and make one again under the same name, so the six characters that
    Secrets Manager adds to the name are left open. As many ``?`` match no secret of another name
    (docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_iam-policies.html).
    """
    names = sorted(set(context.mirror.source_secrets.values()))
    return [side.arn("secretsmanager", f"secret:{name}-??????", account=account) for name in names]


def key_in_secret(
    name: str,
    context: MirrorContext,
    purpose: Purpose,
    statements: Sequence[dict[str, Any]],
    *,
    giver: aws.Provider | None,
    holder: aws.Provider | None,
    parent: pulumi.Resource,
) -> aws.secretsmanager.Secret:
    """A user with one access key, and the secret on the other side that holds the key.

    Another number in the setting ``imageMirror.rotation`` creates another key, writes it, and only
    then deletes the present one (IAM allows a user two).

    Args:
        name: of every resource.
        context: of the cluster and its account.
        purpose: of the key.
        statements: the rights of the user.
        giver: provider of the user's side; None: the parent's own.
        holder: provider of the secret's side; None likewise.
        parent: of every resource.
    """
    user_side = pulumi.ResourceOptions(parent=parent, provider=giver)
    secret_side = pulumi.ResourceOptions(parent=parent, provider=holder)
    name_in_iam = user_name(context, purpose)
    user = aws.iam.User(
        name,
        name=name_in_iam,
        **(context.build_identity if giver else context.identity),
        tags=context.tagged(name_in_iam),
        # The provider renames a user, and then looks for its old key and policy by the old name.
        opts=pulumi.ResourceOptions.merge(
            user_side, pulumi.ResourceOptions(replace_on_changes=["name"])
        ),
    )
    rights = aws.iam.UserPolicy(
        name, user=user.name, policy=json.dumps(document(*statements)), opts=user_side
    )
    key = aws.iam.AccessKey(
        f"{name}-{context.mirror.settings.rotation}",
        user=user.name,
        # A key that replaces another has its rights from the start.
        opts=pulumi.ResourceOptions.merge(user_side, pulumi.ResourceOptions(depends_on=[rights])),
    )
    secret = aws.secretsmanager.Secret(
        name,
        name=secret_name(context, purpose),
        description="Credential of the image mirror on the other side of the partition border",
        # The next `up` makes another key: there is nothing to recover after a destroy, and a name
        # in recovery would stop that `up`.
        recovery_window_in_days=0,
        tags=context.tagged(secret_name(context, purpose)),
        opts=secret_side,
    )
    aws.secretsmanager.SecretVersion(
        name,
        secret_id=secret.id,
        secret_string=pulumi.Output.secret(
            pulumi.Output.json_dumps({"accessKeyId": key.id, "secretAccessKey": key.secret})
        ),
        opts=secret_side,
    )
    return secret
