"""AWS resources and Kubernetes objects that change, by name and with both values."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise

from review.blocks import (
    Block,
    Code,
    Difference,
    Differences,
    Entries,
    Entry,
    Paragraph,
    Piece,
    Section,
    Strong,
    Text,
    counted,
    does,
    listed,
)
from review.changes import ABSENT, Change, changes, is_document
from review.common import OTHER_DIGEST, Common, own_changes
from review.renamed import same_objects
from review.resources import Resource
from review.review import Review
from review.sides import CRD_RESOURCE
from review.values import (
    is_generated,
    is_secret_path,
    shown,
    shown_pair,
    visible,
    without_beginning,
    without_secrets,
)
from review.wording import OPERATIONS, PATHS_PER_OBJECT, arrow, items_apart

_LINES_PER_VALUE = 400
_MOST_KEYS = 8
"""Keys of one map that are added or removed; more are counted."""
_LONGEST_LINE = 160
_LONGEST_VALUE = 148
"""With its sign, and length and digest of a longer one, a line is not cut once more."""


def resource_section(review: Review) -> Section | None:
    """AWS resources, and those of the stack's own types; None where none changes."""
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
        OPERATIONS[resource.operation],
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
    return Entry(tuple(head), tuple(lines[:PATHS_PER_OBJECT]))


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


def object_section(review: Review) -> Section | None:
    """Objects in the cluster, and CRDs; None where none changes."""
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
            Entry((f"{OPERATIONS[operation]} ", Code(kind), ": ", *listed(names, 60)))
            for kind, members in kinds
            if (names := [each.label for each in members])
        )
        if entries:
            blocks.append(Entries(entries, f"kinds of {OPERATIONS[operation]} objects"))
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
    verb = "" if resource.operation == "update" else f" ({OPERATIONS[resource.operation]})"
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
        lines = [f"- {shown(item, change.path, _LONGEST_VALUE)}" for item in lost]
        lines += [f"+ {shown(item, change.path, _LONGEST_VALUE)}" for item in won]
        return [head, *lines] if lines else [f"{head}: another order"]
    old, new = shown_pair(*values, change.path, _LONGEST_VALUE)
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
