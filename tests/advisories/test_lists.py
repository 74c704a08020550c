"""Every release's list of advisories, compared with the images that it pulls and the files here."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from advisories.sentences import notices, refusals
from advisories.table import NONE, Advisories, AdvisoriesInvalid, of_release
from images.reference import parse
from rendering import lock
from settings import MANIFESTS
from tests.releases import RELEASES


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return request.param


def test_every_release_has_a_list(release: str) -> None:
    table = of_release(MANIFESTS / release)
    assert table.advisories
    assert date(2026, 11, 1) <= table.read <= datetime.now(UTC).date() + timedelta(days=1)


def test_every_advisory_is_about_an_image_that_the_release_pulls(release: str) -> None:
    images = [parse(each.source) for each in lock.load(MANIFESTS / release, release).images]
    stale = [
        each.id
        for each in of_release(MANIFESTS / release).advisories
        if not any(each.affects(image) for image in images)
    ]
    assert stale == []


def test_what_closes_an_advisory_is_a_file_of_the_release_that_is_rendered(release: str) -> None:
    for each in of_release(MANIFESTS / release).advisories:
        for file in each.by:
            path = MANIFESTS / release / file
            assert path.is_file(), f"{each.id}: {file}"
            assert path.name in (path.parent / "kustomization.yaml").read_text()


def test_an_advisory_that_two_releases_have_is_told_alike() -> None:
    told: dict[str, tuple[object, ...]] = {}
    for name in RELEASES:
        for each in of_release(MANIFESTS / name).advisories:
            facts = (each.also, each.severity, each.score, each.what, each.source)
            assert told.setdefault(each.id, facts) == facts, each.id


# -- what a list may not be -----------------------------------------------------------------------

ROW = """
- id: CVE-2026-12345
  severity: critical
  score: 9.1
  images: [team/server]
  affected: ["<2.0"]
  what: a hole
  here: open
  why: Everybody reaches it.
  way_out: server 2.0
  source: https://example.org/a
