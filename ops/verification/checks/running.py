"""Whether what runs is as it should be: the cluster answers, pods are ready, models are served."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from datetime import timedelta

from components.objects.pod_reasons import reason_of
from images.reference import InvalidReference, parse
from ops.cli_errors import Refused
from ops.current_cluster import Unreachable
from ops.findings import Finding, Level, good, note, problem
from ops.gpu_holders import holders, nodes_of_holders
from ops.image_pulls import pull_trouble
from ops.karpenter_status import REASONS, ClusterState, Object
from ops.live_cluster import LiveCluster
from ops.node_pool_fit import GPU, NodePool
from ops.parallel import in_order
from ops.pending_pods import Cause, explain, waits_for_gpus
from ops.serving_status import Serving, explain_serving
from ops.verification.check import Check
from ops.verification.checks.live_objects import (
    images_of,
    locked,
    now,
    profile_namespaces,
    some,
    source_of,
    time_of,
)
from ops.verification.platform import Platform
from ops.verification.waiting import LONGEST_REASON, harmless
from settings.errors import listed

_KARPENTER = "/apis/karpenter.sh/v1"
_DCGM_EXPORTERS = "/api/v1/namespaces/kube-system/pods"
_DCGM_PORT = 9400
_AT_ONCE = 8
_ALIKE = 5
"""More pods of a namespace with the same trouble are one finding."""
_LONG = timedelta(hours=1)
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
    return _pods(platform.cluster, lambda pod: _is_a_users_own(platform, pod))


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


def _pods(
    cluster: LiveCluster, is_a_users_own: Callable[[Object], bool] = lambda _: False
) -> Iterator[Finding]:
    found = _not_succeeded(cluster)
    others = [pod for pod in found if not waits_for_gpus(pod)]
    warnings = cluster.all("/api/v1/events", fieldSelector="type=Warning")
    alike = dict[tuple[str, str, Level], list[str]]()
    for pod in others:
        namespace, name = str(pod["metadata"]["namespace"]), str(pod["metadata"]["name"])
        reason = reason_of(pod, warnings)
        if reason:
            # A failed pod is history: its controller has made another, or reports a failure itself.
            over = pod["status"].get("phase") == "Failed"
            way_out = pull_trouble(pod)
            sentence = harmless(reason.sentence, LONGEST_REASON)
            sentence = f"{sentence}: {way_out}" if way_out else sentence
            expected = reason.starting or over or is_a_users_own(pod)
        elif sentence := _does_not_end(pod):
            expected = False
        else:
            continue
        level = Level.NOTE if expected else Level.PROBLEM
        alike.setdefault((namespace, sentence, level), []).append(f"{namespace}/{name}")
    for (_, sentence, level), names in alike.items():
        if len(names) > _ALIKE:
            yield Finding(level, some(names), f"{len(names)} pods, each: {sentence}")
        else:
            yield from (Finding(level, name, sentence) for name in names)
    if not alike:
        yield good("pods", "all others are ready" if len(others) < len(found) else "all are ready")


def _does_not_end(pod: Object) -> str:
    """What keeps a pod that should long be gone; empty: nothing does.

    ``deletionTimestamp`` is the end of its grace period (k8s.io/apimachinery meta/v1, ObjectMeta).
    """
    metadata = pod["metadata"]
    end = time_of(metadata.get("deletionTimestamp"))
    if end is None or now() - end < _LONG:
        return ""
    name, namespace = metadata["name"], metadata["namespace"]
    finalizers = metadata.get("finalizers") or []
    if finalizers:
        return (
            f"should be gone since {end:%Y-%m-%d %H:%M} UTC, and its finalizers "
            f"{listed(finalizers, 'and')} keep it: look at the controllers that set them"
        )
    return (
        f"should be gone since {end:%Y-%m-%d %H:%M} UTC, and its node "
        f"{(pod.get('spec') or {}).get('nodeName', '')} does not end it: look at the node, and if "
        f"it is gone, `kubectl -n {namespace} delete pod {name} --force`"
    )


def _is_a_users_own(platform: Platform, pod: Object) -> bool:
    """Whether what does not start is an image in a user's namespace that is none of the platform.

    A pod that no node takes is the platform's matter.
    """
    namespace, status = str(pod["metadata"]["namespace"]), pod.get("status") or {}
    if namespace not in profile_namespaces(platform):
        return False
    failing = {
        each["name"]
        for kind in ("initContainerStatuses", "containerStatuses")
        for each in status.get(kind) or []
        if not each.get("ready") and not (each.get("state") or {}).get("running")
    }
    images = [image for name, image, _ in images_of(pod) if name in failing]
    return bool(images) and not any(_is_the_platforms(platform, image) for image in images)


def _is_the_platforms(platform: Platform, image: str) -> bool:
    """Whether an image is of the inventory, or may be: the account's registry is unknown."""
    try:
        source = source_of(platform, image)
    except Refused:
        with suppress(InvalidReference):
            source = parse(image)
            return source.ecr_region is not None or str(source) in locked(platform.settings)
        return False
    return source is not None and str(source) in locked(platform.settings)


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
