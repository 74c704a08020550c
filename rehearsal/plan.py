"""The plan files of a stack, for people and for other tools.

``plan.json`` has every resource, ``kubernetes.yaml`` every Kubernetes object in the order it would
be applied, ``images.txt`` every image and where it is pulled from, ``architecture.md`` a diagram
drawn from the plan. The same plan gives the same bytes. Secrets are ``[secret]`` in all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rehearsal.architecture import diagram
from rehearsal.recording import Planned
from rendering.cache import errors_of
from rendering.graphs import in_order

CRD_RESOURCE = "pulumi-python:dynamic:CustomResourceDefinitions"
"""The one resource that holds all CRDs of a release; its input ``bundle`` names their bodies."""

PROJECT = Path(__file__).resolve().parent.parent

Bodies = Callable[[str], Sequence[Mapping[str, Any]]]


def write(
    folder: Path,
    resources: Sequence[Planned],
    images: Mapping[str, str],
    crds_of: Bodies,
) -> list[Path]:
    """Writes the plan files into ``folder``, each in one step, and returns their paths.

    Args:
        folder: is made when it is missing.
        resources: as recorded by a run of the engine.
        images: every image the platform pulls, and where it is pulled from.
        crds_of: the CRDs behind the ``bundle`` input of a CRD resource.

    Raises:
        OSError: with the path of a plan file as its file name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ordered = in_dependency_order(resources)
    files = {
        "plan.json": plan_json(resources),
        "kubernetes.yaml": kubernetes_yaml(ordered, crds_of),
        "images.txt": "".join(sorted(f"{name} -> {target}\n" for name, target in images.items())),
        "architecture.md": diagram(resources),
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


def plan_json(resources: Sequence[Planned]) -> str:
    """The resources as JSON, by URN; files of the project by their path inside it."""
    rows = [
        {
            "urn": planned.urn,
            "type": planned.type,
            "name": planned.name,
            "parent": planned.parent,
            "provider": planned.provider.rsplit("::", 1)[0],
            "dependencies": list(planned.dependencies),
            "inputs": planned.inputs,
        }
        for planned in sorted(resources, key=lambda planned: planned.urn)
    ]
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


def kubernetes_yaml(ordered: Sequence[Planned], crds_of: Bodies) -> str:
    """Every Kubernetes object as a YAML stream, in order; CRDs where their resource is."""
    documents: list[str] = []
    for planned in ordered:
        if planned.type == CRD_RESOURCE:
            documents += [_document(crd) for crd in crds_of(planned.inputs["bundle"])]
        elif (obj := kubernetes_object(planned)) is not None:
            documents.append(_document(obj))
    return "".join(documents)


# libyaml's emitter is about ten times as fast; PyYAML has it wherever wheels are.
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def _document(body: Mapping[str, Any]) -> str:
    text: str = yaml.dump(
        dict(body), Dumper=_DUMPER, sort_keys=True, allow_unicode=True, width=2**20
    )
    return f"---\n{text}"
