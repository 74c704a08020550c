"""Policies of KMS keys as data: no Pulumi."""

from __future__ import annotations

from collections.abc import Sequence

from components.aws.documents import Document, document
from regions.region import Region

# What an account's administrators need to manage a key, without `kms:*`.
_ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)


def key_policy(region: Region, account_id: str, sid: str, use: Sequence[str]) -> Document:
    """The policy of a key that the IAM policies of its own account administer and use.

    Both statements name the account: no other account, no anonymous principal and no service can
    use the key. The account must be able to change the policy, or KMS refuses it (CreateKey,
    BypassPolicyLockoutSafetyCheck).

    Args:
        region: gives the partition.
        account_id: of the key.
        sid: of the statement about use.
        use: actions that the account's principals may be allowed besides administration.
    """
    account = {"AWS": region.arn("iam", "root", account=account_id, region="")}
    return document(
        *(
            {
                "Sid": statement,
                "Effect": "Allow",
                "Principal": account,
                "Action": list(actions),
                "Resource": "*",
            }
            for statement, actions in (("AccountKeepsTheKey", _ADMINISTRATION), (sid, use))
        )
    )
