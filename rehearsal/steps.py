"""What the engine does with each resource, read from its events.

The engine writes old and new state of a resource into the events of its step, secrets as
``[secret]`` (pulumi/pulumi sdk/go/common/apitype/events.go, StepEventMetadata).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from rehearsal import protocol
from rehearsal.recording import Planned, parent_of

CHANGED = ("update", "replace", "delete")
"""Operations on something that existed before."""

_AS_ROWS = {"import": "create", "read": "same"}
"""What the engine looks up changes nothing, and what it imports is new in the state."""


@dataclass
class Step:
    """One resource in one run of the engine.

    Args:
        operation: ``create``, ``update``, ``replace``, ``delete``, ``same``, or another of the
            engine's; the steps of a replacement are one.
        old: the state before, as in an event.
        new: the state after.
        replacing: property paths that force a replacement; ``provider`` for another provider.
        lifted: the state's protection was set aside for this preview.
    """

    operation: str
    old: Any = None
    new: Any = None
    replacing: tuple[str, ...] = ()
    lifted: bool = False

    def add(self, metadata: Any) -> None:
        """Adds what another event of the same resource says."""
        self.old = metadata.old or self.old
        self.new = metadata.new or self.new
        # A provider without a detailed difference names the keys alone.
        kinds = metadata.detailed_diff or {}
        paths = [path for path, diff in kinds.items() if diff.diff_kind.value.endswith("-replace")]
        self.replacing = tuple(sorted(paths or metadata.keys or self.replacing))

    @property
    def protect(self) -> bool:
        """Whether the engine refuses to delete or replace the resource.

        It does for a replacement that is protected before and after, and for a deletion of what was
        protected (pkg/resource/deploy: step_generator.go, step.go DeleteStep).
        """
        before = self.lifted or _is(self.old, "protect")
        if self.operation == "delete":
            return before
        after = _is(self.new, "protect")
        return before and after if self.operation == "replace" else after

    @property
    def retain(self) -> bool:
        """Whether a deletion leaves the real thing where it is."""
        old = self.operation in ("delete", "replace")
        return _is(self.old if old else self.new, "retain_on_delete")


def row(planned: Planned, step: Step | None) -> dict[str, Any]:
    """A resource of the program as a row of ``plan.json``; without a step it is created."""
    inputs = planned.inputs
    if step is None:
        step = Step("create")
    else:
        inputs = _hashed(inputs, _inputs(step.new))
    found: dict[str, Any] = {
        **_place(planned.urn, planned.type, planned.name, planned.parent, planned.provider),
        "dependencies": list(planned.dependencies),
        "inputs": inputs,
        "operation": _AS_ROWS.get(step.operation, step.operation),
        "protect": step.protect,
        "retain": step.retain,
    }
    if step.operation in CHANGED:
        found["before"] = _comparable(_inputs(step.old), inputs, _inputs(step.new))
        found["replacing"] = list(step.replacing)
    return found


def deleted_row(urn: str, step: Step) -> dict[str, Any]:
    """A resource that the program no longer has, as a row of ``plan.json``."""
    old, name = step.old, urn.rpartition("::")[2]
    return {
        **_place(urn, old.type, name, parent_of(old.parent), old.provider),
        "dependencies": [],
        "inputs": {},
        "operation": step.operation,
        "protect": step.protect,
        "retain": step.retain,
        "before": _without_places(_inputs(old)),
        "replacing": [],
    }


def _place(urn: str, type_: str, name: str, parent: str, provider: str) -> dict[str, Any]:
    provider = provider.rsplit("::", 1)[0]
    return {"urn": urn, "type": type_, "name": name, "parent": parent, "provider": provider}


def _is(state: Any, flag: str) -> bool:
    return bool(state is not None and getattr(state, flag))


def _inputs(state: Any) -> dict[str, Any]:
    """The inputs of an event's state, without secrets and without notes of engine and SDK."""
    inputs: Mapping[str, Any] = (state.inputs if state is not None else None) or {}
    return {key: protocol.masked(value) for key, value in inputs.items() if key[:2] != "__"}


def _comparable(old: Any, given: Any, checked: Any) -> Any:
    """Old inputs without what the provider added to them and adds again, such as a name."""
    if protocol.is_asset(old) or not (
        isinstance(old, dict) and isinstance(given, dict) and isinstance(checked, dict)
    ):
        return _without_places(old)
    before, now, after = (cast("dict[str, Any]", each) for each in (old, given, checked))
    return {
        key: _comparable(value, now.get(key), after.get(key))
        for key, value in before.items()
        if key in now or key not in after
    }


def _hashed(given: Any, checked: Any) -> Any:
    """Inputs whose files and archives are those that the engine has read, with a digest each."""
    if protocol.is_asset(given) and protocol.is_asset(checked):
        return _without_places(checked)
    if isinstance(given, dict) and isinstance(checked, dict):
        items, others = cast("dict[str, Any]", given), cast("dict[str, Any]", checked)
        return {key: _hashed(value, others.get(key)) for key, value in items.items()}
    return given


def _without_places(value: Any) -> Any:
    """A value whose files and archives are described by their digests alone.

    The same file lies elsewhere in another checkout, and the state has no members of an archive.
    """
    if isinstance(value, list):
        return [_without_places(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    items = cast("dict[str, Any]", value)
    if protocol.is_asset(items) and "hash" in items:
        return {key: items[key] for key in (protocol.SIGNATURE, "hash")}
    return {key: _without_places(item) for key, item in items.items()}
