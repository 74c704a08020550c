"""``./kf verify``: what is wrong on a live platform, and the way out of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from ops import targets
from ops.checks import Finding, Level
from ops.cli_errors import FAILED, Refused, told
from ops.doctor import show
from ops.images import Format
from ops.karpenter_status import REASONS, Seen
from ops.live_cluster import LiveCluster, Unreachable
from ops.node_pool_fit import GPU, Object, has_gpus, untolerated
from ops.pending_pods import Cause, explain
from settings.sentences import listed

_KARPENTER = "/apis/karpenter.sh/v1"
_ASKS: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "kf-verify-"},
    "spec": {
        "containers": [
            {"name": "asks", "image": "never-pulled", "resources": {"limits": {GPU: "1"}}}
        ]
    },
}
_NO_PROBLEM = (Cause.NODE_IS_COMING, Cause.HELD)


def verify(
    stack: Annotated[str, typer.Option(help="The stack: Pulumi.<stack>.yaml.")],
    format_: Annotated[
        Format, typer.Option("--format", help="text: tab-separated, one finding per line.")
    ] = Format.TABLE,
) -> None:
    """Lists problems of a live platform, on the cluster of the current kubeconfig."""
    with told():
        targets.settings_of(stack)
        findings = examine(LiveCluster())
    show(findings, format_)
    if any(found.level is Level.PROBLEM for found in findings):
        raise typer.Exit(FAILED)


def examine(cluster: LiveCluster) -> list[Finding]:
    """Every finding about a cluster.

    Raises:
        Unreachable: no API server answers.
        Refused: it does not let one read.
    """
    version = cluster.version()
    pools = cluster.all(f"{_KARPENTER}/nodepools")
    return [
        Finding(Level.GOOD, "cluster", f"{cluster.host} answers as {version}"),
        *_tolerations(cluster, pools),
        *_pending(cluster, pools),
    ]


def _tolerations(cluster: LiveCluster, pools: list[Object]) -> Iterator[Finding]:
    """Whether a pod that only asks for a GPU may run on the nodes of each pool.

    EKS says that its API server adds the toleration by itself; here it is asked, by a dry run where
    no webhook of ours looks.
    """
    offering = [pool for pool in pools if has_gpus(pool)]
    if not offering:
        return
    try:
        admitted = cluster.as_admitted("/api/v1/namespaces/kube-system/pods", _ASKS)
    except Unreachable:
        raise
    except Refused as refused:
        yield Finding(Level.NOTE, "GPU tolerations", f"nothing can be told of them: {refused}")
        return
    for pool in offering:
        name, taints = pool["metadata"]["name"], untolerated(admitted, pool)
        keys = [taint["key"] for taint in taints]
        yield (
            Finding(
                Level.NOTE,
                "GPU tolerations",
                f"NodePool {name} takes only pods that tolerate {listed(keys, 'and')} themselves",
            )
            if keys
            else Finding(
                Level.GOOD, "GPU tolerations", f"NodePool {name} takes any pod that asks for {GPU}"
            )
        )


def _pending(cluster: LiveCluster, pools: list[Object]) -> list[Finding]:
    seen = Seen(
        pods=cluster.all("/api/v1/pods", fieldSelector="status.phase=Pending"),
        node_pools=pools,
        node_claims=cluster.all(f"{_KARPENTER}/nodeclaims"),
        events=[
            event
            for reason in REASONS
            for event in cluster.all("/api/v1/events", fieldSelector=f"reason={reason}")
        ],
    )
    waiting = explain(seen)
    if not waiting:
        return [Finding(Level.GOOD, "GPU pods", "none waits for a node")]
    return [
        Finding(Level.NOTE if each.cause in _NO_PROBLEM else Level.PROBLEM, each.pod, each.sentence)
        for each in waiting
    ]
