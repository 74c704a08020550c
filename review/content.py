"""The content of a review in its order: what a reader needs first stands first."""

from __future__ import annotations

from collections import Counter

from review.access import wider
from review.access_section import access_section
from review.blocks import (
    Block,
    Code,
    Entries,
    Entry,
    Folded,
    Paragraph,
    Piece,
    Section,
    Strong,
    Table,
    Text,
    counted,
    does,
)
from review.change_sections import object_section, resource_section
from review.changes import ABSENT
from review.cost_section import cost_in_words, cost_section
from review.danger_rules import KINDS
from review.danger_section import title
from review.findings import SILENCED_BY
from review.renamed import same_images
from review.review import Review
from review.settings_changes import short
from review.sides import Finding
from review.values import shown
from review.wording import OPERATIONS


def summary(review: Review) -> Text:
    """One line: counts, dangers, verdicts, cost."""
    if review.empty:
        return (Strong(review.stack), ": nothing changes.")
    counts = ", ".join(f"{n:,} {OPERATIONS[verb]}" for verb, n in review.counts.items())
    pieces: list[Piece] = [Strong(review.stack), f": {counts or 'no resource changes'}"]
    if review.emptied:
        pieces.append(f"; with the cluster: {counted(review.emptied, 'object')}")
    kinds = Counter(each.kind for each in review.decisions)
    if kinds:
        named = ", ".join(f"{KINDS[kind]}: {kinds[kind]}" for kind in KINDS if kinds[kind])
        pieces += [". ", Strong(counted(len(review.decisions), "danger")), f" ({named})"]
    if review.with_release:
        held = review.with_release
        pieces.append(f"{',' if kinds else '.'} {len(held)} of the release {held[0].release}")
    elif not kinds:
        pieces.append(". No known danger")
    widened = wider(review.access)
    attached = [each for each in review.access.attachments if each.new and not each.created]
    more = (
        f"{counted(len(widened), 'document')} {does(len(widened), 'allow')} more"
        if widened
        else "",
        f"{counted(len(attached), 'policy', 'policies')} attached" if attached else "",
    )
    if any(more):
        pieces += [". ", Strong(f"IAM: {', '.join(filter(None, more))}")]
    pieces.append(f". {_verdicts(review)}")
    if review.cost:
        pieces.append(f". {cost_in_words(review.cost)}")
    return (*pieces, ".")


def _verdicts(review: Review) -> str:
    findings = review.findings
    open_ = [each for each in (*findings.new, *findings.still) if each.level != "exempt"]
    new = sum(each.level != "exempt" for each in findings.new)
    numbers = {
        "new": new,
        "new exempt": len(findings.new) - new,
        "silenced": len(findings.silenced),
        "solved": len(findings.solved),
        "mandatory": sum(each.level == "mandatory" for each in open_),
    }
    words = ", ".join(f"{number} {what}" for what, number in numbers.items() if number)
    return f"Policies: {counted(len(open_), 'finding')}" + (f" ({words})" if words else "")


def worst(review: Review, most: int = 4) -> Text:
    """The worst dangers by name on one line; empty without any."""
    pieces: list[Piece] = []
    dangers = review.decisions or review.with_release
    for each in dangers[:most]:
        pieces += ["; " if pieces else "", *title(each, most=2)]
    if len(dangers) > most:
        pieces.append(f"; and {len(dangers) - most} more")
    return tuple(pieces)


def sections(review: Review) -> list[Section]:
    """Every section that has content, dangers first."""
    made = (
        _settings(review),
        access_section(review),
        resource_section(review),
        object_section(review),
        _images(review),
        _findings(review),
        cost_section(review),
    )
    return [each for each in made if each is not None]


def _settings(review: Review) -> Section | None:
    if not review.settings:
        return None
    rows = tuple(
        (
            (Code(short(each.path)),),
            ("-",) if each.old is ABSENT else (Code(shown(each.old, each.path)),),
            ("-",) if each.new is ABSENT else (Code(shown(each.new, each.path)),),
        )
        for each in review.settings
    )
    return Section(
        "Settings", (Table(("setting", "old", "new"), rows, "settings"),), 3, review.stack
    )


def _images(review: Review) -> Section | None:
    images = review.images
    if not (images.added or images.removed or images.moved):
        return None
    blocks: list[Block] = []
    versions, removed, added = same_images(images.removed, images.added)
    if versions:
        blocks.append(Paragraph((f"{counted(len(versions), 'image')} in another version:",)))
        items = tuple(
            Entry((Code(name), ": ", Code(old), " → ", Code(new))) for name, old, new in versions
        )
        blocks.append(Entries(items, "images in another version"))
    for names, what in ((added, "added"), (removed, "removed")):
        if names:
            blocks.append(Paragraph((f"{counted(len(names), 'image')} {what}:",)))
            items = tuple(Entry((Code(name),)) for name in names)
            blocks.append(Entries(items, f"{what} images"))
    if images.moved:
        name, (old, new) = next(iter(images.moved.items()))
        blocks.append(
            Paragraph(
                (
                    f"{counted(len(images.moved), 'image')} pulled from another place: ",
                    Code(name),
                    " from ",
                    Code(shown(old, longest=200)),
                    " → ",
                    Code(shown(new, longest=200)),
                    ", and the others alike." if len(images.moved) > 1 else ".",
                )
            )
        )
    return Section("Images", tuple(blocks), 1, review.stack)


def _findings(review: Review) -> Section | None:
    findings = review.findings
    if not any((findings.new, findings.silenced, findings.solved, findings.still)):
        return None
    blocks: list[Block] = []
    for held, what in (
        (findings.new, "new"),
        (findings.silenced, f"silenced by {SILENCED_BY}"),
        (findings.solved, "solved"),
    ):
        if held:
            blocks.append(Paragraph((f"{counted(len(held), 'finding')} {what}:",)))
            blocks.append(Entries(tuple(map(_finding, held)), f"findings {what}"))
    if findings.still:
        head = "open" if review.from_state else "as before"
        counts = Counter((each.level, each.severity) for each in findings.still)
        number = ", ".join(
            f"{n} {level} {severity}" for (level, severity), n in sorted(counts.items())
        )
        blocks.append(
            Folded(
                (f"{counted(len(findings.still), 'finding')} {head}: {number}",),
                (Entries(tuple(map(_finding, findings.still)), "findings"),),
                page_only=True,
            )
        )
    return Section("Policies", tuple(blocks), 2, review.stack)


def _finding(finding: Finding) -> Entry:
    name = finding.urn.rpartition("::")[-1]
    pieces: list[Piece] = [
        Strong(f"{finding.level} {finding.severity}"),
        " ",
        Code(finding.policy),
        " ",
    ]
    pieces += [Code(name), ": "] if name else []
    # The sentence is the policy's, and a team's own policy may put values into it.
    pieces.append(Code(shown(finding.message, longest=400)))
    below: tuple[Text, ...] = (
        ((("exempt: "), Code(shown(finding.reason, longest=300))),) if finding.reason else ()
    )
    return Entry(tuple(pieces), below)
