"""Whether what runs is as it should be: the cluster answers, pods are ready, models are served."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress

from components.objects.pod_reasons import reason_of
from ops.cli_errors import Refused
from ops.findings import Finding, good, note, problem
from ops.gpu_holders import holders, nodes_of_holders
from ops.image_pulls import pull_trouble
from ops.karpenter_status import REASONS, ClusterState, Object
from ops.live_cluster import LiveCluster, Unreachable
from ops.node_pool_fit import GPU, NodePool
from ops.parallel import in_order
from ops.pending_pods import Cause, explain, waits_for_gpus
from ops.serving_status import Serving, explain_serving
from ops.verification.check import Check
from ops.verification.platform import Platform
from settings.errors import listed

_KARPENTER = "/apis/karpenter.sh/v1"
_DCGM_EXPORTERS = "/api/v1/namespaces/kube-system/pods"
_DCGM_PORT = 9400
_AT_ONCE = 8
_KNATIVE = "/apis/serving.knative.dev/v1"
_KSERVE = "/apis/serving.kserve.io/v1beta1"
_GPU_POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "kf-verify-"},
    "spec": {
        "containers": [
            {"name": "main", "image": "never-pulled", "resources": {"limits": {GPU: "1"}}}
        ]
    },
}


def examine(cluster: LiveCluster) -> list[Finding]:
    """Every finding of this module about a cluster.

    Raises:
        Unreachable: no API server answers.
        Refused: the user has no right to read it.
    """
    return [
        finding
        for part in (_answers, _tolerations, _gpu_pods, _holders, _pods, _models)
        for finding in part(cluster)
    ]


def answers(platform: Platform) -> Iterator[Finding]:
    """Whether the API server answers, and its version."""
    return _answers(platform.cluster)


def gpu_tolerations(platform: Platform) -> Iterator[Finding]:
    """Whether a pod that only requests a GPU may run on the nodes of each pool."""
    return _tolerations(platform.cluster)


def gpu_pods(platform: Platform) -> Iterator[Finding]:
    """Why each pending pod that requests GPUs waits."""
    return _gpu_pods(platform.cluster)


def gpu_holders(platform: Platform) -> Iterator[Finding]:
    """Who holds which GPU since when; a note where DCGM measures no load at this moment."""
    return _holders(platform.cluster)


def pods(platform: Platform) -> Iterator[Finding]:
    """Why each other pod is not ready."""
    return _pods(platform.cluster)


def models(platform: Platform) -> Iterator[Finding]:
    """Why each model and service of Knative is not ready."""
    return _models(platform.cluster)


def _answers(cluster: LiveCluster) -> Iterator[Finding]:
    version = cluster.answer("GET", "/version", {})["gitVersion"]
    yield good("cluster", f"{cluster.host} answers as {version}")


def _tolerations(cluster: LiveCluster) -> Iterator[Finding]:
    # By AWS's documentation the API server of EKS adds the toleration; here it is tested, by a dry
    # run in a namespace without webhooks of this project.
    about = "GPU tolerations"
    pools = [pool for pool in map(NodePool, _node_pools(cluster)) if pool.has_gpus]
    if not pools:
        yield good(about, "no NodePool has machines with GPUs")
        return
    try:
        path, dry_run = "/api/v1/namespaces/kube-system/pods", {"dryRun": "All"}
        admitted = cluster.answer("POST", path, dry_run, _GPU_POD)
    except Unreachable:
        raise
    except Refused as refused:
        yield note(about, f"not checked: {refused}")
        return
    for pool in pools:
        keys = [taint["key"] for taint in pool.untolerated(admitted)]
        if keys:
            yield note(
                about,
                f"NodePool {pool.name} takes only pods that tolerate {listed(keys, 'and')} "
                "themselves",
            )
        else:
            yield good(about, f"NodePool {pool.name} takes any pod that asks for {GPU}")


def _gpu_pods(cluster: LiveCluster) -> Iterator[Finding]:
    state = ClusterState(
        pods=_not_succeeded(cluster),
        node_pools=_node_pools(cluster),
        node_claims=cluster.all(f"{_KARPENTER}/nodeclaims"),
        events=[
            event
            for reason in REASONS
            for event in cluster.all("/api/v1/events", fieldSelector=f"reason={reason}")
        ],
    )
    reasons = explain(state)
    if not reasons:
        yield good("GPU pods", "none waits for a node")
    for pod, (cause, sentence) in reasons.items():
        harmless = cause in (Cause.NODE_IS_COMING, Cause.HELD)
        yield (note if harmless else problem)(pod, sentence)


def _holders(cluster: LiveCluster) -> Iterator[Finding]:
    running = _not_succeeded(cluster)
    nodes = nodes_of_holders(running)
    if not nodes:
        yield good("GPU holders", f"no pod holds {GPU}")
        return
    for holder in holders(running, cluster.all("/api/v1/nodes"), list(_exported(cluster, nodes))):
        yield (note if holder.idle else good)(holder.name, holder.sentence)


def _exported(cluster: LiveCluster, nodes: Collection[str]) -> Iterator[str]:
    """What the DCGM exporters of these nodes answer; nothing of those that do not."""
    label = "app.kubernetes.io/name=dcgm-exporter"
    names = [
        str(pod["metadata"]["name"])
        for pod in cluster.all(_DCGM_EXPORTERS, labelSelector=label)
        if pod["spec"].get("nodeName") in nodes
    ]

    def answer(name: str) -> str:
        with suppress(Refused):
            return cluster.text(f"{_DCGM_EXPORTERS}/{name}:{_DCGM_PORT}/proxy/metrics")
        return ""

    # The kubelet of a dead node answers after 30 s only.
    yield from filter(None, in_order(names, answer, _AT_ONCE, ""))


def _pods(cluster: LiveCluster) -> Iterator[Finding]:
    found = _not_succeeded(cluster)
    others = [pod for pod in found if not waits_for_gpus(pod)]
    warnings = cluster.all("/api/v1/events", fieldSelector="type=Warning")
    ready = True
    for pod in others:
        reason = reason_of(pod, warnings)
        if reason:
            ready = False
            # A failed pod is history: its controller has made another, or reports a failure itself.
            over = pod["status"].get("phase") == "Failed"
            way_out = pull_trouble(pod)
            sentence = f"{reason.sentence}: {way_out}" if way_out else reason.sentence
            name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
            yield (note if reason.starting or over else problem)(name, sentence)
    if ready:
        yield good("pods", "all others are ready" if len(others) < len(found) else "all are ready")


def _models(cluster: LiveCluster) -> Iterator[Finding]:
    states = explain_serving(
        Serving(
            models=cluster.all(f"{_KSERVE}/inferenceservices"),
            configurations=cluster.all(f"{_KNATIVE}/configurations"),
            revisions=cluster.all(f"{_KNATIVE}/revisions"),
            pods=_not_succeeded(cluster),
        )
    )
    for name, state in states.items():
        if state:
            yield (note if state.starting else problem)(name, state.sentence)
    if not any(states.values()):
        yield good("models", "all are ready" if states else "none is served")


def _not_succeeded(cluster: LiveCluster) -> list[Object]:
    return cluster.all("/api/v1/pods", fieldSelector="status.phase!=Succeeded")


def _node_pools(cluster: LiveCluster) -> list[Object]:
    return cluster.all(f"{_KARPENTER}/nodepools")


CHECKS: tuple[Check, ...] = (
    Check("cluster", "the version that the API server answers", answers),
    Check(
        "gpu-tolerations",
        "whether each GPU pool takes a pod that asks for a GPU alone (a dry run)",
        gpu_tolerations,
    ),
    Check("gpu-pods", "pods that wait for a GPU, in Karpenter's words", gpu_pods),
    Check("gpu-holders", "pods that hold a GPU, since when, and their load by DCGM", gpu_holders),
    Check("pods", "every other pod that has not succeeded", pods),
    Check("models", "InferenceServices, and what Knative runs for them", models),
)
