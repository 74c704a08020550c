"""What policy packs object to, from the engine's events.

The project's own pack reports each finding as JSON in the last line of its message, exempt ones too
(``rehearsal.policy_packs``); another pack's has no exemptions. The SDK's events lack the severity
of a violation and leave remediations out (pulumi/pulumi sdk/go/common/apitype/events.go,
PolicyEvent and PolicyRemediationEvent), so the event's own JSON is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from pulumi.automation import _stack, events  # pyright: ignore[reportPrivateUsage]

from rehearsal.policy_packs import row_of

MANDATORY, ADVISORY = "mandatory", "advisory"
_UNSPECIFIED = "medium"


@dataclass(frozen=True, order=True)
class Finding:
    """One objection of one policy to one resource.

    Args:
        policy: its name.
        urn: the resource; empty: the stack as a whole.
        message: a sentence.
        severity: ``low``, ``medium``, ``high`` or ``critical``.
        level: ``mandatory``, ``advisory`` or ``exempt``.
        reason: of an exemption.
    """

    policy: str
    urn: str
    message: str
    severity: str = _UNSPECIFIED
    level: str = MANDATORY
    reason: str = ""


class _Event(events.EngineEvent):
    """An event of the engine that has its policy parts as JSON."""

    policy: Mapping[str, Any] | None = None
    remediation: Mapping[str, Any] | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> _Event:
        event = cast("_Event", super().from_json(data))
        event.policy = data.get("policyEvent")
        event.remediation = data.get("policyRemediationEvent")
        return event


_stack.EngineEvent = _Event  # pyright: ignore[reportPrivateImportUsage]


def finding_of(event: Any) -> Finding | None:
    """The finding that an event is; None for any other event."""
    policy: Mapping[str, Any] | None = getattr(event, "policy", None)
    remediation: Mapping[str, Any] | None = getattr(event, "remediation", None)
    if policy:
        message: str = policy.get("message", "")
        if own := row_of(message):
            return Finding(**own)
        level = policy.get("enforcementLevel")
        return Finding(
            policy=f"{policy.get('policyPackName', '')}/{policy.get('policyName', '')}",
            urn=policy.get("resourceUrn", ""),
            message=" ".join(message.split()),
            severity=policy.get("severity") or _UNSPECIFIED,
            level=MANDATORY if level == MANDATORY else ADVISORY,
        )
    if remediation:
        before, after = (remediation.get(key) or {} for key in ("before", "after"))
        keys = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
        return Finding(
            policy=f"{remediation.get('policyPackName', '')}/{remediation.get('policyName', '')}",
            urn=remediation.get("resourceUrn", ""),
            message=f"The policy itself changes {', '.join(keys) or 'nothing'} of this resource.",
            level=ADVISORY,
        )
    return None


def findings_json(findings: Iterable[Finding]) -> str:
    """The findings as JSON, sorted; the same finding once."""
    rows = [asdict(finding) for finding in sorted(set(findings))]
    return json.dumps(rows, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
