"""Policies of the artifacts and of the database's secrets, as data: no Pulumi."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.aws.documents import Document, allow, deny_without_tls, document

_ALGORITHM = "s3:x-amz-server-side-encryption"
_KEY = f"{_ALGORITHM}-aws-kms-key-id"


def bucket_policy(bucket_arn: str, key_arn: str) -> Document:
    """Denies requests to the bucket without TLS, and uploads that request another encryption.

    An upload that requests none is encrypted by the bucket's default, with the same key. Null is
    needed: StringNotEquals is also true for a missing header (IAM user guide,
    reference_policies_elements_condition_operators.html).
    """
    return document(
        deny_without_tls("DenyInsecureTransport", "s3:*", [bucket_arn, f"{bucket_arn}/*"]),
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
    """Allows to read, and optionally to write, the objects below ``prefixes`` and nothing else.

    Args:
        bucket_arn: the artifact bucket.
        key_arn: the KMS key that encrypts its objects.
        prefixes: key prefixes without a trailing slash; none: the whole bucket.
        write: also to put and delete (Argo and KFP replace and delete their own artifacts).
    """
    objects = [f"{bucket_arn}/{prefix}/*" for prefix in prefixes] or [f"{bucket_arn}/*"]
    listing = allow(["s3:ListBucket"], bucket_arn, sid="ListArtifacts")
    if prefixes:
        patterns = [pattern for prefix in prefixes for pattern in (prefix, f"{prefix}/*")]
        listing["Condition"] = {"StringLike": {"s3:prefix": patterns}}
    actions = ["s3:GetObject", "s3:GetObjectVersion"]
    if write:
        actions += ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        actions += ["s3:ListMultipartUploadParts"]
    use_key = ["kms:Decrypt", "kms:GenerateDataKey"] if write else ["kms:Decrypt"]
    return document(
        allow(["s3:GetBucketLocation"], bucket_arn, sid="FindBucket"),
        listing,
        allow(actions, objects, sid="Artifacts"),
        allow(use_key, key_arn, sid="ArtifactKey"),
    )


def api_server_access(bucket_arn: str, key_arn: str, prefixes: Sequence[str]) -> Document:
    """Allows what Pipelines' API server does: HeadBucket at its start, then reading only.

    It has the right s3:ListBucket where a request has no s3:prefix, because HeadBucket is such a
    request and IAM has no action of its own for it (kubeflow/pipelines 2.16.0
    backend/src/apiserver/client_manager/client_manager.go, ensureBucketExists).
    """
    head = allow(["s3:ListBucket"], bucket_arn, sid="HeadBucket")
    head["Condition"] = {"Null": {"s3:prefix": "true"}}
    return document(
        head,
        allow(["s3:GetObject"], [f"{bucket_arn}/{p}/*" for p in prefixes], sid="Artifacts"),
        allow(["kms:Decrypt"], key_arn, sid="ArtifactKey"),
    )


def secret_reading(secret_arns: Sequence[str], key_arn: str) -> Document:
    """Allows to read exactly these secrets, encrypted with this key."""
    return document(
        allow(
            ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
            secret_arns,
            sid="ReadSecrets",
        ),
        allow(["kms:Decrypt"], key_arn, sid="SecretKey"),
    )
