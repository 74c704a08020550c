"""Objects that a verification makes, and their end, whatever becomes of the verification.

Every object is owned by one Job per namespace, the anchor, which has no pods. Its deadline is near
and is moved on while the verification runs. When the verification ends, it deletes the anchor; when
it is killed, Kubernetes ends the Job at its deadline (the Job controller), deletes it (the TTL
controller) and what it owns (the garbage collector). Rows and artifacts, which Kubernetes does not
know, have an ``undo`` at the end and a ``sweep`` of the next verification.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event, Lock, Thread
from typing import Any, Protocol

from ops.cli_errors import Refused
from ops.current_cluster import Unreachable
from ops.karpenter_status import Object
from ops.live_cluster import LiveCluster, NotFound, Rejected, Unavailable
from ops.verification.names import new_run
from ops.verification.progress import Progress

LABEL = "kubeflow-on-eks/verify"
"""Of every object; its value is the run."""
ANCHOR = "kubeflow-on-eks/verify-anchor"
AHEAD_SECONDS = 120
"""From a heartbeat to the end of the anchor."""
END_SECONDS = 60.0
"""How long the end of what was made is waited for."""
IMAGE = "ghcr.io/containerd/busybox:1.36"
"""Of the anchor's template, in the inventory of every release; no pod is made of it."""

_JOBS = "/apis/batch/v1/jobs"
_LATE_SECONDS = 30
"""How long after its deadline Kubernetes may take to end an anchor."""
_PATIENCE_SECONDS = 60.0
"""How long an API server that does not answer is waited for."""
_LONGEST_PAUSE = 2.0
_CONFLICTS = 20
"""So often an object that another program writes at the same moment is read again."""


