"""What must never stand in a render: foreign partitions and registries, holes, known passwords.

A leak is a value, not an opinion: each finding names object, path and value. The few values that
look like leaks and are right stand in ``leak_tables``, each with its reason. CRDs are not looked
at: their schemas only describe.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from images.reference import parse
from rendering import leak_tables as tables
from rendering.images import EXAMPLE_CHECKSUM, occurrences, stays
from rendering.objects import (
    Object,
    ObjectKey,
    Path,
    RenderError,
    annotations_of,
    containers_of,
    is_crd,
    pod_template,
    spelled,
    strings,
)


@dataclass(frozen=True, order=True)
class Leak:
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
        dns_suffix: the only one that its service hosts may have, such as ``amazonaws.com.cn``.
        registry: the only one, with ``in_region_registries``, that images may come from; None:
            any.
        cached_registries: the only ones whose images must come from ``registry``; None: all.
        bound: late values are in: markers are holes now, and the user's own settings are no
            defaults of upstream.
    """
    check = _Check(
        partition, dns_suffix, registry, tuple(in_region_registries), cached_registries, bound
    )
    return [leak for obj in objects if not is_crd(obj) for leak in check.of(cast("Object", obj))]


@dataclass(frozen=True)
class _Check:
    partition: str
    dns_suffix: str
    registry: str | None
    keep: tuple[str, ...]
    cached: Collection[str] | None
    bound: bool

    def of(self, obj: Object) -> Iterator[Leak]:
        key = ObjectKey.of(obj)
        skipped = ("data", "_example") if EXAMPLE_CHECKSUM in annotations_of(obj) else None
        defined = _variables(obj)
        for path, text in _strings_and_keys(obj):
            if path[:2] == skipped:
                continue
            where = spelled(path)
            for value, reason in self._values(key, path, where, text, defined):
                yield Leak(key, where, value, reason)
        if key.kind == "Secret" and not key.group:
            yield from _passwords_of_secret(key, obj)
        if self.registry is not None:
            for found in occurrences(obj):
                if not stays(parse(found.span.image), self.registry, self.keep, self.cached):
                    reason = f"comes from outside {self.registry}"
                    yield Leak(key, spelled(found.path), found.span.image, reason)

    def _values(
        self, key: ObjectKey, path: Path, where: str, text: str, defined: Mapping[Path, set[str]]
    ) -> Iterator[tuple[str, str]]:
        if tables.SUSPICIOUS.search(text):
            yield from self._partition(key, where, text)
            yield from self._holes(key, path, where, text, defined)
        if not text and tables.MUST_NOT_BE_EMPTY.fullmatch(_name_of(path)):
            yield text, f"{_name_of(path)} is empty"
        for secret, meaning in tables.CREDENTIALS.items():
            if secret in text:
                yield secret, f"is {meaning}"
        if tables.DEFAULT_USER in text and not self.bound and key.kind in ("ConfigMap", "Profile"):
            yield tables.DEFAULT_USER, "is upstream's example user, not one of the stack's"
        if self.registry is not None:
            for found in tables.REGISTRY.finditer(text):
                line = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
                host = found[0].partition("/")[0]
                inside = any(found[0].startswith(f"{kept}/") for kept in self.keep)
                served = self.cached is None or host in self.cached
                if served and not inside and not line.lstrip().startswith("#"):
                    yield found[0], f"comes from outside {self.registry}"

    def _partition(self, key: ObjectKey, where: str, text: str) -> Iterator[tuple[str, str]]:
        for found in tables.ARN.finditer(text):
            if found[1] != self.partition:
                yield found[0], f"belongs to another partition than {self.partition}"
        for found in tables.HOST.finditer(text):
            value = found[0]
            right = found["suffix"] == self.dns_suffix
            if not right and not _is_allowed(tables.ALLOWED_HOSTS, key, where, value):
                yield value, f"hosts of {self.partition} end in {self.dns_suffix}"
        if self.partition != "aws-cn":
            for found in tables.CHINESE_HOST.finditer(text):
                yield found[0], f"is a host of China, not of {self.partition}"

    def _holes(
        self, key: ObjectKey, path: Path, where: str, text: str, defined: Mapping[Path, set[str]]
    ) -> Iterator[tuple[str, str]]:
        if self.bound:
            for found in tables.MARKER.finditer(text):
                yield found[0], "is still a marker"
        for found in tables.VARIABLE.finditer(text):
            if not _is_expanded(path, text, found[1], defined) and not _is_allowed(
                tables.ALLOWED_VARIABLES, key, where, found[0]
            ):
                yield found[0], "is a variable that nobody replaces"
        for pattern in (tables.TEMPLATE, tables.TRIAL):
            for found in pattern.finditer(text):
                if not _is_comment(text, found.start()) and not _is_allowed(
                    tables.ALLOWED_TEMPLATES, key, where, found[0]
                ):
                    yield found[0], "is a template that nobody fills in"
        for found in tables.EMPTY_HOST.finditer(text):
            if not _is_comment(text, found.start()):
                yield found[0].strip(), "names no bucket or host"


