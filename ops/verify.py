"""``./kf verify``: what is wrong on a live platform, and the way out of each."""

from __future__ import annotations

from typing import Annotated

import typer

from ops import choice
from ops.checks import Finding, Level
from ops.doctor import show
from ops.failures import FAILED, told
from ops.images import Format
from ops.karpenter_word import REASONS, Seen
from ops.live_cluster import LiveCluster
from ops.pending_pods import Cause, explain

_KARPENTER = "/apis/karpenter.sh/v1"
_NO_PROBLEM = (Cause.NODE_IS_COMING, Cause.HELD)


def verify(
    stack: Annotated[str, typer.Option(help="The stack: Pulumi.<stack>.yaml.")],
    format_: Annotated[
        Format, typer.Option("--format", help="text: tab-separated, one finding a line.")
    ] = Format.TABLE,
) -> None:
    """Says what is wrong on a live platform; asks the cluster of the current kubeconfig."""
    with told():
        choice.settings_of(stack)
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
    return [
        Finding(Level.GOOD, "cluster", f"{cluster.host} answers as {version}"),
        *_pending(cluster),
    ]


def _pending(cluster: LiveCluster) -> list[Finding]:
    seen = Seen(
        pods=cluster.all("/api/v1/pods", fieldSelector="status.phase=Pending"),
        node_pools=cluster.all(f"{_KARPENTER}/nodepools"),
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
