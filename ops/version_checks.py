"""Versions of Kubernetes and MySQL: whether AWS offers them, and when its support ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from ops.account_calls import Session, aws_call, client
from ops.checks import Subject
from ops.findings import Finding, good, note, problem
from settings.errors import full_key, listed, refusal
from settings.support_ends import EKS, KUBERNETES, MYSQL, Support

_SOON_DAYS = 120
"""Between two versions of EKS: time to plan an upgrade."""

_KUBERNETES, _MYSQL = "cluster.version", "database.engineVersion"
_POSTGRES = "modelCatalog.engineVersion"
_ABOUT = {_KUBERNETES: "Kubernetes", _MYSQL: "MySQL", _POSTGRES: "PostgreSQL"}


def today() -> date:
    """The present day, which tests replace."""
    return datetime.now(UTC).date()


def calendar_findings(stack: Subject) -> Iterator[Finding]:
    """Ends of support by the project's own dated table, without a call."""
    settings = stack.settings
    version = settings.cluster.version
    if version in KUBERNETES:
        yield _support(_KUBERNETES, version, EKS[version])
    else:
        yield problem(
            "Kubernetes",
            f"EKS no longer creates clusters of {version}, and {settings.release} supports "
            "nothing newer: rehearse this stack, and deploy another release",
        )
    major = _major(stack)
    if major in MYSQL:
        yield _support(_MYSQL, major, MYSQL[major])


def kubernetes_support(version: str) -> Finding | None:
    """The end of support of a running version by the table; None where it lacks the version."""
    return _support(_KUBERNETES, version, EKS[version]) if version in EKS else None


def mysql_support(version: str) -> Finding | None:
    """Likewise of the major version (``8.4``) of a running database."""
    return _support(_MYSQL, version, MYSQL[version]) if version in MYSQL else None


def eks_findings(stack: Subject, session: Session) -> Iterator[Finding]:
    """Whether EKS offers the version in this region, and when its support ends there."""
    version = stack.settings.cluster.version
    with aws_call("eks"):
        answer = client(stack.settings, session, "eks").describe_cluster_versions()
    offered = {each["clusterVersion"]: each for each in answer["clusterVersions"]}
    if version not in offered:
        yield _not_offered(stack, _KUBERNETES, version, list(offered))
        return
    ends = (offered[version].get(f"endOf{kind}SupportDate") for kind in ("Standard", "Extended"))
    yield from _of_dates(_KUBERNETES, version, *ends)


def mysql_findings(stack: Subject, session: Session) -> Iterator[Finding]:
    """Whether RDS offers the version in this region, and when its support ends there."""
    version, rds = stack.settings.database.engine_version, client(stack.settings, session, "rds")
    with aws_call("rds"):
        found = rds.describe_db_engine_versions(Engine="mysql", EngineVersion=version)
        if not found["DBEngineVersions"]:
            answer = rds.describe_db_engine_versions(Engine="mysql")
            others = [each["EngineVersion"] for each in answer["DBEngineVersions"]]
            yield _not_offered(stack, _MYSQL, version, others)
            return
        major = rds.describe_db_major_engine_versions(
            Engine="mysql", MajorEngineVersion=_major(stack)
        )
    ends = {
        cycle["LifecycleSupportName"].split("-")[3]: cycle["LifecycleSupportEndDate"]
        for each in major["DBMajorEngineVersions"]
        for cycle in each["SupportedEngineLifecycles"]
    }
    yield from _of_dates(_MYSQL, version, ends.get("standard"), ends.get("extended"))


def postgres_findings(stack: Subject, session: Session) -> Iterator[Finding]:
    """Whether RDS offers the version of the catalog's database in this region."""
    catalog = stack.settings.model_catalog
    if not catalog.enabled:
        return
    version, rds = catalog.engine_version, client(stack.settings, session, "rds")
    with aws_call("rds"):
        found = rds.describe_db_engine_versions(Engine="postgres", EngineVersion=version)
        if found["DBEngineVersions"]:
            yield good(_ABOUT[_POSTGRES], f"AWS offers {version}")
            return
        answer = rds.describe_db_engine_versions(Engine="postgres")
    others = [each["EngineVersion"] for each in answer["DBEngineVersions"]]
    yield _not_offered(stack, _POSTGRES, version, others)


def _major(stack: Subject) -> str:
    return ".".join(stack.settings.database.engine_version.split(".")[:2])


def _not_offered(stack: Subject, key: str, version: str, offered: list[str]) -> Finding:
    service = "EKS" if key == _KUBERNETES else "RDS"
    versions = listed(sorted(offered)[-6:]) if offered else "another one"
    reason = f"{service} does not offer it in {stack.region.name}: use {versions}"
    return problem(_ABOUT[key], refusal(key, version, reason).rstrip("."))


def _of_dates(key: str, version: str, standard: Any, extended: Any) -> Iterator[Finding]:
    """A finding by the dates that AWS answers, where it answers some."""
    if standard and extended:
        yield _support(key, version, Support(standard=standard.date(), extended=extended.date()))
    else:
        yield good(_ABOUT[key], f"AWS offers {version}")


def _support(key: str, version: str, ends: Support) -> Finding:
    about, days = _ABOUT[key], (ends.standard - today()).days
    upgrade = f"set {full_key(key)} to a newer one"
    if today() > ends.extended:
        return problem(about, f"AWS's support of {version} ended on {ends.extended}: {upgrade}")
    if days < 0:
        paid = f"since {ends.standard} {version} costs more (extended support, to {ends.extended})"
        return note(about, f"{paid}: {upgrade}")
    sentence = f"standard support of {version} ends on {ends.standard}, in {days} days"
    if days <= _SOON_DAYS:
        return note(about, f"{sentence}; from then on it costs more: {upgrade} before")
    return good(about, sentence)
