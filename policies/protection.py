"""What holds data is not deleted by a mistake."""

from __future__ import annotations

from collections.abc import Iterator

from policies.model import Stack, Violation, policy

_HOLDERS = {
    "aws:rds/instance:Instance": "the database of runs and experiments",
    "aws:rds/cluster:Cluster": "the database of runs and experiments",
    "aws:s3/bucket:Bucket": "every artifact",
    "aws:s3/bucketV2:BucketV2": "every artifact",
    "aws:efs/fileSystem:FileSystem": "the shared files",
    "aws:kms/key:Key": "everything that the key encrypts",
    "aws:eks/cluster:Cluster": "all volumes and objects of the cluster",
}


@policy("unprotected-data", severity="high", level="advisory")
def unprotected_data(stack: Stack) -> Iterator[Violation]:
    """Databases, buckets, file systems, keys and the cluster are protected from deletion."""
    for resource in stack.only(*_HOLDERS):
        if not resource.protect:
            yield resource.finding(
                "protect",
                f"one change or `pulumi destroy` takes {_HOLDERS[resource.type]}; "
                "set kubeflow:deletionProtection to true.",
                value=False,
            )
    for instance in stack.of("aws:rds/"):
        if instance.inputs.get("deletionProtection") is False:
            yield instance.finding(
                "deletionProtection",
                "whoever may call RDS deletes it; set kubeflow:deletionProtection to true.",
            )
    for bucket in stack.of("aws:s3/bucket:", "aws:s3/bucketV2:"):
        if bucket.inputs.get("forceDestroy"):
            yield bucket.finding(
                "forceDestroy", "`pulumi destroy` deletes every artifact; set it to false."
            )
