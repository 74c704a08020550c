"""What a look-up is, what it finds, and how it reads the inputs of a creation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ops.aws_lookups.account import Account, Inputs

Tags = Mapping[str, str]
# EC2 lists what failed or was deleted for about an hour.
GONE = ("deleting", "deleted", "failed", "rejected", "expired")
_UNREADY = ("pending", "creating", "deleting", "failed", "create_failed", "delete_failed")


class Undescribed(Exception):
    """The inputs of a creation lack the value that a look-up is by, or have it encrypted."""


@dataclass(frozen=True)
class Thing:
    """Something that exists in an account.

    Args:
        id: by which the provider imports it.
        tags: None where they are not compared.
        status: AWS's word, where the thing is not ready yet or never will be.
        state_id: the id in a stack's state, where it differs from ``id``.
        deletion: the command that removes it, where a stack cannot take it in.
    """

    id: str
    tags: Tags | None = None
    status: str = ""
    state_id: str | None = None
    deletion: str = ""


LookUp = Callable[[Account, Inputs], Iterable[Thing]]


class LookUps(dict[str, LookUp]):
    """Type of resource -> its look-up."""

    def of(self, type_: str) -> Callable[[LookUp], LookUp]:
        """Makes a function the look-up of a type."""

        def register(look_up: LookUp) -> LookUp:
            self[type_] = look_up
            return look_up

        return register


def text(inputs: Inputs, key: str) -> str:
    """An input that is plain text.

    Raises:
        Undescribed: it is missing or encrypted.
    """
    value = inputs.get(key)
    if not isinstance(value, str) or not value:
        raise Undescribed(key)
    return value


def tags_of(inputs: Inputs) -> Tags:
    """The tags of the inputs, with the provider's default tags."""
    tags: dict[str, Any] = {**(inputs.get("tagsAll") or {}), **(inputs.get("tags") or {})}
    return {name: value for name, value in tags.items() if isinstance(value, str)}


def required_tags(inputs: Inputs) -> Tags:
    """As ``tags_of``.

    Raises:
        Undescribed: there are none.
    """
    if tags := tags_of(inputs):
        return tags
    raise Undescribed("tags")


def plain_tags(given: Any) -> Tags:
    """Tags, of which AWS has three forms."""
    if isinstance(given, dict):
        return cast("Tags", given)
    pairs = [{name.lower(): value for name, value in pair.items()} for pair in given]
    return {pair["key"]: pair.get("value", "") for pair in pairs}


def unready(status: Any) -> str:
    """The status of a thing that is not ready yet or never will be; else empty."""
    return str(status) if str(status).lower() in _UNREADY else ""
