"""One side of a comparison: what a rehearsal wrote about one version of a stack."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

SECRET = "[secret]"  # noqa: S105 what stands for one
"""Stands for every secret, in plan files and in a review."""

CRD_RESOURCE = "pulumi-python:dynamic:CustomResourceDefinitions"
"""The resource that has a digest of each CRD; ``components/dynamic/crds.py``."""

Row = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class Finding:
    """One verdict of a policy: of what, and how grave; ``reason`` is that of an exemption."""

    policy: str
    severity: str
    level: str
    urn: str
    message: str
    reason: str = ""


@dataclass(frozen=True)
class Side:
    """One version of a stack.

    Args:
        name: of the version, as a reviewer knows it: ``main (1a2b3c4)``.
        rows: ``plan.json``.
        images: source to the place it is pulled from.
        crds: name to a digest of its body.
        findings: verdicts of the policies.
        settings: the ``config`` of the stack file, secure values as ``"[secret]"``. Empty where
            they are not known, as of a side that comes from a state.
    """

    name: str
    rows: tuple[Row, ...]
    images: Mapping[str, str]
    crds: Mapping[str, str]
    findings: tuple[Finding, ...]
    settings: Mapping[str, Any]

    @property
    def from_state(self) -> bool:
        """Whether settings, images and findings of this side are unknown."""
        return not self.settings


def read_side(folder: Path, stack_file: Path, name: str) -> Side:
    """The side of which ``folder`` has the plan files.

    Raises:
        OSError: a file cannot be read; ``findings.json`` may be missing, as of an older version.
        ValueError: a file is not what its name promises.
    """
    rows: list[Row] = json.loads((folder / "plan.json").read_bytes())
    findings = folder / "findings.json"
    return Side(
        name=name,
        rows=tuple(rows),
        images=_images((folder / "images.txt").read_text("utf-8")),
        crds=_crds(row.get("inputs") or {} for row in rows if row["type"] == CRD_RESOURCE),
        findings=tuple(
            sorted(
                Finding(**{key: str(each.get(key, "")) for key in Finding.__dataclass_fields__})
                for each in json.loads(findings.read_bytes() if findings.exists() else b"[]")
            )
        ),
        settings=_settings(stack_file),
    )


def base_of(rows: Sequence[Row], name: str = "state") -> Side:
    """The side before the changes that ``rows`` of a preview name, from their own old inputs.

    Settings, images and findings of it are unknown.
    """
    before = [
        {**row, "inputs": row["before"] if "before" in row else row.get("inputs", {})}
        for row in rows
        if row.get("operation") != "create"
    ]
    crds = _crds(row["inputs"] for row in before if row["type"] == CRD_RESOURCE)
    return Side(name, tuple(before), {}, crds, (), {})


def _images(text: str) -> dict[str, str]:
    pairs = (line.partition(" -> ") for line in text.splitlines() if line)
    return {source: target for source, _, target in pairs}


def _crds(inputs: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    digests = (each.get("digests") or {} for each in inputs)
    return {name: str(digest) for each in digests for name, digest in sorted(each.items())}


def _settings(stack_file: Path) -> dict[str, Any]:
    document: Any = yaml.safe_load(stack_file.read_bytes()) or {}
    config: Any = cast("dict[str, Any]", document).get("config") if document else None
    return {str(key): without_secrets(value) for key, value in sorted((config or {}).items())}


def without_secrets(value: Any) -> Any:
    """The value; ``"[secret]"`` in place of what the CLI encrypted (``secure:``)."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value)
        if set(items) == {"secure"}:
            return SECRET
        return {str(key): without_secrets(item) for key, item in items.items()}
    if isinstance(value, list):
        return [without_secrets(item) for item in cast("list[Any]", value)]
    return value
