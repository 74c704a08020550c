"""./kf doctor: what stands between a stack file and its deployment, and the way out of each."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from advisories.table import NONE, Advisories, of_release
from ops import targets, version_checks
from ops.checks import Subject, examine
from ops.findings import Level, note, report
from ops.version_checks import calendar_findings
from regions.region import Region
from settings import MANIFESTS, from_mapping
from tests.harness import ACCEPTED
from tests.ops.command import kf
from tests.ops.programs import install
from tests.releases import DEFAULT

KF151: dict[str, Any] = {
    "release": "1.5.1-aws-b1.0.0",
    "cluster": {"version": "1.21"},
    "artifacts": {"credentials": "static-key"},
    "gpuPool": {"enabled": False},
}


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with every program, and one AWS profile."""
    config = tmp_path / "config"
    config.write_text("[profile kubeflow-build]\nregion = ap-southeast-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("PATH", f"{install(tmp_path / 'bin')}:{os.environ['PATH']}")
    monkeypatch.setattr(version_checks, "today", lambda: date(2026, 11, 29))
    return tmp_path


def findings(level: Level, region: str = "cn-north-1", **sections: Any) -> dict[str, str]:
    """About -> sentence, of one level."""
    return {f.about: f.sentence for f in examine(subject(region, **sections)) if f.level is level}


def list_findings(level: Level, **sections: Any) -> list[tuple[str, str]]:
    """As ``findings``, every one of each about."""
    found = examine(subject("cn-north-1", **sections))
    return [(f.about, f.sentence) for f in found if f.level is level]


def subject(region: str, **sections: Any) -> Subject:
    return Subject(from_mapping({"region": region, **sections}), Region.of(region))


@pytest.mark.parametrize("region", ["cn-north-1", "cn-northwest-1", "us-west-2", "us-gov-west-1"])
def test_a_stack_of_defaults_has_no_problem_on_a_machine_with_everything(region: str) -> None:
    assert findings(Level.PROBLEM, region, acceptedAdvisories=ACCEPTED) == {}


def tell(table: Advisories, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes this the list of every stack."""

    def of_stack(_settings: object) -> Advisories:
        return table

    monkeypatch.setattr("ops.checks.advisories_of", of_stack)


def test_an_open_critical_advisory_is_a_problem_until_it_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed = of_release(MANIFESTS / "26.03").named("CVE-2026-77596")
    assert closed is not None
    still = closed.model_copy(update={"here": "open", "by": ()})
    table = Advisories(read=date(2026, 11, 30), advisories=(still,))
    tell(table, monkeypatch)
    assert "CVE-2026-77596 (9.6) is open, every user" in findings(Level.PROBLEM)["advisories"]
    accepted = list_findings(Level.NOTE, acceptedAdvisories=["CVE-2026-77596"])
    assert next(each for about, each in accepted if about == "advisories").startswith("CVE-2026-7")


def test_the_patch_that_closes_a_critical_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = of_release(MANIFESTS / "26.03.1")
    changed = {"severity": "critical", "score": 9.1}
    grave = [
        each.model_copy(update=changed) if each.id == "CVE-2026-73550" else each
        for each in shipped.advisories
    ]

    def with_a_critical_one(_folder: Path) -> Advisories:
        return shipped.model_copy(update={"advisories": tuple(grave)})

    monkeypatch.setattr("program.of_release", with_a_critical_one)
    told = findings(Level.PROBLEM)["advisories"]
    assert told.endswith("Istio 1.30.4 (kubeflow:patches: {istio: 1.30.7}) closes it.")
    assert "advisories" not in findings(Level.PROBLEM, patches={"istio": "1.30.7"})


def test_what_is_open_and_not_critical_is_counted() -> None:
    assert "that are not critical are open in 1.5.1" in findings(Level.NOTE, **KF151)["advisories"]


def test_a_release_of_which_no_advisory_is_open_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = [each for each in of_release(MANIFESTS / "26.03").advisories if each.here != "open"]
    table = Advisories(read=date(2026, 11, 30), advisories=tuple(closed))
    tell(table, monkeypatch)
    told = findings(Level.GOOD, release="26.03")["advisories"]
    assert told == f"none of {len(closed)} known ones is open in 26.03"


def test_a_release_without_a_list_is_not_called_good(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_list(_folder: Path) -> Advisories:
        return NONE

    monkeypatch.setattr("program.of_release", no_list)
    assert "advisories" not in findings(Level.GOOD, release="26.03")
    told = findings(Level.NOTE, release="26.03")["advisories"]
    assert (
        told == "release 26.03 has no advisories.yaml: nobody has looked which holes are open in it"
    )


def test_images_whose_digest_nobody_knows_are_a_note_with_the_command_to_fill_them() -> None:
    assert f"`./kf images lock --release {DEFAULT}`" in findings(Level.NOTE)["images"]


def test_the_references_install_is_told_that_eks_and_registries_have_moved_on() -> None:
    found = findings(Level.PROBLEM, **KF151)
    (version, *_) = calendar_findings(subject("cn-north-1", **KF151))
    assert version.level is Level.PROBLEM
    assert "EKS no longer creates clusters of 1.21" in version.sentence
    assert "are reported gone from their registries" in found["images"]


def test_an_api_in_china_is_told_its_filing_and_the_other_way() -> None:
    found = findings(Level.PROBLEM, imageMirror={"transport": "api-gateway"})
    assert "403 in cn-north-1" in found["image mirror"]
    assert "set it to in-cluster" in found["image mirror"]
    elsewhere = findings(Level.PROBLEM, "us-west-2", imageMirror={"transport": "api-gateway"})
    assert "image mirror" not in elsewhere


def test_a_stack_whose_registry_fills_itself_is_told_from_where() -> None:
    mirrored = subject("us-west-2", imageMirror={"enabled": True})
    found = [f.sentence for f in examine(mirrored) if f.about == "image mirror"]
    caches = "ECR caches public.ecr.aws, quay.io and registry.k8s.io"
    assert found == [
        f"{caches}; other images are pulled from their sources",
        "API Gateway serves admission",
    ]


def test_a_missing_profile_is_told_with_the_command_that_makes_it(machine: Path) -> None:
    (machine / "config").write_text("")
    found = findings(Level.PROBLEM)["image mirror"]
    assert "`aws configure --profile kubeflow-build`" in found


@pytest.mark.parametrize("region", ["cn-north-1", "cn-northwest-1", "us-west-2", "us-gov-west-1"])
def test_a_missing_profile_of_the_shell_hides_no_finding(
    region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = examine(subject(region))
    monkeypatch.setenv("AWS_PROFILE", "gone")
    assert list(examine(subject(region))) == list(expected)


def test_sources_that_are_out_of_reach_are_told_with_every_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBEFLOW_CACHE", str(tmp_path))
    monkeypatch.setattr("rendering.sources._beside", lambda *_: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    monkeypatch.setenv("KUBEFLOW_GIT_PREFIX", "file:///nowhere/")
    assert "./kf bundle create" in findings(Level.PROBLEM)["sources"]


def test_a_program_reads_the_same_as_json_and_a_problem_is_exit_code_1() -> None:
    good = kf("doctor", "--stack", "cn-north-1", "--format", "json")
    assert good.exit_code == 0, good.output
    assert {row["level"] for row in json.loads(good.stdout)} == {"good", "note"}
    bad = kf("doctor", "--stack", "cn-north-1-kf151", "--format", "text")
    assert bad.exit_code == 1
    assert any(line.startswith("problem\tKubernetes\t") for line in bad.stdout.splitlines())


def test_a_stack_that_does_not_exist_gets_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Pulumi.cn-north-1.yaml").touch()
    monkeypatch.setattr(targets, "PROJECT", tmp_path)
    done = kf("doctor", "--stack", "cn-nort-1")
    assert done.exit_code == 2
    assert "did you mean Pulumi.cn-north-1.yaml?" in done.stderr


def test_brackets_of_a_finding_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    report([note("[bold]", "host[/prefix] [red]")], "table")
    printed = capsys.readouterr().out
    assert "[bold]" in printed
    assert "host[/prefix] [red]" in printed
