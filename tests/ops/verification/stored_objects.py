"""An API server that stores what is created, patched and deleted, by path; nothing else happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.ops.api_of_lists import ApiOfLists

KINDS = {
    "/api/v1": {"ConfigMap": "configmaps", "Pod": "pods", "Secret": "secrets"},
    "/apis/batch/v1": {"Job": "jobs"},
}


@dataclass
class StoredObjects(ApiOfLists):
    """Stored by the path of the object.

    Attributes:
        deleted: paths and queries, in order.
        stays: paths that a deletion leaves there, as finalizers do.
        rejections: path of a collection -> status and sentence.
    """

    deleted: list[tuple[str, dict[str, str]]] = field(
        default_factory=list[tuple[str, dict[str, str]]]
    )
    stays: set[str] = field(default_factory=set[str])
    rejections: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])

    def stored(self, path: str, selector: str | None) -> tuple[int, Any]:
        if path in KINDS:
            resources = [
                {"kind": kind, "name": plural, "namespaced": True}
                for kind, plural in KINDS[path].items()
            ]
            return 200, {"resources": [*resources, {"kind": "Scale", "name": "jobs/status"}]}
        if path in self.objects or path in self.texts:
            return super().stored(path, selector)
        root, _, plural = path.rpartition("/")
        inside = [obj for at, obj in self.objects.items() if self._is_of(at, root, plural)]
        if selector := self.asked[-1][1].get("labelSelector"):
            key, _, value = selector.partition("=")
            labels = (obj["metadata"].get("labels", {}) for obj in inside)
            inside = [
                obj
                for obj, own in zip(inside, labels, strict=True)
                if (own.get(key) == value if value else key in own)
            ]
        known = any(plural in kinds.values() for kinds in KINDS.values())
        return (200, {"items": inside}) if known else (404, {"kind": "Status"})

    @staticmethod
    def _is_of(path: str, root: str, plural: str) -> bool:
        collection = path.rpartition("/")[0]
        group, _, rest = collection.partition("/namespaces/")
        return collection == f"{root}/{plural}" or (
            group == root and rest.rpartition("/")[2] == plural
        )

    def changed(
        self, method: str, path: str, query: dict[str, str], body: dict[str, Any], kind: str
    ) -> tuple[int, Any]:
        self.asked.append((path, query))
        if path in self.rejections or path in self.refusals:
            status, sentence = self.rejections.get(path) or (self.refusals[path], "")
            return status, {"kind": "Status", "message": sentence}
        if method == "POST":
            return self._created(path, body)
        if path not in self.objects:
            return 404, {"kind": "Status"}
        if method == "DELETE":
            self.deleted.append((path, query))
            if path not in self.stays:
                del self.objects[path]
            return 200, {"kind": "Status"}
        if kind != "application/merge-patch+json":
            return 415, {"kind": "Status", "message": kind}
        self.objects[path] = _merged(self.objects[path], body)
        return 200, self.objects[path]

    def _created(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        metadata = {
            "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "uid": f"uid-{len(self.asked)}",
            "resourceVersion": "1",
            **body["metadata"],
        }
        metadata.setdefault("name", f"{metadata.get('generateName', '')}x7k2p")
        at = f"{path}/{metadata['name']}"
        if at in self.objects:
            return 409, {"kind": "Status", "message": f"{metadata['name']} already exists"}
        self.objects[at] = {**body, "metadata": metadata}
        return 201, self.objects[at]


def _merged(old: Any, change: Any) -> Any:
    """RFC 7386."""
    if not isinstance(change, Mapping):
        return change
    base: dict[str, Any] = {**old} if isinstance(old, Mapping) else {}
    for key, value in change.items():
        if value is None:
            base.pop(key, None)
        else:
            base[key] = _merged(base.get(key), value)
    return base
