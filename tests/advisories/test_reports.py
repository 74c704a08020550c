"""Reports of scanners, in the forms that their projects document."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from advisories.reports import Reported, ReportInvalid, read
from advisories.table import Advisories, of_release
from images.reference import parse
from settings import MANIFESTS, from_mapping
from tests.ops.command import kf

IMAGE = "ghcr.io/kubeflow/kfp-api-server:2.16.0"
TRIVY = {
    "SchemaVersion": 2,
    "ArtifactName": IMAGE,
    "ArtifactType": "container_image",
    "Results": [
        {"Target": "os", "Class": "os-pkgs"},
        {
            "Target": "bin/apiserver",
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-2026-77596",
                    "PkgName": "github.com/kubeflow/pipelines",
                    "InstalledVersion": "v2.16.0",
                    "FixedVersion": "2.18.0",
                    "Severity": "CRITICAL",
                },
                {
                    "VulnerabilityID": "CVE-2026-99999",
                    "PkgName": "stdlib",
                    "InstalledVersion": "v1.24.1",
                    "Severity": "HIGH",
                    "Title": "net/http:\n\x1b[31m a  hole",
                },
            ],
        },
    ],
}
OSV: dict[str, Any] = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "aliases": ["CVE-2026-88888"],
    "summary": "a hole",
    "affected": [{"package": {"ecosystem": "Go", "name": "example.org/a"}}],
    "database_specific": {"severity": "MODERATE"},
}
SCANNER = {
    "results": [
        {
            "source": {"path": IMAGE, "type": "docker"},
            "packages": [
                {
                    "package": {"name": "stdlib", "version": "1.24.1", "ecosystem": "Go"},
                    "vulnerabilities": [OSV],
                }
            ],
        }
    ]
}


def file(folder: Path, content: object) -> Path:
    path = folder / "report.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (
            TRIVY,
            [
                Reported(
                    ("CVE-2026-77596",),
                    "github.com/kubeflow/pipelines v2.16.0",
                    "critical",
                    parse(IMAGE),
                    "",
                ),
                Reported(
                    ("CVE-2026-99999",),
                    "stdlib v1.24.1",
                    "high",
                    parse(IMAGE),
                    "net/http: [31m a hole",
                ),
            ],
        ),
        (
            {"ClusterName": "c", "Resources": [{"Results": TRIVY["Results"]}]},
            [
                Reported(
                    ("CVE-2026-77596",),
                    "github.com/kubeflow/pipelines v2.16.0",
                    "critical",
                    None,
                    "",
                ),
                Reported(
                    ("CVE-2026-99999",), "stdlib v1.24.1", "high", None, "net/http: [31m a hole"
                ),
            ],
        ),
        (
            SCANNER,
            [
                Reported(
                    ("GHSA-aaaa-bbbb-cccc", "CVE-2026-88888"),
                    "stdlib 1.24.1",
                    "medium",
                    parse(IMAGE),
                    "a hole",
                )
            ],
        ),
        (
            [OSV, OSV],
            [
                Reported(
                    ("GHSA-aaaa-bbbb-cccc", "CVE-2026-88888"),
                    "example.org/a",
                    "medium",
                    None,
                    "a hole",
                )
            ],
        ),
        ({"results": []}, []),
        ({"SchemaVersion": 2, "ArtifactName": IMAGE}, []),
    ],
    ids=["trivy", "trivy-cluster", "osv-scanner", "osv", "nothing-osv", "nothing-trivy"],
)
def test_each_form_is_read(tmp_path: Path, content: object, found: list[Reported]) -> None:
    assert read(file(tmp_path, content)) == found


@pytest.mark.parametrize(
    "content", ["", "<html>", "[" * 100_000, "{}", "[]", '{"a": 1}', "7", '{"Results": 5}']
)
def test_what_is_no_report_is_refused_with_the_way_out(tmp_path: Path, content: str) -> None:
    with pytest.raises(ReportInvalid, match=r"report\.json .*trivy image --format json"):
        read(file(tmp_path, content))


def test_a_report_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportInvalid, match=r"cannot be read \(No such file"):
        read(tmp_path / "none.json")


# -- the command ----------------------------------------------------------------------------------


def test_the_list_of_a_stack_has_open_ones_first(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = of_release(MANIFESTS / "26.03").advisories
    worst = shipped[0].model_copy(update={"here": "open", "by": ()})
    table = Advisories(read=date(2026, 11, 30), advisories=(*shipped[1:], worst))

    def told(_: object) -> Advisories:
        return table

    monkeypatch.setattr("ops.advisories.advisories_of", told)
    done = kf("advisories", "--stack", "cn-north-1", "--format", "json")
    rows = json.loads(done.stdout)
    states = [row["here"] == "open" for row in rows]
    assert states == sorted(states, reverse=True)
    assert rows[0]["severity"] == worst.severity == "critical"
    assert done.exit_code == 1
    assert "1 critical; sources were read on" in done.stderr


def still_open(*options: str) -> set[str]:
    rows = json.loads(kf("advisories", *options, "--format", "json").stdout)
    return {row["id"] for row in rows if row["here"] == "open"}


def test_a_stack_has_no_holes_of_what_it_leaves_out_or_has_in_a_later_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_the_release = still_open("--release", "26.03.1")
    of_the_cache = "CVE-2026-88982"
    assert still_open("--stack", "cn-north-1") == of_the_release - {of_the_cache}
    sections = {"region": "cn-north-1", "patches": {"istio": "1.30.7"}, "pipelines": {"v1": True}}
    settings = from_mapping({"release": "26.03.1", **sections})
    monkeypatch.setattr("ops.targets.settings_of", {"x": settings}.get)
    patched = still_open("--stack", "x")
    assert of_the_cache in patched
    assert patched < of_the_release


@pytest.mark.parametrize("release", ["26.03.1", "26.03", "1.5.1-aws-b1.0.0"])
def test_no_release_has_an_open_critical_one(release: str) -> None:
    done = kf("advisories", "--release", release, "--format", "json")
    assert done.exit_code == 0


def test_a_report_shows_what_the_list_lacks(tmp_path: Path) -> None:
    other = {**TRIVY, "ArtifactName": "docker.io/library/postgres:16"}
    report = file(tmp_path, [TRIVY, other, OSV])
    done = kf("advisories", "--release", "26.03", "--from", str(report), "--format", "json")
    assert [row["id"] for row in json.loads(done.stdout)] == [
        "CVE-2026-99999",
        "GHSA-aaaa-bbbb-cccc",
    ]
    assert done.exit_code == 1
    assert "5 in the report, 2 of them not in manifests/26.03/advisories.yaml" in done.stderr
    assert "1 about images that release 26.03 does not pull" in done.stderr


def test_a_report_of_which_everything_is_listed_is_good(tmp_path: Path) -> None:
    alias = {**OSV, "aliases": ["CVE-2026-54745"]}
    report = file(tmp_path, [alias])
    done = kf("advisories", "--release", "26.03", "--from", str(report), "--format", "text")
    assert (done.exit_code, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--release", "26.30"), "there is no release '26.30' under manifests/: did you mean"),
        (("--release", "26.03", "--from", "none.json"), "none.json cannot be read"),
    ],
)
def test_wrong_options_are_one_sentence(options: tuple[str, ...], told: str) -> None:
    done = kf("advisories", *options)
    assert done.exit_code == 2
    assert told in done.stderr
