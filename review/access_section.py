"""Rights that a change adds or takes away, by document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from review.access import Attachment, Widening, wider
from review.blocks import (
    Block,
    Code,
    Entries,
    Entry,
    Folded,
    Paragraph,
    Piece,
    Section,
    Text,
    counted,
    listed,
)
from review.grants import Grant, held_conditions
from review.resources import Resource
from review.review import Review
from review.rights import said_condition, said_key, said_principal, under_another_condition
from review.values import (
    shown,
)


def access_section(review: Review) -> Section | None:
    """What is allowed now and was not; None where no right changes."""
    blocks: list[Block] = []
    widened = wider(review.access)
    if widened:
        blocks.append(Entries(tuple(map(_widening, widened)), "documents"))
    attached = [each for each in review.access.attachments if each.new]
    if attached:
        items = tuple(
            Entry(("managed policy ", Code(each.policy), " for ", Code(each.holder)))
            for each in attached
        )
        blocks.append(Entries(items, "attached policies"))
    new = [each for each in review.access.widenings if each.created and each.widens]
    if new:
        blocks.append(
            Folded(
                (f"{counted(len(new), 'new document')}, with all they allow",),
                (Entries(tuple(map(_widening, new)), "documents"),),
            )
        )
    for (old, after), owners in review.access.renamed.items():
        names = listed(owners, 6)
        rename: Text = (Code(old), " → ", Code(after))
        blocks.append(
            Paragraph(
                ("Only other names, which change elsewhere too: ", *rename, " in ", *names, ".")
            )
        )
    # What goes away with its role is named where the role is.
    narrower = [
        each
        for each in review.access.widenings
        if each.narrower and each.owner.operation != "delete"
    ]
    detached = [
        each
        for each in review.access.attachments
        if not each.new and not _goes_with(each, review.aws)
    ]
    if narrower or detached:
        items = [
            Entry(
                (Code(f"{each.owner.kind} {each.owner.label}"), f" {each.place}: no longer"),
                tuple(_grants(each.narrower)),
            )
            for each in narrower
        ] + [
            Entry(("detached: ", Code(each.policy), " of ", Code(each.holder))) for each in detached
        ]
        blocks.append(Folded(("what is allowed no longer",), (Entries(tuple(items), "documents"),)))
    if not blocks:
        return None
    if not widened and not attached and not new:
        blocks.insert(0, Paragraph(("Nothing is allowed that was not allowed before.",)))
    return Section("Access (IAM)", tuple(blocks), 3, review.stack)


def _goes_with(attachment: Attachment, resources: Sequence[Resource]) -> bool:
    """Whether the holder of an attachment, as far as its name says so, is deleted with it."""
    kinds = ("iam Role", "iam User", "iam Group", "eks AccessEntry")
    gone = [e for e in resources if e.operation == "delete" and e.kind in kinds]
    return any(
        attachment.holder == each.physical or attachment.holder.startswith(f"{each.label}-")
        for each in gone
    )


def _widening(each: Widening) -> Entry:
    below: list[Text] = []
    held = each.before
    conditional = {g: before for g in each.allowed if (before := under_another_condition(g, held))}
    for before in dict.fromkeys(conditional.values()):
        grants = tuple(g for g in each.allowed if conditional.get(g) == before)
        was = (" (before only if ", Code(shown(said_condition(before.condition), longest=240)), ")")
        below += [("allows ", *grant, *was) for grant in _grants(grants)]
    rest = tuple(grant for grant in each.allowed if grant not in conditional)
    below += [("allows ", *grant) for grant in _grants(rest)]
    below += [("no longer denies ", *grant) for grant in _grants(each.undenied)]
    below += [("compare by hand: ", Code(shown(text, longest=240))) for text in each.by_hand]
    return Entry(
        (Code(f"{each.owner.kind} {each.owner.label}"), " ", Code(each.place)), tuple(below)
    )


def _grants(grants: Sequence[Grant]) -> Iterator[Text]:
    """One line per resource, principal and condition, with all its actions."""

    def rest(grant: Grant) -> tuple[str, str, str]:
        return grant.resource, grant.principal, grant.condition

    for (resource, principal, condition), held in groupby(sorted(grants, key=rest), key=rest):
        pieces: list[Piece] = list(listed(sorted({each.action for each in held}), 12))
        if resource != "-":
            pieces += [" on ", Code(shown(resource))]
        if principal != "-":
            pieces += [" for ", Code(shown(said_principal(principal), longest=160))]
        for (operator, key), values in sorted(held_conditions(condition).items()):
            wanted = ", ".join(sorted(values))
            test = Code(f"{operator} {said_key(key)}")
            pieces += [" if ", test, " ", Code(shown(wanted, longest=160))]
        yield tuple(pieces)
