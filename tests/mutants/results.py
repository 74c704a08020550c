"""What became of each mutant: a file of JSON that grows by one trial, and its summary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import yaml

from rendering.cache import write_atomically
from tests.mutants.population import Mutant
from tests.mutants.trials import Trial

REVIEWED = Path(__file__).with_name("reviewed.yaml")
TARGET = 0.9


class Review(TypedDict):
    """A mutant that no test should kill."""

    file: str
    line: str
    mutant: str
    reason: str


class Score(NamedTuple):
    """How many of the mutants that change behaviour were noticed.

    Attributes:
        tried: mutants with a result.
        reviewed: those of ``reviewed.yaml`` that no test killed, tried or not; they do not count.
        killed: by a test that failed.
        open: survivors without a review, and mutants whose tests did not end in time.
    """

    tried: int
    reviewed: int
    killed: int
    open: Sequence[Mutant]

    @property
    def share(self) -> float:
        """Of those that change behaviour, from 0 to 1."""
        counted = self.killed + len(self.open)
        return self.killed / counted if counted else 1.0


def reviews(file: Path = REVIEWED) -> list[Review]:
    """The reviewed mutants."""
    return yaml.safe_load(file.read_text()) or []


def read(file: Path) -> dict[str, Trial]:
    """Identity of a mutant -> its trial; empty where nothing was tried."""
    return {identity: Trial(**row["trial"]) for identity, row in _rows(file).items()}


def note(file: Path, mutant: Mutant, trial: Trial) -> None:
    """Adds one result to the file, in place of an earlier one of the same mutant."""
    rows = {**_rows(file), mutant.identity: {**asdict(mutant), "trial": asdict(trial)}}
    write_atomically(file, json.dumps(rows, indent=1, ensure_ascii=False).encode())


def _rows(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text()) if file.exists() else {}


def score(
    mutants: Sequence[Mutant], trials: Mapping[str, Trial], reviewed: Sequence[Review]
) -> Score:
    """The result so far."""
    equal = [each for each in mutants if is_reviewed(each, reviewed)]
    tried = [each for each in mutants if each.identity in trials]
    killed = [each for each in tried if trials[each.identity].outcome == "killed"]
    # A test that does not end may be slow, so it noticed nothing.
    unseen = [each for each in tried if each not in killed and each not in equal]
    quiet = [each for each in equal if each not in killed]
    return Score(len(tried), len(quiet), len(killed), unseen)


def is_reviewed(mutant: Mutant, reviewed: Iterable[Review]) -> bool:
    """Whether a person found the mutant equal."""
    place = (mutant.path, mutant.before, mutant.after)
    return any(place == (each["file"], each["line"], each["mutant"]) for each in reviewed)


def summary(mutants: Sequence[Mutant], trials: Mapping[str, Trial], result: Score) -> str:
    """The result as a page: the numbers, then each survivor that nobody reviewed."""
    outcomes = Counter(trials[each.identity].outcome for each in mutants if each.identity in trials)
    counted = result.killed + len(result.open)
    counts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
    share = f"({result.share:.0%}; target {TARGET:.0%})"
    lines = [
        f"{result.tried} of {len(mutants)} mutants tried: {counts}",
        f"{result.killed} of the {counted} that change behaviour were noticed {share}",
        f"{result.reviewed} are reviewed as equal",
    ]
    for each in result.open:
        lines += ["", f"{each.path}:{each.line}", f"- {each.before}", f"+ {each.after}"]
    return "\n".join(lines) + "\n"
