"""YAML as kubectl and the API server read it, and as every other reader reads the same.

PyYAML has the types of YAML 1.1, and the readers of Kubernetes (sigs.k8s.io/yaml v1.6.0,
goyaml.v2/resolve.go) have others: to them ``1e3`` and ``089`` are numbers and ``y`` is a boolean,
which PyYAML writes without quotes where they are texts; ``1:30``, ``2024-01-01`` and ``=`` are
texts. Pulumi's reader of stack files takes the same texts for numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, cast

import yaml

_TAG = "tag:yaml.org,2002:"
_NUMBER = "!number"
_FORMS = (
    (f"{_TAG}int", r"[-+]?0o[0-7_]+", "-+0"),
    (_NUMBER, r"[-+]?(\.[0-9_]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    (f"{_TAG}bool", r"[yYnN]", "yYnN"),
)
"""Tag, form and first characters of what has a type to Kubernetes' readers, and none to PyYAML."""
_TEXTS = {f"{_TAG}timestamp", f"{_TAG}value"}
_OTHER_BREAKS = re.compile("[\x85\u2028\u2029]")
_BASE_60 = r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"


class Loader(yaml.CSafeLoader):
    """Reads a plain scalar as ``kubectl`` does."""

    bool_values: ClassVar = {**yaml.CSafeLoader.bool_values, "y": True, "n": False}
    yaml_implicit_resolvers: ClassVar = {
        first: [
            (tag, re.compile(rf"(?!{_BASE_60}$)(?:{form.pattern})", form.flags))
            for tag, form in forms
            if tag not in _TEXTS
        ]
        for first, forms in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


class Dumper(yaml.CSafeDumper):
    """Quotes every text that some reader would take for another type."""


def document(value: Mapping[str, Any]) -> str:
    """A document of a YAML stream: sorted keys, and no line is folded.

    PyYAML writes each different key and scalar once, and the whole where a key or a break is none
    of the usual ones. A release's CRDs take a tenth of the time that PyYAML takes for all of them.
    """
    lines = ["---"] if value else ["---", "{}"]
    try:
        _add_mapping(lines, value, "", "")
    except _Unusual:
        return f"---\n{_dumped(value)}"
    return "\n".join([*lines, ""])


class _Unusual(Exception):
    """A key that takes a line of its own, or a text with a line break that is no line feed."""


def _add_mapping(lines: list[str], value: Mapping[str, Any], first: str, indent: str) -> None:
    """Adds a line or more for each pair; ``first`` is what the first of them begins with."""
    below = f"{indent}  "
    for key in sorted(value):
        child, head = value[key], f"{first}{_key(key)}:"
        first = indent
        if child and isinstance(child, dict):
            lines.append(head)
            _add_mapping(lines, cast("Any", child), below, below)
        elif child and isinstance(child, list):
            lines.append(head)
            _add_list(lines, cast("Any", child), indent, indent)
        else:
            lines.append(head + _scalar(child, below))


def _add_list(lines: list[str], value: list[Any], first: str, indent: str) -> None:
    below = f"{indent}  "
    for child in value:
        head = f"{first}-"
        first = indent
        if child and isinstance(child, dict):
            _add_mapping(lines, cast("Any", child), f"{head} ", below)
        elif child and isinstance(child, list):
            _add_list(lines, cast("Any", child), f"{head} ", below)
        else:
            lines.append(head + _scalar(child, below))


def _scalar(value: Any, below: str) -> str:
    """A value on the line of its key, after a space; ``below`` begins its further lines."""
    if isinstance(value, dict | list):
        return " {}" if isinstance(value, dict) else " []"
    text = _after_key(value)
    return text.replace("\n  ", f"\n{below}") if "\n" in text else text


@lru_cache(maxsize=2**16, typed=True)
def _after_key(value: str | float | None) -> str:
    text = _dumped({"k": value})[2:-1]
    if _OTHER_BREAKS.search(text):
        raise _Unusual
    return text


@lru_cache(maxsize=2**16)
def _key(key: str) -> str:
    text = _dumped({key: 0})
    if text.startswith("? "):
        raise _Unusual
    return text[:-4]


def _dumped(value: Mapping[str, Any]) -> str:
    return yaml.dump(dict(value), Dumper=Dumper, sort_keys=True, allow_unicode=True, width=2**20)


def _number(loader: Loader, node: yaml.ScalarNode) -> int | float:
    """A number with an exponent or leading zeros; without a dot a whole one is an integer."""
    text = str(loader.construct_scalar(node)).replace("_", "")
    value = float(text)
    return int(value) if "." not in text and value.is_integer() else value


for _kind in (Loader, Dumper):
    for _tag, _form, _first in _FORMS:
        _kind.add_implicit_resolver(_tag, re.compile(rf"(?:{_form})$"), list(_first))
Loader.add_constructor(_NUMBER, _number)
