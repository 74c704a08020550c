"""``./kf verify``: problems of a live platform, with the way out of each."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from contextlib import suppress

from components.objects.pod_reasons import reason_of
from ops import targets
from ops.cli_errors import Refused, errors_reported
from ops.findings import Finding, FindingFormat, good, note, problem, report
from ops.gpu_holders import holders, nodes_of_holders
from ops.image_pulls import pull_trouble
from ops.karpenter_status import REASONS, ClusterState, Object
from ops.live_cluster import LiveCluster, Unreachable
from ops.node_pool_fit import GPU, NodePool
from ops.pending_pods import Cause, explain
from ops.serving_status import Serving, explain_serving
from settings.errors import listed

_KARPENTER = "/apis/karpenter.sh/v1"
_DCGM_EXPORTERS = "/api/v1/namespaces/kube-system/pods"
_DCGM_PORT = 9400
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


def verify(stack: targets.Stack = targets.DEFAULT, format_: FindingFormat = None) -> None:
    """Lists problems of a live platform, on the cluster of the current kubeconfig.

    Example: `./kf verify --stack cn-north-1`
    """
    with errors_reported():
        settings = targets.settings_of(stack)
        findings = examine(LiveCluster.of_stack(stack, settings))
    report(findings, format_)


def examine(cluster: LiveCluster) -> list[Finding]:
    """Every finding about a cluster.

    Raises:
        Unreachable: no API server answers.
        Refused: the user has no right to read it.
    """
    version = cluster.answer("GET", "/version", {})["gitVersion"]
    pools = cluster.all(f"{_KARPENTER}/nodepools")
    pods = cluster.all("/api/v1/pods", fieldSelector="status.phase!=Succeeded")
    return [
        good("cluster", f"{cluster.host} answers as {version}"),
        *_tolerations(cluster, pools),
        *_not_ready(cluster, pools, pods),
        *_models(cluster, pods),
    ]


def _tolerations(cluster: LiveCluster, pools: list[Object]) -> Iterator[Finding]:
    """Whether a pod that only requests a GPU may run on the nodes of each pool.

    By AWS's documentation the API server of EKS adds the toleration; here it is tested, by a dry
    run in a namespace without webhooks of this project.
    """
    about = "GPU tolerations"
    gpu_pools = [pool for pool in map(NodePool, pools) if pool.has_gpus]
    if not gpu_pools:
        return
    try:
        path, dry_run = "/api/v1/namespaces/kube-system/pods", {"dryRun": "All"}
        admitted = cluster.answer("POST", path, dry_run, _GPU_POD)
    except Unreachable:
        raise
    except Refused as refused:
        yield note(about, f"not checked: {refused}")
        return
    for pool in gpu_pools:
        keys = [taint["key"] for taint in pool.untolerated(admitted)]
        if keys:
            yield note(
                about,
                f"NodePool {pool.name} takes only pods that tolerate {listed(keys, 'and')} "
                "themselves",
            )
        else:
            yield good(about, f"NodePool {pool.name} takes any pod that asks for {GPU}")


def _not_ready(cluster: LiveCluster, pools: list[Object], pods: list[Object]) -> Iterator[Finding]:
    gpu_pods = yield from _pending(cluster, pools, pods)
    yield from _holding(cluster, pods)
    warnings = cluster.all("/api/v1/events", fieldSelector="type=Warning")
    others = 0
    for pod in pods:
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        reason = None if name in gpu_pods else reason_of(pod, warnings)
        if reason:
            others += 1
            # A failed pod is history: its controller has made another, or reports a failure itself.
            over = pod["status"].get("phase") == "Failed"
            way_out = pull_trouble(pod)
            sentence = f"{reason.sentence}: {way_out}" if way_out else reason.sentence
            yield (note if reason.starting or over else problem)(name, sentence)
    if not others:
        yield good("pods", "all others are ready" if gpu_pods else "all are ready")


def _models(cluster: LiveCluster, pods: list[Object]) -> Iterator[Finding]:
    """Findings about what KServe and Knative serve; none where they serve nothing."""
    states = explain_serving(
        Serving(
            models=cluster.all(f"{_KSERVE}/inferenceservices"),
            configurations=cluster.all(f"{_KNATIVE}/configurations"),
            revisions=cluster.all(f"{_KNATIVE}/revisions"),
            pods=pods,
        )
    )
    for name, state in states.items():
        if state:
            yield (note if state.starting else problem)(name, state.sentence)
    if states and not any(states.values()):
        yield good("models", "all are ready")


def _pending(
    cluster: LiveCluster, pools: list[Object], pods: list[Object]
) -> Generator[Finding, None, Collection[str]]:
    """Findings about pending pods that request GPUs; returns the names of these pods."""
    state = ClusterState(
        pods=pods,
        node_pools=pools,
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
    return reasons


def _holding(cluster: LiveCluster, pods: list[Object]) -> Iterator[Finding]:
    """Who holds which GPU since when; a note where DCGM measures no load at this moment."""
    nodes = nodes_of_holders(pods)
    if not nodes:
        return
    for holder in holders(pods, cluster.all("/api/v1/nodes"), list(_exported(cluster, nodes))):
        yield (note if holder.idle else good)(holder.name, holder.sentence)


def _exported(cluster: LiveCluster, nodes: Collection[str]) -> Iterator[str]:
    """What the DCGM exporters of these nodes answer; nothing of those that do not."""
    label = "app.kubernetes.io/name=dcgm-exporter"
    for pod in cluster.all(_DCGM_EXPORTERS, labelSelector=label):
        if pod["spec"].get("nodeName") in nodes:
            name = pod["metadata"]["name"]
            with suppress(Refused):
                yield cluster.text(f"{_DCGM_EXPORTERS}/{name}:{_DCGM_PORT}/proxy/metrics")
