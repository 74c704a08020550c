"""What IAM documents allow on one side and not on the other.

A document is any value of an AWS resource that has statements: ``policy``, ``assumeRolePolicy``,
the policies of buckets, keys, queues, repositories and endpoints. A grant is one action on one
resource for one principal under a condition. It is new where no statement of the older side covers
it: patterns cover patterns (``s3:Get*`` covers ``s3:GetObject``), a condition covers one that is
narrower. What cannot be compared that way (``NotAction``, ``NotResource``, ``NotPrincipal``, policy
variables inside patterns) is said to be compared by hand, never to be harmless.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

from policies.documents import narrows_nothing
from review.changes import Change, is_document, key_path, parsed
from review.common import words
from review.resources import Resource

_NOT = ("NotAction", "NotResource", "NotPrincipal")
POD_IDENTITY = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
_ATTACHMENTS = {
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ("role", "policyArn"),
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": ("user", "policyArn"),
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment": ("group", "policyArn"),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": ("principalArn", "policyArn"),
    POD_IDENTITY: ("serviceAccount", "roleArn"),
}
_HOLDERS = ("aws:iam/role:Role", "aws:iam/user:User", "aws:iam/group:Group")
_POLICIES = {
    "aws:iam/rolePolicy:RolePolicy": "role",
    "aws:iam/userPolicy:UserPolicy": "user",
    "aws:iam/groupPolicy:GroupPolicy": "group",
}
# Operators of which more values mean that less is let through.
_NEGATED = re.compile(r"(^|:)(StringNot|NumericNot|DateNot|ArnNot|NotIpAddress)")


@dataclass(frozen=True, order=True)
class Grant:
    """One action on one resource for one principal; ``condition`` is JSON, empty without one."""

    action: str
    resource: str
    principal: str
    condition: str

    @property
    def conditions(self) -> dict[tuple[str, str], frozenset[str]]:
        """Operator and key to the values, of each condition."""
        return held_conditions(self.condition)


@cache
def held_conditions(text: str) -> dict[tuple[str, str], frozenset[str]]:
    """Operator and key to the values, of a condition as JSON; empty for an empty text."""
    tests: dict[str, dict[str, Any]] = json.loads(text) if text else {}
    return {
        (operator, key.lower()): frozenset(map(_text, _list(values)))
        for operator, keys in tests.items()
        for key, values in keys.items()
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


@dataclass(frozen=True)
class Document:
    """A policy document: grants of Allow and of Deny, and statements that cannot be compared."""

    allows: frozenset[Grant] = frozenset()
    denies: frozenset[Grant] = frozenset()
    opaque: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Widening:
    """What one document allows more than before, or less.

    Args:
        owner: the resource that has the document.
        place: the property.
        allowed: new grants.
        undenied: grants of Deny that are gone.
        by_hand: statements that are new and cannot be compared.
        narrower: grants that are gone, and new ones of Deny.
        created: whether the document is new, and so is the one who has the rights.
        before: every grant of the older document.
    """

    owner: Resource
    place: str
    allowed: tuple[Grant, ...] = ()
    undenied: tuple[Grant, ...] = ()
    by_hand: tuple[str, ...] = ()
    narrower: tuple[Grant, ...] = ()
    created: bool = False
    before: tuple[Grant, ...] = ()

    @property
    def widens(self) -> bool:
        """Whether anything is allowed that was not, or cannot be compared."""
        return bool(self.allowed or self.undenied or self.by_hand)


@dataclass(frozen=True)
class Attachment:
    """A managed policy that a role, a user or a principal gets or loses.

    ``created``: the holder is new itself.
    """

    owner: Resource
    holder: str
    policy: str
    new: bool
    created: bool = False


@dataclass(frozen=True)
class Access:
    """Everything about rights in one review."""

    widenings: tuple[Widening, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    renamed: Mapping[tuple[str, str], tuple[str, ...]] = field(
        default_factory=dict[tuple[str, str], tuple[str, ...]]
    )
    """Old and new words to the owners of documents that differ by renames alone."""


def wider(access: Access) -> tuple[Widening, ...]:
    """Documents by which somebody who existed before may do more, or that nobody can compare."""
    return tuple(each for each in access.widenings if each.widens and not each.created)


def document_of(value: Any) -> Document | None:
    """The document that a text or a mapping stands for; None where it is none."""
    data = parsed(value) if isinstance(value, str) else value
    if not is_document(data):
        return None
    allows: set[Grant] = set()
    denies: set[Grant] = set()
    opaque: set[str] = set()
    for statement in _list(cast("Mapping[str, Any]", data)["Statement"]):
        if not isinstance(statement, Mapping):
            opaque.add(json.dumps(statement, sort_keys=True))
            continue
        each = cast("Mapping[str, Any]", statement)
        if any(key in each for key in _NOT) or each.get("Effect") not in ("Allow", "Deny"):
            readable = {key: value for key, value in each.items() if key != "Sid"}
            opaque.add(json.dumps(readable, sort_keys=True))
            continue
        (allows if each["Effect"] == "Allow" else denies).update(_grants(each))
    return Document(frozenset(allows), frozenset(denies), frozenset(opaque))


def _grants(statement: Mapping[str, Any]) -> Iterator[Grant]:
    condition = statement.get("Condition") or {}
    text = json.dumps(condition, sort_keys=True) if condition else ""
    for action in _list(statement.get("Action", "*")):
        for resource in _list(statement.get("Resource", "-")):
            for principal in _principals(statement.get("Principal", "-")):
                yield Grant(str(action), str(resource), principal, text)


def _principals(value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        return [str(value)]
    kinds = cast("Mapping[str, Any]", value)
    return [
        "*" if each == "*" and kind == "AWS" else f"{kind}: {each}"
        for kind, held in sorted(kinds.items())
        for each in map(str, _list(held))
    ]


@cache
def _pattern(text: str, fold: bool) -> re.Pattern[str]:
    parts = (
        ".*" if part == "*" else "[^*]" if part == "?" else re.escape(part)
        for part in re.split(r"([*?])", text)
    )
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if fold else re.NOFLAG))


def covers(wide: Grant, narrow: Grant) -> bool:
    """Whether everything that ``narrow`` lets through, ``wide`` does too."""
    return (
        _pattern(wide.action, True).fullmatch(narrow.action) is not None
        and _pattern(wide.resource, False).fullmatch(narrow.resource) is not None
        and (wide.principal in ("*", narrow.principal))
        and all(
            _narrower(key, values, narrow.conditions.get(key))
            for key, values in wide.conditions.items()
        )
    )


def _narrower(key: tuple[str, str], wide: frozenset[str], narrow: frozenset[str] | None) -> bool:
    if narrow is None:
        return False
    if wide == narrow:
        return True
    operator = key[0]
    if operator.startswith(("ForAllValues", "ForAnyValue")) or operator.endswith("IfExists"):
        return False
    if _NEGATED.search(operator):
        return wide <= narrow
    if operator.startswith(("StringLike", "ArnLike", "ArnEquals")):
        return all(any(_pattern(each, False).fullmatch(value) for each in wide) for value in narrow)
    return operator.startswith(("StringEquals", "Bool", "NumericEquals")) and narrow <= wide


def _beyond(grants: Iterable[Grant], others: Iterable[Grant]) -> tuple[Grant, ...]:
    held = list(others)
    return tuple(sorted(g for g in grants if not any(covers(other, g) for other in held)))


def compare(
    owner: Resource, place: str, old: Any, new: Any, *, created: bool = False, gone: bool = False
) -> Widening | None:
    """What the document allows more, or less; None where both values are no documents.

    Args:
        owner: the resource that has it.
        place: the property.
        old: its value before.
        new: its value after.
        created: whether the one who has the rights is new.
        gone: whether he, or the thing that the document guards, goes with it.
    """
    before, after = document_of(old), document_of(new)
    if before is None and after is None:
        return None
    before, after = before or Document(), after or Document()
    return Widening(
        owner=owner,
        place=place,
        allowed=_beyond(after.allows, before.allows),
        undenied=() if gone else _beyond(before.denies, after.denies),
        by_hand=() if gone else tuple(sorted(after.opaque ^ before.opaque)),
        narrower=_beyond(before.allows, after.allows) + _beyond(after.denies, before.denies),
        created=created,
        before=tuple(sorted(before.allows)),
    )


def documents(inputs: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every policy document inside the inputs of a resource, with its path."""
    for key, value in sorted(inputs.items()):
        place = key_path(path, key)
        if document_of(value) is not None:
            yield place, value
        elif isinstance(value, Mapping):
            yield from documents(cast("Mapping[str, Any]", value), place)
        elif isinstance(value, list):
            for index, item in enumerate(cast("list[Any]", value)):
                if isinstance(item, Mapping):
                    yield from documents(cast("Mapping[str, Any]", item), f"{place}[{index}]")


