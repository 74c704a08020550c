"""A platform in memory for the checks that run something: its objects, its time, its servers."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from ops.cli_errors import Refused
from ops.live_cluster import LiveCluster, NotFound, Rejected
from ops.verification.platform import Platform
from ops.verification.workspace import Workspace
from settings import Settings, from_mapping
from settings.context import StackContext
from tests.ops.verification.kubectl_stand_in import CONTEXT, Kubectl

Object = dict[str, Any]
RUN = "kf-verify-1a2b3c4d0a06"
ALICE = "alice@example.com"
ACCOUNT = "111122223333"
_STEP_SECONDS = 5
_PLURALS = {
    "Pod": "pods",
    "Job": "jobs",
    "Experiment": "experiments",
    "Notebook": "notebooks",
    "InferenceService": "inferenceservices",
    "PersistentVolumeClaim": "persistentvolumeclaims",
}


def settings_of(**more: Any) -> Settings:
    """A stack in Beijing with two users."""
    users = [
        {"email": ALICE, "namespace": "alice"},
        {"email": "bob@example.com", "namespace": "bob"},
    ]
    return from_mapping({"region": "cn-north-1", "users": users, **more})


class Cluster:
    """An API server without one: objects by their path, changed by what plays controllers.

    Attributes:
        objects: path -> object.
        plays: called before each answer, with the cluster; they write statuses.
        printed: namespace, pod, container -> its log.
        rejects: kind -> the sentence with which a webhook or quota rejects it.
        now: seconds since the beginning.
    """

    def __init__(self) -> None:
        self.objects = dict[str, Object]()
        self.plays = list[Callable[[Cluster], None]]()
        self.printed = dict[tuple[str, str, str], str]()
        self.rejects = dict[str, str]()
        self.now = 0
        self.host = "https://api.test"
        self.deleted = list[str]()

    def time(self) -> datetime:
        return datetime(2026, 11, 29, 12, tzinfo=UTC) + timedelta(seconds=self.now)

    @property
    def stamp(self) -> str:
        return self.time().strftime("%Y-%m-%dT%H:%M:%SZ")

    def put(self, path: str, obj: Mapping[str, Any]) -> Object:
        """Stores an object below the path of its collection, as a controller does it."""
        made = copy.deepcopy(dict(obj))
        metadata = {
            "creationTimestamp": self.stamp,
            "uid": f"u{len(self.objects)}",
            **made["metadata"],
        }
        namespace = path.partition("/namespaces/")[2].partition("/")[0]
        made["metadata"] = {**metadata, **({"namespace": namespace} if namespace else {})}
        self.objects[f"{path}/{metadata['name']}"] = made
        return made

    def play(self) -> None:
        for each in self.plays:
            each(self)

    # -- as ops.live_cluster.LiveCluster --------------------------------------------------------

    def collection(self, api_version: str, kind: str, namespace: str) -> str:
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        return f"{root}/namespaces/{namespace}/{_PLURALS[kind]}"

    def one(self, path: str) -> Object | None:
        self.play()
        found = self.objects.get(path)
        return copy.deepcopy(found) if found else None

    def all(self, path: str, **selected: str) -> list[Object]:
        self.play()
        root, _, plural = path.rpartition("/")
        found = [
            obj
            for place, obj in self.objects.items()
            if place.rpartition("/")[0] == path
            or ("/namespaces/" not in path and _everywhere(place, root, plural))
        ]
        for text in selected.values():
            found = [obj for obj in found if _selects(text, obj, label="labelSelector" in selected)]
        return copy.deepcopy(found)

    def answer(
        self, method: str, path: str, query: dict[str, str], body: Mapping[str, Any] | None = None
    ) -> Object:
        if method == "POST" and path.endswith("/token"):
            return self._token(path, body or {})
        found = self.one(path)
        if found is None:
            raise NotFound(f"{path} is not served.")
        return found

    def _token(self, path: str, body: Mapping[str, Any]) -> Object:
        *_, namespace, kind, account, _ = path.split("/")
        assert (kind, body["kind"]) == ("serviceaccounts", "TokenRequest")
        # kubernetes/kubernetes v1.34.0 pkg/apis/authentication/validation/validation.go
        assert body["spec"]["expirationSeconds"] >= 600
        if account not in ("default", "default-editor", "default-viewer"):
            raise NotFound(f"serviceaccounts {account!r} not found")
        (audience,) = body["spec"]["audiences"]
        return {"status": {"token": f"{namespace}/{account}/{audience}"}}

    def create(self, path: str, obj: Mapping[str, Any]) -> Object:
        if sentence := self.rejects.get(obj["kind"]):
            raise Rejected(f"the API server answers 403 Forbidden to {path}: {sentence}", 403)
        json.dumps(obj)
        return copy.deepcopy(self.put(path, obj))

    def patch(self, path: str, change: Mapping[str, Any]) -> Object:
        obj = self.objects[path]
        obj["metadata"] = {**obj["metadata"], **change["metadata"]}
        return copy.deepcopy(obj)

    def delete(self, path: str, propagation: str = "Background") -> None:
        del propagation
        self.deleted.append(path)
        self.objects.pop(path, None)

    def logs(self, namespace: str, pod: str, container: str = "") -> str:
        for (where, name, which), text in self.printed.items():
            if (where, name) == (namespace, pod) and container in ("", which):
                return text
        raise Refused(f"container {container} has not begun.")


def _everywhere(place: str, root: str, plural: str) -> bool:
    parts = place.split("/")
    return place.startswith(f"{root}/") and len(parts) > 1 and parts[-2] == plural


def _selects(selector: str, obj: Mapping[str, Any], *, label: bool) -> bool:
    key, _, value = selector.partition("=")
    if label:
        labels = obj["metadata"].get("labels") or {}
        return labels.get(key) == value if value else key in labels
    found: Any = obj
    for part in key.removesuffix("!").split("."):
        found = (found or {}).get(part, "")
    return (found == value) != key.endswith("!")


class Space:
    """A workspace whose time passes when it waits, so that no test does."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace, self.run = cluster, namespace, RUN
        self.undone = list[tuple[str, Callable[[], None]]]()
        self.said = list[str]()
        self.adopted = list[str]()

    def create(self, obj: Mapping[str, Any]) -> Object:
        name = self._named(obj["metadata"]["name"])
        path = self.cluster.collection(obj["apiVersion"], obj["kind"], self.namespace)
        metadata = {**obj["metadata"], "name": name}
        return self.cluster.create(path, {**obj, "metadata": metadata})

    def adopt(self, path: str) -> None:
        assert path in self.cluster.objects
        self.adopted.append(path)

    def delete(self, obj: Mapping[str, Any]) -> None:
        path = self.cluster.collection(obj["apiVersion"], obj["kind"], self.namespace)
        self.cluster.delete(f"{path}/{self._named(obj['metadata']['name'])}")

    def undo(self, what: str, function: Callable[[], None]) -> None:
        self.undone.append((what, function))

    def wait(self, what: str, done: Callable[[], str | None], seconds: float) -> str | None:
        if not self.said or self.said[-1] != what:
            self.said.append(what)
        end = self.cluster.now + seconds
        while (answer := done()) is None and self.cluster.now < end:
            self.cluster.now += _STEP_SECONDS
        return answer

    def logs(self, job: str) -> str:
        return self.cluster.logs(self.namespace, self._named(job))

    def end(self) -> None:
        """As the end of the verification."""
        while self.undone:
            self.undone.pop()[1]()

    def _named(self, name: str) -> str:
        return name if name.startswith(RUN) else f"{RUN}-{name}"


