"""Reports of scanners: identifiers, images and severities in JSON of OSV, OSV-Scanner and Trivy.

Forms: https://ossf.github.io/osv-schema, google/osv-scanner pkg/models/results.go,
aquasecurity/trivy pkg/types/report.go (one or a list of them; of a cluster:
pkg/k8s/report/report.go).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from images.reference import InvalidReference, Reference, parse

MOST_BYTES = 256 << 20
_WORDS = {"moderate": "medium", "important": "high", "negligible": "low"}


class ReportInvalid(ValueError):
    """A file is no report of a known form; the message is one sentence that names it."""


@dataclass(frozen=True)
class Reported:
    """One advisory of a report.

    Attributes:
        names: all identifiers, the report's own first.
        package: that has it, with its version where the report names it; empty: unknown.
        severity: critical, high, medium, low, or empty.
        image: whose layers were scanned; None: the report names none.
        what: its title.
    """

    names: tuple[str, ...]
    package: str
    severity: str
    image: Reference | None
    what: str


def read(file: Path) -> list[Reported]:
    """The advisories of a report, each once per image and package.

    Raises:
        ReportInvalid: it cannot be read, or has another form.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ReportInvalid(f"{file} has more than {MOST_BYTES >> 20} MiB: split the report.")
        content: object = json.loads(file.read_bytes())
    except OSError as error:
        raise ReportInvalid(f"{file} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError):
        raise ReportInvalid(
            f"{file} is no JSON: write the report by `trivy image --format json` or `osv-scanner "
            "--format json`."
        ) from None
    found = list(dict.fromkeys(_reports(content)))
    if not found and not _is_empty_report(content):
        raise ReportInvalid(
            f"{file} has none of the forms of OSV, OSV-Scanner and Trivy: write the report by "
            "`trivy image --format json` or `osv-scanner --format json`."
        )
    return found


def _is_empty_report(content: object) -> bool:
    """Whether a report has the form of a scanner that found nothing."""
    items = _list(content) or [content]
    return all(
        any(key in _mapping(item) for key in ("ArtifactName", "SchemaVersion", "results"))
        for item in items
    )


def _reports(content: object) -> Iterator[Reported]:
    for item in _list(content) or [content]:
        fields = _mapping(item)
        if "results" in fields:
            yield from _of_osv_scanner(fields)
        elif "Results" in fields or "ArtifactName" in fields:
            yield from _of_trivy(fields)
        elif "Resources" in fields:
            for resource in _list(fields["Resources"]):
                yield from _of_trivy(_mapping(resource))
        elif "id" in fields:
            yield _of_osv(fields, "", None)


def _of_trivy(report: Mapping[str, Any]) -> Iterator[Reported]:
    image = _image(report.get("ArtifactName"))
    for result in _mappings(report.get("Results")):
        for each in _mappings(result.get("Vulnerabilities")):
            name = _text(each.get("VulnerabilityID"))
            if name:
                package = f"{_text(each.get('PkgName'))} {_text(each.get('InstalledVersion'))}"
                names = (name, *map(_text, _list(each.get("VendorIDs"))))
                yield Reported(
                    tuple(filter(None, names)),
                    package.strip(),
                    _severity(each.get("Severity")),
                    image,
                    _text(each.get("Title")),
                )


def _of_osv_scanner(report: Mapping[str, Any]) -> Iterator[Reported]:
    for result in _mappings(report.get("results")):
        source = _mapping(result.get("source"))
        image = _image(source.get("path")) if source.get("type") in ("docker", "image") else None
        for package in _mappings(result.get("packages")):
            described = _mapping(package.get("package"))
            name = f"{_text(described.get('name'))} {_text(described.get('version'))}".strip()
            for each in _mappings(package.get("vulnerabilities")):
                yield _of_osv(each, name, image)


def _of_osv(record: Mapping[str, Any], package: str, image: Reference | None) -> Reported:
    own = _mapping(record.get("database_specific"))
    affected = [_mapping(each.get("package")) for each in _mappings(record.get("affected"))]
    names = (_text(record.get("id")), *map(_text, _list(record.get("aliases"))))
    return Reported(
        tuple(filter(None, names)),
        package or ", ".join(sorted({_text(each.get("name")) for each in affected})),
        _severity(own.get("severity")),
        image,
        _text(record.get("summary")),
    )


def _image(value: object) -> Reference | None:
    try:
        return parse(_text(value))
    except InvalidReference:
        return None


def _severity(value: object) -> str:
    word = _text(value).lower()
    word = _WORDS.get(word, word)
    return word if word in ("critical", "high", "medium", "low") else ""


def _text(value: object) -> str:
    """Text in one line without characters that nobody sees: a report is text of anybody."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(each if each.isprintable() else " " for each in value).split())


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _mappings(value: object) -> Iterable[Mapping[str, Any]]:
    return map(_mapping, _list(value))