def access(resources: Sequence[Resource], settings: Sequence[Change]) -> Access:
    """Rights that the changed resources win and lose."""
    changed = [each for each in resources if each.operation != "same" and each.concrete]
    known = _known_renames(changed, settings)
    made = _made_with_their_holders(changed)
    deleted = [each for each in changed if each.operation == "delete"]
    renamed: dict[tuple[str, str], list[str]] = {}
    widenings: list[Widening] = []
    for owner in changed:
        if not owner.type.startswith("aws:"):
            continue
        sides = dict(documents(owner.before)), dict(documents(owner.after))
        for place in sorted({*sides[0], *sides[1]}):
            old, new = (side.get(place) for side in sides)
            if old == new:
                continue
            pairs = _rename(old, new) if None not in (old, new) else frozenset()
            if pairs and pairs <= known:
                for pair in pairs:
                    renamed.setdefault(pair, []).append(f"{owner.kind} {owner.label}")
                continue
            gone = owner.operation == "delete" and not _outlived(owner, deleted)
            found = compare(owner, place, old, new, created=owner.urn in made, gone=gone)
            if found and (found.widens or found.narrower):
                widenings.append(found)
    return Access(
        tuple(widenings),
        tuple(_attachments(changed)),
        {pair: tuple(sorted(names)) for pair, names in sorted(renamed.items())},
    )


