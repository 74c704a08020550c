"""Policies of the cluster as data: no Pulumi, tested on their own."""

from __future__ import annotations

from components.aws.documents import Document, document
from regions.region import Region

# What an account's own administrators need to look after a key, without `kms:*`.
KEY_ADMINISTRATION = (
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
# EKS works through a grant that the creator of the cluster makes (EKS user guide, enable-kms.html:
# kms:DescribeKey and kms:CreateGrant; its warning not to ask for kms:GrantIsForAWSResource holds).
_USE_KEY = ("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt")


def secrets_key_policy(region: Region, account_id: str) -> Document:
    """The key policy of the key that encrypts the cluster's Secrets.

    Both statements name the account, which hands the decision to IAM policies of that account: no
    other account, no anonymous principal and no service can use the key. The account must be able
    to change the policy, or KMS refuses it (CreateKey, BypassPolicyLockoutSafetyCheck).
    """
    account = {"AWS": region.arn("iam", "root", account=account_id, region="")}
    return document(
        {
            "Sid": "AccountKeepsTheKey",
            "Effect": "Allow",
            "Principal": account,
            "Action": list(KEY_ADMINISTRATION),
            "Resource": "*",
        },
        {
            "Sid": "AccountLetsTheClusterUseTheKey",
            "Effect": "Allow",
            "Principal": account,
            "Action": list(_USE_KEY),
            "Resource": "*",
        },
    )


def cluster_access_policy(region: Region, name: str) -> str:
    """The ARN of one of EKS' own access policies, for instance ``AmazonEKSClusterAdminPolicy``.

    They are no IAM policies: region and account are empty in every partition (EKS user guide,
    access-policy-permissions.html).
    """
    return region.arn("eks", f"cluster-access-policy/{name}", account="aws", region="")
