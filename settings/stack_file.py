"""Reading a Pulumi stack file without Pulumi: its ``config:`` map, and what is wrong around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import yaml

from settings.errors import NAMESPACE, full_key, nearest, shown, told_encrypted

# Everything the CLI itself may write at the top of a stack file.
_TOP = ("config", "encryptionsalt", "encryptedkey", "secretsprovider", "environment")


class StackFileError(Exception):
    """A file that cannot be read as a stack file at all; the message is one sentence."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice: YAML's last one would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                line = key.start_mark.line + 1
                raise StackFileError(f"{name} stands twice (again in line {line}): keep one")
            seen.add(name)
        return super().construct_mapping(node, deep)


def read_stack_file(path: Path, sections: Iterable[str]) -> tuple[dict[str, object], list[str]]:
    """The values under our namespace (keys without it), and a sentence per misplaced key.

    Raises StackFileError when there is nothing to read values from.
    """
    name = path.name
    example = f"`config:` and under it `{full_key('region')}: ...`"
    try:
        data = cast(object, yaml.load(path.read_text("utf-8"), _Loader))  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        there = sorted(p.name for p in path.parent.glob("Pulumi.*.yaml"))
        hint = nearest(name, there) if there else f"write it with {example}."
        raise StackFileError(f"{name} does not exist: {hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StackFileError(f"{name} cannot be read ({error}): make it a text file.") from None
    except StackFileError as error:
        raise StackFileError(f"{name}: {error}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}: {getattr(error, 'problem', '')})" if mark else ""
        raise StackFileError(f"{name} is no YAML{where}: correct that line.") from None
    if data is None:
        raise StackFileError(f"{name} is empty: write {example}.")
    if not isinstance(data, Mapping):
        raise StackFileError(f"{name} is not a mapping: write {example}.")
    top = cast(Mapping[str, object], data)
    if top.get("config") is None:
        wrong = [key for key in top if key not in _TOP]
        near = get_close_matches("config", [str(key) for key in wrong], n=1)
        hint = f"rename {near[0]} to config" if near else f"write {example}"
        raise StackFileError(f"{name} has no config: {hint}.")
    if not isinstance(top["config"], Mapping):
        raise StackFileError(f"{name}: config is not a mapping: write {example}.")
    return _ours(cast(Mapping[object, object], top["config"]), list(sections))


def _ours(
    config: Mapping[object, object], sections: list[str]
) -> tuple[dict[str, object], list[str]]:
    raw: dict[str, object] = {}
    problems: list[str] = []
    for key, value in ((str(k), v) for k, v in config.items()):
        namespace, colon, section = key.partition(":")
        if not colon:
            section = key
            own = [full_key(name) for name in sections]
            hint = f"write {full_key(key)}." if key in sections else nearest(key, own)
            problems.append(f"{key} ({shown(value, key)}) has no namespace: {hint}")
        elif namespace != NAMESPACE:
            if not get_close_matches(namespace, [NAMESPACE], cutoff=0.75):
                continue  # another package's own configuration
            problems.append(
                f"{key} ({shown(value, key)}) is in the namespace {namespace}: "
                f"write {full_key(section)}."
            )
        if isinstance(value, Mapping) and "secure" in value:
            problems.append(told_encrypted(key))
        elif namespace == NAMESPACE or section in sections:
            raw.setdefault(
                section, cast(object, value)
            )  # also what is misplaced, to judge its value
    return raw, problems
