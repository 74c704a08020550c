"""What previews, the doctor and pages say about a release's advisories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from advisories.table import SEVERITIES, Advisories, Advisory

SETTING = "kubeflow:acceptedAdvisories"


def refusals(release: str, table: Advisories) -> dict[str, str]:
    """Identifier of each open critical advisory -> the sentence that refuses a new stack."""
    return {
        each.id: (
            f"release {release} has the open critical advisory {each.label}, {each.what}: "
            f"{each.why} Take {each.way_out}, or add {each.id} to {SETTING} to run it all the same."
        )
        for each in table.still_open("critical")
    }


def notices(
    release: str, table: Advisories, accepted: Collection[str] = (), *, stack: str = ""
) -> list[str]:
    """One sentence per open critical advisory, and one that counts all others; none: nothing."""
    critical, known = table.still_open("critical"), table.ids(accepted)
    sentences = [
        f"{each.label} is open in release {release}, {each.what}: {each.why} {closes(each)}"
        f"{' It is accepted.' if each.id in known else ''}"
        for each in critical
    ]
    others = Counter(each.severity for each in table.still_open() if each.severity != "critical")
    if others:
        counted = ", ".join(f"{others[each]} {each}" for each in SEVERITIES if others[each])
        of_it = f"--stack {stack}" if stack else f"--release {release}"
        sentences.append(
            f"advisories of release {release} open besides: {counted} "
            f"(`./kf advisories {of_it}`, read on {table.read})"
        )
    return sentences


def closes(advisory: Advisory) -> str:
    """A sentence about what closes an open advisory."""
    return f"{advisory.way_out} closes it."
