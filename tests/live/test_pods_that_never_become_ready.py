"""A workload whose pods never become ready ends `up` in its time, with each pod's own reason.

Provider, API server, scheduler and controllers are real. kwok plays a kubelet that finds no image,
or whose container crashes (``tests/live/stages``).
"""

from __future__ import annotations

import json
import re
import time
from typing import Any, NamedTuple

import pulumi
import pulumi_kubernetes as k8s
import pytest

from components.objects.kubernetes_objects import register
from components.objects.unready_pods import unready_pods
from rehearsal.providers import Simulation
from rendering import Object
from rendering.await_annotations import TIMEOUT_SECONDS
from tests.live.engine import LiveRehearsal
from tests.live.stack import LiveStack
from toolchain import tools

SECONDS = 24
"""The provider looks at pods every ten."""
VERIFY = "./kf verify --stack small"
IMAGE = "registry.test/nobody/pushed:this"
TOO_MUCH = {"requests": {"cpu": "64"}}


class Printed(NamedTuple):
    """What `up` printed: while it waited, and at its end; ``seconds`` it took."""

    waiting: str
    end: str
    seconds: float


def workload(kind: str, name: str, *, fails: str = "", **container: Any) -> Object:
    labels = {"app": name}
    pod = {"containers": [{"name": "main", "image": IMAGE, **container}]}
    metadata = {"labels": labels, "annotations": {"live.test/fails": fails}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "default",
            "annotations": {TIMEOUT_SECONDS: str(SECONDS)},
        },
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": metadata, "spec": pod},
        },
    }


WORKLOADS = (
    workload("Deployment", "no-image", fails="image"),
    workload("Deployment", "no-node", resources=TOO_MUCH),
    workload("Deployment", "crashes", fails="crash"),
    workload("DaemonSet", "no-image-anywhere", fails="image"),
)
"""The provider has a reason of its own for all but the second, and may show it while it waits."""


@pytest.fixture(scope="module")
def printed(live: LiveStack, tmp_path_factory: pytest.TempPathFactory) -> Printed:
    """Of one `up` of a small program with all these workloads."""
    project = tmp_path_factory.mktemp("small")
    (project / "Pulumi.yaml").write_text("name: small\nruntime: python\n")
    (project / "Pulumi.small.yaml").write_text("config: {}\n")
    rehearsal = LiveRehearsal(
        live.cluster,
        live.provider,
        project=project,
        stack="small",
        build=project / "build",
        pulumi=tools.pulumi(print).path,
        simulation=Simulation(region="cn-north-1"),
        program=lambda: program(json.dumps(live.cluster.cluster.kubeconfig)),
    )
    with rehearsal.started():
        start = time.monotonic()
        lines = rehearsal.printed_by_up()
        seconds = time.monotonic() - start
    waiting, _, end = "\n".join(lines).partition("Diagnostics:")
    return Printed(waiting, end, seconds)


def program(kubeconfig: str) -> None:
    provider = k8s.Provider("cluster", kubeconfig=kubeconfig)
    hooks = unready_pods(pulumi.Output.secret(kubeconfig), VERIFY)
    for each in WORKLOADS:
        register(each, hooks=hooks, opts=pulumi.ResourceOptions(provider=provider))


def test_up_ends_in_the_time_of_the_workloads(printed: Printed) -> None:
    """All at once: one after the other would take longer."""
    assert printed.end.count("timed out waiting") == len(WORKLOADS)
    assert SECONDS < printed.seconds < SECONDS * len(WORKLOADS)


@pytest.mark.parametrize(
    ("name", "pod", "reason"),
    [
        ("no-image", r"no-image-\w+-\w+", "container main waits: ImagePullBackOff: Back-off"),
        ("no-node", r"no-node-\w+-\w+", "no node takes it: 0/4 nodes .* Insufficient cpu"),
        ("crashes", r"crashes-\w+-\w+", r"CrashLoopBackOff: .* \(exit code 1, Error\)"),
        ("no-image-anywhere", r"no-image-anywhere-\w+", f"ImagePullBackOff: .*{IMAGE}.* 1 more"),
    ],
)
def test_the_end_names_workload_pod_and_reason(
    printed: Printed, name: str, pod: str, reason: str
) -> None:
    assert re.search(rf"error: default/{name} is not ready: pod {pod}: .*{reason}", printed.end)


def test_the_end_names_once_what_lists_all_reasons_and_the_way_on(printed: Printed) -> None:
    assert printed.end.count(VERIFY) == 1
    assert "run `pulumi up` again" in printed.end


def test_no_secret_is_printed(printed: Printed, live: LiveStack) -> None:
    (user,) = live.cluster.cluster.kubeconfig["users"]
    secrets = [value for value in user["user"].values() if isinstance(value, str)]
    assert secrets
    assert [each for each in secrets if each in printed.waiting + printed.end] == []


@pytest.mark.parametrize(
    ("kind", "name", "status"),
    [
        ("Deployment", "no-image", r"Waiting for app ReplicaSet .* \(0/1 Pods available\)"),
        ("Deployment", "crashes", r"Waiting for app ReplicaSet .* \(0/1 Pods available\)"),
        ("Deployment", "no-node", r"Waiting for app ReplicaSet .* \(0/1 Pods available\)"),
        ("DaemonSet", "no-image-anywhere", "Available: 0/4"),
    ],
)
def test_while_it_waits_it_shows_for_what(
    printed: Printed, kind: str, name: str, status: str
) -> None:
    row = rf"kubernetes:apps/v1:{kind} default/{name} creating \(\d+s\) "
    assert re.search(f"{row}.*{status}", printed.waiting)


def test_while_it_waits_it_shows_reasons_of_pods(printed: Printed) -> None:
    """Of one workload at least: the provider shows none where it learns of a pod too early."""
    row = r"kubernetes:apps/v1:\w+ default/\S+ creating \(\d+s\) .*"
    assert re.search(row + r"\[Pod \S+\]: .*\[(ImagePull|CrashLoop)BackOff\]", printed.waiting)
