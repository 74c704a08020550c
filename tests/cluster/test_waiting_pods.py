"""./kf verify against a real API server: its lists, selectors and pages, and pods that wait."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from components.gpu.karpenter_objects import GPU_RESOURCE
from rendering import Object
from tests.cluster.conftest import CURRENT, NewCluster
from tests.cluster.installation import Installation
from tests.cluster.platform import Platform
from tests.ops.command import kf

pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")


@pytest.fixture
def cluster(
    new_cluster: NewCluster, whole: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[Installation]:
    """An API server with Karpenter's CRDs and the stack's pool, which KUBECONFIG names."""
    karpenters = [crd for crd in whole.crds if "karpenter" in crd["spec"]["group"]]
    pools = [obj for key, obj in whole.objects.items() if key.kind == "NodePool"]
    with new_cluster("waiting") as made:
        made.crds(karpenters)
        made.apply_all(pools)
        (tmp_path / "kubeconfig").write_text(json.dumps(made.cluster.kubeconfig))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield made


def waiting(name: str, gpus: int, **spec: object) -> Object:
    """A pod that nobody places: no scheduler runs here."""
    resources = {"limits": {GPU_RESOURCE: str(gpus)}}
    container = {"name": "main", "image": "registry.example/train", "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [container], **spec},
    }


def told() -> tuple[int, dict[str, tuple[str, str]]]:
    """Exit code, and what about -> level and sentence."""
    done = kf("verify", "--stack", "cn-north-1", "--only", "running", "--format", "json")
    rows = json.loads(done.stdout)
    return done.exit_code, {row["about"]: (row["level"], row["sentence"]) for row in rows}


def test_every_pod_that_waits_is_explained_as_the_server_has_it(cluster: Installation) -> None:
    code, before = told()
    assert code == 0
    assert before["GPU pods"] == ("good", "none waits for a node")
    assert before["GPU tolerations"][0] == "good"

    family = {"karpenter.k8s.aws/instance-family": "p4d"}
    cluster.cluster.create(waiting("elsewhere", 1, nodeSelector=family))
    cluster.cluster.create(waiting("wide", 16))
    cluster.cluster.create(waiting("unlucky", 1))
    cluster.cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "gpu-x7k2p.1", "namespace": "default"},
            "type": "Warning",
            "reason": "InsufficientCapacityError",
            "message": "creating instance, insufficient capacity",
            "lastTimestamp": "2099-01-01T00:00:00Z",
            "involvedObject": {
                "apiVersion": "karpenter.sh/v1",
                "kind": "NodeClaim",
                "name": "gpu-x7k2p",
            },
        }
    )
    code, after = told()
    assert code == 1
    assert after["default/elsewhere"][1].startswith("it asks for a node with karpenter.k8s.aws")
    assert "asks for 16 GPUs on one node" in after["default/wide"][1]
    assert "creating instance, insufficient capacity" in after["default/unlucky"][1]
    assert {level for about, (level, _) in after.items() if "/" in about} == {"problem"}


def test_a_pool_with_another_taint_is_why_its_pods_wait(cluster: Installation) -> None:
    """The one way to a missing toleration that EKS leaves: a taint of one's own."""
    (pool,) = cluster.cluster.get("/apis/karpenter.sh/v1/nodepools")["items"]
    taints = [{"key": "team", "value": "vision", "effect": "NoSchedule"}]
    spec = {**pool["spec"]["template"]["spec"], "taints": taints}
    template = {**pool["spec"]["template"], "spec": spec}
    changed = {key: pool[key] for key in ("apiVersion", "kind")}
    changed |= {
        "metadata": {"name": pool["metadata"]["name"]},
        "spec": {**pool["spec"], "template": template},
    }
    cluster.cluster.apply(changed)
    cluster.cluster.create(waiting("train", 1))
    code, after = told()
    assert code == 1
    assert "the taint team=vision:NoSchedule of NodePool gpu" in after["default/train"][1]
    assert after["GPU tolerations"][0] == "note"


def test_without_karpenter_nothing_is_served_and_that_is_what_is_told(
    new_cluster: NewCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_cluster("bare") as made:
        (tmp_path / "kubeconfig").write_text(json.dumps(made.cluster.kubeconfig))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        made.cluster.create(waiting("train", 1))
        code, after = told()
    assert code == 1
    assert after["default/train"][1].startswith("there is no NodePool")
