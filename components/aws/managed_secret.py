"""Secrets of the stack in Secrets Manager, each a JSON object of texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

RECOVERY_DAYS = 7
"""How long a deleted secret can be restored; as long, its name cannot be used again."""


@dataclass(frozen=True)
class ManagedSecret:
    """A secret in Secrets Manager.

    Attributes:
        arn: for policies.
        name: for readers; known once the secret has its value, so that no reader that depends on
            the name finds the secret empty.
    """

    arn: pulumi.Output[str]
    name: pulumi.Output[str]


def managed_secret(
    resource: str,
    *,
    prefix: str,
    description: str,
    values: Mapping[str, pulumi.Input[str]],
    key_arn: pulumi.Input[str] | None = None,
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> ManagedSecret:
    """Makes: one secret and its current version.

    Args:
        resource: the Pulumi name of both.
        prefix: of the secret's name, to which the provider appends a number: the name of a deleted
            secret cannot be used again before ``RECOVERY_DAYS`` have passed.
        description: of the secret.
        values: the JSON object; a change is a new version of the same secret.
        key_arn: KMS key that encrypts it; None: the account's own key of Secrets Manager.
        tags: of the secret.
        opts: of both.
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
    name = pulumi.Output.all(secret.name, version.secret_id).apply(lambda values: values[0])
    return ManagedSecret(arn=secret.arn, name=name)
