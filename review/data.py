"""A review as plain data, for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from review.changes import ABSENT, Change
from review.danger import Danger
from review.review import Review
from review.sides import Finding
from review.values import plain, shown, without_secrets
from review.wording import SIMULATED

_LONGEST = 1_000
"""Characters of a text."""


def as_data(review: Review) -> dict[str, Any]:
    """What happens to one stack, of strings, numbers, lists and maps.

    A change has ``old`` and ``new``; the one that its side does not have is missing. Values are
    without secrets, and long texts cut, as a reader gets them.
    """
    return {
        "stack": review.stack,
        "operations": dict(review.counts),
        "dangers": [_danger(each) for each in review.dangers],
        "settings": _changes(review.settings),
        "images": {"added": list(review.images.added), "removed": list(review.images.removed)},
        "findings": {
            kind: [_finding(each) for each in held] for kind, held in vars(review.findings).items()
        },
    }


def _danger(danger: Danger) -> Mapping[str, Any]:
    cause = danger.cause
    return {
        "rank": danger.rank,
        "kind": danger.kind,
        "what": danger.what,
        "event": danger.event,
        "names": list(danger.names),
        "happens": danger.happens,
        "lost": danger.lost,
        "avoid": danger.avoid,
        "unlock": danger.unlock,
        "before": list(danger.before),
        "release": danger.release,
        "reasons": {why: list(names) for why, names in danger.reasons.items()},
        "values": _changes(danger.values),
        "taken": dict(danger.taken),
        "cause": {
            "settings": _changes(cause.settings),
            "files": list(cause.files),
            "certain": cause.certain,
            "through": cause.through.label if cause.through else "",
        },
    }


def _finding(finding: Finding) -> dict[str, str]:
    # The sentence is the policy's, and a team's own policy may put values into it.
    hidden = {key: without_secrets(getattr(finding, key)) for key in ("message", "reason")}
    return asdict(finding) | hidden


def _changes(changes: Iterable[Change]) -> list[Mapping[str, Any]]:
    return [
        {"path": each.path}
        | {
            side: _value(value, each.path)
            for side, value in (("old", each.old), ("new", each.new))
            if value is not ABSENT and each.path not in SIMULATED
        }
        for each in changes
    ]


def _value(value: Any, path: str) -> Any:
    long = isinstance(value, str) and len(value) > _LONGEST
    return shown(value, path, _LONGEST) if long else plain(value, path)
