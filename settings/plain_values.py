"""What no value of a stack file may be, whatever its setting: checked before the types are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from settings.errors import Path, full_key, refusal

LONGEST = 1024
"""Characters of a text; a URL or an ARN is the longest setting."""
DEEPEST = 10
"""Levels of lists and mappings; the deepest setting has six."""

_UNCLEAR = (
    "readers of YAML differ over it: put text, such as an ID or a version, in quotes, and write a "
    "number in digits only, without a zero in front"
)
# Letters and signs by their category (Python calls them printable), without a form of their own.
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"


class Unclear(str):
    """A value as written, that readers of YAML do not take for the same."""


def problems(
    values: Mapping[str, Any], is_setting: Callable[[Path], bool], path: Path = ()
) -> Iterator[tuple[Path, str]]:
    """Each value that no setting can have: its place, and the sentence that refuses it.

    Args:
        values: of the whole stack, or those in one place.
        is_setting: whether a place has a setting; a value in any other may be a secret.
        path: of that place.
    """
    for key, value in values.items():
        place = (*path, key)
        if reason := _against(key):
            yield place, f"{full_key(place)} is not a name: {reason}."
        else:
            yield from _problems(value, is_setting, place)


def _problems(
    value: object, is_setting: Callable[[Path], bool], place: Path
) -> Iterator[tuple[Path, str]]:
    if len(place) > DEEPEST:
        sentence = f"{full_key(place[:2])} has more than {DEEPEST} levels: no setting has as many"
        yield place[:1], f"{sentence}, so remove the inner ones."
    elif isinstance(value, Mapping):
        yield from problems(cast(Mapping[str, Any], value), is_setting, place)
    elif isinstance(value, list):
        for index, inner in enumerate(cast(list[object], value)):
            yield from _problems(inner, is_setting, (*place, index))
    elif not is_setting(place):
        return
    elif isinstance(value, float) and not math.isfinite(value):
        yield place, refusal(place, value, "it is no number: write one, such as 100")
    elif isinstance(value, Unclear):
        yield place, refusal(place, str(value), _UNCLEAR)
    elif isinstance(value, str) and (reason := _against(value)):
        yield place, refusal(place, value, reason)


def _against(text: str) -> str:
    if "-----BEGIN " in text:
        return "it is the text of a key or certificate: write the path of a PEM file"
    for character in text:
        if not character.isprintable() or character in _BLANK:
            return f"it contains the invisible character U+{ord(character):04X}: remove that"
    if text != text.strip():
        return "it begins or ends with a space: remove that"
    if len(text) > LONGEST:
        return f"it has {len(text)} characters, and no setting has more than {LONGEST}: shorten it"
    return ""
