"""Waits of a check, with what happens meanwhile, and the reason of a pod that does not get on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from components.objects.pod_reasons import reason_of
from ops.cli_errors import Refused
from ops.image_pulls import pull_trouble
from ops.live_cluster import LiveCluster
from ops.verification.workspace import Workspace
from settings.secrecy import without_secrets

Object = dict[str, Any]
_LOOK_SECONDS = 10.0
"""So often the progress line is written anew."""
_LAST_LINES = 3
_LONGEST = 200
LONGEST_REASON = 1000
"""Of a pod's reason: a termination message has 4096 characters, of the program's own log too."""
_NAMED = re.compile(
    r"((?:pass(?:word|wd)?|secret|token|credential|authorization|signature|api_?key)\w*"
    r"[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic)\s+)?)[^\s*]\S*",
    re.IGNORECASE,
)
"""Beside what ``settings.secrecy`` finds: any value after such a name, as a line may be cut."""


def wait(
    workspace: Workspace,
    what: str,
    done: Callable[[], str | None],
    seconds: float,
    doing: Callable[[], str] = lambda: "",
) -> str | None:
    """As ``Workspace.wait``, and the progress line also has what happens.

    Args:
        workspace: counts the time.
        what: is waited for.
        done: the answer, or None.
        seconds: at most.
        doing: what happens; empty: nothing is known.
    """
    left = seconds
    while left > 0:
        said = doing()
        part = min(left, _LOOK_SECONDS)
        answer = workspace.wait(f"{what} ({said})" if said else what, done, part)
        if answer is not None:
            return answer
        left -= part
    return None


def pods_of(cluster: LiveCluster, namespace: str, selector: str) -> list[Object]:
    """The pods that a selector of labels selects, the oldest first."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    pods = [dict(pod) for pod in cluster.all(path, labelSelector=selector)]
    return sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))


def warnings_of(cluster: LiveCluster, namespace: str) -> list[Object]:
    """The warnings of a namespace."""
    path = f"/api/v1/namespaces/{namespace}/events"
    return [dict(event) for event in cluster.all(path, fieldSelector="type=Warning")]


def obstacles(
    pods: Iterable[Object],
    warnings: Iterable[Object],
    name: Callable[[Object], str] = lambda pod: f"pod {pod['metadata']['name']}",
) -> Iterator[str]:
    """Why each pod that is not ready is not, with the way out where there is one.

    Args:
        pods: any.
        warnings: events of the type Warning.
        name: of a pod, in the sentence.
    """
    events = list(warnings)
    for pod in pods:
        if sentence := obstacle(pod, events):
            yield f"{name(pod)}: {sentence}"


def obstacle(pod: Mapping[str, Any], warnings: Iterable[Mapping[str, Any]]) -> str:
    """Why a pod is not ready, with the way out where there is one; empty: it is ready."""
    reason = reason_of(pod, warnings)
    if not reason:
        return ""
    return ": ".join(filter(None, (harmless(reason.sentence, LONGEST_REASON), pull_trouble(pod))))


def last_lines(cluster: LiveCluster, pod: Object, container: str = "") -> str:
    """The last lines that a container printed, each in quotes; empty: it printed none."""
    metadata = pod["metadata"]
    with suppress(Refused):
        printed = cluster.logs(metadata["namespace"], metadata["name"], container)
        lines = [line.strip() for line in printed.splitlines() if line.strip()]
        return " ".join(f"`{harmless(line)}`" for line in lines[-_LAST_LINES:])
    return ""


def harmless(line: str, longest: int = _LONGEST) -> str:
    """Words of a program without what looks like a secret, and not too long."""
    hidden = _NAMED.sub(r"\1***", without_secrets(line, "***"))
    return hidden if len(hidden) <= longest else f"{hidden[: longest - 3]}..."
