"""Dangers as a reader meets them: what, why, what is lost, and the way out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

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
    Text,
    counted,
    listed,
)
from review.danger import Danger
from review.danger_rules import KINDS
from review.review import Review
from review.settings_changes import short
from review.wording import PATHS_PER_OBJECT, arrow

_MOST_CAUSES = 4


def title(danger: Danger, most: int = 6) -> Text:
    """What happens to what: ``EKS cluster replaced: kubeflow``."""
    event = "" if danger.event == "changed" else f" {danger.event}"
    return Strong(f"{danger.what}{event}"), ": ", *listed(danger.names, most)


def danger_section(review: Review) -> Section | None:
    """Dangers, worst first; those with one cause that follow each other stand below it.

    What comes with a release is folded behind one line after all others.
    """
    if not review.dangers:
        return None
    blocks: list[Block] = []
    number = 1
    for cause, members in by_cause(review.decisions, review):
        items = tuple(map(_entry, members))
        blocks += [Paragraph(cause), Entries(items, "dangers", start=number)]
        number += len(items)
    if review.with_release:
        items = tuple(map(_entry, review.with_release))
        entries = Entries(items, "dangers that come with the release", start=number)
        blocks += [
            Paragraph(with_release(review)),
            Folded((f"{counted(len(items), 'danger')} with values and reasons",), (entries,)),
        ]
    return Section("Dangers", tuple(blocks), weight=6, stack=review.stack)


def with_release(review: Review) -> Text:
    """What all dangers that come with a release have alike; its way out is that of each."""
    held = review.with_release
    kinds = Counter(each.kind for each in held)
    named = ", ".join(f"{KINDS[kind]}: {kinds[kind]}" for kind in KINDS if kinds[kind])
    release = held[0].release
    alike = (
        f", {counted(len(held), 'danger')} ({named}): they come with its own objects, and no "
        "setting changes them. Where this project's files have the reason, it is beside them; the "
        "rest is as upstream ships it, or follows from that. "
    )
    return (
        Strong(f"Of the release {release}"),
        alike,
        Strong("Way out:"),
        " read them once, or leave ",
        Code("release"),
        " as it was. The page of the release: ",
        Code(f"docs/releases/{release}.md"),
        ".",
    )


def _entry(danger: Danger) -> Entry:
    pieces: list[Piece] = [*title(danger), f" ({KINDS[danger.kind]}). ", *sentence(danger.happens)]
    if danger.taken:
        pieces.append(f" {taken(danger)}")
    below: list[Text] = [
        (Code(each.path), ": ", *arrow(each, 200)) for each in danger.values[:PATHS_PER_OBJECT]
    ]
    below += [(Strong("Before:"), " ", *sentence(each)) for each in danger.before]
    below += [(Strong("Reason:"), " ", *reason(danger, why)) for why in danger.reasons]
    if danger.lost:
        below.append((Strong("Lost:"), " ", *sentence(danger.lost)))
    if danger.doable or not danger.comes_with_release:
        below.append((Strong("Way out:"), " ", *sentence(danger.avoid)))
    if danger.unlock:
        below.append((Strong("Protected:"), *refused(danger)))
    return Entry(tuple(pieces), tuple(below))


def reason(danger: Danger, why: str) -> Text:
    """A reason, and what it is the reason for where that is not everything."""
    names = danger.reasons[why]
    if len(names) == len(danger.names):
        return sentence(why)
    return (*listed(names, len(names)), ": ", *sentence(why))


def taken(danger: Danger) -> str:
    """How many other things go the same way."""
    parts = " and ".join(
        counted(number, kind.removesuffix("s"), kind) for kind, number in danger.taken.items()
    )
    return f"The same happens to {parts} that cannot be without it."


def refused(danger: Danger) -> Text:
    """The engine's refusal, and what lifts it."""
    return (" the engine refuses the run until ", *sentence(danger.unlock), ".")


def sentence(text: str) -> Text:
    """A sentence of the rules, with its parts between backticks as code."""
    return tuple(
        Code(part) if index % 2 else part for index, part in enumerate(text.split("`")) if part
    )


def by_cause(dangers: Sequence[Danger], review: Review) -> Iterator[tuple[Text, list[Danger]]]:
    """The dangers that follow each other with one cause, below it."""

    def key(danger: Danger) -> Text:
        # Files stand in the order of what is nearest to the resource.
        files = tuple(sorted(danger.cause.files))
        return cause_of(replace(danger, cause=replace(danger.cause, files=files)), review)

    for _, members in groupby(dangers, key=key):
        held = list(members)
        yield cause_of(held[0], review), held


def cause_of(danger: Danger, review: Review) -> Text:
    """What leads to a danger: settings where values prove it, or else candidates."""
    cause = danger.cause
    settings: list[Piece] = []
    if len(cause.settings) > _MOST_CAUSES:
        settings = [f"{len(cause.settings)}, see Settings"]
    else:
        for each in cause.settings:
            settings += [", " if settings else "", Code(short(each.path)), ": ", *arrow(each)]
    files = listed(cause.files, len(cause.files))
    if settings and cause.certain:
        what = "setting" if len(cause.settings) == 1 else "settings"
        return (Strong(f"Because of the {what}"), " ", *settings)
    if settings and files:
        found: Text = (" the changed settings (", *settings, ") or files (", *files, ")")
    elif settings:
        several = len(cause.settings) > 1
        found = (" one of the changed settings: " if several else " the setting ", *settings)
    elif files:
        found = (" a changed file: ", *files)
    elif review.from_state:
        return (Strong("Cause:"), " settings or files that changed since the last run")
    else:
        return (Strong("Cause:"), " neither a setting nor a file that was compared")
    return (Strong("Most likely because of"), *found)
