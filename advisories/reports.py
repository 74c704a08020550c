"""Reports of scanners: identifiers, images and severities in JSON of OSV, OSV-Scanner and Trivy.

Forms: https://ossf.github.io/osv-schema and https://google.github.io/osv.dev/post-v1-querybatch;
google/osv-scanner pkg/models/results.go v2.5.0; aquasecurity/trivy pkg/types/report.go and, of a
cluster, pkg/k8s/report/report.go, at commit dc3c56ee of 2026-08-21. A file may have several, in a
list or one after the other, as a loop over images writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from advisories.scores import base_score
from advisories.table import severity_of
from images.reference import InvalidReference, Reference, parse

MOST_BYTES = 256 << 20
_GZIP = b"\x1f\x8b"
_SCORE = re.compile(r"(?:\d|10)(?:\.\d+)?")
_WORDS = {"moderate": "medium", "important": "high", "negligible": "low"}
_WAY_OUT = (
    "write the report by `trivy image --format json` or `osv-scanner scan --format json`, or take "
    "records of OSV."
)


class ReportInvalid(ValueError):
    """A file is no report of a known form; the message is one sentence that names it."""


class _UnknownForm(ValueError):
    """A part of a file is of none of the forms."""


@dataclass(frozen=True)
class Reported:
    """One advisory of a report.

    Attributes:
        names: all identifiers, the report's own first.
        package: that has it, with its version where the report names it; empty: unknown.
        severity: critical, high, medium, low, or empty.
        images: all names of what was scanned, and of a workload those of all its containers; empty:
            the report names none.
        what: its title.
    """

    names: tuple[str, ...]
    package: str
    severity: str
    images: tuple[Reference, ...]
    what: str


@dataclass(frozen=True)
class Report:
    """What a file has.

    Attributes:
        found: its advisories, each once per image and package.
        unscanned: what the scanner of a cluster could not look at.
    """

    found: Sequence[Reported]
    unscanned: Sequence[str] = ()


def read(file: Path) -> Report:
    """The advisories of a report; withdrawn ones are none.

    Raises:
        ReportInvalid: it cannot be read, or has another form.
    """
    unscanned: dict[str, None] = {}
    try:
        parts = [part for each in _documents(file) for part in _parts(each)]
        found = dict.fromkeys(each for part in parts for each in _reported(part, unscanned))
    except _UnknownForm:
        raise ReportInvalid(
            f"{file} has, as a whole or in part, none of the forms of OSV, OSV-Scanner and Trivy: "
            f"{_WAY_OUT}"
        ) from None
    return Report(list(found), list(unscanned))


def _documents(file: Path) -> list[object]:
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise ReportInvalid(f"{file} cannot be read ({error.strerror}).") from None
    if len(content) > MOST_BYTES:
        raise ReportInvalid(f"{file} has more than {MOST_BYTES >> 20} MiB: split the report.")
    if content.startswith(_GZIP):
        raise ReportInvalid(f"{file} is compressed: unpack it first, by `gunzip`.")
    decoder, found, at = json.JSONDecoder(), list[object](), 0
    try:
        text = content.decode(json.detect_encoding(content)).strip()
        while at < len(text):
            document, end = decoder.raw_decode(text, at)
            found.append(document)
            at = len(text) - len(text[end:].lstrip())
    except (ValueError, RecursionError):
        raise ReportInvalid(f"{file} is no JSON: {_WAY_OUT}") from None
    if not found:
        raise ReportInvalid(f"{file} is empty: {_WAY_OUT}")
    return found


def _parts(document: object) -> list[object]:
    """The reports of a list; an empty one is none itself."""
    return cast("list[object]", document) or [None] if isinstance(document, list) else [document]


def _reported(part: object, unscanned: dict[str, None]) -> Iterator[Reported]:
    """The advisories of one report or record.

    Raises:
        _UnknownForm: it is none.
    """
    fields = _mapping(part)
    if "results" in fields:
        for each in _rows(fields, "results"):
            yield from _of_result(each)
    elif "vulns" in fields:
        yield from _of_records(_rows(fields, "vulns"))
    elif "ClusterName" in fields:
        keys = ("Resources", "Findings", "Vulnerabilities")
        for each in (row for key in keys for row in _rows(fields, key)):
            if _text(each.get("Error")):
                place = (_text(each.get(key)) for key in ("Kind", "Namespace", "Name"))
                unscanned[" ".join(filter(None, place))] = None
            yield from _of_trivy(each, _images_of(each))
    elif "ArtifactName" in fields or "SchemaVersion" in fields:
        scanned = _text(fields.get("ArtifactType")) in ("", "container_image")
        yield from _of_trivy(fields, _images_of(fields) if scanned else ())
    elif _text(fields.get("id")) and _text(fields.get("modified")):
        # The two that each record has (https://ossf.github.io/osv-schema/#format-overview).
        yield from _of_records([fields])
    else:
        raise _UnknownForm


def _of_result(result: Mapping[str, Any]) -> Iterator[Reported]:
    """Of OSV-Scanner, one source; of an answer to many queries, one of them."""
    if "packages" not in result:
        if result.keys() - {"vulns", "next_page_token"}:
            raise _UnknownForm
        yield from _of_records(_rows(result, "vulns"))
        return
    source = _mapping(result.get("source"))
    named = source.get("type") in ("docker", "image")
    images = _references([source.get("path")]) if named else ()
    for package in _rows(result, "packages"):
        described = _mapping(package.get("package"))
        name = f"{_text(described.get('name'))} {_text(described.get('version'))}".strip()
        groups = list(_mappings(package.get("groups")))
        records = _rows(package, "vulnerabilities")
        yield from _of_records(records, name, images, groups)


def _of_records(
    records: Sequence[Mapping[str, Any]],
    package: str = "",
    images: tuple[Reference, ...] = (),
    groups: Sequence[Mapping[str, Any]] = (),
) -> Iterator[Reported]:
    """One per hole: a group has the records of several databases about the same."""
    grouped: dict[int, list[Mapping[str, Any]]] = {}
    for at, record in enumerate(records):
        if not _text(record.get("id")):
            raise _UnknownForm
        if not _text(record.get("withdrawn")):
            same = (n for n, each in enumerate(groups) if record["id"] in _list(each.get("ids")))
            grouped.setdefault(next(same, len(groups) + at), []).append(record)
    for place, of_one in grouped.items():
        group = groups[place] if place < len(groups) else {}
        more = [_list(each.get(key)) for each in of_one for key in ("aliases", "upstream")]
        names = [each.get("id") for each in of_one] + sum(more, _list(group.get("aliases")))
        affected = [each for record in of_one for each in _mappings(record.get("affected"))]
        packages = sorted({_text(_mapping(each.get("package")).get("name")) for each in affected})
        yield Reported(
            tuple(dict.fromkeys(filter(None, map(_text, names)))),
            package or ", ".join(filter(None, packages)),
            _severity_of_group(group, of_one, affected),
            images,
            next(filter(None, (_text(each.get("summary")) for each in of_one)), ""),
        )


def _severity_of_group(
    group: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    affected: Sequence[Mapping[str, Any]],
) -> str:
    """The word of a database; without one, that of the highest score."""
    for each in records:
        if word := _severity(_mapping(each.get("database_specific")).get("severity")):
            return word
    vectors = [
        _text(each.get("score"))
        for fields in (*records, *affected)
        for each in _mappings(fields.get("severity"))
    ]
    scores = [base_score(each) for each in vectors]
    highest = _text(group.get("max_severity"))
    if _SCORE.fullmatch(highest):
        scores.append(float(highest))
    known = [each for each in scores if each is not None]
    return severity_of(max(known)) if known else ""


def _of_trivy(report: Mapping[str, Any], images: tuple[Reference, ...]) -> Iterator[Reported]:
    for result in _rows(report, "Results"):
        for each in _rows(result, "Vulnerabilities"):
            name = _text(each.get("VulnerabilityID"))
            if not name:
                raise _UnknownForm
            package = f"{_text(each.get('PkgName'))} {_text(each.get('InstalledVersion'))}"
            names = (name, *map(_text, _list(each.get("VendorIDs"))))
            yield Reported(
                tuple(dict.fromkeys(filter(None, names))),
                package.strip(),
                _severity(each.get("Severity")) or _severity_of_vendors(each.get("CVSS")),
                images,
                _text(each.get("Title")),
            )


def _severity_of_vendors(cvss_: object) -> str:
    """That of the highest score of any vendor, of CVSS 3 or 4."""
    vendors = map(_mapping, _mapping(cvss_).values())
    scores = [each.get(key) for each in vendors for key in ("V3Score", "V40Score")]
    known = [each for each in scores if isinstance(each, (int, float)) and 0 <= each <= 10]
    return severity_of(max(known)) if known else ""


def _images_of(scanned: Mapping[str, Any]) -> tuple[Reference, ...]:
    """The names of an image, or of those of a workload.

    ``ArtifactName`` may be the path of an archive, so it is a name only where it has a tag or a
    digest; the others stand in ``Metadata``, of a workload an object or, in later releases, a list.
    """
    told = _text(scanned.get("ArtifactName"))
    of_whom = scanned.get("Metadata")
    metadata = [_mapping(each) for each in _parts(of_whom)]
    keys = ("RepoTags", "RepoDigests")
    names = [name for each in metadata for key in keys for name in _list(each.get(key))]
    plain = ":" not in told.rpartition("/")[2] and "@" not in told
    return _references(names if plain else [told, *names])


def _references(names: Iterable[object]) -> tuple[Reference, ...]:
    found: dict[Reference, None] = {}
    for each in names:
        try:
            found[parse(_text(each))] = None
        except InvalidReference:
            continue
    return tuple(found)


def _severity(value: object) -> str:
    word = _text(value).lower()
    word = _WORDS.get(word, word)
    return word if word in ("critical", "high", "medium", "low") else ""


def _text(value: object) -> str:
    """Text in one line without invisible characters: anybody may have written a report."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(each if each.isprintable() else " " for each in value).split())


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _mappings(value: object) -> Iterable[Mapping[str, Any]]:
    return map(_mapping, _list(value))


def _rows(fields: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    """A list of objects; absent and null are none.

    Raises:
        _UnknownForm: it is another thing.
    """
    value = fields.get(key)
    rows = _list(value)
    if not (value is None or isinstance(value, list)):
        raise _UnknownForm
    if not all(isinstance(each, Mapping) for each in rows):
        raise _UnknownForm
    return rows