def _strings_and_keys(obj: Object) -> Iterator[tuple[Path, str]]:
    """Every string value, and the keys of labels and annotations, which are text too."""
    yield from strings(obj)
    for name in annotations_of(obj):
        if "amazonaws" in name or "arn:" in name:
            yield ("metadata", "annotations"), name


def _is_allowed(allowed: Iterable[tables.Allowed], key: ObjectKey, path: str, value: str) -> bool:
    return any(entry.covers(key, path, value) for entry in allowed)


def _is_comment(text: str, position: int) -> bool:
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line.lstrip().startswith("#")


def _name_of(path: Path) -> str:
    return str(path[-1])


def _variables(obj: Object) -> dict[Path, set[str]]:
    """Way to each container -> names that ``$(NAME)`` may use in it; ``*`` for an unknown set."""
    template = pod_template(obj)
    if template is None:
        return {}
    found: dict[Path, set[str]] = {}
    chosen = {id(container) for container in containers_of(template.get("spec") or {})}
    for path, container in _mappings(obj):
        if id(container) in chosen:
            names = {str(variable.get("name")) for variable in container.get("env") or []}
            found[path] = names | ({"*"} if container.get("envFrom") else set[str]())
    return found


def _mappings(value: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        yield path, mapping
        for key, child in mapping.items():
            yield from _mappings(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(cast("list[Any]", value)):
            yield from _mappings(child, (*path, index))


def _is_expanded(path: Path, text: str, name: str, defined: Mapping[Path, set[str]]) -> bool:
    """Kubernetes expands variables in command, args and env of the container that defines them."""
    for holder, names in defined.items():
        if path[: len(holder)] == holder and len(path) > len(holder):
            part = path[len(holder)]
            if part in ("command", "args", "env") and (name in names or "*" in names):
                return True
            # In a script for a shell the same spelling runs a command.
            return part in (
                "command",
                "args",
                "lifecycle",
                "livenessProbe",
                "readinessProbe",
                "startupProbe",
            ) and bool(re.search(r"\s", text))
    return False


def _passwords_of_secret(key: ObjectKey, obj: Object) -> Iterator[Leak]:
    values: dict[str, str] = dict(obj.get("stringData") or {})
    known = {*tables.CREDENTIALS, *tables.SECRET_CREDENTIALS}
    for name, encoded in (obj.get("data") or {}).items():
        try:
            text = base64.b64decode("".join(str(encoded).split()), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
        for value in known:
            if text == value or (value in tables.CREDENTIALS and value in text):
                meaning = tables.CREDENTIALS.get(value) or tables.SECRET_CREDENTIALS[value]
                yield Leak(key, f"data.{name}", value, f"is {meaning}")
    for name, text in values.items():
        if text in tables.SECRET_CREDENTIALS:
            yield Leak(key, f"stringData.{name}", text, f"is {tables.SECRET_CREDENTIALS[text]}")
