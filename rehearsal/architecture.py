"""An architecture diagram drawn from a plan: components, their resources, their dependencies."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from rehearsal.recording import Planned

COMPONENT = "kubeflow:platform:"
"""Type prefix of the platform's own components."""

_LABELS = {"aws": "AWS", "kubernetes": "Kubernetes", "pulumi-python": "own", "eks": "EKS"}


def component_of(urn: str) -> str:
    """The class name of the outermost platform component around a resource, else ``""``.

    A URN's third part is the chain of the types of all parents, outermost first.
    """
    for part in urn.split("::")[2].split("$"):
        if part.startswith(COMPONENT):
            return part.removeprefix(COMPONENT)
    return ""


def regions_of(resources: Sequence[Planned]) -> dict[str, str]:
    """URN of an AWS provider -> its region."""
    return {
        planned.urn: str(planned.inputs.get("region", ""))
        for planned in resources
        if planned.type == "pulumi:providers:aws"
    }


def counts(resources: Sequence[Planned]) -> dict[str, Counter[str]]:
    """Component -> kind of resource (``AWS``, ``Kubernetes`` ...) -> count.

    Components and providers are not counted. When the plan has AWS providers in several regions,
    each region has a count of its own (``AWS ap-southeast-1``).
    """
    regions = regions_of(resources)
    apart = len(set(regions.values())) > 1
    table: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for planned in resources:
        if not planned.custom or planned.type.startswith("pulumi:providers:"):
            continue
        package = planned.type.split(":", 1)[0]
        label = _LABELS.get(package, package)
        region = regions.get(planned.provider.rsplit("::", 1)[0])
        if apart and region:
            label = f"{label} {region}"
        table[component_of(planned.urn)][label] += 1
    return dict(sorted(table.items()))


def edges(resources: Sequence[Planned]) -> Counter[tuple[str, str]]:
    """(component, component it needs) to the number of dependencies between their resources."""
    urns = {planned.urn for planned in resources}
    pairs = (
        (component_of(planned.urn), component_of(urn))
        for planned in resources
        for urn in urns.intersection(planned.dependencies)
    )
    return Counter((one, other) for one, other in pairs if one and other and one != other)


def diagram(resources: Sequence[Planned]) -> str:
    """Markdown with a Mermaid flowchart: a box per component, an arrow to what it needs."""
    table = counts(resources)
    lines = ["```mermaid", "flowchart TB"]
    for component, kinds in table.items():
        listed = " · ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        label = component or "stack"
        lines.append(f'  {_node(label)}["<b>{label}</b><br/>{listed}"]')
    for (one, other), number in sorted(edges(resources).items()):
        lines.append(f"  {_node(one)} -->|{number}| {_node(other)}")
    total = sum(sum(kinds.values()) for kinds in table.values())
    caption = (
        f"{total} resources; an arrow points to what a component needs, "
        "its number says how many dependencies there are."
    )
    return "\n".join([*lines, "```", "", caption, ""])


def _node(label: str) -> str:
    return re.sub(r"\W", "_", label)