def _made_with_their_holders(changed: Sequence[Resource]) -> frozenset[str]:
    """URNs of what is created, without policies that are new for a role which exists already."""
    created = [each for each in changed if each.operation == "create"]
    return frozenset(
        each.urn
        for each in created
        if each.type not in _POLICIES
        or _is_among(str(each.after.get(_POLICIES[each.type], "")), created)
    )


def _outlived(policy: Resource, deleted: Iterable[Resource]) -> bool:
    """Whether the role, user or group that had a deleted policy stays."""
    holder = str(policy.before.get(_POLICIES.get(policy.type, ""), ""))
    return bool(holder) and not _is_among(holder, deleted)


def _is_among(holder: str, resources: Iterable[Resource]) -> bool:
    """Whether a role, a user or a group of this name is among these."""
    return any(
        holder == each.physical
        or holder.startswith((f"{each.label}-", str(each.inputs.get("namePrefix") or "\0")))
        for each in resources
        if each.type in _HOLDERS
    )


def _known_renames(
    changed: Sequence[Resource], settings: Sequence[Change]
) -> frozenset[tuple[str, str]]:
    """Old and new texts outside of documents: of settings, and of what is made anew."""
    pairs = {(str(each.old), str(each.new)) for each in settings}
    for owner in changed:
        inside = [place for place, _ in (*documents(owner.before), *documents(owner.after))]
        for change in owner.changes:
            if change.path.startswith(tuple(inside) or ("\0",)):
                continue
            if isinstance(change.old, str) and isinstance(change.new, str):
                pairs |= words(change.old, change.new)
    return frozenset(pairs)


def _rename(old: Any, new: Any) -> frozenset[tuple[str, str]]:
    """The words that differ between two documents that are otherwise the same; none elsewhere."""
    texts = [value if isinstance(value, str) else json.dumps(value) for value in (old, new)]
    return words(*texts)


def _attachments(changed: Sequence[Resource]) -> Iterator[Attachment]:
    created = [each for each in changed if each.operation == "create"]
    for owner in changed:
        if owner.type in _ATTACHMENTS:
            holder, policy = _ATTACHMENTS[owner.type]
            pair = [
                (str(side.get(holder, "")), str(side.get(policy, "")))
                for side in (owner.before, owner.after)
            ]
            if owner.operation == "create":
                # Of a pod identity, the one who is new is the role.
                who = pair[1][1].rpartition("/")[2] if owner.type == POD_IDENTITY else pair[1][0]
                yield Attachment(owner, *pair[1], new=True, created=_is_among(who, created))
            elif owner.operation == "delete":
                yield Attachment(owner, *pair[0], new=False)
            elif pair[0][1] != pair[1][1] and not _given_again(pair[0][1], pair[1][1]):
                yield Attachment(owner, *pair[1], new=True)
        for place in ("managedPolicyArns", "policyArns"):
            sides = [_list(side.get(place) or []) for side in (owner.before, owner.after)]
            for policy in sorted(set(map(str, sides[1])) - set(map(str, sides[0]))):
                new = owner.operation == "create"
                yield Attachment(owner, owner.label, policy, new=True, created=new)


def _given_again(old: str, new: str) -> bool:
    """Whether two ARNs name one policy of the stack, of which the engine gave another name."""
    cut = re.compile(r"-[0-9a-f]{7,}$")
    return cut.sub("", old) == cut.sub("", new) and bool(cut.search(old))


def is_admin(grant: Grant) -> bool:
    """Whether a grant is every action, or every action of a service, on every resource."""
    # In a policy of a resource, "*" is that resource alone.
    own = grant.resource == "*" and grant.principal == "-"
    return own and (grant.action == "*" or grant.action.endswith(":*"))


def is_public(grant: Grant) -> bool:
    """Whether a grant is for everybody, with no condition about who asks or from where."""
    if grant.principal != "*":
        return False
    narrowing = ("principal", "source", "vpc", "userid", "calleraccount", "viaservice")
    return not any(
        any(word in key for word in narrowing)
        and not _NEGATED.search(operator)
        and not operator.startswith("Null")
        and not any(map(narrows_nothing, values))
        for (operator, key), values in grant.conditions.items()
    )
