"""Reports of scanners, in the forms that their projects document."""

from __future__ import annotations

import gzip
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from advisories.reports import Reported, ReportInvalid, read
from advisories.sentences import notices
from advisories.table import NONE, Advisories, of_release
from images.reference import parse
from ops.advisories import missing
from ops.checks import Subject, examine
from ops.targets import settings_of, stack_file
from program import advisories_of
from regions.region import Region
from rendering.lock import LockedImage
from settings import MANIFESTS, Settings, from_mapping
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
    "modified": "2026-11-01T00:00:00Z",
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
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
    path.write_bytes(content)
    return path


def shown(folder: Path, content: object, *options: str) -> tuple[int, list[dict[str, str]], str]:
    """Exit code, rows and standard error of the command about a report, of 26.03.1 by default."""
    options = options or ("--release", "26.03.1")
    done = kf("advisories", *options, "--from", str(file(folder, content)), "--format", "json")
    return done.exit_code, json.loads(done.stdout), done.stderr


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
                    (parse(IMAGE),),
                    "",
                ),
                Reported(
                    ("CVE-2026-99999",),
                    "stdlib v1.24.1",
                    "high",
                    (parse(IMAGE),),
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
                    (),
                    "",
                ),
                Reported(
                    ("CVE-2026-99999",), "stdlib v1.24.1", "high", (), "net/http: [31m a hole"
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
                    (parse(IMAGE),),
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
                    (),
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
    assert read(file(tmp_path, content)).found == found


@pytest.mark.parametrize(
    "content",
    [
        *("", "<html>", "[" * 100_000, "{}", "[]", "null", '{"a": 1}', "7", '{"Results": 5}'),
        '{"SchemaVersion": 2, "Results": 5}',
        '{"SchemaVersion": 2, "Results": [{"Vulnerabilities": [{"ID": "CVE-2026-1"}]}]}',
        '{"id": 7}',
        '{"id": "abc", "name": "of something else"}',
        # Of Semgrep, SARIF and CycloneDX.
        '{"results": [{"check_id": "a"}], "errors": []}',
        '{"version": "2.1.0", "runs": [{"results": []}]}',
        '{"bomFormat": "CycloneDX", "vulnerabilities": [{"id": "CVE-2026-1"}]}',
        # One of them is a report.
        json.dumps([TRIVY, {"runs": []}]),
        f"{json.dumps(TRIVY)} x",
    ],
)
def test_what_is_no_report_is_refused_with_the_way_out(tmp_path: Path, content: str) -> None:
    with pytest.raises(ReportInvalid, match=r"report\.json .*trivy image --format json"):
        read(file(tmp_path, content))


def test_a_report_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportInvalid, match=r"cannot be read \(No such file"):
        read(tmp_path / "none.json")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_report_is_read_in_the_encodings_of_json(tmp_path: Path, encoding: str) -> None:
    assert len(read(file(tmp_path, json.dumps(TRIVY).encode(encoding))).found) == 2


def test_reports_one_after_the_other_are_all_read(tmp_path: Path) -> None:
    several = "\n".join(json.dumps({**OSV, "id": f"GHSA-aaaa-bbbb-ccc{n}"}) for n in range(3))
    assert len(read(file(tmp_path, several)).found) == 3


def test_a_compressed_report_and_an_endless_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportInvalid, match="is compressed: unpack it first, by `gunzip`"):
        read(file(tmp_path, gzip.compress(b"{}")))
    with pytest.raises(ReportInvalid, match="has more than 256 MiB: split the report"):
        read(Path("/dev/zero"))


def test_a_withdrawn_record_is_no_hole(tmp_path: Path) -> None:
    withdrawn = {**OSV, "id": "GHSA-dddd-bbbb-cccc", "withdrawn": "2026-11-02T00:00:00Z"}
    assert [each.names[0] for each in read(file(tmp_path, [OSV, withdrawn])).found] == [OSV["id"]]


@pytest.mark.parametrize(
    "answer",
    [{"vulns": [OSV]}, {"results": [{}, {"vulns": [OSV], "next_page_token": "a"}]}],
    ids=["query", "querybatch"],
)
def test_answers_of_the_api_of_osv_are_read(tmp_path: Path, answer: object) -> None:
    assert [each.names[0] for each in read(file(tmp_path, answer)).found] == [OSV["id"]]


