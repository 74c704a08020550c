"""What happened to pods, NodeClaims and nodes, and when: told by watches, never by asking again."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed
from urllib3 import Retry

from components.gpu.karpenter_objects import GPU_RESOURCE
from rendering import Object

_CAPACITY_TYPE = "karpenter.sh/capacity-type"
_INSTANCE_TYPE = "node.kubernetes.io/instance-type"
_ANSWER_SECONDS = 30
_LOOK_SECONDS = 0.1
_BUSY = 4
"""So much longer takes everything on a machine that is busy."""
_ZONE = "topology.kubernetes.io/zone"


@dataclass
class PodLife:
    """Seconds since the record began; None: not yet, or never."""

    name: str
    gpus: int
    created: float
    unschedulable: float | None = None
    bound: float | None = None
    node: str = ""
    running: float | None = None
    ended: float | None = None
    phase: str = "Pending"
    deleted: float | None = None

    def update(self, at: float, pod: Object) -> None:
        spec, status = pod["spec"], pod.get("status", {})
        if spec.get("nodeName") and self.bound is None:
            self.bound, self.node = at, spec["nodeName"]
        if _condition(pod, "PodScheduled") == "False" and self.unschedulable is None:
            self.unschedulable = at
        self.phase = status.get("phase", "Pending")
        if self.phase == "Running" and self.running is None:
            self.running = at
        if self.phase in ("Succeeded", "Failed") and self.ended is None:
            self.ended = at


@dataclass
class ClaimLife:
    """A NodeClaim, which is a machine from its launch until it is gone."""

    name: str
    created: float
    instance_type: str = ""
    capacity_type: str = ""
    zone: str = ""
    launched: float | None = None
    node: str = ""
    gone: float | None = None

    def update(self, at: float, claim: Object) -> None:
        labels, status = claim["metadata"].get("labels", {}), claim.get("status", {})
        if status.get("providerID") and self.launched is None:
            self.launched = at
            self.instance_type = labels[_INSTANCE_TYPE]
            self.capacity_type = labels[_CAPACITY_TYPE]
            self.zone = labels[_ZONE]
        self.node = status.get("nodeName") or self.node


@dataclass
class NodeLife:
    """A node; ``gpus`` are what its kubelet reports, ``taints`` those it has now."""

    name: str
    created: float
    gpus: int = 0
    ready: float | None = None
    taints: frozenset[str] = frozenset()
    gone: float | None = None

    def update(self, at: float, node: Object) -> None:
        self.gpus = int(node.get("status", {}).get("capacity", {}).get(GPU_RESOURCE, "0"))
        self.taints = frozenset(each["key"] for each in node["spec"].get("taints", ()))
        if _condition(node, "Ready") == "True" and self.ready is None:
            self.ready = at


@dataclass(frozen=True)
class Told:
    """One Kubernetes event."""

    at: float
    reason: str
    kind: str
    name: str
    message: str


@dataclass
class Record:
    """Everything seen since it began; the watches write, whoever reads holds ``lock``."""

    began: float = field(default_factory=time.monotonic)
    pods: dict[str, PodLife] = field(default_factory=dict[str, PodLife])
    claims: dict[str, ClaimLife] = field(default_factory=dict[str, ClaimLife])
    nodes: dict[str, NodeLife] = field(default_factory=dict[str, NodeLife])
    told: list[Told] = field(default_factory=list[Told])
    pools: dict[str, Object] = field(default_factory=dict[str, Object])
    lock: Lock = field(default_factory=Lock)
    failure: str | None = None

    @property
    def now(self) -> float:
        return time.monotonic() - self.began

    @property
    def machines(self) -> list[ClaimLife]:
        """Those that were launched, whether or not they are gone."""
        return [claim for claim in self.claims.values() if claim.launched is not None]

    @property
    def standing(self) -> list[ClaimLife]:
        return [claim for claim in self.claims.values() if claim.gone is None]

    def until(self, reached: Callable[[], bool], seconds: float, what: str) -> float:
        """Waits for the watches to show it; the time at which they did.

        Args:
            reached: whether they do.
            seconds: that it takes at most on a machine with nothing else to do.
            what: is waited for.

        Raises:
            AssertionError: they did not, in several times as long; with what is known then.
        """

        def settled() -> bool:
            with self.lock:
                return bool(self.failure) or reached()

        # Not at every change: there are thousands a second, and each look goes over all pods.
        looks = Retrying(
            retry=retry_if_result(lambda done: not done),
            wait=wait_fixed(_LOOK_SECONDS),
            stop=stop_after_delay(seconds * _BUSY),
            retry_error_callback=lambda _: False,
        )
        shown = looks(settled)
        with self.lock:
            assert not self.failure, self.failure
            assert shown, f"not within {seconds * _BUSY:.0f} s: {what}\n{self._state()}"
            return self.now

    def saw(self, reason: str, text: str = "") -> bool:
        """Whether there is an event of that reason, with that text in its message."""
        return any(each.reason == reason and text in each.message for each in self.told)

    def _state(self) -> str:
        waiting = sum(pod.bound is None for pod in self.pods.values())
        lately = [f"  {t.reason} {t.kind}/{t.name}: {t.message[:300]}" for t in self.told[-5:]]
        machines = sorted(claim.instance_type or "?" for claim in self.standing)
        facts = f"{len(self.pods)} pods, {waiting} without node; machines: {machines}"
        return "\n".join([facts, *lately])

    def take(self, kind: str, action: str, obj: Object) -> None:
        """One line of a watch."""
        with self.lock:
            at, uid = self.now, obj["metadata"]["uid"]
            if kind == "Event":
                self._event(at, obj)
            elif kind == "NodePool":
                self.pools[obj["metadata"]["name"]] = obj
            else:
                self._life(at, kind, uid, action, obj)

    def _life(self, at: float, kind: str, uid: str, action: str, obj: Object) -> None:
        name = obj["metadata"]["name"]
        if kind == "Pod":
            pod = self.pods.setdefault(uid, PodLife(name, _gpus(obj), at))
            pod.update(at, obj)
            pod.deleted = at if action == "DELETED" else None
        elif kind == "NodeClaim":
            claim = self.claims.setdefault(uid, ClaimLife(name, at))
            claim.update(at, obj)
            claim.gone = at if action == "DELETED" else None
        else:
            node = self.nodes.setdefault(uid, NodeLife(name, at))
            node.update(at, obj)
            node.gone = at if action == "DELETED" else None

    def _event(self, at: float, obj: Object) -> None:
        about = obj.get("involvedObject", {})
        self.told.append(
            Told(at, obj["reason"], about.get("kind", ""), about.get("name", ""), obj["message"])
        )


@contextmanager
def record(kubeconfig: Mapping[str, Any], namespace: str, folder: Path) -> Generator[Record]:
    """Watches the pods of one namespace, and all NodeClaims, nodes, NodePools and events."""
    seen = Record()
    authority = folder / "authority.crt"
    cluster = kubeconfig["clusters"][0]["cluster"]
    authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    paths = {
        "Pod": f"/api/v1/namespaces/{namespace}/pods",
        "Node": "/api/v1/nodes",
        "NodeClaim": "/apis/karpenter.sh/v1/nodeclaims",
        "NodePool": "/apis/karpenter.sh/v1/nodepools",
        "Event": "/api/v1/events",
    }
    session = requests.Session()
    session.trust_env = False  # a proxy's certificates in the environment would replace ours
    # A kind that has just become known is not served yet; the server says when to ask again.
    session.mount("https://", HTTPAdapter(max_retries=Retry(10, status_forcelist=[429])))
    session.headers["Authorization"] = f"Bearer {kubeconfig['users'][0]['user']['token']}"
    session.verify = str(authority)
    ended = Event()
    for kind, path in paths.items():
        url = f"{cluster['server']}{path}"
        listed = session.get(url, timeout=_ANSWER_SECONDS)
        listed.raise_for_status()
        # Only what happens from now on is of interest.
        since = listed.json()["metadata"]["resourceVersion"]
        watch = partial(session.get, url, stream=True, timeout=(_ANSWER_SECONDS, None))
        follow = partial(_follow, seen, kind, watch, since, ended)
        Thread(target=follow, daemon=True).start()
    try:
        yield seen
    finally:
        ended.set()


def _follow(
    seen: Record, kind: str, watch: Callable[..., requests.Response], since: str, ended: Event
) -> None:
    """Watches from ``since`` on. The server closes a watch whose reader falls behind; another from
    the last change on misses nothing."""
    try:
        while not ended.is_set():
            with watch(params={"watch": "true", "resourceVersion": since}) as stream:
                stream.raise_for_status()
                for line in stream.iter_lines(chunk_size=65536):
                    if ended.is_set():
                        return
                    change = json.loads(line)
                    seen.take(kind, change["type"], change["object"])
                    since = change["object"]["metadata"]["resourceVersion"]
    except Exception as error:  # whatever it is, a test waits for this watch
        with seen.lock:
            seen.failure = f"the watch of {kind} ended early: {error!r}"


def _condition(obj: Object, name: str) -> str:
    conditions = obj.get("status", {}).get("conditions", ())
    return next((each["status"] for each in conditions if each["type"] == name), "")


def _gpus(pod: Object) -> int:
    requests_ = (c.get("resources", {}).get("requests", {}) for c in pod["spec"]["containers"])
    return sum(int(each.get(GPU_RESOURCE, "0")) for each in requests_)
