"""Everything that a reviewer reads about one stack, from its two sides."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from review.access import Access, access
from review.causes import Circumstances, leads_to_changes
from review.changes import Change
from review.common import Common, common
from review.dangers import Danger, dangers
from review.resources import OPERATIONS, Resource, paired
from review.settings_changes import settings_changes
from review.sides import CRD_RESOURCE, Finding, Side

# As `costs` has them: read here, and not imported, so that a review needs no price.


class CostLine(Protocol):
    """One line of a floor; ``monthly`` is None where its price is unknown."""

    @property
    def label(self) -> str:
        """What it is."""
        ...

    @property
    def monthly(self) -> float | None:
        """What it costs in a month."""
        ...


class Filling(Protocol):
    """One way to fill a pool."""

    @property
    def hour(self) -> float:
        """What its machines cost in an hour."""
        ...


class PoolCost(Protocol):
    """A pool of Karpenter."""

    @property
    def name(self) -> str:
        """Of the pool."""
        ...

    @property
    def currency(self) -> str:
        """Of its prices."""
        ...

    @property
    def most(self) -> Filling | None:
        """Full of the dearest machines; None where no price is known."""
        ...


class Cost(Protocol):
    """What a stack costs."""

    @property
    def currency(self) -> str:
        """Of the stack's region."""
        ...

    @property
    def monthly(self) -> float:
        """The floor."""
        ...

    @property
    def hour_busiest(self) -> float:
        """Everything at its largest size, in an hour."""
        ...

    @property
    def lines(self) -> Sequence[CostLine]:
        """Of the floor."""
        ...

    @property
    def pools(self) -> Sequence[PoolCost]:
        """By name."""
        ...

    @property
    def elsewhere(self) -> Mapping[str, float]:
        """Other currency to the floor of what is billed in it."""
        ...

    @property
    def unknown(self) -> Sequence[str]:
        """Sentences: what has no price."""
        ...


class CostChange(Protocol):
    """What a stack costs on both sides."""

    @property
    def before(self) -> Cost:
        """Of the older side."""
        ...

    @property
    def after(self) -> Cost:
        """Of the newer side."""
        ...


@dataclass(frozen=True)
class Findings:
    """Verdicts of the policies: those that are new, those that are gone, and the rest."""

    new: tuple[Finding, ...]
    solved: tuple[Finding, ...]
    still: tuple[Finding, ...]


@dataclass(frozen=True)
class Images:
    """Images that a stack pulls: new, gone, and how many come from another place."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    moved: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Crds:
    """Names of CRDs that are new, changed, or no longer part of the stack."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True)
class Review:
    """One stack: what would happen, what is dangerous, what it costs.

    Args:
        stack: its name.
        base: name of the older side.
        head: name of the newer side.
        from_state: whether settings, images and findings of the older side are unknown.
        counts: operation to number of resources.
        settings: settings that differ.
        files: changed files that can lead to changes.
        dangers: worst first.
        access: rights won and lost.
        aws: resources that change, of AWS and of the stack itself.
        kubernetes: objects that change.
        common_aws: what many of the former have alike.
        common_kubernetes: what many of the latter have alike.
        crds: of the stack.
        images: of the stack.
        findings: of the policies.
        cost: of both sides; None where it is not known.
    """

    stack: str
    base: str
    head: str
    from_state: bool
    counts: Mapping[str, int]
    settings: tuple[Change, ...]
    files: tuple[str, ...]
    dangers: tuple[Danger, ...]
    access: Access
    aws: tuple[Resource, ...]
    kubernetes: tuple[Resource, ...]
    common_aws: tuple[Common, ...]
    common_kubernetes: tuple[Common, ...]
    crds: Crds
    images: Images
    findings: Findings
    cost: CostChange | None

    @property
    def empty(self) -> bool:
        """Whether nothing would happen: no resource changes, no verdict, no image and no price."""
        return not (
            self.counts
            or self.dangers
            or self.settings
            or self.images.added
            or self.images.removed
            or self.findings.new
            or self.findings.solved
            or (self.cost and self.cost.before.monthly != self.cost.after.monthly)
        )


