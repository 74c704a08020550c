"""Versions: the calendar by its own dates, and what EKS and RDS answer."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from ops import version_checks
from ops.findings import Level
from ops.version_checks import calendar_findings, eks_findings, mysql_findings, postgres_findings
from settings.support_ends import EKS, KUBERNETES, MYSQL
from tests.ops.account import problems, session, subject, told

NAMES = ("open-source-rds-standard-support", "open-source-rds-extended-support")


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version_checks, "today", lambda: date(2026, 11, 29))


@pytest.mark.parametrize(
    ("version", "level", "sentence"),
    [
        ("1.36", Level.GOOD, "standard support of 1.36 ends on 2027-08-02, in 246 days"),
        ("1.35", Level.NOTE, "ends on 2027-03-27, in 118 days; from then on it costs more: set"),
        ("1.34", Level.NOTE, "ends on 2026-12-02, in 3 days"),
        ("1.33", Level.NOTE, "since 2026-07-29 1.33 costs more (extended support, to 2027-07-29)"),
    ],
)
def test_the_calendar_tells_when_kubernetes_costs_more(
    version: str, level: Level, sentence: str
) -> None:
    first, _ = calendar_findings(subject(cluster={"version": version}))
    assert (first.about, first.level) == ("Kubernetes", level)
    assert sentence in first.sentence


def test_after_extended_support_a_version_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version_checks, "today", lambda: date(2028, 8, 3))
    (sentence,) = problems(calendar_findings(subject()))
    assert sentence == (
        "AWS's support of 1.36 ended on 2028-08-02: set kubeflow:cluster.version to a newer one"
    )
    monkeypatch.setattr(version_checks, "today", lambda: date(2028, 8, 2))
    assert problems(calendar_findings(subject())) == []


@pytest.mark.parametrize(
    ("version", "level"), [("8.4", Level.GOOD), ("8.4.7", Level.GOOD), ("8.0", Level.NOTE)]
)
def test_the_calendar_has_the_database(version: str, level: Level) -> None:
    _, second = calendar_findings(subject(database={"engineVersion": version}))
    assert (second.about, second.level) == ("MySQL", level)


def test_eks_offers_what_extended_support_covered_when_the_table_was_read() -> None:
    assert KUBERNETES == ("1.32", "1.33", "1.34", "1.35", "1.36")
    assert set(EKS) == {"1.31", *KUBERNETES}
    assert all(ends.standard < ends.extended for ends in (*EKS.values(), *MYSQL.values()))


def clusters(**ends: Any) -> dict[str, Any]:
    rows = [{"clusterVersion": "1.35"}, {"clusterVersion": "1.36", **ends}]
    return {"eks.DescribeClusterVersions": {"clusterVersions": rows}}


@pytest.mark.usefixtures("aws")
def test_eks_is_asked_in_the_region() -> None:
    ends = {
        "endOfStandardSupportDate": datetime(2026, 12, 24, tzinfo=UTC),
        "endOfExtendedSupportDate": datetime(2027, 12, 24, tzinfo=UTC),
    }
    (found,) = eks_findings(subject("cn-north-1"), session(clusters(**ends)))
    assert found.level is Level.NOTE
    assert "ends on 2026-12-24, in 25 days" in found.sentence
    (found,) = eks_findings(subject("cn-north-1"), session(clusters()))
    assert (found.level, found.sentence) == (Level.GOOD, "AWS offers 1.36")
    stack = subject("cn-north-1", cluster={"version": "1.34"})
    (found,) = eks_findings(stack, session(clusters()))
    assert found.level is Level.PROBLEM
    assert found.sentence == (
        "kubeflow:cluster.version is 1.34: EKS does not offer it in cn-north-1: use 1.35 or 1.36"
    )


def mysql(*versions: str, ends: tuple[datetime, ...] = ()) -> dict[str, Any]:
    def engine_versions(params: dict[str, Any]) -> dict[str, Any]:
        asked = params["body"].get("EngineVersion", "")
        found = [each for each in versions if each.startswith(asked)]
        return {"DBEngineVersions": [{"EngineVersion": each} for each in found]}

    cycles = [
        {"LifecycleSupportName": name, "LifecycleSupportEndDate": end}
        for name, end in zip(NAMES, ends, strict=False)
    ]
    major = {"DBMajorEngineVersions": [{"SupportedEngineLifecycles": cycles}]}
    return {
        "rds.DescribeDBEngineVersions": engine_versions,
        "rds.DescribeDBMajorEngineVersions": major,
    }


@pytest.mark.usefixtures("aws")
def test_rds_is_asked_in_the_region() -> None:
    ends = (datetime(2026, 7, 31, tzinfo=UTC), datetime(2029, 7, 31, tzinfo=UTC))
    stack = subject(database={"engineVersion": "8.0"})
    (found,) = mysql_findings(stack, session(mysql("8.0.40", ends=ends)))
    assert found.level is Level.NOTE
    assert "since 2026-07-31 8.0 costs more (extended support, to 2029-07-31)" in found.sentence
    (found,) = mysql_findings(stack, session(mysql("8.4.6", "8.4.7")))
    assert found.sentence == (
        "kubeflow:database.engineVersion is 8.0: RDS does not offer it in us-west-2: use 8.4.6 or "
        "8.4.7"
    )
    assert told(mysql_findings(subject(), session(mysql("8.4.7"))), Level.GOOD) == [
        "AWS offers 8.4"
    ]


@pytest.mark.usefixtures("aws")
def test_rds_is_asked_for_the_catalogs_version_where_there_is_a_catalog() -> None:
    answers = session(mysql("17.6", "17.7"))
    assert list(postgres_findings(subject(), answers)) == []
    catalog = subject(modelCatalog={"enabled": True})
    assert told(postgres_findings(catalog, answers), Level.GOOD) == ["AWS offers 17"]
    (found,) = postgres_findings(catalog, session(mysql("16.4", "16.5")))
    assert found.sentence == (
        "kubeflow:modelCatalog.engineVersion is 17: RDS does not offer it in us-west-2: use 16.4 "
        "or 16.5"
    )
