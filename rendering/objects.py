"""Parts of a Kubernetes object: its key, its strings, its pods.

Objects are plain dictionaries as the API server reads them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from rendering.cache import table

Object = dict[str, Any]
"""One Kubernetes object as rendered: JSON values only."""

Path = tuple[str | int, ...]
"""The path to a value inside an object: keys of mappings, indexes of lists."""

CRD = "CustomResourceDefinition"

WEBHOOK_KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")

WORKLOADS = frozenset(
    {"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet", "Pod"}
)
"""Kinds of the built-in APIs that create pods from a template of their own."""

KUBERNETES: Mapping[str, list[str]] = table("kubernetes.yaml")
_DOTTED_GROUPS = frozenset(f"{name}.k8s.io" for name in KUBERNETES["dotted_groups"])

POD_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
"""The lists of containers in a pod spec."""


class RenderError(Exception):
    """A render that cannot be used; the message is shown at the terminal as it is."""


@dataclass(frozen=True, order=True)
class ObjectKey:
    """The identity of an object in a cluster; a cluster-scoped one has an empty ``namespace``."""

    group_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> ObjectKey:
        """The key of an object."""
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
        """The version of the API, without its group."""
        return self.group_version.rpartition("/")[2]

    @property
    def full_name(self) -> str:
        """``namespace/name``; of a cluster-scoped object the name alone."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def __str__(self) -> str:
        return f"{self.group_version}/{self.kind} {self.full_name}"


def is_crd(obj: Mapping[str, Any]) -> bool:
    """Whether an object is a CustomResourceDefinition."""
    return obj.get("kind") == CRD and ObjectKey.of(obj).group == "apiextensions.k8s.io"


def is_builtin_group(group: str) -> bool:
    """Whether the API server itself serves ``group``.

    Groups of the API server have no dot (``apps``) or end in ``.k8s.io``; projects under that
    suffix use ``x-k8s.io``, ``*.x-k8s.io`` or ``*.sigs.k8s.io`` (api-approved.kubernetes.io policy,
    KEP-1111), but a few older ones do not, so the ones served are listed.
    """
    return "." not in group or group in _DOTTED_GROUPS


def labels_of(holder: Mapping[str, Any]) -> dict[str, str]:
    """``metadata.labels`` of an object or a pod template."""
    return dict((holder.get("metadata") or {}).get("labels") or {})


def annotations_of(holder: Mapping[str, Any]) -> dict[str, str]:
    """``metadata.annotations`` of an object or a pod template."""
    return dict((holder.get("metadata") or {}).get("annotations") or {})


def annotate(obj: Object, annotations: Mapping[str, str]) -> None:
    """Adds annotations in place; a value that the manifest has takes precedence."""
    metadata = obj.setdefault("metadata", {})
    metadata["annotations"] = {**annotations, **(metadata.get("annotations") or {})}


def pod_template(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The template (``metadata``, ``spec``) of the pods that a built-in workload creates."""
    if obj.get("kind") not in WORKLOADS or not is_builtin_group(ObjectKey.of(obj).group):
        return None
    if obj["kind"] == "Pod":
        return obj
    spec: Mapping[str, Any] = obj.get("spec") or {}
    if obj["kind"] == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return cast("Mapping[str, Any]", spec.get("template") or {})


def pod_spec(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The spec of the pods that a built-in workload creates; None for other objects."""
    template = pod_template(obj)
    return None if template is None else template.get("spec") or {}


def containers_of(pod_spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Every container of a pod spec, init and ephemeral ones included."""
    return [container for key in POD_CONTAINERS for container in pod_spec.get(key) or []]


def decoded(encoded: str) -> str | None:
    """The text in a value of a Secret's ``data``; None for a value that is no base64 of UTF-8."""
    try:
        # kustomize breaks long values into lines.
        return base64.b64decode("".join(encoded.split()), validate=True).decode()
    except ValueError:
        return None


def strings(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every string value below ``value`` with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, child in cast("dict[str, Any]", value).items():
            yield from strings(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(cast("list[Any]", value)):
            yield from strings(child, (*path, index))


def value_at(value: Any, path: Path) -> Any:
    """The value at a path."""
    for step in path:
        value = value[step]
    return value


def set_at(value: Any, path: Path, new: Any) -> None:
    """Replaces the value at a path, in place."""
    value_at(value, path[:-1])[path[-1]] = new


def spelled(path: Path) -> str:
    """A path as text: ``spec.containers[0].image``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")
