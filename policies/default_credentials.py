"""No password that everybody can look up."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from policies.documents import listed
from policies.model import Resource, Stack, Violation, policy

# The render has the same list, for objects that are not made yet.
_TABLE = Path(__file__).parent.parent / "rendering" / "leak_tables.yaml"
# The hash of upstream's password is in the table; these are the passwords themselves.
_WORDS = {"12341234": "upstream's dashboard password"}
_EMPTY_PASSWORDS = ("MYSQL_ALLOW_EMPTY_PASSWORD", "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD")
_PASSWORDS = ("MYSQL_ROOT_PASSWORD", "MARIADB_ROOT_PASSWORD", "MYSQL_PASSWORD", "MINIO_SECRET_KEY")
_WAY_OUT = "let the platform generate it (kubeflow:users, the backend's secrets)."


@cache
def _published() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Values that are a leak anywhere, and values that are one as the whole value of a Secret."""
    table: dict[str, dict[str, str]] = yaml.safe_load(_TABLE.read_text("utf-8"))
    anywhere = table["credentials"]
    return anywhere, {**anywhere, **table["secret_credentials"], **_WORDS}


@policy("default-credentials", severity="critical")
def default_credentials(stack: Stack) -> Iterator[Violation]:
    """No published password, hash or key of Kubeflow, MinIO or MySQL is in use."""
    anywhere, whole = _published()
    for resource in stack.resources:
        for path, text in _texts(resource):
            for value, meaning in anywhere.items():
                if value in text:
                    # The value is published; what stands around it may be secret.
                    yield resource.finding(path, f"it is {meaning}; {_WAY_OUT}", value=value)
            for word in map(str.strip, (text, *_of_json(text))):
                if word in _WORDS and resource.inputs.get("kind") != "Secret":
                    yield resource.finding(path, f"it is {_WORDS[word]}; {_WAY_OUT}", value=word)
        if resource.inputs.get("kind") == "Secret":
            for path, text in _secret_values(resource):
                if text in whole:
                    yield resource.finding(path, f"it is {whole[text]}; {_WAY_OUT}", value=text)
        yield from _environment(resource)


def _texts(resource: Resource) -> Iterator[tuple[str, str]]:
    yield from _strings(resource.inputs, ())
    for text in resource.secrets:
        yield "a secret value", text
        if decoded := _decoded(text):
            yield "a secret value", decoded


def _of_json(text: str) -> Iterator[str]:
    if text.startswith("{"):
        with suppress(ValueError):
            yield from (part for _, part in _strings(json.loads(text), ()))


def _secret_values(resource: Resource) -> Iterator[tuple[str, str]]:
    # The SDK makes both secret as a whole: a word in place of a mapping, and the texts beside it.
    for key, text in _items(resource.inputs.get("stringData")):
        yield f"stringData.{key}", str(text).strip()
    for key, text in _items(resource.inputs.get("data")):
        yield f"data.{key}", _decoded(str(text)).strip()
    for text in resource.secrets:
        yield "a secret value", text.strip()
        yield "a secret value", _decoded(text).strip()


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, Mapping) else ()


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""


def _environment(resource: Resource) -> Iterator[Violation]:
    if not resource.type.startswith("kubernetes:"):
        return
    for path, name, value in _variables(resource.inputs, ()):
        off = str(value).lower() in ("", "0", "false", "no")
        allows_empty = name in _EMPTY_PASSWORDS and not off
        if allows_empty or (name in _PASSWORDS and value == ""):
            yield resource.finding(
                path, f"root logs in without a password; {_WAY_OUT}", value=f"{name}={value}"
            )


def _variables(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str, Any]]:
    """The path, name and value of each variable: a list as pods have it, or a chart's mapping."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "env" and isinstance(item, dict):
                for name, text in item.items():
                    yield ".".join((*path, "env", str(name))), str(name), text
            elif key == "env":
                for index, variable in enumerate(listed(item)):
                    if isinstance(variable, dict):
                        place = ".".join((*path, "env", str(index)))
                        yield place, str(variable.get("name")), variable.get("value")
            else:
                yield from _variables(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _variables(item, (*path, str(index)))


def _strings(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield ".".join(path), value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, (*path, str(index)))
