"""A dynamic resource whose provider must never touch anything in a rehearsal."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider


class NoteProvider(ResourceProvider):
    """Says what changed; would fail if anybody let it create something."""

    serialize_as_secret_always = False

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=_olds["text"] != _news["text"])

    def create(self, props: dict[str, Any]) -> CreateResult:
        raise RuntimeError(f"nobody may create {props} in a rehearsal")


class Note(Resource, name="Note"):
    """A line of text somewhere out there."""

    text: pulumi.Output[str]

    def __init__(self, name: str, text: pulumi.Input[str]) -> None:
        super().__init__(NoteProvider(), name, {"text": text})
