"""Reads a Pulumi stack file without Pulumi: its ``config:`` map, and errors around it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, cast

import yaml

from settings.errors import (
    AWS,
    NAMESPACE,
    SettingsError,
    encrypted,
    full_key,
    key_part,
    listed,
    suggestion,
)
from settings.files import read_text
from settings.plain_values import Unclear
from settings.yaml_faults import fault, without_quoted

MOST_BYTES = 256 * 1024
_MOST_NODES, _DEEPEST = 10_000, 20
"""Of keys and values, where an alias counts as what it stands for."""

_EXAMPLE = f"write `config:` and under it `{full_key('region')}: ...`"
_STACKS = "Pulumi.*.yaml"
_OURS = (f"('{NAMESPACE}:", f"('{AWS}")
_TAG, _UNCLEAR = "tag:yaml.org,2002:", "!unclear "
_PLAIN_TAGS = ("str", "int", "float", "bool", "null", "map", "seq", "merge")
_ONE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")
# A number to Go's YAML, also where PyYAML takes it for text (go-yaml/yaml v3 resolve.go).
_NUMBER_ELSEWHERE = re.compile(
    r"[-+]?(\.[0-9]+|[0-9_]+(\.[0-9]*)?([eE][-+]?[0-9]+)?|0[xob][0-9a-fA-F_]+)"
)


class _Loader(yaml.SafeLoader):
    """Reads what every reader of YAML takes for the same, within bounds.

    Refused are a key that occurs twice, of which PyYAML would take the last, a key that is no text,
    and what has no end: a value that contains itself, or aliases of aliases
    (docs/decisions/0079-yaml-that-readers-agree-on.md).
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._level = getattr(self, "_level", 0) + 1
        if self._level > _DEEPEST:
            _refuse_yaml(f"more than {_DEEPEST} levels", self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self._level -= 1
        return node

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            _bound(node)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        return {
            str(key.value): self.construct_object(value, deep=deep) for key, value in node.value
        }


def _refuse_yaml(problem: str, mark: yaml.Mark) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _bound(root: yaml.Node) -> None:
    """Refuses a document without end, and marks values that readers of YAML do not agree on."""
    left = _MOST_NODES
    rest: list[tuple[tuple[str | int, ...], yaml.Node]] = [((), root)]
    while rest:
        place, node = rest.pop()
        left -= 1
        if left < 0 or len(place) > _DEEPEST:
            _refuse_yaml("it contains itself, or far more values than settings", node.start_mark)
        if isinstance(node, yaml.MappingNode):
            _refuse_twice(node)
            for key, inner in reversed(node.value):
                if not isinstance(key, yaml.ScalarNode):
                    _refuse_yaml("a key is a list or a mapping", key.start_mark)
                rest.append((place if key.value == "<<" else (*place, key.value), inner))
        elif isinstance(node, yaml.SequenceNode):
            rest += [((*place, index), each) for index, each in enumerate(node.value)][::-1]
        if place[:1] == ("config",) and str(place[1:2]).startswith(_OURS):
            node.tag = f"{_UNCLEAR}{node.tag}" if _is_unclear(node) else node.tag


def _refuse_twice(node: yaml.MappingNode) -> None:
    # Before merge keys are resolved, which writes the keys of one mapping into another.
    names: set[str] = set()
    for key, _ in node.value:
        text = str(key.value)
        if text in names:
            _refuse_yaml(f"{key_part(text)} occurs twice", key.start_mark)
        names.add(text)


def _unclear(_: yaml.SafeLoader, tag: str, node: yaml.Node) -> Unclear:
    return Unclear(node.value if isinstance(node, yaml.ScalarNode) else tag.replace(_TAG, "!!"))


_Loader.add_multi_constructor(_UNCLEAR, _unclear)


def _is_unclear(node: yaml.Node) -> bool:
    kind = str(node.tag).removeprefix(_TAG)
    if kind not in _PLAIN_TAGS or not isinstance(node, yaml.ScalarNode):
        return kind not in _PLAIN_TAGS
    if kind == "bool":
        return node.value.lower() not in _Loader.bool_values
    if _ONE_NUMBER.fullmatch(node.value) or node.value.lower().strip("+-.") in ("inf", "nan"):
        return False
    elsewhere = kind == "str" and node.style is None and _NUMBER_ELSEWHERE.fullmatch(node.value)
    return kind in ("int", "float") or bool(elsewhere)


def no_such_stack(name: str, stacks: Iterable[str]) -> str:
    """The sentence about a stack that has no stack file."""
    return f"Pulumi.{name}.yaml does not exist: {_way_to_a_stack(name, sorted(stacks))}"


def _way_to_a_stack(name: str, stacks: Sequence[str]) -> str:
    if not stacks:
        return f"{_EXAMPLE}."
    way_out = f"the stacks are {listed(stacks, 'and')}."
    if close := get_close_matches(name, stacks, n=1):
        return f"did you mean Pulumi.{close[0]}.yaml? {way_out[0].upper()}{way_out[1:]}"
    return way_out


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
    data, text = cast(Any, None), ""
    try:
        text = read_text(path, MOST_BYTES)
        data = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        stacks = sorted(file.stem.removeprefix("Pulumi.") for file in path.parent.glob(_STACKS))
        problem = f" does not exist: {_way_to_a_stack(path.stem.removeprefix('Pulumi.'), stacks)}"
    except OSError as error:
        problem = f" cannot be read ({error}): make it a text file."
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problem = f" cannot be read (line {line} is not UTF-8): save it as UTF-8."
    except yaml.YAMLError as error:
        where = fault(error, text)
        problem = f" is not valid YAML{where and f' ({where})'}: correct that line."
    except ValueError as error:  # a date of another package that there is not
        problem = f" is not valid YAML ({without_quoted(str(error))}): correct that value."
    except (LookupError, TypeError, AttributeError, OverflowError):
        problem = " is not valid YAML: a value is not of the type in its tag (!!): correct that."
    else:
        problem = _misshapen(data, _EXAMPLE)
    if problem:
        raise SettingsError([f"{path.name}{problem}"])
    return _values(data["config"], list(sections))


def _misshapen(data: Any, example: str) -> str:
    if not isinstance(data, Mapping):
        return f" is {'empty' if data is None else 'not a mapping'}: {_EXAMPLE}."
    top = cast(Mapping[str, object], data)
    if top.get("config") is None:
        similar = get_close_matches("config", top.keys() - {"config"}, n=1)
        return f" has no config: {f'rename {similar[0]} to config' if similar else example}."
    if not isinstance(top["config"], Mapping):
        return f": config is not a mapping: {_EXAMPLE}."
    # ProjectStack has no field for them (pulumi/pulumi sdk/go/common/workspace/project.go).
    outside = [key_part(key) for key in top if key.startswith((f"{NAMESPACE}:", AWS))]
    if outside:
        verb, them = ("is", "it") if len(outside) == 1 else ("are", "them")
        return (
            f": {listed(outside, 'and')} {verb} not in config, so nothing reads {them}: "
            f"indent {them} by two spaces below `config:`."
        )
    return ""


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
            problems.append(f"{key_part(key)} has no namespace: {hint}")
        elif key.startswith(AWS):
            pass
        elif namespace != NAMESPACE:
            if not get_close_matches(namespace, [NAMESPACE], cutoff=0.75):
                continue  # configuration of another package
            problems.append(
                f"{key_part(key)} is in the namespace {key_part(namespace)}: "
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
        # Neither: a number of thousands of digits, lists in lists in lists.
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value
