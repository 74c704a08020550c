"""The sentences of previews, of the doctor and of pages about a release's advisories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from types import MappingProxyType

from advisories.table import NONE, SEVERITIES, Advisories, Advisory

UNKNOWN = "has no advisories.yaml: nobody has looked which holes are open in it"
SETTING = "kubeflow:acceptedAdvisories"


def refusals(
    release: str, table: Advisories, patches: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Identifier of each open critical advisory -> the sentence that refuses a new stack.

    Args:
        release: of the stack.
        table: of the stack.
        patches: identifier -> the setting that closes it, where one does.
    """
    return {
        each.id: (
            f"release {release} has the open critical advisory {each.label}, {each.what}: "
            f"{each.why} Take {_way_out(each, patches)}, or add {each.id} to {SETTING} to run it "
            "all the same."
        )
        for each in table.still_open("critical")
    }


def notices(
    release: str,
    table: Advisories,
    accepted: Collection[str] = (),
    *,
    stack: str,
    patches: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """One sentence per open critical advisory, and one that counts all others; none: nothing.

    Args:
        release: of the stack.
        table: of the stack.
        accepted: any names of those that the settings accept.
        stack: its name.
        patches: identifier -> the setting that closes it, where one does.
    """
    if table is NONE:
        return [f"release {release} {UNKNOWN}"]
    critical, known = table.still_open("critical"), table.ids(accepted)
    sentences = [
        f"{each.label} is open in release {release}, {each.what}: {each.why} "
        f"{closes(each, patches)}{' It is accepted.' if each.id in known else ''}"
        for each in critical
    ]
    others = Counter(each.severity for each in table.still_open() if each.severity != "critical")
    if others:
        counted = ", ".join(f"{others[each]} {each}" for each in SEVERITIES if others[each])
        sentences.append(
            f"advisories of release {release} open besides: {counted} "
            f"(`./kf advisories --stack {stack}`, read on {table.read})"
        )
    return sentences


def closes(advisory: Advisory, patches: Mapping[str, str]) -> str:
    """A sentence about what closes an open advisory."""
    return f"{_way_out(advisory, patches)} closes it."


def _way_out(advisory: Advisory, patches: Mapping[str, str]) -> str:
    """The version, with the setting that chooses it or a later one."""
    setting = patches.get(advisory.id)
    return f"{advisory.way_out}{f' (kubeflow:{setting})' if setting else ''}"
