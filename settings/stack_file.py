"""Reads a Pulumi stack file without Pulumi: its ``config:`` map, and errors around it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import yaml

from settings.errors import AWS, NAMESPACE, SettingsError, encrypted, full_key, shown, suggestion


class _Loader(yaml.SafeLoader):
    """Refuses a key that occurs twice, of which YAML would take the last; every key is text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in names:
                raise yaml.MarkedYAMLError(
                    problem=f"{name} occurs twice", problem_mark=key.start_mark
                )
            names.add(name)
        self.flatten_mapping(node)
        return {
            str(key.value): self.construct_object(value, deep=deep) for key, value in node.value
        }


def read_stack_file(path: Path, sections: Iterable[str]) -> tuple[dict[str, object], list[str]]:
    """The values under the project's namespace, by their keys without it, and misplaced keys.

    Args:
        path: of the file.
        sections: the keys a stack file may have, without namespace.

    Returns:
        Also the values of misplaced keys, so that they are checked; and a sentence for each of
        those keys.

    Raises:
        SettingsError: the file cannot be read as a stack file.
    """
    data: Any = None
    example = f"write `config:` and under it `{full_key('region')}: ...`"
    try:
        data = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        names = sorted(file.name for file in path.parent.glob("Pulumi.*.yaml"))
        way_out = suggestion(path.name, names) if names else f"{example}."
        problem = f" does not exist: {way_out}"
    except (OSError, UnicodeDecodeError) as error:
        problem = f" cannot be read ({error}): make it a text file."
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}: {getattr(error, 'problem', '')})" if mark else ""
        problem = f" is not valid YAML{where}: correct that line."
    else:
        problem = _misshapen(data, example)
    if problem:
        raise SettingsError([f"{path.name}{problem}"])
    return _values(data["config"], list(sections))


def _misshapen(data: Any, example: str) -> str:
    if not isinstance(data, Mapping):
        return f" is {'empty' if data is None else 'not a mapping'}: {example}."
    top = cast(Mapping[str, object], data)
    if top.get("config") is None:
        similar = get_close_matches("config", top.keys() - {"config"}, n=1)
        return f" has no config: {f'rename {similar[0]} to config' if similar else example}."
    return "" if isinstance(top["config"], Mapping) else f": config is not a mapping: {example}."


def _values(
    config: Mapping[str, object], sections: list[str]
) -> tuple[dict[str, object], list[str]]:
    values: dict[str, object] = {}
    provider: dict[str, object] = {}
    problems: list[str] = []
    for key, value in config.items():
        namespace, colon, section = key.partition(":")
        if not colon:
            section = key
            all_keys = [full_key(name) for name in sections]
            hint = f"write {full_key(key)}." if key in sections else suggestion(key, all_keys)
            problems.append(f"{key} ({shown(value, key)}) has no namespace: {hint}")
        elif key.startswith(AWS):
            pass
        elif namespace != NAMESPACE:
            if not get_close_matches(namespace, [NAMESPACE], cutoff=0.75):
                continue  # configuration of another package
            problems.append(
                f"{key} ({shown(value, key)}) is in the namespace {namespace}: "
                f"write {full_key(section)}."
            )
        if isinstance(value, Mapping) and "secure" in value:
            problems.append(encrypted(key))
        elif key.startswith(AWS):
            provider[section] = structured(value)
        elif namespace == NAMESPACE or section in sections:
            values.setdefault(section, cast(object, value))
    return {**values, **({AWS: provider} if provider else {})}, problems


def structured(value: object) -> object:
    """A value in which mappings and lists may be JSON, as the engine gives them."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        with suppress(json.JSONDecodeError):
            return json.loads(value)
    return value
