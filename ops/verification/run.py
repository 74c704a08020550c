"""Checks, one after the other, and what becomes of one that cannot be examined."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from ops.account_calls import aws_call
from ops.cli_errors import Refused
from ops.current_cluster import Unreachable
from ops.findings import Finding, Level, note, problem
from ops.verification.check import Check, Result, Verdict
from ops.verification.platform import Platform
from ops.verification.progress import Progress


@dataclass
class Run:
    """The results so far.

    Attributes:
        results: in the order of the checks.
        lost: why the checks ended before the last one; empty: they did not.
        waited: seconds in which the platform was waited for, until what was made is gone.
    """

    results: list[Result] = field(default_factory=list[Result])
    lost: str = ""
    waited: float = 0.0

    def add(self, checks: Sequence[Check], platform: Platform, progress: Progress) -> None:
        """Examines every check.

        Raises:
            Unreachable: the API server does not answer the first check.
        """
        for number, check in enumerate(checks, start=1):
            progress.at(f"{number}/{len(checks)} {check.name}")
            start, waited, before = time.monotonic(), progress.waited, list[Finding]()
            reason = self.lost or self._missing(check)
            if not reason:
                try:
                    reason = _examined(check, platform, before)
                except Unreachable as unreachable:
                    if not self.results:
                        raise
                    reason = str(unreachable)
                    # One answer that takes too long is the end of its own check alone.
                    self.lost = "" if _answers(platform) else reason
            if reason and any(each.level is Level.PROBLEM for each in before):
                before.append(note(check.name, f"not all was checked: {reason}"))
                reason = ""
            self.results.append(
                Result(
                    check=check,
                    findings=() if reason else tuple(before),
                    seconds=time.monotonic() - start,
                    waited=progress.waited - waited,
                    reason=reason,
                )
            )

    def _missing(self, check: Check) -> str:
        """What of a check's needs has failed; empty: nothing."""
        verdicts = {result.check.name: result.verdict for result in self.results}
        for need in check.needs:
            if verdicts.get(need) is Verdict.PROBLEM:
                return f"{need} failed"
            if verdicts.get(need) in (Verdict.NOT_CHECKED, None):
                return f"{need} was not checked"
        return ""


def _answers(platform: Platform) -> bool:
    """Whether the API server answers at all."""
    try:
        platform.cluster.answer("GET", "/version", {})
    except Refused:
        return False
    return True


def _examined(check: Check, platform: Platform, findings: list[Finding]) -> str:
    """Adds the findings of a check as they come; returns why it cannot be examined."""
    cluster = platform.cluster
    if check.creates:
        cluster.forget()
    try:
        with aws_call("AWS"), nullcontext() if check.creates else cluster.remembering():
            for finding in check.examine(platform):
                findings.append(finding)
    except Unreachable:
        raise
    except Refused as refused:
        return str(refused)
    except Exception as error:  # one check's fault must not hide what the others find
        findings.append(problem(check.name, _fault(error)))
    return "" if findings else "it found nothing to look at"


def _fault(error: Exception) -> str:
    """Where in the project a check failed; its message may quote anything, and is left out."""
    root = str(Path(__file__).parents[2])
    places = [
        f"{Path(frame.filename).relative_to(root)}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(f"{root}/ops")
    ]
    return (
        f"the check itself ended with {type(error).__name__} at {places[-1]}: the platform may be "
        "all right; report this sentence and `./kf --version` to the project"
    )
