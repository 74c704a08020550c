"""The inputs of a resource type by the installed Pulumi SDKs, as small plain data.

Read from the SDK's own argument classes and cached by SDK version: importing the classes of the
forty Kubernetes kinds of a stack takes two seconds of a preview, reading their shapes a tenth of
that.

A shape is JSON. ``Kind`` is one of ``"any"``, ``"string"``, ``"integer"``, ``"number"``,
``"boolean"``, ``{"list": Kind}``, ``{"map": Kind}``, ``{"object": name of a class}`` and
``{"any of": [Kind, ...]}``.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import enum
import importlib
import importlib.metadata
import inspect
import json
import keyword
import re
import types
import typing
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypedDict

import pulumi
from pulumi import _types

from rendering.cache import read, sha256_of, write

Kind = Any
_FORMAT = "1"
_PACKAGES = ("pulumi", "pulumi-aws", "pulumi-eks", "pulumi-kubernetes")
_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}


class ObjectShape(TypedDict):
    """One argument class: its label for people, its properties, and the required ones."""

    label: str
    properties: dict[str, Kind]
    required: list[str]


@dataclass(frozen=True)
class Shapes:
    """One resource type: ``root`` is the key of its own class in ``objects``."""

    root: str
    objects: Mapping[str, ObjectShape]


@cache
def shapes_of(type_: str) -> Shapes | None:
    """The shapes of a resource type's inputs, or None where no SDK has the type.

    Args:
        type_: ``aws:iam/role:Role``, ``kubernetes:apps/v1:Deployment``, ``eks:index:Cluster``.
    """
    module = _module_of(type_)
    if module is None:
        return None
    kind, key = f"inputs/{_versions()}", re.sub(r"[^\w.]", "_", type_)
    if stored := read(kind, key):
        root, objects = stored
    else:
        arguments = _arguments_class(module, type_.rsplit(":", 1)[-1])
        reader = _Reader()
        root = reader.object_of(arguments) if arguments else ""
        objects = reader.objects
        write(kind, key, [root, objects])
    return Shapes(root, objects) if root else None


@cache
def _versions() -> str:
    versions = [importlib.metadata.version(package) for package in _PACKAGES]
    return sha256_of(json.dumps([_FORMAT, *versions]).encode())[:16]


def _module_of(type_: str) -> str | None:
    """The module where a type's argument class would be; None when no SDK can have one."""
    parts = type_.split(":")
    if len(parts) != 3:
        return None
    package, module, kind = parts
    if package == "kubernetes":
        group, _, version = module.rpartition("/")
        # Only built-in groups have classes; "networking.istio.io" is not "networking.k8s.io".
        if not version or not re.fullmatch(r"[a-z]+|[a-z.]+\.k8s\.io", group):
            return None
        return f"pulumi_kubernetes.{group.split('.')[0]}.{version}.{kind}"
    if package in ("aws", "eks"):
        folders = [part for part in module.split("/") if part != "index"]
        file = folders[-1] if len(folders) > 1 else kind
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", file).lower()
        # A Python keyword gets an underscore: pulumi_aws.lambda_.
        inner = [f"{part}_" if keyword.iskeyword(part) else part for part in folders[:1]]
        return ".".join([f"pulumi_{package}", *inner, snake])
    return None


def _arguments_class(module: str, kind: str) -> type | None:
    try:
        classes = vars(importlib.import_module(module))
    except ImportError:
        return None
    return classes.get(f"{kind}InitArgs", classes.get(f"{kind}Args"))


class _Reader:
    """Reads a class and the classes of its properties, each once, also when they are recursive."""

    def __init__(self) -> None:
        self.objects: dict[str, ObjectShape] = {}

    def object_of(self, cls: type) -> str:
        name = f"{cls.__module__}.{cls.__qualname__}"
        if name not in self.objects:
            label = cls.__name__.removesuffix("Args").removesuffix("Init")
            shape = ObjectShape(label=label, properties={}, required=_required(cls))
            self.objects[name] = shape
            for key, annotation in _annotations(cls).items():
                shape["properties"][key] = self.kind_of(annotation)
        return name

    def kind_of(self, annotation: Any) -> Kind:
        kinds: list[Kind] = []
        for member in _members(annotation):
            kind = self._kind_of_member(member)
            if kind not in kinds:
                kinds.append(kind)
        if not kinds or "any" in kinds:
            return "any"
        return kinds[0] if len(kinds) == 1 else {"any of": kinds}

    def _kind_of_member(self, member: Any) -> Kind:
        origin, arguments = typing.get_origin(member), typing.get_args(member)
        if origin is typing.Literal:
            return "string"
        if origin in (Sequence, list, tuple):
            return {"list": self.kind_of(arguments[0])}
        if origin in (Mapping, dict):
            return {"map": self.kind_of(arguments[1])}
        if not isinstance(member, type):
            return "any"
        if issubclass(member, enum.Enum):
            member = next((scalar for scalar in _SCALARS if issubclass(member, scalar)), str)
        if member in _SCALARS:
            return _SCALARS[member]
        return {"object": self.object_of(member)} if _types.is_input_type(member) else "any"


def _annotations(cls: type) -> dict[str, Any]:
    """Name in the protocol -> annotation; ``Any`` where an annotation is of a module not loaded."""
    try:
        return dict(_types.input_type_types(cls))
    except (AttributeError, NameError):
        return dict.fromkeys(_types.input_type_py_to_pulumi_names(cls).values(), Any)


def _required(cls: type) -> list[str]:
    """Names in the protocol of the properties that the constructor requires."""
    names = _types.input_type_py_to_pulumi_names(cls)
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return [names.get(p.name, p.name) for p in parameters if p.default is inspect.Parameter.empty]


def _members(annotation: Any) -> list[Any]:
    """The alternatives of an annotation, without Output, Awaitable and None."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return [member for part in typing.get_args(annotation) for member in _members(part)]
    if origin in (pulumi.Output, Awaitable) or annotation in (type(None), pulumi.Output):
        return []
    return [annotation]
