"""The findings of one stack: every policy's violations, with their exemptions."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from policies.exemptions import Exemption
from policies.model import Policy, Stack, Violation

OWN_POLICIES = "policies-run"
"""The policy whose violations are faults of policies, of exemptions, and of their files."""


@dataclass(frozen=True, order=True)
class Finding:
    """One verdict.

    Attributes:
        policy: the policy's name.
        severity: low, medium, high or critical.
        level: mandatory, advisory, or exempt.
        urn: of the resource; empty: the stack.
        message: one sentence.
        reason: of the exemption.
    """

    policy: str
    severity: str
    level: str
    urn: str
    message: str
    reason: str = ""


def findings(
    stack: Stack, policies: Sequence[Policy], exemptions: Sequence[Exemption], today: date
) -> list[Finding]:
    """What the policies find in a stack, sorted; a policy that raises is a finding too."""
    found: list[Finding] = []
    for policy in policies:
        try:
            violations = list(_violations(policy, stack))
            found += [_finding(policy, each, exemptions, today) for each in violations]
        except (Exception, SystemExit) as fault:
            found.append(fault_finding(_sentence(policy, fault)))
    return sorted(found)


def fault_finding(sentence: str) -> Finding:
    """A finding about the policies themselves."""
    return Finding(OWN_POLICIES, "high", "mandatory", "", sentence)


def _violations(policy: Policy, stack: Stack) -> Iterator[Violation]:
    """What a policy yields, without what is about values that do not exist yet.

    Raises:
        TypeError: it yields something else.
    """
    made: Any = policy(stack)
    if made is None:
        raise TypeError("it returns nothing, so write `yield resource.finding(...)`")
    for each in made:
        if not isinstance(each, Violation):
            kind = type(each).__name__
            raise TypeError(f"it yields {kind}, so write `yield resource.finding(...)`")
        if not each.unknown:
            yield each


def _finding(
    policy: Policy, violation: Violation, exemptions: Sequence[Exemption], today: date
) -> Finding:
    sentence, level, reason = violation.sentence, policy.level, ""
    for exemption in exemptions:
        if exemption.covers(policy.name, violation.resource.place, sentence):
            if not exemption.ended(today):
                level, reason = "exempt", " ".join(exemption.reason.split())
                break
            sentence = f"{sentence} Its exemption ended on {exemption.until}."
    severity = violation.severity or policy.severity
    return Finding(policy.name, severity, level, violation.resource.urn, sentence, reason)


def _sentence(policy: Policy, fault: BaseException) -> str:
    """Where in its own file and why a policy failed, without its trace."""
    code = policy.check.__code__
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(fault.__traceback__)
        if frame.filename == code.co_filename
    ]
    line = lines[-1] if lines else code.co_firstlineno
    kind = type(fault).__name__
    return (
        f"The policy {policy.name} failed in {code.co_filename}, line {line}, by {kind}: "
        f"{' '.join(str(fault).split())}; mend it, or take it out of the pack."
    )
