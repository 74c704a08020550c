"""What a change can cost: rules of ``dangers.yaml`` over the resources of a review."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

from review.access import Access
from review.causes import Cause, Circumstances, within
from review.changes import ABSENT, Change, changes, innermost, leaves
from review.cluster_rights import role_rights
from review.registries import strangers
from review.renamed import same_objects
from review.resources import Resource
from review.rights import graded
from review.sides import CRD_RESOURCE, Finding, Side
from settings.section import MANIFESTS
from upgrades.asking import KARPENTER, old_release
from upgrades.table import Upgrade, of_release

KINDS = {
    "data": "data is lost",
    "left": "data is left behind",
    "outage": "something stops",
    "open": "opens access",
    "guard": "a safeguard goes",
}
_EVENTS = {"replace": "replaced", "delete": "deleted", "create": "created", "update": "changed"}
_WIDE_PRIVATE = 12
"""Up to that a private range is wider than any VPC."""
_NEW_ROLE = 34
"""The rank of a role in the cluster that is made, at the worst."""
_HUGE_V4, _HUGE_V6 = 8, 24
"""Prefix lengths up to which a public range counts as the whole internet."""


@dataclass(frozen=True)
class Rule:
    """One row of ``dangers.yaml``; its head explains the fields."""

    rank: int
    kind: str
    what: str
    avoid: str
    types: tuple[str, ...] = ()
    named: str = ""
    narrows: str = ""
    apart: str = ""
    happens: str = ""
    replace: str = ""
    delete: str = ""
    lost: str = ""
    retained: str = ""
    avoid_delete: str = ""
    unlock: str = ""
    settings: tuple[str, ...] = ()
    own: bool = False
    path: str = ""
    when: tuple[Any, ...] = ()
    created: bool = False

    def is_about(self, type_: str) -> bool:
        """Whether the rule is about resources of a type."""
        return any(fnmatchcase(type_, each) for each in self.types)


@dataclass(frozen=True)
class Danger:
    """One danger of a review: things of one kind to which the same happens from the same cause.

    Args:
        rank: lower is worse.
        kind: one of ``KINDS``.
        what: the kind of thing.
        event: ``replaced``, ``deleted``, ``changed`` or ``created``.
        names: of the things.
        happens: one sentence.
        lost: what cannot be had again; may be empty.
        avoid: the way out, one sentence.
        cause: why.
        unlock: what makes the engine accept it; empty where nothing refuses it.
        values: property changes that are the danger.
        taken: kinds of things that are replaced with it, and how many.
    """

    rank: int
    kind: str
    what: str
    event: str
    names: tuple[str, ...]
    happens: str
    lost: str
    avoid: str
    cause: Cause
    unlock: str = ""
    values: tuple[Change, ...] = ()
    taken: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class _Table:
    resources: tuple[Rule, ...]
    changes: tuple[Rule, ...]
    others: Mapping[str, Rule]
    settings: tuple[Rule, ...]
    unlock: str


@cache
def table() -> _Table:
    """The rules, as the data file has them."""
    # libyaml's reader, wherever wheels are: 0.2 s less.
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = Path(__file__).with_name("dangers.yaml").read_bytes()
    data: Any = yaml.load(text, Loader=loader)  # noqa: S506 a safe one
    return _Table(
        tuple(_rule(row) for row in data["resources"]),
        tuple(_rule(row) for row in data["changes"]),
        {name: _rule(row) for name, row in data["others"].items()},
        tuple(_rule(row) for row in data["settings"]),
        data["unlock"],
    )


@cache
def _rules_of(type_: str) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """The rules about resources of a type, and about changes in them."""
    both = table().resources, table().changes
    resources, properties = (tuple(r for r in rules if r.is_about(type_)) for rules in both)
    return resources, properties


def _rule(row: Mapping[str, Any]) -> Rule:
    fields: dict[str, Any] = dict(row)
    for key in ("types", "settings", "when"):
        value = fields.get(key, ())
        fields[key] = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return Rule(**fields)


def dangers(
    base: Side,
    head: Side,
    circumstances: Circumstances,
    access: Access,
    broken: Sequence[Finding] = (),
) -> tuple[Danger, ...]:
    """Every danger, worst first; those of one kind, event and cause are one."""
    resources = [each for each in circumstances.resources.values() if each.concrete]
    found = [
        *_of_upgrade(circumstances),
        *_of_operations(resources, circumstances),
        *_of_properties(_with_successors(resources), circumstances),
        *_of_protection(resources, circumstances),
        *_of_crds(base, head, circumstances),
        *_of_access(access, circumstances),
        *_of_objects(base, resources, circumstances),
        *_of_settings(circumstances),
        *_of_policies(broken, circumstances),
    ]
    return tuple(sorted(_joined(found), key=lambda each: (each.rank, each.what, each.names)))


def _of_upgrade(circumstances: Circumstances) -> Iterator[Danger]:
    """What another release does to data; its CRDs tell which release there was."""
    for resource in circumstances.resources.values():
        if resource.type == CRD_RESOURCE and "release" in resource.after:
            new = str(resource.after["release"])
            ways = of_release(MANIFESTS / new).ways
            old = old_release(resource.before, resource.after, of_release(MANIFESTS / new))
            if old and old in ways and ways[old].changes_data:
                key = "gpuPool.karpenterVersion" if new.startswith(KARPENTER) else "release"
                cause = circumstances.of(resource, hints=(key,))
                yield _upgrade(f"{old} to {new}", ways[old], cause)


def _upgrade(name: str, way: Upgrade, cause: Cause) -> Danger:
    rule = table().others["upgrade"]
    gains = [f"{each.name} gets {', '.join(each.adds)}" for each in way.databases if each.adds]
    stored = [f"{each.name} is stored as {each.storage}" for each in way.crds]
    stops = [f"{each.object} is replaced ({each.why})" for each in way.replaced]
    asked = ", ".join(f"{each.what} (`{each.name}`)" for each in way.before)
    return replace(
        _other(rule, name, "changed", cause),
        happens=". ".join([rule.happens, *gains, *stored, *stops]) + ".",
        lost="; ".join(way.not_undone),
        avoid=f"{rule.avoid} It asks for {asked}." if asked else rule.avoid,
    )


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
    rules, _ = _rules_of(resource.type)
    return next((rule for rule in rules if getattr(rule, resource.operation)), None)


def _danger(
    rule: Rule, resource: Resource, circumstances: Circumstances, taken: Counter[str]
) -> Danger:
    happens = getattr(rule, resource.operation, "") or rule.happens
    cause = circumstances.of(resource, hints=_hints(rule, resource))
    lost = rule.retained if resource.retained and rule.retained else rule.lost
    return Danger(
        rank=rule.rank,
        kind="left" if resource.retained and rule.retained else rule.kind,
        what=rule.what if rule.what != "Protected resource" else resource.kind,
        event=_EVENTS[resource.operation],
        names=(_name(resource),),
        happens=happens,
        lost=lost,
        avoid=(resource.operation == "delete" and rule.avoid_delete) or rule.avoid,
        cause=cause,
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
        _, rules = _rules_of(resource.type)
        rules = [rule for rule in rules if re.fullmatch(rule.named or ".*", resource.label)]
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
                yield Danger(
                    rank=rule.rank,
                    kind=rule.kind,
                    what=rule.what,
                    event=_EVENTS[resource.operation] if created else "changed",
                    names=(_name(resource),),
                    happens=rule.happens,
                    lost=rule.lost,
                    avoid=rule.avoid,
                    cause=circumstances.of(resource, paths, _hints(rule, resource)),
                    values=tuple(hits),
                )


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


def holds(when: Any, change: Change) -> bool:
    """Whether a change is what a rule's ``when`` describes; the rules' file has the list."""
    old, new = change.old, change.new
    if isinstance(when, Mapping):
        tests = cast("Mapping[str, Any]", when)
        return all(_of_value(verb, value, old, new) for verb, value in tests.items())
    return _TESTS[when](old, new)


def _of_value(verb: str, value: Any, old: Any, new: Any) -> bool:
    if verb == "matches":
        return _matches(value, new) and not _matches(value, old)
    if verb == "becomes":
        return _equal(new, value) and not _equal(old, value)
    # Of a resource that is made: the value that a rule wants is not there.
    never = old is ABSENT and isinstance(value, bool) and new is (not value)
    return never or _equal(old, value)


def _matches(pattern: str, value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return str(one) == str(other)


def _numbers(old: Any, new: Any) -> tuple[float, float] | None:
    try:
        return float(old), float(new)
    except (TypeError, ValueError):
        return None


def _falls(old: Any, new: Any) -> bool:
    pair = _numbers(old, new)
    return pair is not None and pair[1] < pair[0]


def _rises(old: Any, new: Any) -> bool:
    pair = _numbers(old, new)
    return pair is not None and pair[1] > pair[0]


def _version(value: Any) -> tuple[int, ...] | None:
    parts = re.findall(r"\d+", str(value))
    return tuple(map(int, parts)) if isinstance(value, (str, float, int)) and parts else None


def _compared(old: Any, new: Any) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    pair = _version(old), _version(new)
    if pair[0] is None or pair[1] is None:
        return None
    # 8.4 is any 8.4.x: compared as far as both are written.
    length = min(len(pair[0]), len(pair[1]))
    return pair[0][:length], pair[1][:length]


def _older(old: Any, new: Any) -> bool:
    pair = _compared(old, new)
    return pair is not None and pair[1] < pair[0]


def _minors(old: Any, new: Any) -> int:
    pair = _compared(old, new)
    if pair is None or len(pair[0]) < 2 or pair[0][0] != pair[1][0]:
        return 0 if pair is None or pair[0] == pair[1] else 99
    return pair[1][1] - pair[0][1]


def _loses(old: Any, new: Any) -> bool:
    if new is ABSENT:
        return True
    if isinstance(old, list) and isinstance(new, list):
        return any(item not in new for item in cast("list[Any]", old))
    return False


def _adds(old: Any, new: Any) -> bool:
    held = cast("list[Any]", old) if isinstance(old, list) else []
    return isinstance(new, list) and any(item not in held for item in cast("list[Any]", new))


def _gains(old: Any, new: Any) -> bool:
    """Whether a list has `*` that had none."""
    return isinstance(new, list) and "*" in new and not (isinstance(old, list) and "*" in old)


def _ranges(value: Any) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for _, leaf in leaves(value):
        for item in cast("list[Any]", leaf) if isinstance(leaf, list) else [leaf]:
            if isinstance(item, str) and "/" in item:
                try:
                    yield ipaddress.ip_network(item, strict=False)
                except ValueError:
                    continue


def _inside(one: Any, others: Iterable[Any]) -> bool:
    return any(one.version == other.version and one.subnet_of(other) for other in others)


def _widens(old: Any, new: Any) -> bool:
    held = list(_ranges(old))
    return any(
        not _inside(each, held)
        for each in _ranges(new)
        # A range of the VPC's own, as every rule inside of it has one, says nothing.
        if not each.is_private or held or each.prefixlen <= _WIDE_PRIVATE
    )


def _opens(old: Any, new: Any) -> bool:
    held = list(_ranges(old))
    return any(
        each.prefixlen <= (_HUGE_V4 if each.version == 4 else _HUGE_V6)
        and not each.is_private
        and not _inside(each, held)
        for each in _ranges(new)
    )


def _any(_old: Any, _new: Any) -> bool:
    return True


def _changes(old: Any, new: Any) -> bool:
    return ABSENT not in (old, new)


def _appears(old: Any, _new: Any) -> bool:
    return old is ABSENT


def _skips(old: Any, new: Any) -> bool:
    return _minors(old, new) > 1


def _newer(old: Any, new: Any) -> bool:
    return _minors(old, new) == 1


_TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "any": _any,
    "changes": _changes,
    "appears": _appears,
    "falls": _falls,
    "rises": _rises,
    "older": _older,
    "skips": _skips,
    "newer": _newer,
    "loses": _loses,
    "adds": _adds,
    "gains": _gains,
    "opens": _opens,
    "widens": _widens,
}

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
                yield _other(rule, f"{resource.kind} {_name(resource)}", "removed", cause)


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
        yield _other(rule, name, "removed from the release" if kept else "deleted", cause)
    for each in circumstances.resources.values():
        is_crd = each.kubernetes and each.type.endswith(":CustomResourceDefinition")
        if is_crd and each.operation == "delete":
            rule = table().others["crds_deleted"]
            yield _other(rule, each.label, "deleted", circumstances.of(each))


def _of_access(access: Access, circumstances: Circumstances) -> Iterator[Danger]:
    for name, owner, place, change in graded(access, circumstances.resources.values()):
        danger = _other(
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
        yield replace(_other(rule, _name(resource), event, cause), values=(change,), rank=rank)


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
        yield replace(_other(rule, name, "broken", cause), values=(change,))


def _of_settings(circumstances: Circumstances) -> Iterator[Danger]:
    for change in circumstances.settings:
        key = change.path.removeprefix("kubeflow:")
        for rule in table().settings:
            if re.fullmatch(rule.path, key) and any(holds(when, change) for when in rule.when):
                cause = Cause((change,), (), True)
                yield replace(_other(rule, key, "changed", cause), values=())
                break


def _other(rule: Rule, name: str, event: str, cause: Cause) -> Danger:
    return Danger(
        rank=rule.rank,
        kind=rule.kind,
        what=rule.what,
        event=event,
        names=(name,),
        happens=rule.happens,
        lost=rule.lost,
        avoid=rule.avoid,
        cause=cause,
    )


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
        yield replace(
            first,
            names=tuple(names),
            taken=dict(sorted(taken.items())),
            values=tuple(values[key] for key in sorted(values)),
        )
