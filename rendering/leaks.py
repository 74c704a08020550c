"""Values that no render may hold: foreign partitions and registries, holes, published passwords.

A leak names object, path and value. leak_tables.yaml lists the values that look like leaks and
are right, each with its reason. CRDs are left out: their schemas only describe.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from images.reference import parse
from rendering import leak_tables as tables
from rendering.images import EXAMPLE_CHECKSUM, Registries, occurrences
from rendering.objects import (
    POD_CONTAINERS,
    Object,
    ObjectKey,
    Path,
    RenderError,
    annotations_of,
    decoded,
    is_crd,
    pod_template,
    spelled,
    strings,
    value_at,
)

_EXPANDED = ("command", "args", "env")
"""Fields of a container in which the kubelet expands ``$(NAME)``."""

_SCRIPTS = ("command", "args", "lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
"""Fields of a container that can hold a shell script, where ``$(NAME)`` runs a command."""


@dataclass(frozen=True, order=True)
class Leak:
    """A value that no render may hold."""

    object: ObjectKey
    path: str
    value: str
    reason: str

    def __str__(self) -> str:
        value = self.value if len(self.value) <= 160 else f"{self.value[:157]}..."
        return f"{self.object} {self.path}: {value!r}: {self.reason}"


class LeakError(RenderError):
    """One line per leak."""

    def __init__(self, leaks: Sequence[Leak]) -> None:
        self.leaks = tuple(leaks)
        super().__init__("\n".join(str(leak) for leak in leaks))


def find_leaks(
    objects: Iterable[Mapping[str, Any]],
    *,
    partition: str,
    dns_suffix: str,
    registry: str | None,
    in_region_registries: Sequence[str] = (),
    cached_registries: Collection[str] | None = None,
    bound: bool = False,
) -> list[Leak]:
    """Every leak, in the order of the objects.

    Args:
        objects: Kubernetes objects; CRDs among them are left out.
        partition: of the stack's region, such as ``aws-cn``.
        dns_suffix: the only one that service hosts may have, such as ``amazonaws.com.cn``.
        registry: the account's registry; None: images may come from any.
        in_region_registries: further registries that images may come from.
        cached_registries: the only ones whose images must come from ``registry``; None: all.
        bound: whether deploy values are bound: then a marker is a hole, and upstream's example user
            can be one of the stack's own.
    """
    registries = Registries(registry, in_region_registries, cached_registries)
    check = _Check(partition, dns_suffix, registries, bound)
    return [leak for obj in objects if not is_crd(obj) for leak in check.of(cast("Object", obj))]


def find_partition_leaks(
    objects: Iterable[Mapping[str, Any]], *, partition: str, dns_suffix: str
) -> list[Leak]:
    """ARNs and hosts of another partition alone, in objects that no render made.

    Args:
        objects: Kubernetes objects; CRDs among them are left out.
        partition: as of ``find_leaks``.
        dns_suffix: likewise.
    """
    check = _Check(partition, dns_suffix, Registries(), bound=True)
    return [
        leak
        for obj in objects
        if not is_crd(obj)
        for leak in check.of_partition(cast("Object", obj))
    ]


@dataclass(frozen=True)
class _Check:
    partition: str
    dns_suffix: str
    registries: Registries
    bound: bool

    def of(self, obj: Object) -> Iterator[Leak]:
        key = ObjectKey.of(obj)
        skipped = ("data", "_example") if EXAMPLE_CHECKSUM in annotations_of(obj) else None
        for path, text in _strings_and_keys(obj):
            if path[:2] != skipped:
                for value, reason in self._values(obj, path, text):
                    yield Leak(key, spelled(path), value, reason)
        if key.kind == "Secret" and not key.group:
            yield from _passwords_of_secret(key, obj)
        if self.registries.own is not None:
            for path, span in occurrences(obj):
                if not self.registries.stays(parse(span.image)):
                    yield Leak(key, spelled(path), span.image, self._foreign_registry)

    def of_partition(self, obj: Object) -> Iterator[Leak]:
        key = ObjectKey.of(obj)
        for path, text in _strings_and_keys(obj):
            if tables.SUSPICIOUS.search(text):
                for value, reason in self._partition(_place(obj, path), text):
                    yield Leak(key, spelled(path), value, reason)

    @property
    def _foreign_registry(self) -> str:
        return f"comes from outside {self.registries.own}"

    def _values(self, obj: Object, path: Path, text: str) -> Iterator[tuple[str, str]]:
        if tables.SUSPICIOUS.search(text):
            place = _place(obj, path)
            yield from self._partition(place, text)
            yield from self._holes(obj, path, place, text)
        if not text and tables.MUST_NOT_BE_EMPTY.fullmatch(str(path[-1])):
            yield text, f"{path[-1]} is empty"
        for secret, meaning in tables.CREDENTIALS.items():
            if secret in text:
                yield secret, f"is {meaning}"
        if (
            tables.DEFAULT_USER in text
            and not self.bound
            and obj.get("kind") in ("ConfigMap", "Profile")
        ):
            yield tables.DEFAULT_USER, "is upstream's example user, not one of the stack's"
        if self.registries.own is not None:
            for match in tables.REGISTRY.finditer(text):
                host = match[0].partition("/")[0]
                cached = self.registries.cached is None or host in self.registries.cached
                inside = match[0].startswith(tuple(f"{r}/" for r in self.registries.in_region))
                named = cached and not inside and not _is_comment(text, match.start())
                if named and not tables.is_allowed("allowed_images", _place(obj, path), match[0]):
                    yield match[0], self._foreign_registry

    def _partition(self, place: str, text: str) -> Iterator[tuple[str, str]]:
        for match in tables.ARN.finditer(text):
            if match[1] != self.partition:
                yield match[0], f"belongs to another partition than {self.partition}"
        for match in tables.HOST.finditer(text):
            own = match["suffix"] == self.dns_suffix
            if not own and not tables.is_allowed("allowed_hosts", place, match[0]):
                yield match[0], f"hosts of {self.partition} end in {self.dns_suffix}"
        if self.partition != "aws-cn":
            for match in tables.CHINESE_HOST.finditer(text):
                yield match[0], f"is a host of China, not of {self.partition}"

    def _holes(self, obj: Object, path: Path, place: str, text: str) -> Iterator[tuple[str, str]]:
        if self.bound:
            for match in tables.MARKER.finditer(text):
                yield match[0], "is still a marker"
        for match in tables.VARIABLE.finditer(text):
            if not _is_expanded(obj, path, text, match[1]) and not tables.is_allowed(
                "allowed_variables", place, match[0]
            ):
                yield match[0], "is a variable that nothing replaces"
        for pattern in (tables.TEMPLATE, tables.TRIAL):
            for match in pattern.finditer(text):
                if not _is_comment(text, match.start()) and not tables.is_allowed(
                    "allowed_templates", place, match[0]
                ):
                    yield match[0], "is a template that nothing fills in"
        for match in tables.EMPTY_HOST.finditer(text):
            if not _is_comment(text, match.start()):
                yield match[0].strip(), "names no bucket or host"


def _place(obj: Object, path: Path) -> str:
    """Where a string stands, as leak_tables.yaml names it."""
    key = ObjectKey.of(obj)
    return f"{key.kind} {key.full_name}#{spelled(path)}"


def _strings_and_keys(obj: Object) -> Iterator[tuple[Path, str]]:
    """Every string value, and keys of annotations that can hold a host or an ARN."""
    yield from strings(obj)
    for name in annotations_of(obj):
        if "amazonaws" in name or "arn:" in name:
            yield ("metadata", "annotations"), name


def _is_comment(text: str, position: int) -> bool:
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line.lstrip().startswith("#")


def _is_expanded(obj: Object, path: Path, text: str, name: str) -> bool:
    """Whether ``$(name)`` is a variable of its container or a command of a shell script."""
    if pod_template(obj) is None:
        return False
    for depth in range(2, len(path)):
        if path[depth - 2] in POD_CONTAINERS and isinstance(path[depth - 1], int):
            field, container = path[depth], value_at(obj, path[:depth])
            variables = [variable.get("name") for variable in container.get("env") or []]
            if field in _EXPANDED and (name in variables or container.get("envFrom")):
                return True
            return field in _SCRIPTS and bool(re.search(r"\s", text))
    return False


def _passwords_of_secret(key: ObjectKey, obj: Object) -> Iterator[Leak]:
    words = tables.SECRET_CREDENTIALS
    for name, encoded in _entries(obj.get("data")):
        text = decoded(str(encoded)) or ""
        for value, meaning in {**tables.CREDENTIALS, **words}.items():
            if text == value or (value in tables.CREDENTIALS and value in text):
                yield Leak(key, f"data.{name}", value, f"is {meaning}")
    for name, text in _entries(obj.get("stringData")):
        if text in words:
            yield Leak(key, f"stringData.{name}", text, f"is {words[text]}")


def _entries(values: Any) -> Iterable[tuple[str, Any]]:
    """Of a Secret; the engine's own has ``[secret]`` in place of all of them."""
    return cast("Mapping[str, Any]", values).items() if isinstance(values, Mapping) else ()
