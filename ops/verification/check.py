"""A check of a live platform, and its result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ops.findings import Finding, Level
from ops.verification.platform import Platform


class Verdict(StrEnum):
    """The result of one check, by the worst of its findings."""

    GOOD = "good"
    NOTE = "note"
    PROBLEM = "problem"
    NOT_CHECKED = "not checked"
    """Nothing is known: a right is missing, a server did not answer, an earlier check failed."""


@dataclass(frozen=True)
class Check:
    """One promise of the platform.

    Attributes:
        name: for ``--only`` and reports: lower case, hyphens, ``database-tables``.
        looks_at: what is read or run, as the end of "looks at ...".
        examine: yields the findings; ``ops.cli_errors.Refused`` from it means not checked.
        creates: whether it makes objects or rows, so that it runs with ``--deep`` only.
        needs: names of checks without whose success this one has no meaning.
        sweep: deletes what an earlier verification that was killed left outside the cluster, such
            as rows and artifacts; runs before the checks, and with ``--clean``. It lists what there
            is first and asks ``ops.verification.workspace.alive`` afterwards, so that nothing of a
            verification that runs elsewhere is deleted.
    """

    name: str
    looks_at: str
    examine: Callable[[Platform], Iterator[Finding]]
    creates: bool = False
    needs: tuple[str, ...] = ()
    sweep: Callable[[Platform], None] | None = None

    @property
    def group(self) -> str:
        """The module it stands in, a name for ``--only`` too."""
        return self.examine.__module__.rpartition(".")[2].replace("_", "-")


@dataclass(frozen=True)
class Result:
    """What one check found.

    Attributes:
        check: the check.
        findings: in its order; none where it was not checked.
        seconds: from its begin to its end.
        waited: of these, seconds in which it waited for the platform.
        reason: why it was not checked, else "".
    """

    check: Check
    findings: tuple[Finding, ...]
    seconds: float
    waited: float = 0.0
    reason: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings."""
        if self.reason:
            return Verdict.NOT_CHECKED
        levels = {finding.level for finding in self.findings}
        worst = (Level.PROBLEM, Level.NOTE)
        return Verdict(next((level for level in worst if level in levels), Level.GOOD))
