"""The content of a review in its order: what a reader needs first stands first."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

from review.access import Attachment, Grant, Widening, held_conditions, wider
from review.blocks import (
    Block,
    Code,
    Difference,
    Differences,
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
    listed,
)
from review.changes import ABSENT, Change, changes, is_document
from review.common import OTHER_DIGEST, Common, own_changes
from review.dangers import KINDS, Danger
from review.renamed import same_images, same_objects
from review.resources import Resource
from review.review import Cost, CostChange, Review
from review.settings_changes import short
from review.sides import CRD_RESOURCE, Finding
from review.values import (
    is_generated,
    is_secret_path,
    shown,
    shown_pair,
    visible,
    without_beginning,
    without_secrets,
)

_OPERATIONS = {
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "delete": "deleted",
}
_PATHS_PER_OBJECT = 30
_LINES_PER_VALUE = 400
_MOST_CAUSES = 4
_CENT = 0.01
_MOST_KEYS = 8
"""Keys of one map that are added or removed; more are counted."""
_LONGEST_LINE = 160


def summary(review: Review) -> Text:
    """One line: counts, dangers, verdicts, cost."""
    if review.empty:
        return (Strong(review.stack), ": nothing changes.")
    counts = ", ".join(f"{n:,} {_OPERATIONS[verb]}" for verb, n in review.counts.items())
    pieces: list[Piece] = [Strong(review.stack), f": {counts or 'no resource changes'}"]
    kinds = Counter(each.kind for each in review.dangers)
    if kinds:
        named = ", ".join(f"{KINDS[kind]}: {kinds[kind]}" for kind in KINDS if kinds[kind])
        pieces += [". ", Strong(counted(len(review.dangers), "danger")), f" ({named})"]
    else:
        pieces.append(". No known danger")
    widened = wider(review.access)
    if widened:
        pieces += [
            ". ",
            Strong(f"IAM: {counted(len(widened), 'document')} {does(len(widened), 'allow')} more"),
        ]
    pieces.append(f". {_verdicts(review)}")
    if review.cost:
        pieces.append(f". {_cost_in_words(review.cost)}")
    return (*pieces, ".")


def _verdicts(review: Review) -> str:
    new, solved, still = review.findings.new, review.findings.solved, review.findings.still
    open_ = [each for each in (*new, *still) if each.level != "exempt"]
    mandatory = sum(each.level == "mandatory" for each in open_)
    words = [f"{len(new)} new", f"{len(solved)} solved"] if new or solved else []
    words += [f"{mandatory} mandatory"] if mandatory else []
    return f"Policies: {counted(len(open_), 'finding')}" + (
        f" ({', '.join(words)})" if words else ""
    )


def worst(review: Review, most: int = 4) -> Text:
    """The worst dangers by name on one line; empty without any."""
    pieces: list[Piece] = []
    for each in review.dangers[:most]:
        pieces += ["; " if pieces else "", *title(each, most=2)]
    if len(review.dangers) > most:
        pieces.append(f"; and {len(review.dangers) - most} more")
    return tuple(pieces)


def sections(review: Review) -> list[Section]:
    """Every section that has content, dangers first."""
    made = (
        _settings(review),
        _access(review),
        _resources(review),
        _objects(review),
        _images(review),
        _findings(review),
        _cost(review),
    )
    return [each for each in made if each is not None]


# -- dangers --------------------------------------------------------------------------------------


def title(danger: Danger, most: int = 6) -> Text:
    """What happens to what: ``EKS cluster replaced: kubeflow``."""
    event = "" if danger.event == "changed" else f" {danger.event}"
    return Strong(f"{danger.what}{event}"), ": ", *listed(danger.names, most)


def danger_section(review: Review) -> Section | None:
    """Dangers, worst first; those with one cause that follow each other stand below it."""
    if not review.dangers:
        return None
    blocks: list[Block] = []
    number = 1
    for cause, members in groupby(review.dangers, key=lambda each: cause_of(each, review)):
        items = tuple(map(_entry, members))
        blocks += [Paragraph(cause), Entries(items, "dangers", start=number)]
        number += len(items)
    return Section("Dangers", tuple(blocks), weight=6, stack=review.stack)


def _entry(danger: Danger) -> Entry:
    pieces: list[Piece] = [*title(danger), f" ({KINDS[danger.kind]}). ", *sentence(danger.happens)]
    if danger.taken:
        pieces.append(f" {taken(danger)}")
    below: list[Text] = [
        (Code(each.path), ": ", *arrow(each)) for each in danger.values[:_PATHS_PER_OBJECT]
    ]
    if danger.lost:
        below.append((Strong("Lost:"), " ", *sentence(danger.lost)))
    below.append((Strong("Way out:"), " ", *sentence(danger.avoid)))
    if danger.unlock:
        below.append((Strong("Protected:"), *refused(danger)))
    return Entry(tuple(pieces), tuple(below))


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


def arrow(change: Change, longest: int = 96) -> Text:
    """``old`` -> ``new``, or what was added or removed."""
    if change.old is ABSENT:
        return "added ", Code(shown(change.new, change.path, longest))
    if change.new is ABSENT:
        return Code(shown(change.old, change.path, longest)), " removed"
    if isinstance(change.old, list) and isinstance(change.new, list):
        return _of_lists(change, longest)
    old, new = shown_pair(change.old, change.new, change.path, longest)
    if old == new:
        return ("another value (", Code(new), ")")
    return Code(old), " → ", Code(new)


def _of_lists(change: Change, longest: int) -> Text:
    lost, won = items_apart(change)
    pieces: list[Piece] = []
    for items, verb in ((won, "added"), (lost, "removed")):
        if items:
            pieces += ["; " if pieces else "", f"{verb} "]
            pieces += listed([shown(item, change.path, longest) for item in items], 8)
    return tuple(pieces) or ("another order",)


def items_apart(change: Change) -> tuple[list[Any], list[Any]]:
    """The items of the old list that the new one lacks, and the other way round."""
    return (
        [item for item in change.old if item not in change.new],
        [item for item in change.new if item not in change.old],
    )


# -- settings -------------------------------------------------------------------------------------


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


# -- rights ---------------------------------------------------------------------------------------


def _access(review: Review) -> Section | None:
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
    below += [("allows ", *grant) for grant in _grants(each.allowed)]
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
            pieces += [" for ", Code(shown(principal, longest=160))]
        for (operator, key), values in sorted(held_conditions(condition).items()):
            tail = key.rpartition("/")[2] if "/id/" in key else key
            wanted = ", ".join(sorted(values))
            pieces += [" if ", Code(f"{operator} {tail}"), " ", Code(shown(wanted, longest=160))]
        yield tuple(pieces)


# -- AWS ------------------------------------------------------------------------------------------


def _resources(review: Review) -> Section | None:
    if not review.aws:
        return None
    blocks: list[Block] = [*_commons(review.common_aws, review.aws, "resource")]
    listed_ones = [
        (each, own)
        for each in review.aws
        if (own := own_changes(each, review.common_aws))
        or each.operation != "update"
        or not each.changes
    ]
    for component, held in groupby(listed_ones, key=lambda pair: pair[0].component):
        items = tuple(_resource(*pair) for pair in held)
        blocks.append(Paragraph((Strong(component),)))
        blocks.append(Entries(items, f"resources of {component}"))
    return Section("AWS resources", tuple(blocks), 2, review.stack)


def _resource(resource: Resource, own: Sequence[Change]) -> Entry:
    head: list[Piece] = [
        _OPERATIONS[resource.operation],
        " ",
        Code(resource.kind),
        " ",
        Code(resource.label),
    ]
    if resource.physical != resource.label and resource.operation != "create":
        head += [" (", Code(shown(resource.physical)), ")"]
    if resource.operation == "replace" and resource.replacing:
        head += [" because of ", *listed(resource.replacing, 4)]
    if resource.operation in ("create", "delete"):
        return Entry(tuple(head))
    if resource.type == CRD_RESOURCE:
        return Entry(tuple(head), (("CRDs by name: see Kubernetes objects",),))
    lines = _lines(own)
    if resource.operation == "update" and not resource.changes:
        lines = [("a secret or the content of a file",)]
    return Entry(tuple(head), tuple(lines[:_PATHS_PER_OBJECT]))


def _lines(own: Sequence[Change]) -> list[Text]:
    """A line per change; documents are compared elsewhere, and many new keys of one map counted."""
    lines: list[Text] = []
    for path, held in _by_parent(own):
        if path:
            won = sum(each.old is ABSENT for each in held)
            lost = len(held) - won
            numbers = [f"{n} {verb}" for n, verb in ((won, "added"), (lost, "removed")) if n]
            lines.append((Code(path), ": ", ", ".join(numbers)))
            continue
        for change in held:
            if is_document(change.old) or is_document(change.new):
                lines.append((Code(change.path), ": see Access (IAM)"))
            else:
                lines.append((Code(change.path), ": ", *arrow(change)))
    return lines


def _by_parent(own: Sequence[Change]) -> list[tuple[str, list[Change]]]:
    """Changes in order; those that add or remove many keys of one map together, with its path."""
    parents = Counter(_parent(each) for each in own)
    groups: dict[str, list[Change]] = {}
    for each in own:
        parent = _parent(each)
        many = parent and parents[parent] > _MOST_KEYS
        groups.setdefault(parent if many else f"\0{each.path}", []).append(each)
    return [("" if key.startswith("\0") else key, held) for key, held in groups.items()]


def _parent(change: Change) -> str:
    """The path of the map or the list to which a change adds an item, or takes one away."""
    if ABSENT not in (change.old, change.new):
        return ""
    cut = change.path.rfind("[") if change.path.endswith("]") else change.path.rfind(".")
    return change.path[: max(cut, 0)]


def _commons(shared: Sequence[Common], resources: Sequence[Resource], what: str) -> Iterator[Block]:
    if not shared:
        return
    items: list[Entry] = []
    for each in shared:
        kinds = sorted(each.kinds.items(), key=lambda pair: (-pair[1], pair[0]))
        rest = f" and {counted(len(kinds) - 4, 'more kind')}" if len(kinds) > 4 else ""
        named = ", ".join(f"{number} {kind}" for kind, number in kinds[:4])
        values: Text = arrow(each.sample)
        if each.inside:
            values = (Code(each.old), " → ", Code(each.new))
        elif each.new == OTHER_DIGEST:
            values = (OTHER_DIGEST,)
        where = listed(each.paths, 3)
        items.append(
            Entry(
                (f"{counted(len(each.urns), what)}: ", *where, ": ", *values, f" ({named}{rest})")
            )
        )
    yield Paragraph((f"Alike on many of {counted(len(resources), what)}, listed once:",))
    yield Entries(tuple(items), "changes that many have")


# -- Kubernetes -----------------------------------------------------------------------------------


def _objects(review: Review) -> Section | None:
    crds = review.crds
    if not review.kubernetes and not (crds.added or crds.changed or crds.removed):
        return None
    blocks: list[Block] = []
    restarting = sorted(each.label for each in review.kubernetes if _restarts(each))
    if restarting:
        blocks.append(
            Paragraph(
                (
                    f"{counted(len(restarting), 'workload')} {does(len(restarting), 'restart')}: ",
                    *listed(restarting, 20),
                    ".",
                )
            )
        )
    moved = [
        each
        for each in review.kubernetes
        if each.operation == "replace" and "provider" in each.replacing
    ]
    if moved:
        blocks.append(
            Paragraph(
                (
                    f"{counted(len(moved), 'object')} made anew in the other cluster; ",
                    "below are those that differ besides.",
                )
            )
        )
    blocks += _commons(review.common_kubernetes, review.kubernetes, "object")
    for names, what in (
        (crds.removed, "removed"),
        (crds.changed, "changed"),
        (crds.added, "added"),
    ):
        if names:
            blocks.append(
                Paragraph((f"{counted(len(names), 'CRD')} {what}: ", *listed(names, 100), "."))
            )
    own = {each.urn: own_changes(each, review.common_kubernetes) for each in review.kubernetes}
    items = tuple(
        _difference(each, own[each.urn]) for each in review.kubernetes if _is_shown(each, own)
    )
    pairs = same_objects(review.kubernetes)
    items += tuple(
        Difference(
            f"{old.kind} {visible(old.label)} -> {visible(new.label)}",
            tuple(_cut(line) for each in _in_content(old, new) for line in _of_change(each)),
        )
        for old, new in pairs
    )
    if items:
        blocks.append(Differences(items, "objects"))
    renamed = {each.urn for pair in pairs for each in pair}
    for operation in ("delete", "create"):
        held = [
            each
            for each in review.kubernetes
            if each.operation == operation and each.urn not in renamed
        ]
        kinds = groupby(sorted(held, key=_kind_and_label), key=lambda each: each.kind)
        entries = tuple(
            Entry((f"{_OPERATIONS[operation]} ", Code(kind), ": ", *listed(names, 60)))
            for kind, members in kinds
            if (names := [each.label for each in members])
        )
        if entries:
            blocks.append(Entries(entries, f"kinds of {_OPERATIONS[operation]} objects"))
    return Section("Kubernetes objects", tuple(blocks), 2, review.stack)


def _in_content(old: Resource, new: Resource) -> list[Change]:
    """What differs between two objects beside their names."""
    found = changes(old.inputs, new.inputs)
    return [each for each in found if each.path != "metadata.name"]


def _kind_and_label(resource: Resource) -> tuple[str, str]:
    return resource.kind, resource.label


def _restarts(resource: Resource) -> bool:
    """Whether the pods of a workload that stays are replaced."""
    kinds = ("Deployment", "StatefulSet", "DaemonSet")
    return (
        resource.kind in kinds
        and resource.operation == "update"
        and any(each.path.startswith("spec.template") for each in resource.changes)
    )


def _is_shown(resource: Resource, own: Mapping[str, Sequence[Change]]) -> bool:
    """Whether an object that stays, or is replaced, differs by more than many others do."""
    if resource.operation in ("create", "delete"):
        return False
    unseen = not resource.changes and "provider" not in resource.replacing
    return bool(own[resource.urn]) or unseen


def _difference(resource: Resource, own: Sequence[Change]) -> Difference:
    verb = "" if resource.operation == "update" else f" ({_OPERATIONS[resource.operation]})"
    name = f"{resource.kind} {visible(resource.label)}{verb}"
    lines: list[str] = []
    for path, held in _by_parent(own):
        if path:
            won = [each for each in held if each.old is ABSENT]
            counts = (f"{len(won)} added", f"{len(held) - len(won)} removed")
            lines.append(f"  {path}: {', '.join(counts)}")
        else:
            lines += [line for each in held for line in _of_change(each)]
    if not lines:
        lines = ["  a secret, or what the engine alone sees"]
    return Difference(name, tuple(map(_cut, lines)))


def _of_change(change: Change) -> list[str]:
    values = change.old, change.new
    head = f"  {visible(change.path)}"
    several = any(isinstance(value, str) and "\n" in value.strip() for value in values)
    if several and not is_secret_path(change.path) and not any(map(is_generated, values)):
        before, after = (
            without_secrets(value).splitlines() if isinstance(value, str) else []
            for value in values
        )
        found = list(difflib.unified_diff(before, after, n=1, lineterm=""))[2:]
        lines = _aligned([line for line in found if not line.startswith("@@")])
        return [head, *lines[:_LINES_PER_VALUE]]
    if isinstance(change.old, list) and isinstance(change.new, list):
        lost, won = items_apart(change)
        lines = [f"- {shown(item, change.path, _LONGEST_LINE)}" for item in lost]
        lines += [f"+ {shown(item, change.path, _LONGEST_LINE)}" for item in won]
        return [head, *lines] if lines else [f"{head}: another order"]
    old, new = shown_pair(*values, change.path, _LONGEST_LINE)
    if old == new:
        return [f"{head}: another value ({new})"]
    lines = [f"- {old}"] if change.old is not ABSENT else []
    lines += [f"+ {new}"] if change.new is not ABSENT else []
    return [head, *lines]


def _aligned(found: Sequence[str]) -> list[str]:
    """Lines of a difference; of a long line and its successor only what follows their beginning."""
    lines = [f"{line[:1]} {visible(line[1:])}" for line in found]
    for place, (old, new) in enumerate(pairwise(lines)):
        if old[0] == "-" and new[0] == "+" and max(len(old), len(new)) > _LONGEST_LINE:
            pair = without_beginning(old[2:], new[2:])
            lines[place : place + 2] = [f"- {pair[0]}", f"+ {pair[1]}"]
    return lines


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 4]} ..."


# -- images, findings, cost -----------------------------------------------------------------------


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
                    f"{counted(len(images.moved), 'image')} {does(len(images.moved), 'come')} from another place: ",
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
    if not (findings.new or findings.solved or findings.still):
        return None
    blocks: list[Block] = []
    for held, what in ((findings.new, "new"), (findings.solved, "solved")):
        if held:
            blocks.append(Paragraph((f"{counted(len(held), 'finding')} {what}:",)))
            blocks.append(Entries(tuple(map(_finding, held)), f"{what} findings"))
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


def money(amount: float, currency: str) -> str:
    """``1,234 USD``, and cents below ten."""
    return f"{amount:,.2f} {currency}" if abs(amount) < 10 else f"{amount:,.0f} {currency}"


def _cost_in_words(cost: CostChange) -> str:
    before, after = cost.before, cost.after
    difference = after.monthly - before.monthly
    floor = f"Cost {money(after.monthly, after.currency)} a month at least"
    notes: list[str] = []
    if before.currency == after.currency and abs(difference) >= _CENT:
        sign = "+" if difference > 0 else "-"
        notes.append(f"{sign}{money(abs(difference), after.currency)}")
    if after.unknown:
        notes.append(f"{counted(len(after.unknown), 'price')} unknown")
    return f"{floor} ({', '.join(notes)})" if notes else floor


def _cost(review: Review) -> Section | None:
    if review.cost is None:
        return None
    both = review.cost.before, review.cost.after
    rows = [
        _amounts("per month, at least", *((each.monthly, each.currency) for each in both)),
        *(
            _amounts(
                f"per month, at least, in {currency}",
                *((each.elsewhere.get(currency, 0.0), currency) for each in both),
            )
            for currency in sorted({*both[0].elsewhere, *both[1].elsewhere})
            if any(each.elsewhere.get(currency) for each in both)
        ),
        _amounts("busiest hour", *((each.hour_busiest, each.currency) for each in both)),
        *_pools(*both),
    ]
    changed = [row for row in _lines_of_cost(*both) if row[1] != row[2]]
    head = ("", "before", "after")
    blocks: list[Block] = [Table(head, (*rows, *changed), "lines of the cost")]
    unknown = tuple(dict.fromkeys(both[1].unknown))
    if unknown:
        items = tuple(Entry((Code(shown(text, longest=300)),)) for text in unknown)
        summary_line = f"{counted(len(unknown), 'price')} unknown, not in these amounts"
        blocks.append(Folded((summary_line,), (Entries(items, "prices"),)))
    return Section("Cost", tuple(blocks), 2, review.stack)


_Amount = tuple[float | None, str]


def _amounts(label: str, before: _Amount | None, after: _Amount | None) -> tuple[Text, ...]:
    cells = ("-" if each is None else _money_of(*each) for each in (before, after))
    return ((label,), *((cell,) for cell in cells))


def _money_of(amount: float | None, currency: str) -> str:
    return "unknown" if amount is None else money(amount, currency)


def _pools(before: Cost, after: Cost) -> Iterator[tuple[Text, ...]]:
    sides = [
        {pool.name: (pool.most.hour if pool.most else None, pool.currency) for pool in cost.pools}
        for cost in (before, after)
    ]
    for name in sorted({*sides[0], *sides[1]}):
        label = f"pool {visible(name)} when full, at most, an hour"
        yield _amounts(label, sides[0].get(name), sides[1].get(name))


def _lines_of_cost(before: Cost, after: Cost) -> Iterator[tuple[Text, ...]]:
    sides = [
        {line.label: (line.monthly, cost.currency) for line in cost.lines}
        for cost in (before, after)
    ]
    for label in dict.fromkeys((*sides[1], *sides[0])):
        yield _amounts(label, sides[0].get(label), sides[1].get(label))
