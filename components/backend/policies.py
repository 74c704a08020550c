"""Policies of artifacts, shared files and the database's secrets, as data: no Pulumi."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from components.aws.documents import Document, allow, deny_without_tls, document
from regions.region import Region
from settings.users import TeamBucket

_ALGORITHM = "s3:x-amz-server-side-encryption"
_KEY = f"{_ALGORITHM}-aws-kms-key-id"
_OF_DRIVER = "efs.csi.aws.com/cluster"
"""Tag of every access point that the EFS CSI driver makes."""
LONGEST_INLINE = 10240
"""Characters in all inline policies of a role (IAM user guide, "IAM and AWS STS quotas")."""


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
    bucket_arn: str, key_arn: str | None, prefixes: Sequence[str], *, write: bool
) -> Document:
    """Allows to read, and optionally to write, the objects below ``prefixes`` and nothing else.

    Args:
        bucket_arn: the artifact bucket.
        key_arn: the KMS key that encrypts its objects; None: S3's own.
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
        *([allow(use_key, key_arn, sid="ArtifactKey")] if key_arn else []),
    )


def with_team_buckets(own: Document, region: Region, buckets: Sequence[TeamBucket]) -> Document:
    """The rights of a profile's role with those on buckets of the team, each as it is listed."""
    further = [
        {key: value for key, value in statement.items() if key != "Sid"}
        for each in buckets
        for statement in artifact_access(
            region.arn("s3", each.name, account="", region=""),
            each.kms_key_arn,
            each.prefixes,
            write=each.write,
        )["Statement"]
    ]
    return document(*own["Statement"], *further)


def characters(policy: Document) -> int:
    """The size of a document as IAM counts it, without white space."""
    return len("".join(json.dumps(policy).split()))


def shared_file_driver(file_system_arn: str, access_point_arns: str) -> Document:
    """Allows the EFS CSI driver to make, mount and delete access points of one file system.

    As aws-efs-csi-driver docs/iam-policy-example.json (v3.4.1), which is for every file system; and
    to mount access points, which nobody else may (efs-utils, mount option ``iam``).

    Args:
        file_system_arn: of the file system.
        access_point_arns: the pattern of the account's access points; their ARNs name no file
            system.
    """
    of_driver = {"StringEquals": {f"aws:RequestTag/{_OF_DRIVER}": "true"}}
    tagged = {"StringEquals": {f"aws:ResourceTag/{_OF_DRIVER}": "true"}}
    made = {"StringEquals": {"elasticfilesystem:CreateAction": "CreateAccessPoint"}}
    through = {"StringLike": {"elasticfilesystem:AccessPointArn": access_point_arns}}
    both = [file_system_arn, access_point_arns]

    def efs(*actions: str) -> list[str]:
        return [f"elasticfilesystem:{action}" for action in actions]

    described = efs("DescribeAccessPoints", "DescribeFileSystems", "DescribeMountTargets")
    mounting = efs("ClientMount", "ClientWrite")
    return document(
        allow(described, both, sid="Describe"),
        allow(["ec2:DescribeAvailabilityZones"], "*", sid="FindTheNearestMountTarget"),
        allow(efs("CreateAccessPoint"), file_system_arn, sid="Make") | {"Condition": of_driver},
        allow(efs("TagResource"), both, sid="Tag") | {"Condition": made},
        allow(efs("DeleteAccessPoint"), access_point_arns, sid="End") | {"Condition": tagged},
        allow(mounting, file_system_arn, sid="Mount") | {"Condition": through},
    )


def api_server_access(bucket_arn: str, key_arn: str, prefix: str) -> Document:
    """Allows what Pipelines' API server does: HeadBucket at its start, then reading two kinds.

    Metrics of v1 runs, which the persistence agent asks it for (kubeflow/pipelines 2.16.0
    backend/src/common/util/workflow.go, CollectionMetrics), by the name that Argo gives them
    (argo-workflows v3.7.3 workflow/executor/executor.go, stageArchiveFile); and the definitions
    that Pipelines 1 left. Nothing else: it takes the key of an artifact from the status of a
    Workflow, which whoever edits the namespace may write, and asks Kubernetes about the run alone
    (backend/src/apiserver/resource/resource_manager.go, ResolveArtifactPath). Artifacts are read
    by the role of their profile.

    It has the right s3:ListBucket where a request has no s3:prefix, because HeadBucket is such a
    request and IAM has no action of its own for it (backend/src/apiserver/client_manager/
    client_manager.go, ensureBucketExists).
    """
    head = allow(["s3:ListBucket"], bucket_arn, sid="HeadBucket")
    head["Condition"] = {"Null": {"s3:prefix": "true"}}
    read = [f"{bucket_arn}/{prefix}/*/mlpipeline-metrics.tgz", f"{bucket_arn}/pipelines/*"]
    return document(
        head,
        allow(["s3:GetObject"], read, sid="MetricsAndDefinitions"),
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
