"""Verdicts of the policies on two sides: new, silenced, solved, and the rest.

Two verdicts are the same where policy, resource and sentence are, without what says nothing about
an image: its digest, the place of the stack's own copy, and which container has it. Another name or
tag is another image, and its verdict a new one, whether or not an exemption covers it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from review.causes import Cause
from review.changes import ABSENT, Change
from review.danger import Danger
from review.sides import Finding, Side
from review.values import shown

_SEVERITIES = ("critical", "high", "medium", "low")
_GRAVE = _SEVERITIES[:2]
_MANDATORY = "mandatory"
_LEVELS = (_MANDATORY, "advisory", "exempt")
SILENCED_BY = "an exemption or a lower level"
_POLICIES = "policies/"
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}")
_PATH = re.compile(r"^(\S+ \S+: )(\S+)")
_Silence = tuple[str, str, str, str]
"""Policy, old and new level, reason."""
_RANK = 17
"""With the mandatory policies that are broken."""


@dataclass(frozen=True)
class Findings:
    """Verdicts of the policies.

    Args:
        new: they count now, or are exempt from the first day by an exemption that was there.
        silenced: they counted before, or are new, and an exemption of this change covers them.
        solved: they counted before, and what they are about is no more.
        still: as before.
    """

    new: tuple[Finding, ...]
    silenced: tuple[Finding, ...]
    solved: tuple[Finding, ...]
    still: tuple[Finding, ...]


def compared(base: Side, head: Side, files: Sequence[str]) -> tuple[Findings, list[Danger]]:
    """The verdicts of both sides, and the dangers among those that are silenced.

    Args:
        base: the older side.
        head: the newer side.
        files: that changed; those of the policies are the cause.
    """
    if base.from_state:
        return Findings((), (), (), _ordered(head.findings)), []
    before, after = _grouped(base), _grouped(head)
    known = {(each.policy, each.reason) for each in base.findings if each.level == "exempt"}
    held: dict[str, list[Finding]] = {"new": [], "silenced": [], "solved": [], "still": []}
    grave: dict[_Silence, list[Finding]] = {}
    for key in {**before, **after}:
        for old, new in zip_longest(before.get(key, ()), after.get(key, ())):
            kind = _kind(old, new, known if base.findings else None)
            held[kind] += [each for each in (new or old,) if each]
            was = old.level if old else ""
            if new and kind == "silenced" and (was == _MANDATORY or new.severity in _GRAVE):
                grave.setdefault((new.policy, was, new.level, new.reason), []).append(new)
    # What was exempt was no fault, so its end is no repair.
    solved = [each for each in held["solved"] if each.level != "exempt"]
    findings = Findings(
        *(_ordered(each) for each in (held["new"], held["silenced"], solved, held["still"]))
    )
    cause = Cause((), tuple(sorted(each for each in files if each.startswith(_POLICIES)))[:4])
    return findings, [_danger(key, each, cause) for key, each in sorted(grave.items())]


def broken(findings: Findings, *, from_state: bool) -> list[Finding]:
    """The mandatory ones that are new; all of them where nobody knows which are."""
    held = findings.still if from_state else findings.new
    return [each for each in held if each.level == _MANDATORY]


def _kind(old: Finding | None, new: Finding | None, known: set[tuple[str, str]] | None) -> str:
    if new is None:
        return "solved"
    if old is None:
        # A base older than the policies has none, and knows no reason either.
        own = new.level == "exempt" and known is not None and (new.policy, new.reason) not in known
        return "silenced" if own else "new"
    less = _strictness(new) - _strictness(old)
    return "silenced" if less > 0 else "new" if less < 0 else "still"


def _strictness(finding: Finding) -> int:
    return _LEVELS.index(finding.level) if finding.level in _LEVELS else 1


def _danger(key: _Silence, held: Sequence[Finding], cause: Cause) -> Danger:
    policy, was, level, reason = key
    because = shown(reason.replace("`", "'"), longest=300)
    effect = "refuses no run any more" if was == _MANDATORY else "is no open finding any more"
    return Danger(
        rank=_RANK,
        kind="guard",
        what="Policy silenced",
        event="changed",
        names=tuple(sorted({name_of(each) for each in held})),
        happens=f"What it finds is no less true, and {effect if was else 'was never told'}"
        + (f"; the reason: `{because}`" if reason else ""),
        lost="",
        avoid="Do what its sentence says (see Policies), or have the reason reviewed.",
        cause=cause,
        values=(Change(policy, was or ABSENT, level),),
    )


def name_of(finding: Finding) -> str:
    """The name of what a verdict is about, or else its policy."""
    return finding.urn.rpartition("::")[-1] or finding.policy


def _grouped(side: Side) -> dict[tuple[str, str, str], list[Finding]]:
    """The verdicts of a side that are the same, strictest first."""
    copies = {
        _DIGEST.sub("", target): _DIGEST.sub("", source) for source, target in side.images.items()
    }
    # Another registry, and the same image in it.
    copies = {target: name for target, name in copies.items() if target.endswith(f"/{name}")}
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for each in sorted(side.findings, key=lambda each: (_strictness(each), each)):
        key = each.policy, each.urn, _sentence(each.message, copies)
        groups.setdefault(key, []).append(each)
    return groups


def _sentence(message: str, copies: Mapping[str, str]) -> str:
    def image(quoted: re.Match[str]) -> str:
        name = _DIGEST.sub("", quoted[1])
        return f'"{copies.get(name, name)}"'

    def path(found: re.Match[str]) -> str:
        return found[1] + re.sub(r"(?<=\.)\d+(?=\.|$)", "*", found[2])

    return re.sub('"([^"]*)"', image, _PATH.sub(path, message))


def _ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=_gravity))


def _gravity(finding: Finding) -> tuple[object, ...]:
    known = finding.severity in _SEVERITIES
    grave = _SEVERITIES.index(finding.severity) if known else len(_SEVERITIES)
    return finding.level == "exempt", finding.level != _MANDATORY, grave, finding
