"""What the two sides of the image mirror hold of each other where a partition's border is between.

IAM trust never crosses partitions, so each side keeps an access key of the other in its Secrets
Manager: the build side one that may push below one prefix, the cluster's side one that may start
one project. The stack makes and rotates both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import pulumi
import pulumi_aws as aws

from components.aws.documents import Document
from regions.region import Region
from settings.context import StackContext
from settings.sections import ImageMirrorSettings


class Purpose(StrEnum):
    """What a credential is good for."""

    PUSH = "push"
    START = "start"


def user_name(cluster: str, region: Region, purpose: Purpose) -> str:
    """The IAM user of a key pair, on either side: `./kf doctor` asks how old its keys are.

    IAM allows 64 characters; a cluster's name has at most 40. The stack's region is part of it, for
    users belong to no region and stacks may share an account.
    """
    return f"{cluster}-{region.name}-{purpose}"


def secret_names(context: StackContext, mirror: ImageMirrorSettings) -> Mapping[Purpose, str]:
    """The secret that holds each credential, in the Secrets Manager of the other side."""
    return {
        Purpose.PUSH: f"{mirror.credentials_secret}/{context.region.name}",
        Purpose.START: f"{context.cluster}/image-mirror/start-build",
    }


@dataclass(frozen=True, kw_only=True)
class Place:
    """One side.

    Attributes:
        region: where its secret is, and whose partition its IAM belongs to.
        provider: AWS provider with credentials of that side; None: the parent's own.
    """

    region: Region
    provider: aws.Provider | None


@dataclass(frozen=True, kw_only=True)
class Credential:
    """Who gives what to whom.

    Attributes:
        policy: all it allows, on the giving side.
        giver: the side it is a credential of.
        holder: the side whose secret holds it.
        secret_name: of that secret.
        tags: AWS tags.
    """

    policy: Document
    giver: Place
    holder: Place
    secret_name: str
    tags: Mapping[str, str]


def key_in_secret(
    name: str, wanted: Credential, *, user: str, rotation: int, parent: pulumi.Resource
) -> aws.secretsmanager.Secret:
    """A user of the giving side with one access key, and the secret that holds the key.

    Args:
        name: of every resource.
        wanted: what the key is good for.
        user: the IAM user's name.
        rotation: the setting ``imageMirror.rotation``; another number makes another key, writes it,
            and only then removes the present one (IAM allows a user two).
        parent: of every resource.
    """
    there = pulumi.ResourceOptions(parent=parent, provider=wanted.giver.provider)
    here = pulumi.ResourceOptions(parent=parent, provider=wanted.holder.provider)
    made = aws.iam.User(name, name=user, tags={**wanted.tags, "Name": user}, opts=there)
    allowed = aws.iam.UserPolicy(name, user=made.name, policy=json.dumps(wanted.policy), opts=there)
    key = aws.iam.AccessKey(
        f"{name}-{rotation}",
        user=made.name,
        # A key that replaces another is good for something from the start.
        opts=pulumi.ResourceOptions.merge(there, pulumi.ResourceOptions(depends_on=[allowed])),
    )
    secret = _secret(name, wanted, here)
    aws.secretsmanager.SecretVersion(
        name,
        secret_id=secret.id,
        secret_string=pulumi.Output.secret(
            pulumi.Output.json_dumps({"accessKeyId": key.id, "secretAccessKey": key.secret})
        ),
        opts=here,
    )
    return secret


def _secret(
    name: str, wanted: Credential, here: pulumi.ResourceOptions
) -> aws.secretsmanager.Secret:
    return aws.secretsmanager.Secret(
        name,
        name=wanted.secret_name,
        description="Credential of the image mirror on the other side of the partition border",
        # It is made again at will, so there is nothing to recover after a destroy, and a name in
        # recovery would stop the next `up`.
        recovery_window_in_days=0,
        tags={**wanted.tags, "Name": wanted.secret_name},
        opts=here,
    )
