"""The bucket that replaces MinIO: artifacts, logs and pipeline root."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.backend.policies import bucket_policy
from settings.context import StackContext
from settings.sections import ArtifactsSettings


class ArtifactStore(pulumi.ComponentResource):
    """Makes: one private, versioned, encrypted bucket that accepts TLS only.

    With ``artifacts.existing`` it makes the configuration alone, of a bucket that it never deletes.

    Args:
        name: of the component and of the bucket.
        context: what all components of the stack share.
        settings: the section ``artifacts``.
        key_arn: KMS key of the objects.
        opts: of the component.

    Attributes:
        bucket_name: of the bucket.
        bucket_arn: of the bucket.
    """

    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        context: StackContext,
        settings: ArtifactsSettings,
        key_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("kubeflow:platform:ArtifactStore", name, None, opts)
        self._name, self._settings, self._key_arn = name, settings, key_arn
        bucket_name = context.bucket(settings)
        if settings.existing:
            self.bucket_name = pulumi.Output.from_input(bucket_name)
            arn = context.region.arn("s3", bucket_name, account="", region="")
            self.bucket_arn = pulumi.Output.from_input(arn)
        else:
            bucket = aws.s3.Bucket(
                name,
                bucket=bucket_name,
                tags=context.tagged(bucket_name),
                # S3 deletes empty buckets only: without retention the objects are deleted too.
                force_destroy=not settings.retain_on_delete,
                opts=pulumi.ResourceOptions.merge(
                    self._child(), pulumi.ResourceOptions(protect=context.protected)
                ),
            )
            self.bucket_name, self.bucket_arn = bucket.bucket, bucket.arn
        self._private()
        self._encrypted()
        self._versioned()
        self.register_outputs({})

    def _private(self) -> None:
        aws.s3.BucketOwnershipControls(
            f"{self._name}-ownership",
            bucket=self.bucket_name,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self._child(),
        )
        block = aws.s3.BucketPublicAccessBlock(
            f"{self._name}-private",
            bucket=self.bucket_name,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child(),
        )
        policy = pulumi.Output.all(self.bucket_arn, self._key_arn).apply(
            lambda arns: bucket_policy(arns[0], arns[1])
        )
        # S3 refuses two configuration calls on one bucket at once (OperationAborted).
        aws.s3.BucketPolicy(
            f"{self._name}-tls-only",
            bucket=self.bucket_name,
            policy=pulumi.Output.json_dumps(policy),
            opts=self._child(block),
        )

    def _encrypted(self) -> None:
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{self._name}-encryption",
            bucket=self.bucket_name,
            rules=[
                {
                    # One data key per bucket and period instead of one KMS call per artifact.
                    "bucket_key_enabled": True,
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": self._key_arn,
                    },
                }
            ],
            opts=self._child(),
        )

    def _versioned(self) -> None:
        versioning = aws.s3.BucketVersioning(
            f"{self._name}-versions",
            bucket=self.bucket_name,
            versioning_configuration={"status": "Enabled"},
            opts=self._child(),
        )
        settings = self._settings
        rules: list[aws.s3.BucketLifecycleConfigurationRuleArgsDict] = [
            {
                "id": "old-versions",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "noncurrent_version_expiration": {"noncurrent_days": settings.noncurrent_days},
                "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
            }
        ]
        if settings.expire_days:
            rules.append(
                {
                    "id": "old-artifacts",
                    "status": "Enabled",
                    "filter": {"prefix": f"{settings.prefix}/"},
                    "expiration": {"days": settings.expire_days},
                }
            )
        aws.s3.BucketLifecycleConfiguration(
            f"{self._name}-lifecycle",
            bucket=self.bucket_name,
            rules=rules,
            opts=self._child(versioning),
        )

    def _child(self, *depends_on: pulumi.Resource) -> pulumi.ResourceOptions:
        # A bucket that outlives the stack remains encrypted and private, and keeps its policy.
        return pulumi.ResourceOptions(
            parent=self,
            retain_on_delete=self._settings.retain_on_delete or self._settings.existing,
            depends_on=list(depends_on),
        )
