"""The plan files of a stack, for people and for other tools.

``plan.json`` has every resource, ``kubernetes.yaml`` every Kubernetes object in the order it would
be applied, ``images.txt`` every image and where it is pulled from, ``architecture.md`` a diagram
drawn from the plan, ``findings.json`` what the policies object to. The same plan gives the same
bytes. Secrets are ``[secret]`` in all of them.

A row of ``plan.json``, by URN:

- ``urn``, ``type``, ``name``, ``parent`` (empty: the stack), ``provider``, ``dependencies``;
- ``inputs``: what the program gives; files and archives by the digest of their content;
- ``operation``: ``create``, ``update``, ``replace``, ``delete`` or ``same``, what the engine would
  do, or did. A first preview has ``create`` alone. A row with ``delete`` is no resource of the
  program any more, and its ``inputs`` are empty;
- ``protect``: the engine refuses to delete or replace it; ``retain``: a deletion leaves the real
  thing where it is;
- of ``update``, ``replace`` and ``delete`` alone ``before``, the old inputs without what the
  provider adds to them, and ``replacing``, the property paths that force the replacement.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rehearsal.architecture import diagram
from rehearsal.findings import Finding, findings_json
from rehearsal.recording import Planned
from rehearsal.steps import Step, deleted_row, row
from rendering.cache import errors_of
from rendering.graphs import in_order
from rendering.kubernetes_yaml import document

CRD_RESOURCE = "pulumi-python:dynamic:CustomResourceDefinitions"
"""The one resource that holds all CRDs of a release; its input ``bundle`` names their bodies."""

PROJECT = Path(__file__).resolve().parent.parent

Documents = Callable[[str], str]


def write(
    folder: Path,
    resources: Sequence[Planned],
    images: Mapping[str, str],
    crds_of: Documents,
    *,
    steps: Mapping[str, Step] | None = None,
    findings: Sequence[Finding] = (),
) -> list[Path]:
    """Writes the plan files into ``folder``, each in one step, and returns their paths.

    Args:
        folder: is made when it is missing.
        resources: as recorded by a run of the engine.
        images: every image the platform pulls, and where it is pulled from.
        crds_of: the documents of the CRDs behind the ``bundle`` input of a CRD resource.
        steps: by URN what the engine does; None: it creates everything.
        findings: of the policies.

    Raises:
        OSError: with the path of a plan file as its file name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ordered = in_dependency_order(resources)
    files = {
        "plan.json": plan_json(resources, steps or {}),
        "kubernetes.yaml": kubernetes_yaml(ordered, crds_of),
        "images.txt": "".join(sorted(f"{name} -> {target}\n" for name, target in images.items())),
        "architecture.md": diagram(resources),
        "findings.json": findings_json(findings),
    }
    for name, text in files.items():
        unfinished = folder / f".{name}.unfinished"
        with errors_of(folder / name):
            try:
                unfinished.write_text(text, "utf-8")
                unfinished.replace(folder / name)
            finally:
                unfinished.unlink(missing_ok=True)
    return [folder / name for name in files]


def rows_of(resources: Sequence[Planned], steps: Mapping[str, Step]) -> list[dict[str, Any]]:
    """The rows of ``plan.json``, by URN, see above."""
    rows = {planned.urn: row(planned, steps.get(planned.urn)) for planned in resources}
    for urn, step in steps.items():
        if urn not in rows and step.operation == "delete":
            rows[urn] = deleted_row(urn, step)
    return [rows[urn] for urn in sorted(rows)]


def plan_json(resources: Sequence[Planned], steps: Mapping[str, Step]) -> str:
    """The resources as JSON, by URN; files of the project by their path inside it."""
    rows = rows_of(resources, steps)
    text = json.dumps(rows, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    # Of two clones the same plan has the same bytes.
    return text.replace(f'"{PROJECT}/', '"')


def in_dependency_order(resources: Sequence[Planned]) -> list[Planned]:
    """Each resource after those it depends on; by URN where the order is free."""
    by_urn = {planned.urn: planned for planned in resources}
    needs = {
        urn: {need for need in (*planned.dependencies, planned.parent) if need in by_urn}
        for urn, planned in by_urn.items()
    }
    return [by_urn[urn] for urn in in_order(needs, str)]


def kubernetes_object(planned: Planned) -> Mapping[str, Any] | None:
    """The Kubernetes object a resource is; None for AWS, Helm releases and CRD bundles."""
    inputs = planned.inputs
    return inputs if planned.type.startswith("kubernetes:") and "apiVersion" in inputs else None


def kubernetes_yaml(ordered: Sequence[Planned], crds_of: Documents) -> str:
    """Every Kubernetes object as a YAML stream, in order; CRDs where their resource is."""
    documents: list[str] = []
    for planned in ordered:
        if planned.type == CRD_RESOURCE:
            documents.append(crds_of(planned.inputs["bundle"]))
        elif (obj := kubernetes_object(planned)) is not None:
            documents.append(document(obj))
    return "".join(documents)