def review(
    stack: str,
    base: Side,
    head: Side,
    *,
    changed_files: Sequence[str] = (),
    cost: CostChange | None = None,
) -> Review:
    """The review of ``stack`` from ``base`` to ``head``.

    Args:
        stack: its name.
        base: the older side.
        head: the newer side, whose rows have the engine's operations.
        changed_files: paths from the project's folder, of which some may be a cause.
        cost: of both sides.
    """
    resources = paired(base, head)
    settings = settings_changes(base, head)
    files = tuple(sorted(file for file in changed_files if leads_to_changes(file)))
    circumstances = Circumstances(settings, files, resources)
    changed = [each for each in resources.values() if each.operation != "same" and each.concrete]
    rights = access(changed, settings)
    aws = tuple(sorted((e for e in changed if not e.kubernetes), key=_order))
    objects = tuple(sorted((e for e in changed if e.kubernetes), key=lambda each: _order(each)[1:]))
    counted = Counter(each.operation for each in changed)
    findings = _findings(base, head)
    broken = [each for each in findings.new if each.level == "mandatory"]
    return Review(
        stack=stack,
        base=base.name,
        head=head.name,
        from_state=base.from_state,
        counts={each: counted[each] for each in OPERATIONS if counted[each]},
        settings=settings,
        files=files,
        dangers=dangers(base, head, circumstances, rights, broken),
        access=rights,
        aws=aws,
        kubernetes=objects,
        common_aws=common(aws),
        common_kubernetes=common(objects),
        crds=_crds(base, head, resources),
        images=_images(base, head),
        findings=findings,
        cost=cost,
    )


_WORST_FIRST = ("delete", "replace", "update", "create")


def _order(resource: Resource) -> tuple[str, int, str, str, str]:
    operation = _WORST_FIRST.index(resource.operation)
    return resource.component, operation, resource.kind, resource.label, resource.urn


def _crds(base: Side, head: Side, resources: Mapping[str, Resource]) -> Crds:
    changes = any(
        each.type == CRD_RESOURCE and each.operation != "same" for each in resources.values()
    )
    if not changes:
        return Crds((), (), ())
    both = sorted(set(base.crds) & set(head.crds))
    return Crds(
        added=tuple(sorted(set(head.crds) - set(base.crds))),
        changed=tuple(name for name in both if base.crds[name] != head.crds[name]),
        removed=tuple(sorted(set(base.crds) - set(head.crds))),
    )


def _images(base: Side, head: Side) -> Images:
    if base.from_state:
        return Images((), (), {})
    both = sorted(set(base.images) & set(head.images))
    return Images(
        added=tuple(sorted(set(head.images) - set(base.images))),
        removed=tuple(sorted(set(base.images) - set(head.images))),
        moved={
            name: (base.images[name], head.images[name])
            for name in both
            if base.images[name] != head.images[name]
        },
    )


_Same = tuple[str, ...]
_SEVERITIES = ("critical", "high", "medium", "low")


def _findings(base: Side, head: Side) -> Findings:
    if base.from_state:
        return Findings((), (), tuple(sorted(head.findings, key=_gravity)))
    before, after = ({_same_finding(each): each for each in side.findings} for side in (base, head))

    def only(one: Mapping[_Same, Finding], other: Mapping[_Same, Finding]) -> tuple[Finding, ...]:
        return tuple(sorted((one[key] for key in one if key not in other), key=_gravity))

    still = tuple(sorted((after[key] for key in after if key in before), key=_gravity))
    return Findings(only(after, before), only(before, after), still)


def _same_finding(finding: Finding) -> _Same:
    # A verdict holds for every value that a policy quotes, such as an image under another registry;
    # of an image, its name and version say what is new.
    message = re.sub('"([^"]*)"', _last_part, finding.message)
    message = re.sub('"[^"]*"', "", message) if finding.level == "exempt" else message
    return finding.policy, finding.urn, message, finding.level


def _last_part(quoted: re.Match[str]) -> str:
    is_image = "/" in quoted[1] and re.search(r":[\w.-]+(@|$)|@sha256:", quoted[1]) is not None
    return f'"{quoted[1].rpartition("/")[2]}"' if is_image else quoted[0]


def _gravity(finding: Finding) -> tuple[object, ...]:
    known = finding.severity in _SEVERITIES
    grave = _SEVERITIES.index(finding.severity) if known else len(_SEVERITIES)
    return finding.level == "exempt", finding.level != "mandatory", grave, finding