def test_records_of_several_databases_about_one_hole_are_one(tmp_path: Path) -> None:
    # As google/osv-scanner internal/ci/testdata/vulns/test-vuln-results-a.json, v2.5.0.
    go = {"id": "GO-2026-1", "modified": "2026-11-01T00:00:00Z", "upstream": ["CVE-2026-1"]}
    groups = [{"ids": [OSV["id"], "GO-2026-1"], "aliases": ["CVE-2026-2"], "max_severity": "9.8"}]
    package = {
        "package": {"name": "stdlib", "version": "1.24.1", "ecosystem": "Go"},
        "vulnerabilities": [go, {**OSV, "database_specific": {}}],
        "groups": groups,
    }
    source = {"path": "go.mod", "type": "lockfile"}
    (one,) = read(file(tmp_path, {"results": [{"source": source, "packages": [package]}]})).found
    assert {*one.names} == {"GO-2026-1", OSV["id"], *OSV["aliases"], "CVE-2026-1", "CVE-2026-2"}
    assert (one.severity, one.what, one.images) == ("critical", "a hole", ())


@pytest.mark.parametrize(
    ("vector", "severity"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "critical"),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", "high"),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:N", "critical"),
        ("AV:N/AC:M/Au:N/C:N/I:P/A:N", "medium"),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "critical"),
        ("CVSS:3.1/AV:Q", ""),
        ("nan", ""),
    ],
)
def test_a_record_without_a_word_has_the_severity_of_its_vector(
    tmp_path: Path, vector: str, severity: str
) -> None:
    record = {**OSV, "database_specific": {}, "severity": [{"type": "CVSS", "score": vector}]}
    of_package = {**OSV, "database_specific": {}, "affected": [{"severity": record["severity"]}]}
    for each in (record, of_package):
        assert read(file(tmp_path, each)).found[0].severity == severity


@pytest.mark.parametrize(
    ("scores", "severity"),
    [
        ({"nvd": {"V2Score": 10, "V3Score": 7.5}, "ghsa": {"V40Score": 9.3}}, "critical"),
        ({"nvd": {"V3Score": 5.3}}, "medium"),
        ({"nvd": {"V3Score": "9.8", "V40Score": -1}, "ghsa": None}, ""),
        (None, ""),
    ],
)
def test_what_trivy_calls_unknown_has_the_severity_of_its_score(
    tmp_path: Path, scores: object, severity: str
) -> None:
    # aquasecurity/trivy-db pkg/types/types.go: VendorCVSS.
    hole = {"VulnerabilityID": "CVE-2026-1", "Severity": "UNKNOWN", "CVSS": scores}
    report = {**TRIVY, "Results": [{"Vulnerabilities": [hole]}]}
    assert read(file(tmp_path, report)).found[0].severity == severity
    known = {**TRIVY, "Results": [{"Vulnerabilities": [{**hole, "Severity": "LOW"}]}]}
    assert read(file(tmp_path, known)).found[0].severity == "low"


@pytest.mark.parametrize("highest", ["nan", "-1", "11", "", None, "high"])
def test_a_score_that_is_none_is_unknown(tmp_path: Path, highest: object) -> None:
    record = {**OSV, "database_specific": {}}
    groups = [{"ids": [OSV["id"]], "max_severity": highest}]
    package = {"vulnerabilities": [record], "groups": groups}
    assert read(file(tmp_path, {"results": [{"packages": [package]}]})).found[0].severity == ""


# -- the command ----------------------------------------------------------------------------------


def test_the_list_of_a_stack_has_open_ones_first(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = of_release(MANIFESTS / "26.03").advisories
    worst = shipped[0].model_copy(update={"here": "open", "by": ()})
    table = Advisories(read=date(2026, 11, 30), advisories=(*shipped[1:], worst))

    def told(_folder: Path) -> Advisories:
        return table

    for module in ("ops.advisories.list_of", "program.of_release"):
        monkeypatch.setattr(module, told)
    done = kf("advisories", "--stack", "cn-north-1", "--format", "json")
    rows = json.loads(done.stdout)
    states = [row["here"] == "open" for row in rows]
    assert states == sorted(states, reverse=True)
    assert rows[0]["severity"] == worst.severity == "critical"
    assert done.exit_code == 1
    assert "1 critical; sources were read on" in done.stderr


@pytest.mark.parametrize("stack", ["cn-north-1", "us-gov-west-1", "cn-north-1-kf151"])
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"pipelines": {"v1": True}},
        {"patches": {"istio": "1.30.7"}},
        {"patches": {"istio": "1.30.7", "pipelines": "2.17.2"}},
    ],
    ids=str,
)
def test_the_list_of_a_stack_has_what_its_preview_and_the_doctor_count(
    monkeypatch: pytest.MonkeyPatch, stack: str, changed: dict[str, Any]
) -> None:
    settings = settings_of(stack)
    if changed:
        settings = from_mapping({"region": settings.region, **changed})

    def of_stack(_stack: str) -> Settings:
        return settings

    monkeypatch.setattr("ops.targets.settings_of", of_stack)
    done = kf("advisories", "--stack", stack, "--format", "json")
    listed = {row["id"] for row in json.loads(done.stdout) if row["here"] == "open"}
    counted = advisories_of(settings)
    assert listed == {each.id for each in counted.still_open()}
    (told,) = notices(settings.release, counted, stack=stack)
    assert f"`./kf advisories --stack {stack}`" in told
    assert sum(map(int, re.findall(r"(\d+) (?:high|medium|low)", told))) == len(listed)
    subject = Subject(settings, Region.of(settings.region), stack_file(stack))
    (doctor,) = (each.sentence for each in examine(subject) if each.about == "advisories")
    assert doctor.startswith(f"{len(listed)} that are not critical are open in {settings.release}")
    assert f"`./kf advisories --stack {stack}` lists them" in doctor


