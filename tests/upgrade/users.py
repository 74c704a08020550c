"""What users have on a platform, and what they go on doing while it changes."""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rendering import Object
from tests.cluster.client import Cluster, Refused
from tests.meanwhile import meanwhile

NAMESPACES = ("team-a", "team-b")
"""Of profiles: everything in them is a user's."""
POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "one", "namespace": NAMESPACES[0], "labels": {"proxy": "true"}},
    "spec": {"containers": [{"name": "main", "image": "registry.example/some:1"}]},
}
_WEBHOOKS = tuple(
    f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations"
    for kind in ("mutating", "validating")
)
_OF_THE_SERVER = {"Event", "EndpointSlice", "Endpoints", "Lease"}
_WRITTEN = ("managedFields", "resourceVersion")
_EVERY_SECONDS = 0.5
_SETTLED_ROUNDS = 150


@cache
def objects() -> tuple[Object, ...]:
    """Of ``users.yaml`` and ``odd_objects.yaml``."""
    return (*_read("users"), *_read("odd_objects"))


@cache
def in_the_way() -> tuple[Object, ...]:
    """Of ``in_the_way.yaml``."""
    return _read("in_the_way")


def _read(name: str) -> tuple[Object, ...]:
    return tuple(yaml.safe_load_all(Path(__file__).with_name(f"{name}.yaml").read_text()))


def make(cluster: Cluster, objects: Sequence[Object]) -> None:
    """Creates them, in their order, and writes the states that controllers left."""
    for obj in objects:
        made = cluster.create(obj).body
        if "status" in obj and made.get("status") != obj["status"]:
            cluster.replace_status({**made, "status": obj["status"]}, manager="manager")


def stored(cluster: Cluster) -> dict[str, Object]:
    """Every object of the users as the API server answers it, by kind and name.

    Each of ``objects`` is asked for in the version that the user knows.
    """
    found = {called(obj): cluster.read(obj) for obj in objects()}
    for path in _listable(cluster):
        answer = cluster.get(path)
        kind = str(answer["kind"]).removesuffix("List")
        if kind in _OF_THE_SERVER:
            continue
        for item in answer["items"]:
            found.setdefault(called({"kind": kind, **item}), item)
    return found


def remove(cluster: Cluster, objects: Sequence[Object]) -> None:
    """Deletes them; finalizers go, as those who hold them would take them off."""
    for obj in objects:
        found = cluster.read(obj)
        if found["metadata"].pop("finalizers", None):
            cluster.replace(found, manager="manager")
        cluster.delete(f"{cluster.collection(obj)}/{obj['metadata']['name']}")


def settled(cluster: Cluster) -> dict[str, Object]:
    """The same, once controllers have stopped to write."""
    found = stored(cluster)
    for _ in range(_SETTLED_ROUNDS):
        time.sleep(2)
        before, found = found, stored(cluster)
        if before == found:
            return found
    raise AssertionError("controllers write and write")


def called(obj: Object) -> str:
    """``<kind> [<namespace>/]<name>``."""
    metadata = obj["metadata"]
    names = filter(None, (metadata.get("namespace"), metadata["name"]))
    return f"{obj['kind']} {'/'.join(names)}"


def _listable(cluster: Cluster) -> Generator[str]:
    groups: list[Any] = cluster.get("/apis")["groups"]
    for group in groups:
        path = f"/apis/{group['preferredVersion']['groupVersion']}"
        for kind in cluster.get(path)["resources"]:
            if kind["namespaced"] and {"list", "create"} <= {*kind["verbs"]}:
                yield from (f"{path}/namespaces/{each}/{kind['name']}" for each in NAMESPACES)
    for kind in ("configmaps", "persistentvolumeclaims", "pods", "secrets", "serviceaccounts"):
        yield from (f"/api/v1/namespaces/{each}/{kind}" for each in NAMESPACES)


def lost(before: Mapping[str, Object], after: Mapping[str, Object]) -> dict[str, list[str]]:
    """What differs, by object: it is gone, is another one of the same name, or a field differs."""
    found: dict[str, list[str]] = {}
    for name, obj in before.items():
        now = after.get(name)
        differences = ["gone"] if now is None else [*_differences(_own(obj), _own(now), "")]
        if differences:
            found[name] = differences
    return found


def _own(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _WRITTEN}
    return {**obj, "metadata": metadata}


def _differences(before: Any, after: Any, path: str) -> Generator[str]:
    """Fields that are there no more or have another value; what was added is no loss."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from _differences(value, after.get(key), f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (item, other) in enumerate(zip(before, after, strict=True)):
            yield from _differences(item, other, f"{path}.{number}")
    elif before != after:
        yield f"{path}: {before!r} is {after!r}"


def unserved(cluster: Cluster) -> set[str]:
    """Services without a ready pod, of webhooks whose silence refuses a request."""
    wanted = {
        f"{service['namespace']}/{service['name']}"
        for path in _WEBHOOKS
        for obj in cluster.get(path)["items"]
        for hook in obj.get("webhooks") or []
        if hook["failurePolicy"] == "Fail" and (service := hook["clientConfig"].get("service"))
    }
    slices = cluster.get("/apis/discovery.k8s.io/v1/endpointslices")["items"]
    ready = {
        f"{each['metadata']['namespace']}/{each['metadata']['labels']['kubernetes.io/service-name']}"
        for each in slices
        if "kubernetes.io/service-name" in (each["metadata"].get("labels") or {})
        and any(end.get("conditions", {}).get("ready") for end in each.get("endpoints") or [])
    }
    return wanted - ready


@dataclass
class Work:
    """What users were refused, and what could have refused them.

    Attributes:
        rounds: how often each object was made.
        refused: kind -> (seconds since the start, sentence) of each refusal.
        unserved: ``<namespace>/<service>`` of webhooks that must answer -> in how many rounds no
            pod was ready behind it.
    """

    rounds: int = 0
    unserved: Counter[str] = field(default_factory=Counter[str])
    refused: dict[str, list[tuple[float, str]]] = field(
        default_factory=dict[str, list[tuple[float, str]]]
    )

    def outage(self, kind: str) -> float:
        """Seconds between the first and the last refusal of a kind."""
        moments = [moment for moment, _ in self.refused.get(kind, [])]
        return max(moments) - min(moments) if moments else 0


@contextmanager
def at_work(cluster: Cluster) -> Generator[Work]:
    """Makes another object of each kind again and again until the end of the block, as dry runs.

    Webhooks answer to a dry run as to any other request.
    """
    work, start = Work(), time.monotonic()
    others = [POD, *(obj for obj in objects() if obj["metadata"].get("namespace"))]

    def again(obj: Object) -> None:
        other = copy.deepcopy(obj)
        other["metadata"]["name"] += "-again"
        try:
            cluster.create(other, dry_run=True)
        except Refused as refused:
            moment = time.monotonic() - start
            work.refused.setdefault(obj["kind"], []).append((moment, str(refused)))

    def round_of_all() -> None:
        for obj in others:
            again(obj)
        work.unserved.update(unserved(cluster))
        work.rounds += 1

    with meanwhile(round_of_all, every=_EVERY_SECONDS):
        yield work
