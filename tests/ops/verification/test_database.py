"""What the pod at the database prints, and what the checks make of it; real servers are in
tests/consumers/test_verification_database.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from ops.cli_errors import Refused
from ops.findings import Finding, Level
from ops.verification.checks.database import (
    COUNTED,
    database_databases,
    database_reach,
    database_rows,
    database_tables,
    questions,
)
from rendering.release import DatabaseUser
from tests.database_users import users
from tests.ops.verification.storage import (
    JOBS,
    NAMESPACE,
    Storage,
    found,
    init_job,
    passes,
    sentences,
    storage,
)
from tests.releases import RELEASES

Told = dict[tuple[str, str], list[str]]
"""Component and question -> its lines after these."""
DENIED = "ERROR 1045 (28000): Access denied for user 'x'@'10.64.0.9' (using password: YES)"
RELEASE = "26.03"
"""In which every stack has all users of the database."""
CHECKS = (database_reach, database_databases, database_tables, database_rows)


def right(of: Mapping[str, DatabaseUser] | None = None) -> Told:
    """What a platform answers on which something of everything has run."""
    told: Told = {}
    of = of or users(RELEASE)
    for component, user in of.items():
        name = user.database
        plain = ["row\t1"] if user.tls == "NONE" else [f"error\t{DENIED}"]
        told |= {
            (component, "login"): [f"row\t8.4.7\t{user.user}@%"],
            (component, "cipher"): [
                "row\tSsl_cipher\tTLS_AES_256_GCM_SHA384",
                "row\tSsl_version\tTLSv1.3",
            ],
            (component, "plain"): plain,
            (component, "databases"): [f"row\t{name}", "row\tinformation_schema"],
            (component, "tables"): [f"row\t{table}" for table in user.tables],
            (component, "rights"): [
                "row\t*\tUSAGE",
                *(f"row\t{name}\t{right}" for right in sorted(user.rights)),
            ],
        }
        for each in questions(of):
            if (each.component, each.name) not in told and each.component == component:
                told[component, each.name] = ["row\t7"]
    return told


def printed(told: Told) -> str:
    lines: list[str] = []
    for (component, name), rows in told.items():
        done = [] if any(row.startswith("error") for row in rows) else ["done"]
        lines += [f"{component}\t{name}\t{row}" for row in (*rows, *done)]
    return "\n".join([*lines, "end", ""])


def platform(told: Told | None = None, **sections: Any) -> Storage:
    sections = {"release": RELEASE, **sections}
    return storage(printing=printed(right() if told is None else told), **sections)


def examined(check: Callable[..., Iterator[Finding]], told: Told | None = None) -> list[Finding]:
    return found(check, platform(told).platform)


@pytest.mark.check("database-reach", broken=False)
def test_every_user_logs_in_over_tls() -> None:
    findings = examined(database_reach)
    assert passes(findings)
    assert [each.about for each in findings] == [f"user of {each}" for each in users(RELEASE)]
    assert findings[0].sentence == (
        "ml_pipeline@% logs in to MySQL 8.4.7 over TLSv1.3, TLS_AES_256_GCM_SHA384, and not "
        "without TLS"
    )
    assert findings[3].sentence.endswith("also without TLS, which its driver lacks")


@pytest.mark.check("database-databases", broken=False)
def test_every_user_sees_its_own_database() -> None:
    findings = examined(database_databases)
    assert passes(findings)
    assert sentences(findings, Level.GOOD)[0] == (
        "database mlpipeline: ml-pipeline sees it alone, with 8 rights in it"
    )


@pytest.mark.check("database-tables", broken=False)
def test_every_table_is_there() -> None:
    told = right()
    told["katib", "tables"].append("row\tof_another_version")
    findings = examined(database_tables, told)
    assert passes(findings)
    assert sentences(findings, Level.GOOD)[::3] == [
        "database mlpipeline: has the 10 tables of ml-pipeline",
        "database kubeflow: has the 1 table of katib and 1 other",
    ]


@pytest.mark.check("database-rows", broken=False)
def test_rows_are_counted() -> None:
    told = right()
    told["katib", "observation_logs"] = ["row\t100000"]
    findings = examined(database_rows, told)
    assert passes(findings)
    text = sentences(findings, Level.GOOD)
    assert "mlpipeline.run_details: 7 runs" in text
    assert "kubeflow.observation_logs: 100,000 observations of trials, and maybe more" in text


@pytest.mark.check("database-rows", broken=True)
def test_no_rows_are_a_note_with_what_makes_one_and_no_table_is_a_problem() -> None:
    told = right()
    told["katib", "observation_logs"] = ["row\t0"]
    told["ml-pipeline", "run_details"] = ["error\tERROR 1146 (42S02): Table doesn't exist"]
    findings = examined(database_rows, told)
    (note,) = sentences(findings, Level.NOTE)
    assert note == (
        "kubeflow.observation_logs: no observations of trials, because a Katib experiment has not "
        "run yet: `./kf verify --stack cn-north-1 --deep` runs one"
    )
    (problem,) = sentences(findings)
    assert problem.startswith("mlpipeline.run_details: cannot be read: ERROR 1146")


ERRORS: Mapping[str, str] = {
    DENIED: "its password in Secret database-init-1 is not the one in the database",
    "ERROR 2003 (HY000): Can't connect to MySQL server on 'db:3306' (110)": "its security group",
    "ERROR 2003 (HY000): Can't connect to MySQL server on 'db:3306' (111)": "refuses connections",
    "ERROR 2002 (HY000): Can't connect to server on 'db' (110)": "its security group must admit",
    "ERROR 2005 (HY000): Unknown MySQL server host 'db' (-2)": "no pod finds the host",
    "ERROR 2013 (HY000): Lost connection at 'reading initial communication packet'": "security",
    "ERROR 2026 (HY000): SSL connection error: certificate verify failed": "lacks its authority",
    "ERROR 1040 (08004): Too many connections": "kubeflow:database.instanceClass",
    "ERROR 1129 (HY000): Host '10.0.0.9' is blocked": "reboot-db-instance",
    "ERROR 1862 (HY000): Your password has expired": "its password has expired",
    "mysql: [ERROR] Could not open required defaults file: /etc/x.cnf": "has no option file",
    "ERROR 1105 (HY000): Unknown error": "logs job/database-init-1` may say more",
}


@pytest.mark.check("database-reach", broken=True)
@pytest.mark.parametrize("error", ERRORS)
def test_a_failed_login_has_its_reason(error: str) -> None:
    told = {key: rows for key, rows in right().items() if key[0] != "cache"}
    told["cache", "login"] = [f"error\t{error}"]
    (problem,) = sentences(examined(database_reach, told))
    assert problem.startswith(f"user of cache: {error}: ")
    assert ERRORS[error] in problem


def test_where_the_server_is_out_of_reach_nobody_else_is_asked() -> None:
    error = "error\tERROR 2003 (HY000): Can't connect to MySQL server on 'db:3306' (110)"
    first, *others = sentences(examined(database_reach, {("ml-pipeline", "login"): [error]}))
    assert "(110): the server does not answer" in first
    assert len(others) == 3
    assert all("was not asked: the server is out of reach" in each for each in others)
    for check in CHECKS[1:]:
        with pytest.raises(Refused, match="no component's user can log in: see database-reach"):
            examined(check, {("ml-pipeline", "login"): [error]})


def test_one_component_without_login_leaves_the_others_checked() -> None:
    told = {key: rows for key, rows in right().items() if key[0] != "katib"}
    told["katib", "login"] = [f"error\t{DENIED}"]
    for check in CHECKS[1:]:
        findings = examined(check, told)
        assert sentences(findings) == ["user of katib: cannot log in: see database-reach"]
        assert len(findings) > 3


@pytest.mark.check("database-reach", broken=True)
@pytest.mark.parametrize(
    ("component", "answer", "sentence"),
    [
        ("metadata", ["row\t1"], "and without TLS too: a higher kubeflow:database.rotation with"),
        ("katib", ["error\tERROR 3159 (HY000): Insecure"], "is refused without TLS (ERROR 3159"),
    ],
)
def test_plain_connections_are_those_of_the_table(
    component: str, answer: list[str], sentence: str
) -> None:
    (problem,) = sentences(examined(database_reach, {**right(), (component, "plain"): answer}))
    assert sentence in problem


def test_a_login_without_a_cipher_is_a_problem() -> None:
    told = {**right(), ("cache", "cipher"): ["row\tSsl_cipher\t", "row\tSsl_version\t"]}
    (problem,) = sentences(examined(database_reach, told))
    assert problem.startswith("user of cache: cache@% is logged in without TLS")


@pytest.mark.parametrize("question", ["cipher", "plain"])
def test_a_server_that_ends_between_two_questions_is_a_note(question: str) -> None:
    told = right()
    del told["cache", question]
    (note,) = sentences(examined(database_reach, told), Level.NOTE)
    assert note.startswith(
        "user of cache: cache@% logs in to MySQL 8.4.7, and its TLS is not known"
    )


@pytest.mark.check("database-databases", broken=True)
@pytest.mark.parametrize(
    ("question", "lines", "sentence"),
    [
        ("databases", ["row\tinformation_schema"], "database kubeflow: is missing, or katib"),
        ("databases", ["row\tkubeflow", "row\tmetadb"], "katib may use metadb too"),
        ("databases", ["error\tERROR 1227 (42000): Access denied"], "katib cannot ask for it"),
        ("rights", ["row\tkubeflow\tSELECT"], "katib lacks CREATE, DELETE and INSERT in it"),
        ("rights", ["row\t*\tPROCESS"], "katib may use every database too"),
        ("rights", ["row\tml\\\\_x\tSELECT"], "katib may use ml_x too"),
    ],
)
def test_other_databases_and_missing_rights_are_named(
    question: str, lines: list[str], sentence: str
) -> None:
    told = right()
    before = told["katib", "rights"] if question == "rights" and "kubeflow" not in lines[0] else []
    told["katib", question] = [*before, *lines]
    assert sentence in "\n".join(sentences(examined(database_databases, told)))


def test_rights_that_nothing_needs_are_a_note() -> None:
    told = right()
    told["katib", "rights"].append("row\tkubeflow\tDROP")
    (note,) = sentences(examined(database_databases, told), Level.NOTE)
    assert note == "database kubeflow: katib has DROP in it too, which it does not need"


@pytest.mark.check("database-tables", broken=True)
def test_missing_tables_are_named_with_what_makes_them() -> None:
    told = right()
    told["metadata", "tables"].remove("row\tEventPath")
    told["cache", "tables"] = []
    cache, metadata = sentences(examined(database_tables, told))
    assert cache.startswith("database cachedb: has no table: cache has not started with it")
    assert metadata == (
        "database metadb: lacks EventPath of its 15 tables: restart Deployment "
        "kubeflow/metadata-grpc-deployment, which makes them"
    )


@pytest.mark.check("database-reach", broken=True)
def test_the_rotation_and_the_failure_of_the_job_that_makes_users_are_told() -> None:
    made = platform(database={"rotation": 3})
    made.cluster.lists[JOBS] = [init_job(1), init_job(2, failed=True)]
    rotation, job = sentences(found(database_reach, made.platform))
    assert rotation == (
        "passwords: the platform has the passwords of rotation 2, and kubeflow:database.rotation "
        "is 3: run `pulumi up`"
    )
    assert job.startswith("Job database-init-2: has failed, so that users may be missing")


@pytest.mark.check("database-reach", broken=True)
def test_a_platform_without_that_job_is_told_once() -> None:
    made = platform()
    made.cluster.lists.clear()
    (problem,) = sentences(found(database_reach, made.platform))
    sentence = "namespace kubeflow-database has no Job database-init-1, which makes the users of"
    assert problem.startswith(f"passwords: {sentence}")
    with pytest.raises(Refused, match=sentence):
        found(database_tables, made.platform)
    assert made.created == []


def test_one_pod_answers_all_of_the_checks() -> None:
    made = platform()
    for check in CHECKS:
        found(check, made.platform)
    assert len(made.created) == 1


@pytest.mark.check("database-reach", broken=True)
def test_a_pod_that_does_not_start_has_kubernetes_reason_once() -> None:
    made = platform()
    made.cluster.end = ""
    core = f"/api/v1/namespaces/{NAMESPACE}"
    pod = {"metadata": {"name": "p", "uid": "1"}, "status": {"phase": "Pending"}}
    # kubernetes/kubernetes v1.34 pkg/kubelet/volumemanager, the event of a volume that waits.
    message = 'MountVolume.SetUp failed for volume "secrets" : secret "database-init-1" not found'
    event = {"reason": "FailedMount", "message": message, "involvedObject": {"uid": "1"}}
    made.cluster.lists |= {f"{core}/pods": [pod], f"{core}/events": [event]}
    (problem,) = sentences(found(database_reach, made.platform))
    assert problem.startswith(
        "pod in kubeflow-database: Job kubeflow-database/kf-verify-1a2b3c4d0a06-"
    )
    assert "did not end within 240 s: FailedMount: MountVolume.SetUp failed" in problem
    with pytest.raises(Refused, match="FailedMount"):
        found(database_tables, made.platform)
    assert len(made.created) == 1


def test_a_pod_that_nobody_could_make_has_the_reason_of_its_job() -> None:
    made = platform()
    made.cluster.end = "Failed"
    core = f"/api/v1/namespaces/{NAMESPACE}"
    job = "kf-verify-1a2b3c4d0a06-database-rows-1"
    event = {
        "reason": "FailedCreate",
        "message": "Error creating: exceeded quota",
        "involvedObject": {"name": job},
    }
    made.cluster.lists[f"{core}/events"] = [event]
    (problem,) = sentences(found(database_reach, made.platform))
    assert f"Job {NAMESPACE}/{job} failed: FailedCreate: Error creating: exceeded quota" in problem


@pytest.mark.parametrize("v1", [False, True])
@pytest.mark.parametrize("check", CHECKS)
def test_a_platform_is_asked_for_the_components_that_it_has(
    check: Callable[..., Iterator[Finding]], v1: bool
) -> None:
    present = users("26.03.1", ("pipelines-v1",) if v1 else ())
    assert ("cache" in present) == v1
    sections = {"release": "26.03.1", "pipelines": {"v1": v1}}
    findings = found(check, platform(right(present), **sections).platform)
    assert passes(findings)
    if check is database_reach:
        assert [each.about for each in findings] == [f"user of {each}" for each in present]


def test_rows_are_counted_in_tables_that_a_release_has() -> None:
    """Every one is in some release, and a component's questions are about its own tables."""
    asked = {
        (each.component, each.name)
        for release in RELEASES
        for each in questions(users(release))
        if each.statement.startswith("SELECT COUNT")
    }
    counted = {(name, table) for name, tables in COUNTED.items() for table in tables}
    assert asked == counted
    every = {(name, t) for r in RELEASES for name, user in users(r).items() for t in user.tables}
    assert counted <= every
