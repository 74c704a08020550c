"""What kubectl and the AWS CLI print of a platform as awslabs' script makes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

KEY = "arn:aws-cn:kms:cn-north-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
KEPT = "bm90IGZvciBhbnlib2R5"
"""The value of a Secret, which no output has."""
NAME, COPY = "kubeflow-db-last", "kubeflow-db-last-encrypted"


def snapshot(name: str, **changes: Any) -> dict[str, Any]:
    """One of ``describe-db-snapshots`` (botocore rds, DBSnapshot), unencrypted as the script's."""
    return {
        "DBSnapshotIdentifier": name,
        "DBSnapshotArn": f"arn:aws-cn:rds:cn-north-1:111122223333:snapshot:{name}",
        "DBInstanceIdentifier": "kubeflow-db",
        "Engine": "mysql",
        "EngineVersion": "8.0.45",
        "AllocatedStorage": 50,
        "MasterUsername": "admin",
        "Encrypted": False,
        "SnapshotCreateTime": "2026-11-29T08:00:00+00:00",
        **changes,
    }


def copy(**changes: Any) -> dict[str, Any]:
    """An encrypted copy of that snapshot, made an hour later."""
    kept = {
        "Encrypted": True,
        "KmsKeyId": KEY,
        "OriginalSnapshotCreateTime": "2026-11-29T08:00:00+00:00",
        "SnapshotCreateTime": "2026-11-29T09:00:00+00:00",
    }
    return snapshot(COPY, **{**kept, **changes})


def item(kind: str, name: str, namespace: str | None = None, **parts: Any) -> dict[str, Any]:
    """An object of a cluster."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    metadata |= parts.pop("metadata", {})
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **parts}


def profile(namespace: str, owner: str, kind: str = "User", **spec: Any) -> dict[str, Any]:
    """A Profile."""
    return item("Profile", namespace, spec={"owner": {"kind": kind, "name": owner}, **spec})


def binding(namespace: str, user: str, role: str = "edit") -> dict[str, Any]:
    """A RoleBinding as kfam makes it."""
    annotations = {"user": user, "role": role}
    name = f"user-{user.replace('@', '-').replace('.', '-')}-clusterrole-{role}"
    return item("RoleBinding", name, namespace, metadata={"annotations": annotations})


CLUSTER = [
    profile("team-a", "Alice@x.org", resourceQuotaSpec={"hard": {"cpu": "1500m", "memory": "8Gi"}}),
    profile("team-b", "bob@x.org", plugins=[{"kind": "AwsIamForServiceAccount"}]),
    profile("team-b-two", "bob@x.org"),
    profile("kubeflow", "carol@x.org"),
    profile("robots", "robots", kind="Group"),
    binding("team-a", "alice@x.org", "admin"),
    binding("team-a", "Bob@x.org"),
    binding("team-a", "stranger@x.org"),
    item("RoleBinding", "default-editor", "team-a"),
    item("Notebook", "n1", "team-a"),
    item("Gadget", "g1", "team-b"),
    item("Secret", "mlpipeline-minio-artifact", "team-a", data={"secretkey": KEPT}),
    item("Notebook", "of-the-platform", "elsewhere"),
    item("ConfigMap", "pipeline-install-config", "kubeflow", data={"bucketName": "old-artifacts"}),
]


def write(folder: Path, *snapshots: dict[str, Any], items: Any = None) -> list[Path]:
    """The files of a platform, with the given snapshots."""
    cluster, described = folder / "cluster.json", folder / "snapshots.json"
    cluster.write_text(json.dumps({"kind": "List", "items": CLUSTER if items is None else items}))
    described.write_text(json.dumps({"DBSnapshots": list(snapshots)}))
    return [cluster, described]
