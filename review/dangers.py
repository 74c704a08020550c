"""What a change can cost: rules of ``dangers.yaml`` over the resources of a review."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from review.access import Access
from review.causes import Cause, Circumstances, within
from review.changes import ABSENT, Change, changes, innermost, leaves
from review.cluster_rights import role_rights
from review.comparisons import holds
from review.danger import Danger, danger_by
from review.danger_rules import Rule, rules_of, table
from review.registries import strangers
from review.renamed import same_objects
from review.resources import Resource
from review.rights import graded
from review.sides import Finding, Side
from review.upgrade_dangers import RELEASE, marked, new_releases, of_upgrade

_EVENTS = {"replace": "replaced", "delete": "deleted", "create": "created", "update": "changed"}
_NEW_ROLE = 34
"""The rank of a role in the cluster that is made, at the worst."""


def dangers(
    base: Side,
    head: Side,
    circumstances: Circumstances,
    access: Access,
    broken: Sequence[Finding] = (),
) -> tuple[Danger, ...]:
    """Every danger, worst first; those of one kind, event and cause are one."""
    resources = [each for each in circumstances.resources.values() if each.concrete]
    releases = list(new_releases(circumstances))
    upgrades = {each.setting: tuple(of_upgrade(each, circumstances)) for each in releases}
    kubeflows = next((each for each in releases if each.setting == RELEASE), None)
    found = [
        *(each for found in upgrades.values() for each in found),
        *_of_operations(resources, circumstances),
        *_of_properties(_with_successors(resources), circumstances),
        *_of_protection(resources, circumstances),
        *_of_crds(base, head, circumstances),
        *_of_access(access, circumstances),
        *_of_objects(base, resources, circumstances),
        *_of_settings(circumstances, besides={key for key, found in upgrades.items() if found}),
        *_of_policies(broken, circumstances),
    ]
    return tuple(sorted(_joined(marked(each, kubeflows) for each in found), key=order))


def order(danger: Danger) -> tuple[bool, int, str, tuple[str, ...]]:
    """What comes with a release is last: somebody decides about each danger before it."""
    return danger.comes_with_release, danger.rank, danger.what, danger.names


def _of_operations(resources: Sequence[Resource], circumstances: Circumstances) -> Iterator[Danger]:
    roots = {
        each.urn: circumstances.roots(each)
        for each in resources
        if each.operation in ("replace", "delete")
    }
    named = {urn for urn in roots if _rule_of(circumstances.resources[urn]) is not None}
    taken: dict[str, Counter[str]] = {}
    for urn, root in roots.items():
        if root.urn != urn:
            each = circumstances.resources[urn]
            group = "Kubernetes objects" if each.kubernetes else "other resources"
            taken.setdefault(root.urn, Counter())[group] += 1
    for urn, root in roots.items():
        resource = circumstances.resources[urn]
        rule = _rule_of(resource)
        if rule and resource.retained and resource.operation == "delete":
            # It leaves the state only, and goes on as it is.
            rule = rule if rule.retained else None
        if rule is None:
            if not resource.protected:
                continue
            rule = table().others["protected"]
        if root.urn != urn and root.urn in named and not rule.own and not resource.protected:
            continue
        yield _danger(rule, resource, circumstances, taken.get(urn, Counter()))


def _rule_of(resource: Resource) -> Rule | None:
    rules, _ = rules_of(resource.type)
    fitting = (rule for rule in rules if rule.has_name(resource.label))
    return next((rule for rule in fitting if getattr(rule, resource.operation)), None)


def _danger(
    rule: Rule, resource: Resource, circumstances: Circumstances, taken: Counter[str]
) -> Danger:
    happens = getattr(rule, resource.operation, "") or rule.happens
    cause = circumstances.of(resource, hints=_hints(rule, resource))
    lost = rule.retained if resource.retained and rule.retained else rule.lost
    found = danger_by(
        rule, _name(resource), _EVENTS[resource.operation], cause, [resource.object_name]
    )
    return replace(
        found,
        kind="left" if resource.retained and rule.retained else rule.kind,
        what=rule.what if rule.what != "Protected resource" else resource.kind,
        happens=happens,
        lost=lost,
        avoid=(resource.operation == "delete" and rule.avoid_delete) or rule.avoid,
        unlock=(rule.unlock or table().unlock) if resource.protected else "",
        taken=dict(sorted(taken.items())),
        values=() if cause.certain else _forcing(resource),
    )


def _hints(rule: Rule, resource: Resource) -> tuple[str, ...]:
    """Settings that decide about it; about most objects in the cluster the release does."""
    return rule.settings or (("release",) if resource.kubernetes else ())


def _forcing(resource: Resource) -> tuple[Change, ...]:
    """The changes that force a replacement."""
    return tuple(each for each in resource.changes if each.path in resource.replacing)


def _name(resource: Resource) -> str:
    if resource.type.endswith(":Profile"):
        # Whose things they are: of the older side.
        side = resource.before or resource.after
        owner = side.get("spec", {}).get("owner", {}).get("name", "")
        return f"{resource.label} ({owner})" if owner else resource.label
    return resource.physical


# -- properties -----------------------------------------------------------------------------------


def _of_properties(resources: Sequence[Resource], circumstances: Circumstances) -> Iterator[Danger]:
    for resource in resources:
        if resource.operation in ("same", "delete"):
            continue
        _, rules = rules_of(resource.type)
        rules = [rule for rule in rules if rule.has_name(resource.label)]
        if not rules:
            continue
        created = resource.operation == "create"
        found = (
            [Change(path, ABSENT, value) for path, value in leaves(resource.after)]
            if created
            else [inner for change in resource.changes for inner in innermost(change)]
        )
        taken: set[str] = set()
        for rule in rules:
            if created and not rule.created:
                continue
            if resource.operation == "replace" and rule.kind in ("outage", "data"):
                continue  # The replacement itself says so.
            narrower = _narrower(rule, resource)
            hits = [
                change
                for change in found
                if not any(_overlap(change.path, place) for place in taken)
                and not any(within(change.path, place) for place in narrower)
                and not _same_apart(rule.apart, change)
                and re.fullmatch(rule.path, change.path)
                and any(holds(when, change) for when in rule.when)
            ]
            if hits:
                paths = [change.path for change in hits]
                hits = [each for each in hits if _is_outermost(each.path, paths)]
                taken |= set(paths)
                event = _EVENTS[resource.operation] if created else "changed"
                cause = circumstances.of(resource, paths, _hints(rule, resource))
                found_danger = danger_by(
                    rule, _name(resource), event, cause, [resource.object_name]
                )
                yield replace(found_danger, values=tuple(hits))


def _overlap(path: str, place: str) -> bool:
    return within(path, place) or within(place, path)


def _same_apart(pattern: str, change: Change) -> bool:
    """Whether two texts are the same, apart from what a pattern matches."""
    if not (pattern and isinstance(change.old, str) and isinstance(change.new, str)):
        return False
    return re.sub(pattern, "", change.old) == re.sub(pattern, "", change.new)


def _narrower(rule: Rule, resource: Resource) -> tuple[str, ...]:
    """Paths of items that go, where an item less is less that is let through."""
    return tuple(
        change.path
        for change in resource.changes
        if rule.narrows and change.new is ABSENT and re.fullmatch(rule.narrows, change.path)
    )


def _with_successors(resources: Sequence[Resource]) -> list[Resource]:
    """The resources; an object whose name has another hash than before, as a changed one."""
    pairs = {new.urn: (old, new) for old, new in same_objects(resources)}
    return [
        replace(
            each,
            operation="update",
            before=pairs[each.urn][0].before,
            changes=tuple(
                change
                for change in changes(pairs[each.urn][0].before, each.after)
                if change.path != "metadata.name"
            ),
        )
        if each.urn in pairs
        else each
        for each in resources
    ]


def _is_outermost(path: str, paths: Sequence[str]) -> bool:
    return not any(path != each and within(path, each) for each in paths)


# -- protection, CRDs, rights ----------------------------------------------------------------------


def _of_protection(resources: Sequence[Resource], circumstances: Circumstances) -> Iterator[Danger]:
    for resource in resources:
        if resource.was is None or resource.operation in ("create", "delete"):
            continue
        now = resource.protected, resource.retained
        for name, lost in zip(
            ("protection", "retention"),
            (old and not new for old, new in zip(resource.was, now, strict=True)),
            strict=True,
        ):
            if lost:
                rule = table().others[name]
                hinted = circumstances.hinted(rule.settings)
                cause = Cause(hinted, () if hinted else circumstances.files[:4], bool(hinted))
                yield danger_by(rule, f"{resource.kind} {_name(resource)}", "removed", cause)


def _of_crds(base: Side, head: Side, circumstances: Circumstances) -> Iterator[Danger]:
    removed = sorted(set(base.crds) - set(head.crds)) if head.crds else []
    kept = all(
        each.after.get("keep") is True
        for each in circumstances.resources.values()
        if each.type == "pulumi-python:dynamic:CustomResourceDefinitions" and each.after
    )
    release = tuple(each for each in circumstances.settings if each.path.endswith("release"))
    cause = Cause(release or circumstances.settings, circumstances.files[:4], bool(release))
    for name in removed:
        rule = table().others["crds_left" if kept else "crds_deleted"]
        event = "removed from the release" if kept else "deleted"
        yield danger_by(rule, name, event, cause, [f"{_CRD} {name}"])
    for each in circumstances.resources.values():
        is_crd = each.kubernetes and each.type.endswith(":CustomResourceDefinition")
        if is_crd and each.operation == "delete":
            rule = table().others["crds_deleted"]
            cause = circumstances.of(each)
            yield danger_by(rule, each.label, "deleted", cause, [each.object_name])


_CRD = "CustomResourceDefinition.apiextensions.k8s.io"


def _of_access(access: Access, circumstances: Circumstances) -> Iterator[Danger]:
    for name, owner, place, change in graded(access, circumstances.resources.values()):
        danger = danger_by(
            table().others[name],
            f"{owner.kind} {owner.label}",
            _EVENTS[owner.operation],
            circumstances.of(owner, [place]),
        )
        yield replace(danger, values=(change,))


def _of_objects(
    base: Side, resources: Sequence[Resource], circumstances: Circumstances
) -> Iterator[Danger]:
    found = [
        *((name, each, change) for each in resources for name, change in role_rights(each)),
        *(("registry", each, change) for each, change in strangers(base, resources)),
    ]
    for name, resource, change in found:
        rule = table().others[name]
        event = _EVENTS["create" if resource.operation == "create" else "update"]
        cause = circumstances.of(resource, [change.path], _hints(rule, resource))
        # A role that is new has nobody yet; what binds it is judged by itself.
        rank = max(rule.rank, _NEW_ROLE) if resource.operation == "create" else rule.rank
        found_danger = danger_by(rule, _name(resource), event, cause, [resource.object_name])
        yield replace(found_danger, values=(change,), rank=rank)


def _of_policies(broken: Iterable[Finding], circumstances: Circumstances) -> Iterator[Danger]:
    rule = table().others["policy"]
    for finding in broken:
        resource = circumstances.resources.get(finding.urn)
        name = resource.label if resource else finding.urn.rpartition("::")[-1] or finding.policy
        files = circumstances.files[:4]
        cause = (
            circumstances.of(resource) if resource else Cause(circumstances.settings, files, False)
        )
        change = Change(finding.policy, ABSENT, finding.message)
        yield replace(danger_by(rule, name, "broken", cause), values=(change,))


def _of_settings(circumstances: Circumstances, besides: Container[str]) -> Iterator[Danger]:
    for change in circumstances.settings:
        key = change.path.removeprefix("kubeflow:")
        if key in besides:
            continue
        for rule in table().settings:
            if re.fullmatch(rule.path, key) and any(holds(when, change) for when in rule.when):
                cause = Cause((change,), (), True)
                yield replace(danger_by(rule, key, "changed", cause), values=())
                break


def _joined(found: Iterable[Danger]) -> Iterator[Danger]:
    groups: dict[Any, list[Danger]] = {}
    for each in found:
        through = each.cause.through.urn if each.cause.through else ""
        settings = tuple(change.path for change in each.cause.settings)
        key = (
            each.rank,
            each.what,
            each.event,
            each.happens,
            each.lost,
            each.unlock,
            each.avoid,
            each.release,
            through,
            settings,
            each.cause.files,
        )
        groups.setdefault(key, []).append(each)
    for members in groups.values():
        first = members[0]
        taken = sum((Counter(each.taken) for each in members), Counter[str]())
        names = sorted({name for each in members for name in each.names})
        values = {str(change): change for each in members for change in each.values}
        whys = dict.fromkeys(why for each in members for why in each.reasons)
        yield replace(
            first,
            names=tuple(names),
            taken=dict(sorted(taken.items())),
            values=tuple(values[key] for key in sorted(values)),
            objects=tuple(sorted({name for each in members for name in each.objects})),
            reasons={
                why: tuple(sorted({name for each in members for name in each.reasons.get(why, ())}))
                for why in sorted(whys)
            },
        )
