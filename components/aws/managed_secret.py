"""A secret as this stack keeps it: a JSON object of texts in Secrets Manager, under our own key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

RECOVERY_DAYS = 7
"""How long a deleted secret can be brought back; as long, nobody else can have its name."""


@dataclass(frozen=True)
class ManagedSecret:
    """Where a secret is kept.

    Attributes:
        arn: for policies.
        name: for readers; becomes known only when the secret has its value, so that whatever names
            it comes after the value and never reads an empty secret.
    """

    arn: pulumi.Output[str]
    name: pulumi.Output[str]


def managed_secret(
    resource: str,
    *,
    prefix: str,
    description: str,
    values: Mapping[str, pulumi.Input[str]],
    key_arn: pulumi.Input[str],
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> ManagedSecret:
    """Makes: one secret and its current version.

    Args:
        resource: the Pulumi name of both.
        prefix: how the secret's name begins. AWS's provider appends a number, for a name stays
            taken for as long as its deleted secret can be brought back.
        values: the JSON object, all of it texts; a change is a new version of the same secret.
        key_arn: KMS key it is encrypted with.
    """
    secret = aws.secretsmanager.Secret(
        resource,
        name_prefix=prefix,
        description=description,
        kms_key_id=key_arn,
        recovery_window_in_days=RECOVERY_DAYS,
        tags=dict(tags),
        opts=opts,
    )
    version = aws.secretsmanager.SecretVersion(
        resource,
        secret_id=secret.id,
        secret_string=pulumi.Output.secret(pulumi.Output.json_dumps(dict(values))),
        opts=opts,
    )
    named = pulumi.Output.all(secret.name, version.secret_id).apply(lambda found: found[0])
    return ManagedSecret(arn=secret.arn, name=named)