def test_a_row_has_the_patch_that_closes_it() -> None:
    done = kf("advisories", "--release", "26.03.1", "--format", "json")
    closed_by = {row["id"]: row["closedBy"] for row in json.loads(done.stdout)}
    assert closed_by["CVE-2026-73547"] == "patches: {istio: 1.30.7}"
    assert closed_by["CVE-2026-88981"] == ""


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
    assert "2 about images that release 26.03 does not pull" in done.stderr


OTHER = "docker.io/library/postgres:16"
DIGEST = f"sha256:{'1' * 64}"
UNNAMED = {"ArtifactName": "out/image.tar", "ArtifactType": "container_image"}
ACCOUNT = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn"
SERVER = "ghcr.io/kubeflow/kfp-api-server"


def of_image(**fields: object) -> dict[str, object]:
    return {**TRIVY, "ArtifactType": "container_image", **fields}


@pytest.mark.parametrize(
    ("report", "counted"),
    [
        (of_image(ArtifactName=f"{SERVER}:2.17.0"), True),
        # A version that the setting `patches` chooses, and one that nothing does.
        (of_image(ArtifactName=f"{SERVER}:2.17.2"), True),
        (of_image(ArtifactName=f"{SERVER}:2.15.0"), False),
        # The copies of this account and of another registry.
        (
            of_image(
                ArtifactName=f"1{'0' * 11}.dkr.ecr.cn-north-1.amazonaws.com.cn/k/{SERVER}:2.17.0"
            ),
            True,
        ),
        (of_image(ArtifactName="harbor.example.org/kubeflow/kfp-api-server:2.17.0"), True),
        (of_image(ArtifactName=OTHER), False),
        # The lock has no digest for it, so it may be the one.
        (of_image(ArtifactName=f"{SERVER}@{DIGEST}"), True),
        (of_image(ArtifactName=f"docker.io/library/postgres@{DIGEST}"), False),
        (of_image(**UNNAMED, Metadata={"RepoTags": [f"{SERVER}:2.17.0"]}), True),
        (of_image(**UNNAMED, Metadata={"RepoTags": [OTHER]}), False),
        # An archive, a folder and a disk that look like an image of Docker Hub.
        (of_image(**UNNAMED), True),
        (of_image(ArtifactName="pipelines/backend", ArtifactType="filesystem"), True),
        (of_image(ArtifactName="pipelines:main", ArtifactType="repository"), True),
        (of_image(ArtifactName="disk.img", ArtifactType="vm"), True),
    ],
)
def test_only_what_is_surely_of_another_image_is_left_out(
    tmp_path: Path, report: object, counted: bool
) -> None:
    code, rows, told = shown(tmp_path, report)
    assert [row["id"] for row in rows] == ["CVE-2026-99999"] * counted
    assert code == counted
    assert ("about images that release 26.03.1 does not pull" in told) is not counted


def test_add_ons_of_a_stack_are_images_of_it_and_not_of_its_release(tmp_path: Path) -> None:
    karpenter = of_image(ArtifactName="public.ecr.aws/karpenter/controller:1.14.1")
    code, rows, told = shown(tmp_path, karpenter)
    assert (code, rows) == (0, [])
    assert "2 about images that release 26.03.1 does not pull" in told
    code, rows, told = shown(tmp_path, karpenter, "--stack", "us-west-2")
    assert (code, len(rows)) == (1, 2)
    _, _, told = shown(tmp_path, of_image(ArtifactName=OTHER), "--stack", "us-west-2")
    assert "2 about images that stack us-west-2 does not pull" in told


