"""The bucket that takes MinIO's place: artifacts, logs and pipeline root."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.backend.policies import bucket_policy
from settings.context import StackContext
from settings.sections import ArtifactsSettings

_UPLOAD_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class ArtifactStoreArgs:
    """What decides the bucket.

    Attributes:
        context: what all components of the stack share.
        settings: the section ``artifacts``.
        key_arn: KMS key of its objects.
    """

    context: StackContext
    settings: ArtifactsSettings
    key_arn: pulumi.Input[str]


class ArtifactStore(pulumi.ComponentResource):
    """Makes: one private, versioned, encrypted bucket that only answers over TLS.

    Outputs:
        bucket_name, bucket_arn.
    """

    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: ArtifactStoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:ArtifactStore", name, None, opts)
        self._name = name
        self._args = args
        # A bucket that outlives the stack keeps its encryption, its policy and its privacy as well.
        self._here = pulumi.ResourceOptions(
            parent=self, retain_on_delete=args.settings.retain_on_delete
        )
        bucket_name = (
            args.settings.bucket
            or f"{args.context.cluster}-{args.context.account_id}-{args.context.region.name}"
        )
        bucket = aws.s3.Bucket(
            name,
            bucket=bucket_name,
            tags=args.context.tagged(bucket_name),
            # S3 deletes empty buckets only; whoever gives up the bucket gives up what is in it.
            force_destroy=not args.settings.retain_on_delete,
            opts=self._here,
        )
        self.bucket_name = bucket.bucket
        self.bucket_arn = bucket.arn
        blocked = self._privacy(bucket)
        self._encryption(bucket)
        versioning = self._versions(bucket)
        self._lifecycle(bucket, versioning)
        self._transport(bucket, blocked)
        self.register_outputs({"bucketName": self.bucket_name, "bucketArn": self.bucket_arn})

    def _privacy(self, bucket: aws.s3.Bucket) -> aws.s3.BucketPublicAccessBlock:
        aws.s3.BucketOwnershipControls(
            f"{self._name}-ownership",
            bucket=bucket.id,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=self._here,
        )
        return aws.s3.BucketPublicAccessBlock(
            f"{self._name}-private",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._here,
        )

    def _encryption(self, bucket: aws.s3.Bucket) -> None:
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{self._name}-encryption",
            bucket=bucket.id,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    # One data key per bucket and period instead of one KMS call per artifact.
                    bucket_key_enabled=True,
                    apply_server_side_encryption_by_default=aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                        sse_algorithm="aws:kms", kms_master_key_id=self._args.key_arn
                    ),
                )
            ],
            opts=self._here,
        )

    def _versions(self, bucket: aws.s3.Bucket) -> aws.s3.BucketVersioning:
        return aws.s3.BucketVersioning(
            f"{self._name}-versions",
            bucket=bucket.id,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(
                status="Enabled"
            ),
            opts=self._here,
        )

    def _lifecycle(self, bucket: aws.s3.Bucket, versioning: aws.s3.BucketVersioning) -> None:
        settings = self._args.settings
        rule = aws.s3.BucketLifecycleConfigurationRuleArgs
        rules = [
            rule(
                id="old-versions",
                status="Enabled",
                filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                    noncurrent_days=settings.noncurrent_days
                ),
                abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                    days_after_initiation=_UPLOAD_DAYS
                ),
            )
        ]
        if settings.expire_days:
            rules.append(
                rule(
                    id="old-artifacts",
                    status="Enabled",
                    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(
                        prefix=f"{settings.prefix}/"
                    ),
                    expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(
                        days=settings.expire_days
                    ),
                )
            )
        aws.s3.BucketLifecycleConfiguration(
            f"{self._name}-lifecycle",
            bucket=bucket.id,
            rules=rules,
            opts=self._after(versioning),
        )

    def _transport(self, bucket: aws.s3.Bucket, blocked: aws.s3.BucketPublicAccessBlock) -> None:
        policy = pulumi.Output.all(bucket.arn, self._args.key_arn).apply(
            lambda found: bucket_policy(found[0], found[1])
        )
        # S3 refuses two configuration calls on one bucket at once (OperationAborted).
        aws.s3.BucketPolicy(
            f"{self._name}-tls-only",
            bucket=bucket.id,
            policy=pulumi.Output.json_dumps(policy),
            opts=self._after(blocked),
        )

    def _after(self, resource: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(
            self._here, pulumi.ResourceOptions(depends_on=[resource])
        )
