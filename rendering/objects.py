"""What the rest of the package says about a Kubernetes object: its key, its strings, its pods.

Objects are plain dictionaries as the API server reads them; nothing here knows a release, a region
or Pulumi.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

Object = dict[str, Any]
"""One Kubernetes object as rendered: JSON values only."""

Path = tuple[str | int, ...]
"""The way to a value inside an object: keys of mappings, indexes of lists."""

CRD = "CustomResourceDefinition"

WEBHOOK_KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")

WORKLOADS = frozenset(
    {"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet", "Pod"}
)
"""Kinds of the built-in APIs that make pods from a template of their own."""


class RenderError(Exception):
    """A render that cannot be used; the message is for the person at the terminal."""


@dataclass(frozen=True, order=True)
class ObjectKey:
    """Names one object in a cluster; ``namespace`` is empty for cluster-scoped objects."""

    group_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> ObjectKey:
        metadata = obj.get("metadata") or {}
        return cls(
            str(obj.get("apiVersion", "")),
            str(obj.get("kind", "")),
            str(metadata.get("namespace") or ""),
            str(metadata.get("name") or ""),
        )

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.group_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.group_version.rpartition("/")[2]

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.group_version}/{self.kind} {where}"


def is_crd(obj: Mapping[str, Any]) -> bool:
    return obj.get("kind") == CRD and ObjectKey.of(obj).group == "apiextensions.k8s.io"


def is_builtin_group(group: str) -> bool:
    """Does the API server itself serve ``group``?

    Groups of the API server have no dot (``apps``) or end in ``.k8s.io``; projects under that
    suffix use ``x-k8s.io``, ``*.x-k8s.io`` or ``*.sigs.k8s.io`` (api-approved.kubernetes.io policy,
    KEP-1111), but a few older ones do not, so the ones served are listed.
    """
    return "." not in group or group in _BUILTIN_DOTTED_GROUPS


_BUILTIN_DOTTED_GROUPS = frozenset(
    f"{name}.k8s.io"
    for name in (
        "admissionregistration",
        "apiextensions",
        "apiregistration",
        "authentication",
        "authorization",
        "certificates",
        "coordination",
        "discovery",
        "events",
        "flowcontrol.apiserver",
        "internal.apiserver",
        "networking",
        "node",
        "rbac.authorization",
        "resource",
        "scheduling",
        "storage",
        "storagemigration",
    )
)


def labels_of(holder: Mapping[str, Any]) -> dict[str, str]:
    """``metadata.labels`` of an object or a pod template."""
    return dict((holder.get("metadata") or {}).get("labels") or {})


def annotations_of(holder: Mapping[str, Any]) -> dict[str, str]:
    """``metadata.annotations`` of an object or a pod template."""
    return dict((holder.get("metadata") or {}).get("annotations") or {})


def annotate(obj: Object, annotations: Mapping[str, str]) -> None:
    """Adds annotations in place; one that an overlay wrote itself is kept."""
    metadata = obj.setdefault("metadata", {})
    metadata["annotations"] = {**annotations, **(metadata.get("annotations") or {})}


def pod_template(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The template (``metadata``, ``spec``) of the pods a built-in workload makes."""
    if obj.get("kind") not in WORKLOADS or not is_builtin_group(ObjectKey.of(obj).group):
        return None
    if obj["kind"] == "Pod":
        return obj
    spec: Mapping[str, Any] = obj.get("spec") or {}
    if obj["kind"] == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return cast("Mapping[str, Any]", spec.get("template") or {})


def containers_of(pod_spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Every container of a pod spec, init and ephemeral ones included."""
    lists = ("initContainers", "containers", "ephemeralContainers")
    return [container for key in lists for container in pod_spec.get(key) or []]


def strings(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every string value below ``value`` with the way to it."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, child in cast("dict[str, Any]", value).items():
            yield from strings(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(cast("list[Any]", value)):
            yield from strings(child, (*path, index))


def value_at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def set_at(value: Any, path: Path, new: Any) -> None:
    value_at(value, path[:-1])[path[-1]] = new


def spelled(path: Path) -> str:
    """``spec.containers[0].image``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")