def test_an_official_image_of_docker_hub_is_known_in_another_registry() -> None:
    source = "docker.io/library/busybox:1.36"
    own = LockedImage(source=source, target="a", digest=None, needed="install", where=("x",))
    for name, mine in (("busybox:1.36", 1), ("harbor.example.org/k/busybox:1.36", 1), ("box:1", 0)):
        found = missing(NONE, [Reported(("CVE-2026-1",), "", "", (parse(name),), "")], [own])
        assert len(found.rows) == mine


def test_a_digest_of_the_lock_tells_the_version() -> None:
    own = LockedImage(source=IMAGE, target="a", digest=DIGEST, needed="install", where=("x",))
    other = f"sha256:{'2' * 64}"
    # One platform of an image has another digest than all of them together, and the same tag.
    for name, mine in ((DIGEST, 1), (other, 0), (f"2.16.0@{other}", 1), (f"2.15.0@{DIGEST}", 1)):
        image = parse(f"{SERVER}{'@' if name.startswith('sha256') else ':'}{name}")
        found = missing(NONE, [Reported(("CVE-2026-1",), "", "high", (image,), "")], [own])
        assert (len(found.rows), found.elsewhere) == (mine, 1 - mine)


@pytest.mark.parametrize("resources", ["Resources", "Findings"])
@pytest.mark.parametrize("as_list", [True, False])
def test_workloads_of_a_cluster_have_the_images_of_their_containers(
    tmp_path: Path, resources: str, as_list: bool
) -> None:
    def workload(name: str, *tags: str) -> dict[str, object]:
        metadata: list[object] = [{"RepoTags": [tag], "RepoDigests": []} for tag in tags]
        of_it = metadata if as_list else {"RepoTags": list(tags)}
        return {"Kind": "Pod", "Name": name, "Metadata": of_it, "Results": TRIVY["Results"]}

    both = [workload("a", OTHER), workload("b", OTHER, f"{SERVER}:2.17.0")]
    code, rows, told = shown(tmp_path, {"ClusterName": "c", resources: both})
    assert [(row["id"], row["image"]) for row in rows] == [("CVE-2026-99999", f"{SERVER}:2.17.0")]
    assert code == 1
    assert "4 in the report, 1 of them not in" in told
    assert "2 about images that release 26.03.1 does not pull" in told


def test_what_a_scanner_could_not_look_at_is_told_and_is_not_good(tmp_path: Path) -> None:
    lost = {"Namespace": "kubeflow", "Kind": "Deployment", "Name": "minio", "Error": "denied"}
    code, rows, told = shown(tmp_path, {"ClusterName": "c", "Resources": [lost]})
    assert (code, rows) == (1, [])
    assert "not scanned: Deployment kubeflow minio: the report has the reason" in told


def test_a_row_about_another_image_says_nothing_about_this_one(tmp_path: Path) -> None:
    """Two images have one Envoy; whether a hole is exposed was looked up for the first alone."""
    hole = {"VulnerabilityID": "CVE-2026-73547", "PkgName": "envoy", "Severity": "HIGH"}
    results = [{"Target": "envoy", "Vulnerabilities": [hole]}]
    for image, lacking in (
        ("registry.istio.io/release/proxyv2:1.30.1", 0),
        ("ghcr.io/kubeflow/kfp-metadata-envoy:2.17.0", 1),
    ):
        code, rows, _ = shown(tmp_path, of_image(ArtifactName=image, Results=results))
        assert (code, len(rows)) == (lacking, lacking)


def test_packages_of_one_image_with_the_same_hole_are_one(tmp_path: Path) -> None:
    hole = {"VulnerabilityID": "CVE-2026-1", "PkgName": "a", "InstalledVersion": "1"}
    results = [
        {"Vulnerabilities": [hole, {**hole, "PkgName": "b"}, {"VulnerabilityID": "CVE-2026-2"}]}
    ]
    code, rows, told = shown(tmp_path, of_image(ArtifactName=f"{SERVER}:2.17.0", Results=results))
    assert (code, [row["package"] for row in rows]) == (1, ["a 1", ""])
    assert "2 in the report, 2 of them not in" in told


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
        (
            ("--release", "addons/karpenter-1.14.1"),
            "has no advisories.yaml, for nobody has looked: write one (docs/advisories.md), or",
        ),
    ],
)
def test_wrong_options_are_one_sentence(options: tuple[str, ...], told: str) -> None:
    done = kf("advisories", *options)
    assert done.exit_code == 2
    assert told in done.stderr