class Workspace(Protocol):
    """One namespace, as long as the verification runs.

    Attributes:
        namespace: of every object.
        run: identifies this verification, ``kf-verify-1a2b3c4d0a06``: prefix of every name.
    """

    namespace: str
    run: str

    def create(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """Creates an object, labelled and owned; its name gets the prefix.

        Raises:
            Rejected: by validation, a quota or a webhook, in the server's own words.
            Refused: a right or the kind is missing.
        """
        ...

    def adopt(self, path: str) -> None:
        """Labels and owns an object that another program made for this verification.

        Args:
            path: of the object, ``/apis/argoproj.io/v1alpha1/namespaces/alice/workflows/a``.
        """
        ...

    def delete(self, obj: Mapping[str, Any]) -> None:
        """Deletes an object of ``create`` before the end, with what it owns; does not wait."""
        ...

    def undo(self, what: str, function: Callable[[], None]) -> None:
        """Calls a function at the end, the last one first.

        To be called before that is made which the function takes away: it finds it or not.

        Args:
            what: is taken away, for the sentence where it cannot be.
            function: takes it away; raises ``Refused`` with the reason where it cannot.
        """
        ...

    def wait(
        self,
        what: str,
        done: Callable[[], str | None],
        seconds: float,
    ) -> str | None:
        """Asks until there is an answer; None after these seconds.

        An API server that does not answer for a minute is asked again.

        Args:
            what: is waited for, for the progress line.
            done: the answer, or None.
            seconds: at most; the time counts as waited, and is no overhead.
        """
        ...

    def logs(self, job: str) -> str:
        """What the first pod of a Job of this workspace printed; empty: it has no pod."""
        ...


def alive(cluster: LiveCluster) -> frozenset[str]:
    """The verifications that run now, on any machine. Raises as ``LiveCluster.all``."""
    now = cluster.time()
    return frozenset(job["metadata"]["name"] for job in _anchors(cluster) if _lives(job, now))


def sweep(cluster: LiveCluster) -> None:
    """Deletes the anchors of verifications that have ended, where Kubernetes has not.

    Raises as ``LiveCluster.all``.
    """
    now = cluster.time()
    for job in _anchors(cluster):
        if not _lives(job, now) and not job["metadata"].get("deletionTimestamp"):
            cluster.delete(_path_of(job), "Foreground")


def _anchors(cluster: LiveCluster) -> list[Object]:
    return cluster.all(_JOBS, labelSelector=ANCHOR)


def _path_of(anchor: Object) -> str:
    metadata = anchor["metadata"]
    return f"/apis/batch/v1/namespaces/{metadata['namespace']}/jobs/{metadata['name']}"


def _lives(anchor: Object, now: datetime) -> bool:
    """Whether a verification moves its deadline on, by the server's clock."""
    status = anchor.get("status") or {}
    start = datetime.fromisoformat(
        status.get("startTime") or anchor["metadata"]["creationTimestamp"]
    )
    left = start.timestamp() + anchor["spec"]["activeDeadlineSeconds"] - now.timestamp()
    return not _over(anchor) and left > -_LATE_SECONDS


def _over(anchor: Object) -> bool:
    conditions = (anchor.get("status") or {}).get("conditions") or []
    ended = any(each["type"] in ("Complete", "Failed") for each in conditions)
    return ended or bool(anchor["metadata"].get("deletionTimestamp"))


@dataclass
class _Anchored:
    """A workspace whose objects an anchor owns."""

    whole: Workspaces
    namespace: str
    run: str
    path: str = ""
    """Of the anchor, from before its creation."""
    anchor: Object | None = None
    began: float = 0.0
    lost: str = ""
    """Why the anchor has ended."""
    made: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Path and kind of each object."""

    def create(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        cluster = self.whole.cluster
        given = obj["metadata"]
        named = {
            key: self._prefixed(given[key]) for key in ("name", "generateName") if key in given
        }
        metadata = {
            **given,
            **named,
            "namespace": self.namespace,
            "labels": {**given.get("labels", {}), LABEL: self.run},
            "ownerReferences": [self._owner()],
        }
        collection = cluster.collection(obj["apiVersion"], obj["kind"], self.namespace)
        if "name" in metadata:
            self.made.append((f"{collection}/{metadata['name']}", obj["kind"]))
        created = cluster.create(collection, {**obj, "metadata": metadata})
        if "name" not in metadata:
            self.made.append((f"{collection}/{created['metadata']['name']}", obj["kind"]))
        return created

    def adopt(self, path: str) -> None:
        for _ in range(_CONFLICTS):
            try:
                self._adopt(path)
            except Rejected as rejected:
                # Its own controller has written it meanwhile, as Argo's does all the time.
                if rejected.status != 409:
                    raise
            else:
                return
        self._adopt(path)

    def _adopt(self, path: str) -> None:
        owner = self._owner()
        obj = self.whole.cluster.answer("GET", path, {})
        owners = [*(obj["metadata"].get("ownerReferences") or []), owner]
        metadata = {"labels": {LABEL: self.run}, "ownerReferences": owners}
        # With the version that was read, another owner that is added meanwhile is not lost.
        version = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        self.whole.cluster.patch(path, {"metadata": {**metadata, **version}})
        self.made.append((path, str(obj["kind"])))

    def delete(self, obj: Mapping[str, Any]) -> None:
        collection = self.whole.cluster.collection(obj["apiVersion"], obj["kind"], self.namespace)
        name = self._prefixed(obj["metadata"]["name"])
        self.whole.cluster.delete(f"{collection}/{name}")

    def undo(self, what: str, function: Callable[[], None]) -> None:
        # The anchor shows other verifications that this one runs.
        self._owner()
        self.whole.undone.append((what, function))

    def wait(self, what: str, done: Callable[[], str | None], seconds: float) -> str | None:
        def or_lost() -> str | None:
            if self.lost:
                raise Refused(self.lost)
            self.whole.cluster.forget()
            return done()

        return _until(self.whole.progress, what, or_lost, seconds)

    def logs(self, job: str) -> str:
        pods = f"/api/v1/namespaces/{self.namespace}/pods"
        found = self.whole.cluster.all(pods, labelSelector=f"job-name={self._prefixed(job)}")
        if not found:
            return ""
        first = min(found, key=lambda pod: pod["metadata"]["creationTimestamp"])
        return self.whole.cluster.logs(self.namespace, first["metadata"]["name"])

    def _prefixed(self, name: str) -> str:
        return name if name.startswith(self.run) else f"{self.run}-{name}"

    def _owner(self) -> Object:
        """The reference to the anchor, which is made where there is none."""
        if self.lost:
            raise Refused(self.lost)
        if self.anchor is None:
            collection = f"/apis/batch/v1/namespaces/{self.namespace}/jobs"
            self.path, self.began = f"{collection}/{self.run}", time.time()
            self.anchor = self._new_anchor(collection)
            self.whole.beat()
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": self.run,
            "uid": self.anchor["metadata"]["uid"],
            "blockOwnerDeletion": True,
        }

    def _new_anchor(self, collection: str) -> Object:
        cluster = self.whole.cluster
        try:
            return cluster.create(collection, _anchor(self.run, self.namespace, self.whole.ahead))
        except (Unreachable, Unavailable):
            # It may exist.
            raise
        except Refused as refused:
            if isinstance(refused, Rejected) and refused.status == 409:
                return cluster.answer("GET", self.path, {})
            self.path = ""
            raise

    def move_on(self) -> None:
        """Moves the deadline of the anchor on."""
        # Of the clock that goes on while a machine sleeps.
        seconds = math.ceil(time.time() - self.began) + self.whole.ahead
        try:
            job = self.whole.cluster.patch(self.path, {"spec": {"activeDeadlineSeconds": seconds}})
            gone = _over(job)
        except NotFound:
            gone = True
        if gone:
            self.lost = (
                f"the objects of this verification in {self.namespace} have ended, because the API "
                f"server was out of reach for {self.whole.ahead} seconds, or somebody deleted the "
                f"Job {self.run}: run the check again."
            )


def _anchor(run: str, namespace: str, seconds: int) -> Object:
    # Without pods nothing is pulled, placed or counted; completions: a Job that needs none is
    # never complete (kubernetes/kubernetes v1.34.0 pkg/controller/job/job_controller.go, syncJob,
    # which ends it at its deadline all the same).
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    container = {
        "name": "anchor",
        "image": IMAGE,
        "securityContext": security,
        "resources": {
            "requests": {"cpu": "1m", "memory": "8Mi"},
            "limits": {"cpu": "10m", "memory": "16Mi"},
        },
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": run,
            "namespace": namespace,
            "labels": {LABEL: run, ANCHOR: "true"},
        },
        "spec": {
            "parallelism": 0,
            "completions": 1,
            "backoffLimit": 0,
            "activeDeadlineSeconds": seconds,
            "ttlSecondsAfterFinished": 0,
            "template": {
                "metadata": {"labels": {"sidecar.istio.io/inject": "false"}},
                "spec": pod,
            },
        },
    }


class Workspaces:
    """The workspaces of one verification, one per namespace, and the end of all of them.

    Args:
        cluster: of the platform.
        progress: gets the waiting times.
        ahead: seconds from a heartbeat to the end of the anchors.

    Attributes:
        run: identifies the verification.
        undone: what to call at the end, with its name.
    """

    def __init__(
        self, cluster: LiveCluster, progress: Progress, ahead: int = AHEAD_SECONDS
    ) -> None:
        self.cluster = cluster
        self.progress = progress
        self.ahead = ahead
        self.run = new_run()
        self.undone = list[tuple[str, Callable[[], None]]]()
        self._spaces = dict[str, _Anchored]()
        self._deleted = list[_Anchored]()
        self._alone = Lock()
        self._ended = Event()
        self._beating: Thread | None = None

    def __call__(self, namespace: str) -> Workspace:
        """The workspace of a namespace; nothing is made before its first object."""
        with self._alone:
            return self._spaces.setdefault(namespace, _Anchored(self, namespace, self.run))

    @property
    def made(self) -> bool:
        """Whether anything was made."""
        return any(space.path for space in self._spaces.values())

    def beat(self) -> None:
        """Begins to move deadlines on, until the end."""
        if self._beating is None:
            self._beating = Thread(target=self._beats, daemon=True)
            self._beating.start()

    def _beats(self) -> None:
        while not self._ended.wait(self.ahead / 4):
            with self._alone:
                spaces = list(self._spaces.values())
            for space in spaces:
                if space.anchor is None or space.lost:
                    continue
                try:
                    space.move_on()
                except Refused:
                    # No answer: the next one may come before the deadline.
                    continue

    def delete(self) -> list[str]:
        """Asks for the end of everything; a sentence, with the way out, for what stays."""
        left = list[str]()
        while self.undone:
            what, function = self.undone.pop()
            try:
                function()
            except Refused as refused:
                left.append(f"{what} stays: {refused}")
            except Exception as error:
                left.append(f"{what} stays ({type(error).__name__}): `./kf verify --clean`.")
        self._ended.set()
        for space in self._spaces.values():
            if not space.path:
                continue
            try:
                self.cluster.delete(space.path, "Foreground")
                self._deleted.append(space)
            except Refused as refused:
                left.append(
                    f"the objects of this verification in {space.namespace} could not be deleted "
                    f"({refused}); Kubernetes deletes them within {self.ahead} seconds."
                )
        return left

    def await_end(self, seconds: float = END_SECONDS) -> list[str]:
        """Waits until it is gone; a sentence for each thing that stays, with the command."""
        limit = time.monotonic() + seconds
        return [sentence for space in self._deleted for sentence in self._staying(space, limit)]

    def _staying(self, space: _Anchored, limit: float) -> list[str]:
        """What of a workspace is still there at the limit of time."""
        try:
            answer = _until(
                self.progress,
                f"the end of what was made in {space.namespace}",
                lambda: None if self.cluster.one(space.path) else "gone",
                max(0.0, limit - time.monotonic()),
            )
            if answer:
                return []
            stay = [(path, kind) for path, kind in space.made if self.cluster.one(path)]
        except Refused as refused:
            return [f"it is unknown whether {self.run} in {space.namespace} is gone: {refused}"]
        return [_still_there(path, kind) for path, kind in stay or [(space.path, "Job")]]


def _still_there(path: str, kind: str) -> str:
    *_, group, _version, _, namespace, plural, name = path.split("/")
    resource = plural if group == "api" else f"{plural}.{group}"
    return (
        f"{kind} {namespace}/{name} is being deleted and still there: `kubectl --namespace "
        f"{namespace} get {resource} {name} --output yaml` has the finalizers it waits for."
    )


def _until(
    progress: Progress, what: str, done: Callable[[], str | None], seconds: float
) -> str | None:
    """As ``Workspace.wait``."""
    start = time.monotonic()
    answered, pause = start, 0.1
    with progress.waiting(what):
        while True:
            try:
                answer = done()
                answered = time.monotonic()
            except (Unreachable, Unavailable):
                if time.monotonic() - answered > _PATIENCE_SECONDS:
                    raise
                answer = None
            left = start + seconds - time.monotonic()
            if answer is not None or left <= 0:
                return answer
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
