"""The findings of one stack: every policy's violations, with their exemptions."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

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
            violations = [each for each in policy(stack) if not each.unknown]
            found += [_finding(policy, each, exemptions, today) for each in violations]
        except Exception as fault:
            found.append(fault_finding(_sentence(policy, fault)))
    return sorted(found)


def fault_finding(sentence: str) -> Finding:
    """A finding about the policies themselves."""
    return Finding(OWN_POLICIES, "high", "mandatory", "", sentence)


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


def _sentence(policy: Policy, fault: Exception) -> str:
    """Where and why a policy failed, without its trace."""
    frame = traceback.extract_tb(fault.__traceback__)[-1]
    kind = type(fault).__name__
    return (
        f"The policy {policy.name} failed in {frame.filename}, line {frame.lineno}, by {kind}: "
        f"{' '.join(str(fault).split())}; mend it, or take it out of the pack."
    )