class DeepPlatform:
    """The platform, and what a test changes of it.

    Attributes:
        cluster: its objects.
        kubectl: leads to its servers.
        spaces: namespace -> its workspace.
        platform: what a check gets.
    """

    def __init__(
        self, folder: Path, patch: pytest.MonkeyPatch, settings: Settings | None = None
    ) -> None:
        self.cluster = Cluster()
        self.kubectl = Kubectl(folder, patch)
        self.spaces = dict[str, Space]()
        server = {"name": "test", "cluster": {"server": "https://127.0.0.1:1"}}
        kubeconfig = {
            "current-context": CONTEXT,
            "contexts": [{"name": CONTEXT, "context": {"cluster": "test", "user": "test"}}],
            "clusters": [server],
            "users": [{"name": "test", "user": {}}],
        }
        (folder / "kubeconfig").write_text(json.dumps(kubeconfig))
        patch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
        chosen = settings or settings_of()
        self.platform = Platform(
            stack="test",
            settings=chosen,
            context=StackContext.of(chosen, ACCOUNT, {}),
            cluster=cast("LiveCluster", self.cluster),
            client=self._client,
            workspace=self.space,
        )

    def _client(self, service: str) -> Any:
        return boto3.client(cast("Any", service), region_name=self.platform.settings.region)

    def space(self, namespace: str) -> Workspace:
        space = self.spaces.setdefault(namespace, Space(self.cluster, namespace))
        return cast("Workspace", space)

    @property
    def alice(self) -> Space:
        self.space("alice")
        return self.spaces["alice"]
