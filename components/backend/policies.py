"""Who may touch the artifacts, the database secret and their key: documents as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.aws.documents import Document, document
from components.aws.eks_policies import KEY_ADMINISTRATION
from regions.region import Region

_ALGORITHM = "s3:x-amz-server-side-encryption"
_KEY = f"{_ALGORITHM}-aws-kms-key-id"


def bucket_policy(bucket_arn: str, key_arn: str) -> Document:
    """Refuses requests to the bucket without TLS, and uploads that ask for another encryption.

    An upload that asks for none is encrypted by the bucket's default, with the same key. Null is
    needed: StringNotEquals is also true of a header that was not sent (IAM user guide,
    reference_policies_elements_condition_operators.html).
    """
    return document(
        {
            "Sid": "DenyInsecureTransport",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [bucket_arn, f"{bucket_arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        _deny_upload("DenyOtherEncryption", bucket_arn, _ALGORITHM, "aws:kms"),
        _deny_upload("DenyOtherKeys", bucket_arn, _KEY, key_arn),
    )


def _deny_upload(sid: str, bucket_arn: str, header: str, only: str) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"{bucket_arn}/*",
        "Condition": {"Null": {header: "false"}, "StringNotEquals": {header: only}},
    }


def artifact_access(
    bucket_arn: str, key_arn: str, prefixes: Sequence[str], *, write: bool
) -> Document:
    """Reading, and writing where asked, of the objects below ``prefixes`` and of nothing else.

    Args:
        bucket_arn: the artifact bucket.
        key_arn: the KMS key its objects are encrypted with.
        prefixes: key prefixes without a trailing slash; an empty tuple opens the whole bucket.
        write: also put and delete (Argo and KFP replace and clean up their own artifacts).
    """
    objects = [f"{bucket_arn}/{prefix}/*" for prefix in prefixes] or [f"{bucket_arn}/*"]
    listing: dict[str, Any] = {
        "Sid": "ListArtifacts",
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": bucket_arn,
    }
    if prefixes:
        patterns = [pattern for prefix in prefixes for pattern in (prefix, f"{prefix}/*")]
        listing["Condition"] = {"StringLike": {"s3:prefix": patterns}}
    actions = ["s3:GetObject", "s3:GetObjectVersion"]
    if write:
        actions += ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        actions += ["s3:ListMultipartUploadParts"]
    return document(
        {
            "Sid": "FindBucket",
            "Effect": "Allow",
            "Action": ["s3:GetBucketLocation"],
            "Resource": bucket_arn,
        },
        listing,
        {"Sid": "Artifacts", "Effect": "Allow", "Action": actions, "Resource": objects},
        {
            "Sid": "ArtifactKey",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"] if write else ["kms:Decrypt"],
            "Resource": key_arn,
        },
    )


def secret_reading(secret_arns: Sequence[str], key_arn: str) -> Document:
    """Reading of exactly these secrets. The reference attached SecretsManagerReadWrite instead."""
    return document(
        {
            "Sid": "ReadSecrets",
            "Effect": "Allow",
            "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
            "Resource": list(secret_arns),
        },
        {
            "Sid": "SecretKey",
            "Effect": "Allow",
            "Action": ["kms:Decrypt"],
            "Resource": key_arn,
        },
    )


def backend_key(region: Region, account_id: str) -> Document:
    """The one key of bucket, database and secrets; IAM policies of the account decide who uses it.

    RDS and EBS work through grants, which the creator of the database must be able to make.
    """
    account = {"AWS": region.arn("iam", "root", account=account_id, region="")}
    use = ["kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*"]
    return document(
        {
            "Sid": "AccountKeepsTheKey",
            "Effect": "Allow",
            "Principal": account,
            "Action": list(KEY_ADMINISTRATION),
            "Resource": "*",
        },
        {
            "Sid": "AccountLetsItsRolesUseTheKey",
            "Effect": "Allow",
            "Principal": account,
            "Action": [*use, "kms:ReEncrypt*"],
            "Resource": "*",
        },
    )
