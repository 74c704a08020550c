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
# Keys that look secret and have the name of a method as value, such as ``irsa``.
_NOT_SECRET = {"kubeflow:artifacts.credentials", "kubeflow:imageMirror.credentials"}
_LONGEST = 60

Path = Sequence[str | int]
"""The keys from a section down to a setting, as in the stack file; a number: an entry of a list."""


class SettingsError(Exception):
    """A stack that cannot be built.

    Attributes:
        problems: one full sentence each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


def full_key(path: Path | str) -> str:
    """A setting's name as the stack file writes it: ``kubeflow:users[0].email``."""
    parts = path.split(".") if isinstance(path, str) else path
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return f"{NAMESPACE}:{text}"


def looks_secret(key: str, value: object = "") -> bool:
    """Whether a value may be a secret, by the name of its key or by its own form."""
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
    """A value for a sentence: in YAML's form, short, secrets hidden."""
    if key not in _NOT_SECRET and looks_secret(key, value):
        return "[hidden]"
    if value is None or value == "":
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    text = " ".join(str(value).split())
    if isinstance(value, (Mapping, list)):
        text = yaml.safe_dump(value, default_flow_style=True, width=2**31).strip()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def listed(names: Iterable[str], last: str = "or") -> str:
    """``a, b or c``."""
    items = list(names)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def suggestion(name: str, names: Iterable[str]) -> str:
    """``did you mean x?`` if one of the names is similar, else ``use`` and all of them."""
    by_lower = {each.lower(): each for each in names}
    similar = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    if similar:
        return f"did you mean {by_lower[similar[0]]}?"
    return f"use {listed(by_lower.values())}."


def refusal(path: Path | str, value: object, reason: str) -> str:
    """The sentence ``<key> is <value>: <reason>.``; a reason ends with the way out."""
    key = full_key(path)
    text = f"{key} is {shown(value, key)}: {reason}"
    return text if text.endswith(("?", ".")) else f"{text}."


def encrypted(key: str) -> str:
    """The sentence about a setting that is stored as a secret."""
    return (
        f"{key} is encrypted: no setting is a secret, so store it as plain text "
        f"(`pulumi config set --plaintext {key} ...`)."
    )


_TYPES = {
    "int": "it must be a whole number",
    "bool": "it must be true or false",
    "string": "it must be text",
    "list": "it must be a list, with one `- item` per line",
    "dict": "it must be a mapping of names to values",
    "model": "it must be a mapping of settings",
}
"""The first word of a pydantic error's type -> the reason."""

# Of former settings: a similar name would be that of an unrelated one.
_REMOVED = {
    "kubeflow:imageMirror.credentials": "remove the line; each side always stores an access key of "
    "the other (imageMirror.rotation replaces both).",
    "kubeflow:network.publicSubnetIds": "remove the line; it had no effect (load balancers find "
    "subnets by the tag kubernetes.io/role/elb, which the VPC's owner sets).",
    "kubeflow:cluster.controlPlaneEgress": "remove the line; only the former imageMirror.transport "
    "private-api needed it.",
}


def from_pydantic(error: Mapping[str, Any], names: Sequence[str]) -> str:
    """The sentence of one pydantic error.

    Args:
        error: one of ``ValidationError.errors()``.
        names: of the settings that are possible in that place.
    """
    kind, path, value = str(error["type"]), cast(Path, error["loc"]), error["input"]
    key = full_key(path)
    if kind == "missing":
        return f"{key} is missing: add it (an entry has {listed(names, 'and')})."
    if kind == "extra_forbidden":
        way_out = _REMOVED.get(key) or suggestion(str(path[-1]), names)
        return f"{key} ({shown(value, key)}) is not a setting: {way_out}"
    if kind == "literal_error":
        # Pydantic's list: 'a', 'b' or 'c'; numbers stand in it without quotes.
        expected = str(error["ctx"]["expected"]).replace(" or ", ", ")
        choices = [choice.strip("'") for choice in expected.split(", ")]
        return refusal(path, value, suggestion(str(value), choices))
    if kind == "value_error":
        return refusal(path, value, str(error["ctx"]["error"]))
    return refusal(path, value, _TYPES.get(kind.partition("_")[0], str(error["msg"])))
