"""./kf leftovers against a real API server: what others made, and what a destroy keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops.leftover_search import Status
from ops.leftovers import of_cluster
from rendering import Object
from tests.cluster.conftest import CURRENT, NewCluster
from tests.cluster.platform import Platform

FORGOTTEN = Status.FORGOTTEN
pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")

PROFILE: Object = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "team-a", "labels": {"app.kubernetes.io/part-of": "kubeflow-profile"}},
}
BALANCED: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "way-in", "namespace": "default"},
    "spec": {"type": "LoadBalancer", "ports": [{"port": 443}]},
}
CLUSTER_IP: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "inside", "namespace": "default"},
    "spec": {"ports": [{"port": 443}]},
}
VOLUME: Object = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "pvc-1"},
    "spec": {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"},
    },
}


PLATFORM: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kubeflow"}}


def test_what_others_made_is_forgotten_once_the_platform_is_gone(
    new_cluster: NewCluster, whole: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_cluster("leftovers") as made:
        server = made.cluster.kubeconfig["clusters"][0]["cluster"]["server"]
        (tmp_path / "kubeconfig").write_text(json.dumps(made.cluster.kubeconfig))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))

        def left() -> dict[str, Status]:
            found = of_cluster({"name": "kubeflow", "endpoint": server}, "aws")
            # A command that deletes something is printed only where nothing needs it.
            assert all(bool(each.command) == (each.status is FORGOTTEN) for each in found)
            return {each.id: each.status for each in found}

        assert left() == {}
        made.crds(whole.crds[:2])
        for each in (PROFILE, BALANCED, CLUSTER_IP, VOLUME):
            made.cluster.create(each)
        others = dict.fromkeys(("team-a", "default/way-in", "pvc-1"), FORGOTTEN)
        assert left() == {**others, "2": Status.KEPT}
        made.cluster.create(PLATFORM)
        assert set(left().values()) == {Status.IN_USE}
