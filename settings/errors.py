"""Errors in a stack file: one sentence each, with key, value and way out, and never a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, cast

import yaml

NAMESPACE = "kubeflow"
"""The Pulumi project's name, hence the namespace of its keys in a stack file."""

_SECRET_NAME = re.compile(r"(?i)pass(word|wd|phrase)|secret|token|credential|(private|api).?key")
# Access key ids, and anything as long and as mixed as a secret access key.
_SECRET_VALUE = re.compile(r"(A3T|AKIA|ASIA)[A-Z0-9]{12,}|[A-Za-z0-9/+]{40}|://[^/\s]*:[^/\s]*@")
# Choices of words.
_NOT_SECRET = {f"{NAMESPACE}:artifacts.credentials", f"{NAMESPACE}:imageMirror.credentials"}
_LONGEST = 60


def full_key(path: Sequence[str | int] | str) -> str:
    """A setting's name as the stack file writes it: ``kubeflow:users[0].email``."""
    parts = path.split(".") if isinstance(path, str) else path
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return f"{NAMESPACE}:{text}"


def looks_secret(key: str, value: object = "") -> bool:
    """Whether a value is better not repeated, by its key's name or its own looks."""
    if isinstance(value, Mapping) and "secure" in value:
        return True
    text = str(cast(object, value))
    nested = isinstance(value, (Mapping, list, tuple))
    return bool(
        _SECRET_NAME.search(key)
        or _SECRET_VALUE.search(text)
        or (nested and _SECRET_NAME.search(text))
    )


def shown(value: object, key: str = "") -> str:
    """A value as a sentence repeats it: as YAML would write it, short, secrets hidden."""
    if key not in _NOT_SECRET and looks_secret(key, value):
        return "not shown here"
    if value is None or value == "":
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    text = " ".join(str(value).split())
    if isinstance(value, (Mapping, list)):
        text = yaml.safe_dump(value, default_flow_style=True, width=2**31).strip()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def listed(names: Iterable[str], last: str = "or") -> str:
    """``a, b or c``"""
    items = list(names)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def nearest(name: str, known: Iterable[str]) -> str:
    """``did you mean x?`` when a known name is close, else the known names."""
    names = list(known)
    lower = {n.lower(): n for n in names}
    near = get_close_matches(name.lower(), list(lower), n=1, cutoff=0.6)
    return f"did you mean {lower[near[0]]}?" if near else f"use {listed(names)}."


def told(key: str, value: object, problem: str) -> str:
    """The sentence: ``<key> is <value>: <problem>``, closed by a full stop."""
    text = f"{key} is {shown(value, key)}: {problem}"
    return text if text.endswith(("?", ".")) else f"{text}."


def told_encrypted(key: str) -> str:
    """The sentence about a setting that was stored as a secret, which none is."""
    return (
        f"{key} is encrypted: no setting is a secret, so write it plainly "
        f"(`pulumi config set --plaintext {key} ...`)."
    )


_TYPES = {
    "int": "it must be a whole number",
    "bool": "it must be true or false",
    "string": "it must be a text",
    "list": "it must be a list, one `- item` a line",
    "dict": "it must be a mapping of names to values",
    "model": "it must be a mapping of settings",
}


# Settings that there were: the nearest name would be that of another matter.
_REMOVED = {
    full_key("imageMirror.credentials"): "remove the line, both sides always hold an access key "
    "of the other (imageMirror.rotation makes new ones).",
    full_key("cluster.controlPlaneEgress"): "remove the line, only imageMirror.transport "
    "private-api needed it, which was removed too.",
}


def translated(error: Mapping[str, Any], known: Sequence[str]) -> str:
    """One pydantic error as a sentence; ``known`` are the names its place may hold."""
    kind: str = error["type"]
    key = full_key(error["loc"])
    value = error["input"]
    if kind == "missing":
        return f"{key} is missing: add it, every entry needs {listed(known, 'and')}."
    if kind == "extra_forbidden":
        way_out = _REMOVED.get(key) or nearest(str(error["loc"][-1]), known)
        return f"{key} ({shown(value, key)}) is not a setting: {way_out}"
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", str(error["ctx"]["expected"]))
        return told(key, value, nearest(str(value), names))
    if kind == "value_error":
        return told(key, value, str(error["ctx"]["error"]))
    return told(key, value, _TYPES.get(kind.partition("_")[0], str(error["msg"])))
