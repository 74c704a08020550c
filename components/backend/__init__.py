"""What Kubeflow stores outside the cluster: a database, its users, a bucket and their keys."""

from components.backend.kubeflow_rds_s3_backend import (
    KubeflowRdsS3Backend,
    KubeflowRdsS3BackendArgs,
)

__all__ = ["KubeflowRdsS3Backend", "KubeflowRdsS3BackendArgs"]
