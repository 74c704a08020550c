"""One danger of a review."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from review.causes import Cause
from review.changes import Change
from review.danger_rules import Rule


@dataclass(frozen=True)
class Danger:
    """One danger of a review: things of one kind to which the same happens from the same cause.

    Args:
        rank: lower is worse.
        kind: one of ``KINDS``.
        what: the kind of thing.
        event: ``replaced``, ``deleted``, ``changed`` or ``created``.
        names: of the things.
        happens: one sentence.
        lost: what cannot be had again; may be empty.
        avoid: the way out, one sentence.
        cause: why.
        unlock: what makes the engine accept it; empty where nothing refuses it.
        values: property changes that are the danger.
        taken: kinds of things that are replaced with it, and how many.
    """

    rank: int
    kind: str
    what: str
    event: str
    names: tuple[str, ...]
    happens: str
    lost: str
    avoid: str
    cause: Cause
    unlock: str = ""
    values: tuple[Change, ...] = ()
    taken: Mapping[str, int] = field(default_factory=dict[str, int])


def danger_by(rule: Rule, name: str, event: str, cause: Cause) -> Danger:
    """The danger of one thing that a rule describes."""
    return Danger(
        rank=rule.rank,
        kind=rule.kind,
        what=rule.what,
        event=event,
        names=(name,),
        happens=rule.happens,
        lost=rule.lost,
        avoid=rule.avoid,
        cause=cause,
    )
