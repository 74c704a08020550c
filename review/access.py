"""What the resources of one side allow and those of the other do not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from review.changes import Change
from review.common import words
from review.grants import Document, Grant, as_list, beyond, document_of, documents
from review.resources import Resource

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
        allowed=beyond(after.allows, before.allows),
        undenied=() if gone else beyond(before.denies, after.denies),
        by_hand=() if gone else tuple(sorted(after.opaque ^ before.opaque)),
        narrower=beyond(before.allows, after.allows) + beyond(after.denies, before.denies),
        created=created,
        before=tuple(sorted(before.allows)),
    )


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
            sides = [as_list(side.get(place) or []) for side in (owner.before, owner.after)]
            for policy in sorted(set(map(str, sides[1])) - set(map(str, sides[0]))):
                new = owner.operation == "create"
                yield Attachment(owner, owner.label, policy, new=True, created=new)


def _given_again(old: str, new: str) -> bool:
    """Whether two ARNs name one policy of the stack, of which the engine gave another name."""
    cut = re.compile(r"-[0-9a-f]{7,}$")
    return cut.sub("", old) == cut.sub("", new) and bool(cut.search(old))
