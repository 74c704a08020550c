"""What a verification made is gone after its end: by itself, by Ctrl-C, and when it was killed.

API server, garbage collector, the controllers of Jobs and of their ends are real.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ops.live_cluster import LiveCluster
from ops.verification.progress import Progress
from ops.verification.workspace import LABEL, Workspaces, alive, sweep
from tests.live.stack import ROOT, LiveStack
from tests.live.verifications import CHECK, NAMESPACES, OF_ANOTHER, Planned, verification

KILLED = 20
AHEAD = 4
"""Seconds; 120 in the product."""
LONGEST = 60
KINDS = {
    "/api/v1": ("configmaps", "secrets", "pods", "services"),
    "/apis/batch/v1": ("jobs",),
    "/apis/apps/v1": ("deployments", "replicasets"),
}


@pytest.fixture
def cluster(live: LiveStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveCluster:
    """The live cluster, with two namespaces of this module's own."""
    server = live.cluster.cluster
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(server.kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(path))
    for name in NAMESPACES:
        server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return LiveCluster()


def made(cluster: LiveCluster) -> list[str]:
    """What is in the namespaces, apart from what Kubernetes itself puts there."""
    found: list[str] = []
    for namespace in NAMESPACES:
        for root, kinds in KINDS.items():
            for kind in kinds:
                for obj in cluster.all(f"{root}/namespaces/{namespace}/{kind}"):
                    found.append(f"{kind} {namespace}/{obj['metadata']['name']}")
    return [each for each in found if not each.endswith(("kube-root-ca.crt", "istio-ca-root-cert"))]


def gone(cluster: LiveCluster, seconds: float, but: str = " ") -> list[str]:
    """What is still there when all should be gone, but names that end so."""
    limit = time.monotonic() + seconds
    while True:
        left = [each for each in made(cluster) if not each.endswith(but)]
        if not left or time.monotonic() > limit:
            return left
        time.sleep(0.5)


def ended(workspaces: Workspaces, seconds: float = 30) -> list[str]:
    return [*workspaces.delete(), *workspaces.await_end(seconds)]


def run(plans: Sequence[Planned]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.live.verifications"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    process.stdin.write(json.dumps(plans))
    process.stdin.close()
    process.stdin = None
    return process


def test_killed_at_twenty_random_moments_nothing_stays(cluster: LiveCluster) -> None:
    moments = random.Random(20)  # noqa: S311
    plans: list[Planned] = [
        {"signal": signal.SIGKILL, "after": moments.uniform(0.2, 9.0), "ahead": AHEAD}
        for _ in range(KILLED)
    ]
    process = run(plans)
    most: list[str] = []
    while process.poll() is None:
        most = max(most, made(cluster), key=len)
        time.sleep(0.5)
    out, errors = process.communicate()
    codes = [code for code, _ in json.loads(out)]
    # 1: on a busy machine a heartbeat came too late.
    assert set(codes) <= {-signal.SIGKILL, 0, 1}, errors
    assert codes.count(-signal.SIGKILL) > KILLED / 2
    assert len(most) > 20
    assert gone(cluster, LONGEST, but=OF_ANOTHER) == []
    # What nobody owned yet is for the sweep of the check that lets another program make it.
    verification().clean([CHECK])
    assert gone(cluster, 5) == []


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_interrupted_it_takes_away_what_it_made_before_it_ends(
    cluster: LiveCluster, number: int, code: int
) -> None:
    moments = random.Random(int(number))  # noqa: S311
    plans: list[Planned] = [
        {"signal": number, "after": moments.uniform(0.5, 2.0), "ahead": 600} for _ in range(3)
    ]
    process = run(plans)
    out, errors = process.communicate(timeout=60)
    assert [code for code, _ in json.loads(out)] == [code] * 3, errors
    assert "Traceback" not in errors
    # Deletions that a second later were under way; no deadline ends in this time.
    assert gone(cluster, 20) == []


def test_at_its_end_nothing_stays_and_a_deadline_is_moved_on_until_then(
    cluster: LiveCluster,
) -> None:
    process = run([{"signal": 0, "after": 0, "ahead": 2}])
    out, errors = process.communicate(timeout=60)
    assert [code for code, _ in json.loads(out)] == [0], errors
    assert made(cluster) == []


def test_a_sweep_leaves_what_is_alive_alone(cluster: LiveCluster) -> None:
    workspaces = Workspaces(cluster, Progress())
    config: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}}
    workspaces(NAMESPACES[0]).create(config)
    assert alive(cluster) == {workspaces.run}
    before = made(cluster)
    sweep(cluster)
    assert made(cluster) == before
    assert f"configmaps {NAMESPACES[0]}/{workspaces.run}-made" in before
    (stored,) = cluster.all("/api/v1/configmaps", labelSelector=f"{LABEL}={workspaces.run}")
    assert stored["metadata"]["ownerReferences"][0]["name"] == workspaces.run
    assert ended(workspaces) == []
    assert made(cluster) == []
    assert alive(cluster) == frozenset()


def test_what_a_finalizer_holds_is_named_with_a_command_that_shows_it(
    cluster: LiveCluster,
) -> None:
    workspaces = Workspaces(cluster, Progress())
    metadata = {"name": "held", "finalizers": ["test.example/holds"]}
    config: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    workspaces(NAMESPACES[0]).create(config)
    name = f"{workspaces.run}-held"
    (left,) = ended(workspaces, 2)
    assert f"ConfigMap {NAMESPACES[0]}/{name}" in left
    assert f"kubectl --namespace {NAMESPACES[0]} get configmaps {name}" in left
    path = f"/api/v1/namespaces/{NAMESPACES[0]}/configmaps/{name}"
    cluster.patch(path, {"metadata": {"finalizers": None}})
    assert gone(cluster, 30) == []


def test_what_the_server_rejects_is_told_in_its_own_words(cluster: LiveCluster) -> None:
    workspaces = Workspaces(cluster, Progress())
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": NAMESPACES[1]},
        "spec": {"hard": {"count/secrets": "0"}},
    }
    path = f"/api/v1/namespaces/{NAMESPACES[1]}/resourcequotas"
    cluster.create(path, quota)
    secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "made"}}

    def refused() -> str:
        try:
            workspaces(NAMESPACES[1]).create(secret)
        except Exception as error:
            return str(error)
        cluster.delete(f"/api/v1/namespaces/{NAMESPACES[1]}/secrets/{workspaces.run}-made")
        return ""

    try:
        # The quota counts when its controller has looked.
        sentence = next(filter(None, (refused() or time.sleep(0.3) for _ in range(60))))
        assert "exceeded quota: none" in str(sentence)
    finally:
        cluster.delete(f"{path}/none")
        assert ended(workspaces) == []
