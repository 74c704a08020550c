"""Verifications as processes, each ended by a signal at a moment of its own.

``python -m tests.live.verifications`` reads a list of them from standard input and prints how each
ended. The processes are forked from one, because the imports of a command take two seconds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, TypedDict

from ops.findings import Finding, good, problem
from ops.live_cluster import LiveCluster
from ops.side_processes import one_signal_later, terminated_as_interrupted
from ops.verification.check import Check, Verdict
from ops.verification.platform import Platform
from ops.verification.workspace import AHEAD_SECONDS, alive
from ops.verify import Verification
from rendering import Object
from settings import MANIFESTS, from_stack_file

STACK = "cn-north-1"
NAMESPACES = ("verify-a", "verify-b")
OF_ANOTHER = "-of-another"
PAUSE_SECONDS = 0.25
"""Between two objects, so that many moments lie between them."""


class Planned(TypedDict):
    """One verification.

    ``after``: seconds from its begin to the signal; ``ahead``: of its anchors.
    """

    signal: int
    after: float
    ahead: int


def objects() -> Iterator[Object]:
    """Of each kind that checks make, and what these make themselves."""
    container = {"name": "main", "image": "registry.test/some/image:1"}
    pod = {"restartPolicy": "Never", "containers": [container]}
    metadata: dict[str, Any] = {"metadata": {"name": "made"}}
    yield {"apiVersion": "v1", "kind": "ConfigMap", **metadata, "data": {"a": "b"}}
    yield {"apiVersion": "v1", "kind": "Secret", **metadata, "stringData": {"a": "b"}}
    yield {"apiVersion": "v1", "kind": "Pod", **metadata, "spec": pod}
    yield {"apiVersion": "v1", "kind": "Service", **metadata, "spec": {"ports": [{"port": 80}]}}
    yield {"apiVersion": "batch/v1", "kind": "Job", **metadata, "spec": {"template": {"spec": pod}}}
    labels = {"app": "made"}
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        **metadata,
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {**pod, "restartPolicy": "Always"},
            },
        },
    }


def making(platform: Platform) -> Iterator[Finding]:
    """A check that makes all of them in two namespaces, one of them by another program."""
    for namespace in NAMESPACES:
        workspace = platform.workspace(namespace)
        for obj in objects():
            workspace.create(obj)
            workspace.wait("a moment", lambda: None, PAUSE_SECONDS)
        collection = f"/api/v1/namespaces/{namespace}/configmaps"
        others = f"{workspace.run}{OF_ANOTHER}"
        path = f"{collection}/{others}"
        metadata = {"name": others, "labels": {"made-by": "another"}}
        # As the check of pipelines: what nobody owns yet at a signal is taken away by this.
        workspace.undo(f"the ConfigMap {others}", partial(platform.cluster.delete, path))
        # Left to the sweep alone: an object whose request is under way at the signal.
        with one_signal_later():
            platform.cluster.create(
                collection, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
            )
        workspace.adopt(path)
    first = NAMESPACES[0]
    path = f"/api/v1/namespaces/{first}/configmaps/{platform.workspace(first).run}-made"
    there = platform.cluster.one(path) is not None
    yield good("made", "everything") if there else problem("made", "the first is gone already")


def sweep(platform: Platform) -> None:
    """Deletes what the other program made for a verification that was killed before it adopted it.

    As the check of pipelines does: what there is first, who is alive afterwards.
    """
    there = platform.cluster.all("/api/v1/configmaps", labelSelector="made-by=another")
    living = alive(platform.cluster)
    for metadata in (obj["metadata"] for obj in there):
        if metadata["name"].removesuffix(OF_ANOTHER) not in living:
            place = f"/api/v1/namespaces/{metadata['namespace']}/configmaps"
            platform.cluster.delete(f"{place}/{metadata['name']}")


CHECK = Check("making", "what it makes", making, creates=True, sweep=sweep)


def verification(ahead: int = AHEAD_SECONDS) -> Verification:
    """One of the cluster of KUBECONFIG."""
    settings = from_stack_file(
        MANIFESTS.parent / f"Pulumi.{STACK}.yaml", manifests=MANIFESTS
    ).model_copy(update={"account_id": "123456789012"})
    return Verification(STACK, settings, LiveCluster(), ahead)


def _verify(planned: Planned) -> None:
    """The body of one process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with terminated_as_interrupted():
        (result,) = verification(planned["ahead"]).run([CHECK]).results
        raise SystemExit(int(result.verdict is not Verdict.GOOD))


def _forked(planned: Planned) -> int:
    process = os.fork()
    if process == 0:
        code = 99
        try:
            _verify(planned)
        except KeyboardInterrupt:
            code = 130
        except SystemExit as ended:
            code = int(str(ended.code))
        finally:
            sys.stderr.flush()
            os._exit(code)
    return process


def main() -> None:
    """Begins all of them at once; prints a list with the exit code, or -9, and seconds of each."""
    plans: list[Planned] = json.load(sys.stdin)
    start = time.monotonic()
    waiting = {number: _forked(planned) for number, planned in enumerate(plans)}
    order = sorted(waiting, key=lambda number: plans[number]["after"])
    for number in order:
        time.sleep(max(0.0, start + plans[number]["after"] - time.monotonic()))
        if plans[number]["signal"]:
            os.kill(waiting[number], plans[number]["signal"])
    ends = dict[int, list[float]]()
    for number in order:
        _, status = os.waitpid(waiting[number], 0)
        ends[number] = [os.waitstatus_to_exitcode(status), time.monotonic() - start]
    sys.stdout.write(json.dumps([ends[number] for number in range(len(plans))]))


if __name__ == "__main__":
    main()
