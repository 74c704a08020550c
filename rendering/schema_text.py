"""The text of a CRD's schema as a value, in a third of the time that PyYAML takes for all of it.

Programs write schemas: keys in block style, each on its own line. Such lines are read here, and by
PyYAML what stands after a key, once for all places; of 230,000 values of a release 6,000 differ. A
text with any other line is read by PyYAML as a whole.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from rendering.objects import RenderError

_LOADER = yaml.CSafeLoader
# A key, a list's item or both, and the value with its further lines, which are indented more; of a
# line in another form, a value alone. No character is left out.
_ENTRY = re.compile(
    r"(?!\Z)(?P<indent> *)(?P<item>- (?! ))?(?:(?P<key>[A-Za-z_$][\w$-]*):(?=[ \n]|\Z))?"
    r"(?: *(?:\n|\Z)\n*"
    r"|(?P<value>.+(?:\n|\Z)(?:(?P=indent)(?(item)  ) +[^ \n].*(?:\n|\Z)|\n)*+))",
    re.ASCII,
)
_TAG = "tag:yaml.org,2002:"
# In these spellings a value is the same in YAML 1.1, in YAML 1.2 and after a way through JSON,
# which kustomize takes with some patches. A null has none, because some patches remove nulls.
_SPELLINGS = {
    "bool": re.compile("true|false"),
    "int": re.compile(r"-?(0|[1-9]\d{0,14})"),
    "float": re.compile(r"-?(0|[1-9]\d{0,8})\.\d{0,5}[1-9]"),
}
# Numbers of YAML 1.2 alone, as kustomize reads them.
_NUMBER = re.compile(r"[-+]?(0[obx][\da-fA-F_]+|\.?\d[\d_]*\.?[\d_]*([eE][-+]?\d+)?)")


class SchemasDoNotFit(RenderError):
    """A build with marks may give other objects than a build without."""


class _Irregular(Exception):
    """A line is neither a key nor an item, or not below what it belongs to."""


class SchemaReader:
    """Reads schemas; what several of them have is read once."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._keys: set[str] = set()

    def read(self, text: str) -> Any:
        """The value of a schema's text.

        Raises:
            SchemasDoNotFit: the text is no YAML, or has a value that kustomize perhaps changes.
        """
        try:
            return self._of_lines(text)
        except (_Irregular, yaml.YAMLError, UnicodeError):
            return _whole(text)

    def _of_lines(self, text: str) -> Any:
        top: dict[str, Any] = {}
        # Each container with twice its column, and one more for a list, which may begin in the
        # column of the key that has it.
        opened: list[tuple[int, Any]] = [(-1, top)]
        # A key whose value is in the lines that follow.
        waiting: tuple[dict[str, Any], str, int] | None = (top, "", -1)
        for entry in _ENTRY.finditer(text):
            indent, item, key, value = entry.groups()
            place = 2 * len(indent) + bool(item)
            if not (key or (item and value)):
                raise _Irregular
            if waiting:
                owner, name, outside = waiting
                if place <= outside:
                    raise _Irregular
                owner[name] = [] if item else {}
                opened.append((place, owner[name]))
                waiting = None
            while opened[-1][0] > place:
                opened.pop()
            at, inside = opened[-1]
            if at != place:
                raise _Irregular
            column = len(indent) + len(item or "")
            if item:
                inside.append({} if key else self._scalar(value, column))
                inside = inside[-1]
                if not key:
                    continue
                opened.append((2 * column, inside))
            if key not in self._keys:
                self._add_key(key)
            if value is None:
                waiting = inside, key, 2 * column
            else:
                inside[key] = self._scalar(value, column)
        if waiting:
            raise _Irregular
        return top[""]

    def _scalar(self, text: str, column: int) -> Any:
        """What stands after a key or an item in a column, on lines of that text."""
        text = text.replace("\n" + " " * column, "\n")
        if text in self._values:
            return self._values[text]
        pairs = yaml.compose(f"key: {text}", _LOADER).value
        if len(pairs) > 1:
            raise _Irregular
        value = _value(pairs[0][1])
        if not isinstance(value, dict | list):  # Whoever changes an object changes no other.
            self._values[text] = value
        return value

    def _add_key(self, key: str) -> None:
        if _value(yaml.compose(key, _LOADER)) != key:
            raise _Irregular
        self._keys.add(key)


def _whole(text: str) -> Any:
    try:
        node = yaml.compose(text, _LOADER)
    except (yaml.YAMLError, UnicodeError) as error:
        raise SchemasDoNotFit(f"a schema is not readable by itself: {error}") from None
    if node is None:
        raise SchemasDoNotFit("a schema has no value")
    return _value(node)


def _value(node: Any) -> Any:
    """The value of a node, in half the time of yaml's constructors."""
    if isinstance(node, yaml.MappingNode):
        return {_value(key): _value(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_value(child) for child in node.value]
    kind, text = node.tag.removeprefix(_TAG), node.value
    if kind == "str" and (node.style or not _NUMBER.fullmatch(text)):
        return text
    if kind not in _SPELLINGS or not _SPELLINGS[kind].fullmatch(text):
        raise SchemasDoNotFit(f"kustomize perhaps prints {text} in a schema otherwise")
    return json.loads(text)