"""
HEAD = "read: 2026-11-01\nadvisories:"


def listed(folder: Path, text: str) -> Advisories:
    (folder / "advisories.yaml").write_text(text)
    of_release.cache_clear()
    return of_release(folder)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (ROW.replace("critical", "high"), "CVE-2026-12345: a score of 9.1 is critical"),
        (ROW.replace("critical", "grave"), "0.severity of CVE-2026-12345: Input should be"),
        (ROW.replace("critical", "grave"), "(found 'grave')."),
        (f"{ROW}  also: [GHSA-rjr3]", "advisories.0.also.0 of CVE-2026-12345: String should match"),
        (ROW.replace("<2.0", "before 2"), "'before 2' in affected is no range"),
        (ROW.replace("open", "closed"), "by names what closes it, if and only if it is closed"),
        (f"{ROW}  by: [a.yaml]", "by names what closes it, if and only if it is closed"),
        (ROW * 2, "CVE-2026-12345 is there twice"),
        (f"{ROW}  also: [CVE-2026-12345]", "CVE-2026-12345 is there twice"),
        (ROW.replace("CVE-2026-12345", "CVE-26-1"), "advisories.0.id of CVE-26-1: String should"),
        (ROW.replace("CVE-2026-12345", "server#7"), "advisories.0.id of server#7: String should"),
        (
            ROW.replace("  what: a hole\n", ""),
            "0.what of CVE-2026-12345: Field required",
        ),
        (f"{ROW}  note: x", "advisories.0.note of CVE-2026-12345: Extra inputs"),
        (
            ROW.replace("https", "http"),
            "0.source of CVE-2026-12345: String should match",
        ),
        (": [", "is no YAML"),
    ],
)
def test_a_list_that_contradicts_itself_is_refused_by_its_place(
    tmp_path: Path, wrong: str, told: str
) -> None:
    with pytest.raises(AdvisoriesInvalid) as refused:
        listed(tmp_path, f"{HEAD}{wrong}")
    assert told in str(refused.value)
    assert str(tmp_path / "advisories.yaml") in str(refused.value)


def test_a_hole_without_a_number_has_that_of_the_pull_request_which_closed_it(
    tmp_path: Path,
) -> None:
    table = listed(tmp_path, f"{HEAD}{ROW.replace('CVE-2026-12345', 'team/server#7')}")
    (told,) = refusals("9.9", table).values()
    assert "add team/server#7 to kubeflow:acceptedAdvisories" in told


def test_a_patch_that_closes_a_hole_is_told_before_it_is_accepted(tmp_path: Path) -> None:
    table, patches = listed(tmp_path, f"{HEAD}{ROW}"), {"CVE-2026-12345": "patches: {a: 2.1}"}
    (refused,) = refusals("9.9", table, patches).values()
    assert "Take server 2.0 (kubeflow:patches: {a: 2.1}), or add CVE-2026-12345 to" in refused
    (told,) = notices("9.9", table, stack="a", patches=patches)
    assert told.endswith("server 2.0 (kubeflow:patches: {a: 2.1}) closes it.")


def test_a_hole_of_what_is_not_installed_is_none_of_the_stack(tmp_path: Path) -> None:
    table = listed(tmp_path, f"{HEAD}{ROW}")
    server, other = parse("team/server:1.9"), parse("team/other:1.9")
    assert table.of_installed([other], [server]).advisories == ()
    assert table.of_installed([server], [server]) == table
    assert table.of_installed([other], []) == table


def test_a_release_without_a_list_is_told_and_refuses_nothing(tmp_path: Path) -> None:
    assert of_release(tmp_path) is NONE
    (told,) = notices("1.0", NONE, stack="a")
    assert (
        told == "release 1.0 has no advisories.yaml: nobody has looked which holes are open in it"
    )
    assert refusals("1.0", NONE) == {}


@pytest.mark.parametrize(
    ("image", "affected"),
    [
        ("team/server:1.9", True),
        ("quay.io/team/server:v1.9.3-alpine", True),
        ("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/k/quay.io/team/server:1.0", True),
        ("quay.io/team/server:2.0", False),
        ("quay.io/other-team/server:1.9", False),
        ("quay.io/team/server-extra:1.9", False),
        ("quay.io/team/server:latest", False),
        (f"quay.io/team/server@sha256:{'0' * 64}", False),
    ],
)
def test_an_image_is_affected_by_its_name_and_version(
    tmp_path: Path, image: str, affected: bool
) -> None:
    (only,) = listed(tmp_path, f"{HEAD}{ROW}").advisories
    assert only.affects(parse(image)) is affected


def test_an_advisory_is_accepted_by_any_of_its_names(tmp_path: Path) -> None:
    table = listed(tmp_path, f"{HEAD}{ROW}  also: [GHSA-aaaa-bbbb-cccc]")
    assert table.ids(["GHSA-aaaa-bbbb-cccc"]) == {"CVE-2026-12345"}
    (told,) = notices("9.9", table, ["GHSA-aaaa-bbbb-cccc"], stack="a")
    assert told.endswith(" It is accepted.")


# -- what is told ---------------------------------------------------------------------------------


def test_critical_ones_come_first_and_by_name_the_others_are_counted(tmp_path: Path) -> None:
    lesser = ROW.replace("12345", "12346").replace("critical", "medium").replace("9.1", "5.0")
    high = ROW.replace("12345", "12347").replace("critical", "high").replace("score: 9.1", "")
    worst = ROW.replace("12345", "12348").replace("9.1", "9.8")
    closed = f"{ROW.replace('12345', '12349').replace('open', 'closed')}  by: [a.yaml]"
    table = listed(tmp_path, f"{HEAD}{lesser}{high}{ROW}{worst}{closed}")
    worst_of_all, accepted, others = notices("9.9", table, ["CVE-2026-12345"], stack="a")
    reached = "is open in release 9.9, a hole: Everybody reaches it. server 2.0 closes it."
    assert worst_of_all == f"CVE-2026-12348 (9.8) {reached}"
    assert accepted == f"CVE-2026-12345 (9.1) {reached} It is accepted."
    told = "advisories of release 9.9 open besides: 1 high, 1 medium (`./kf advisories --stack a`"
    assert others.startswith(told)
    assert table.ids(["CVE-2026-12345", "GHSA-aaaa-bbbb-cccc"]) == {"CVE-2026-12345"}
    assert refusals("9.9", table).keys() == {"CVE-2026-12345", "CVE-2026-12348"}
