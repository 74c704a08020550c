"""Everything that a reviewer reads about one stack, from its two sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from costs import CostChange
from review.access import Access, access
from review.causes import Circumstances, leads_to_changes
from review.changes import Change
from review.common import Common, common
from review.danger import Danger
from review.dangers import dangers, order
from review.findings import Findings, broken, compared
from review.resources import OPERATIONS, Resource, paired
from review.settings_changes import settings_changes
from review.sides import CRD_RESOURCE, Side

CLUSTER = "aws:eks/cluster:Cluster"


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
        emptied: objects for which nothing is planned, and whose cluster is replaced or deleted.
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
    emptied: int = 0

    @property
    def decisions(self) -> tuple[Danger, ...]:
        """The dangers that somebody decides about, or that lose data, worst first."""
        return tuple(each for each in self.dangers if not each.comes_with_release)

    @property
    def with_release(self) -> tuple[Danger, ...]:
        """Those of the own objects of a release of Kubeflow, worst first."""
        return tuple(each for each in self.dangers if each.comes_with_release)

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
            or self.findings.silenced
            or self.findings.solved
            or (self.cost and self.cost.lines)
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
    findings, silenced = compared(base, head, changed_files)
    forbidden = broken(findings, from_state=base.from_state)
    found = [*dangers(base, head, circumstances, rights, forbidden), *silenced]
    return Review(
        stack=stack,
        base=base.name,
        head=head.name,
        from_state=base.from_state,
        counts={each: counted[each] for each in OPERATIONS if counted[each]},
        settings=settings,
        files=files,
        dangers=tuple(sorted(found, key=order)),
        access=rights,
        aws=aws,
        kubernetes=objects,
        common_aws=common(aws),
        common_kubernetes=common(objects),
        crds=_crds(base, head, resources),
        images=_images(base, head),
        findings=findings,
        cost=cost,
        emptied=_emptied(resources.values()),
    )


def _emptied(resources: Iterable[Resource]) -> int:
    """Objects of a cluster that goes, where its provider has no change: the engine counts none."""
    ending = ("replace", "delete")
    goes = any(each.type == CLUSTER and each.operation in ending for each in resources)
    stay = (each.kubernetes and each.operation in ("same", "update") for each in resources)
    return sum(stay) if goes else 0


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
