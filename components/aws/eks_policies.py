"""Policies of the cluster as data: no Pulumi, tested on their own."""

from __future__ import annotations

from components.aws.documents import Document
from components.aws.key_policies import key_policy
from regions.region import Region

# EKS uses the key through a grant that the cluster's creator makes (EKS user guide,
# enable-kms.html: kms:DescribeKey and kms:CreateGrant, without a condition on
# kms:GrantIsForAWSResource).
_USE_KEY = ("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt")


def secrets_key_policy(region: Region, account_id: str) -> Document:
    """The policy of the key that encrypts the cluster's Secrets."""
    return key_policy(region, account_id, "AccountLetsTheClusterUseTheKey", _USE_KEY)


def cluster_access_policy(region: Region, name: str) -> str:
    """The ARN of one of EKS' own access policies, for instance ``AmazonEKSClusterAdminPolicy``.

    An access policy is no IAM policy: its region and account are empty in every partition (EKS user
    guide, access-policy-permissions.html).
    """
    return region.arn("eks", f"cluster-access-policy/{name}", account="aws", region="")
