"""IAM roles of pods and services, whose ARN is known once the role has its policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.aws.documents import Document
from components.aws.trust import ServiceAccount, irsa_trust
from regions.region import Region

# A role name has 64 characters, and AWS appends 26 to a prefix.
_LONGEST_PREFIX = 38


@dataclass(frozen=True)
class OidcProvider:
    """A cluster's OIDC provider in IAM, which roles of service accounts trust.

    Attributes:
        arn: of the provider.
        issuer: its URL, with or without ``https://``.
    """

    arn: pulumi.Input[str]
    issuer: pulumi.Input[str]

    def trust(self, region: Region, subjects: Sequence[ServiceAccount]) -> pulumi.Output[Document]:
        """The trust policy of a role for service accounts of the cluster, see ``irsa_trust``."""
        return pulumi.Output.all(self.arn, self.issuer).apply(
            lambda provider: irsa_trust(region, provider[0], provider[1], subjects)
        )


def role_with_rights(
    resource: str,
    *,
    description: str,
    trust: pulumi.Input[Document],
    policy: pulumi.Input[Document],
    identity: Mapping[str, Any],
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
    name_prefix: str | None = None,
) -> pulumi.Output[str]:
    """Makes: a role and its one inline policy.

    Args:
        resource: the Pulumi name of both.
        description: of the role.
        trust: who may assume it.
        policy: what it may do.
        identity: ``MirrorContext.identity``.
        tags: of the role.
        opts: of both.
        name_prefix: of the role's name, shortened where it is too long; None: named by Pulumi.

    Returns:
        The role's ARN, known once the role has its policy: a pod or service with the ARN starts
        after the policy is attached, and ends before the policy is deleted.
    """
    role = aws.iam.Role(
        resource,
        name_prefix=None if name_prefix is None else name_prefix[: _LONGEST_PREFIX - 1] + "-",
        description=description,
        assume_role_policy=pulumi.Output.json_dumps(trust),
        **identity,
        tags=dict(tags),
        opts=opts,
    )
    inline = aws.iam.RolePolicy(
        resource, role=role.id, policy=pulumi.Output.json_dumps(policy), opts=opts
    )
    return pulumi.Output.all(role.arn, inline.role).apply(lambda values: values[0])
