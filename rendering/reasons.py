"""``reasons.yaml``: why a release differs from its upstream; the first reason that fits counts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from rendering.differences import Differences
from rendering.field_types import Name, Strict
from rendering.release import ReleaseInvalid, read

REASONS_FILE = "reasons.yaml"


class Reason(Strict):
    """Why some objects or values differ. In a pattern ``*`` stands for any characters.

    Attributes:
        id: what ``golden.yaml`` names the reason by.
        because: one sentence.
        source: of that sentence: a repository and a path, an issue, a document of this project.
        removed: patterns over objects (``Deployment.apps kubeflow/mysql``).
        added: likewise.
        changed: patterns over values (``ConfigMap kubeflow/pipeline-install-config#data.dbHost``).
    """

    id: Name
    because: str
    source: str
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def patterns(self) -> Iterator[str]:
        """Patterns over places, as ``places`` spells them."""
        yield from (f"removed {pattern}" for pattern in self.removed)
        yield from (f"added {pattern}" for pattern in self.added)
        yield from (f"changed {pattern}" for pattern in self.changed)


def places(differences: Differences) -> Iterator[str]:
    """Every difference, once: ``removed`` or ``added`` and an object, ``changed`` and a value."""
    yield from (f"removed {name}" for name in differences.removed)
    yield from (f"added {name}" for name in differences.added)
    for name, changes in differences.changed.items():
        yield from (f"changed {name}#{change.path}" for change in changes)


def explain(
    different: Iterable[str], reasons: Sequence[Reason]
) -> tuple[dict[str, str], list[str]]:
    """Finds the first reason of each place.

    Returns:
        Place -> id of its reason, without the places that no pattern covers; and the patterns that
        are the first for no place, each after the id of its reason.
    """
    patterns = [(reason.id, pattern) for reason in reasons for pattern in reason.patterns()]
    by_place: dict[str, str] = {}
    used: set[tuple[str, str]] = set()
    for place in different:
        for id_, pattern in patterns:
            if _expression(pattern).fullmatch(place):
                by_place[place] = id_
                used.add((id_, pattern))
                break
    unused = [f"{id_}: {pattern}" for id_, pattern in patterns if (id_, pattern) not in used]
    return by_place, unused


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*"), re.DOTALL)


def load_reasons(folder: Path) -> tuple[Reason, ...]:
    """Reads ``folder/reasons.yaml``; a release without differences needs none.

    Raises:
        ReleaseInvalid: one line per problem, each with the key and the value.
    """
    path = folder / REASONS_FILE
    if not path.exists():
        return ()
    reasons: tuple[Reason, ...] = read(path, tuple[Reason, ...] | None) or ()
    ids = [reason.id for reason in reasons]
    if repeated := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
        raise ReleaseInvalid(
            f"{path}: the id {', '.join(repeated)} stands for more than one reason"
        )
    return reasons
