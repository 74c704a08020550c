"""The script of the Job database-init, run against a real server that speaks MySQL's protocol.

The server is MariaDB, which reads the MySQL-only parts of the statements as comments. Everything
else is the Job's own (``database_job``).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import mariadb
from tests.services.certificates import Authority
from tests.services.database_job import COMPONENTS, Job


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mariadb.Server]:
    with mariadb.running(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture
def job(server: mariadb.Server, tmp_path: Path, request: pytest.FixtureRequest) -> Job:
    number = zlib.crc32(request.node.name.encode())
    master = {"username": "unused", "password": "unused", "host": "unused", "port": "0"}
    remote = {
        f"<<secret.{component}>>": {
            "username": f"{component.replace('-', '_')}_{number}",
            "password": f"passwordOf{component.replace('-', '')}1",
            "host": mariadb.HOST,
            "port": str(server.port),
            "database": f"{component.replace('-', '')}{number}",
        }
        for component in COMPONENTS
    }
    job = Job(server, tmp_path, {"<<secret.database-master>>": master, **remote})
    job.mount()
    return job


def succeed(job: Job) -> str:
    answer = job.run()
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_every_component_gets_its_database_and_its_user(job: Job) -> None:
    succeed(job)
    for component in COMPONENTS:
        use = f"USE {job.user(component)['database']};"
        fill = "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (7);"
        look = "SELECT id, @@character_set_database FROM t"
        assert job.query(component, f"{use} {fill} {look}") == (0, "7\tutf8mb4\n")


def test_each_user_reaches_its_own_database_and_no_other(job: Job) -> None:
    succeed(job)
    reached = {
        (user, owner)
        for user in COMPONENTS
        for owner in COMPONENTS
        if job.query(user, f"USE {job.user(owner)['database']}")[0] == 0
    }
    assert reached == {(component, component) for component in COMPONENTS}


def test_no_user_may_do_more_than_its_row_says(job: Job) -> None:
    succeed(job)
    rows = [
        line.split(maxsplit=3)
        for line in (job.folder / "script/components").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert [row[0] for row in rows] == list(COMPONENTS)
    for component, _login, _tls, rights in rows:
        user = job.user(component)
        answer = job.server.query(f"SHOW GRANTS FOR '{user['username']}'@'%'").stdout
        everywhere, own = answer.splitlines()
        assert everywhere.startswith("GRANT USAGE ON *.* ")
        granted, _, on = own.removeprefix("GRANT ").partition(" ON ")
        assert set(granted.split(", ")) == set(rights.split(", "))
        assert on.startswith(f"`{user['database']}`.* ")


def test_users_whose_client_speaks_tls_are_refused_without_it(job: Job) -> None:
    succeed(job)
    plain = {c for c in COMPONENTS if job.query(c, "SELECT 1", tls=False)[0] == 0}
    assert plain == {"katib"}


def test_a_second_run_changes_nothing(job: Job) -> None:
    succeed(job)
    before = job.accounts()
    assert "now the one" not in succeed(job)
    assert job.accounts() == before


def test_after_another_run_the_new_password_works(job: Job) -> None:
    succeed(job)
    old = dict(job.user("metadata"))
    job.user("metadata")["password"] = "rotatedPassword2"
    assert job.query("metadata", "SELECT 1")[0] != 0
    job.mount()
    said = succeed(job)
    assert job.query("metadata", "SELECT 1") == (0, "1\n")
    assert [line.split(":")[1] for line in said.splitlines() if "now the one" in line] == [
        " metadata"
    ]
    # MariaDB knows no second password; MySQL keeps the old one until the next rotation
    assert job.server.query("SELECT 1", old["username"], old["password"]).returncode != 0


def test_a_database_that_exists_keeps_what_is_in_it(job: Job) -> None:
    database = job.user("katib")["database"]
    job.server.query(f"CREATE DATABASE {database}; CREATE TABLE {database}.t (id INT)")
    succeed(job)
    assert job.query("katib", f"USE {database}; SHOW TABLES") == (0, "t\n")


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("password", "quote'; DROP USER x; --", "[A-Za-z0-9]"),
        ("password", "", "[A-Za-z0-9]"),
        ("username", "someone@else", "[a-z0-9_]"),
        ("database", "meta%", "[a-z0-9]"),
    ],
)
def test_a_value_that_needs_quoting_is_refused_in_one_sentence(
    job: Job, field: str, value: str, allowed: str
) -> None:
    job.user("metadata")[field] = value
    job.mount()
    answer = job.run()
    assert answer.returncode == 1
    assert answer.stderr == (
        f"database-init: the {field} in the secret of metadata may hold {allowed} only: "
        "write another one to Secrets Manager\n"
    )


def test_an_absent_secret_is_named(job: Job) -> None:
    (job.folder / "secrets/cache.password").unlink()
    answer = job.run()
    assert answer.returncode == 1
    assert answer.stderr == (
        "database-init: the secret of cache has no password: look at ExternalSecret database-init\n"
    )


def test_no_password_is_in_an_argument_the_environment_or_the_output(job: Job) -> None:
    output = succeed(job)
    job.user("katib")["password"] = "rotatedPassword3"
    job.mount()
    output += succeed(job)
    told = (job.folder / "seen").read_text() + output
    assert "--defaults-file" in told
    passwords = [user["password"] for user in job.remote.values()] + [mariadb.MASTER_PASSWORD]
    assert [password for password in passwords if password in told] == []


def test_an_error_of_the_server_is_told_without_the_password(job: Job) -> None:
    table = job.folder / "script/components"
    table.write_text("cache WITH*/NONSENSE/* SSL SELECT\n")
    answer = job.run()
    assert answer.returncode == 1
    assert "ERROR 1064" in answer.stderr
    assert "NONSENSE BY '********'" in answer.stderr
    assert job.user("cache")["password"] not in answer.stderr + answer.stdout


def test_a_server_that_another_authority_vouches_for_is_told_nothing(
    job: Job, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "another authority")
    text = job.server.options(mariadb.MASTER, mariadb.MASTER_PASSWORD)
    job.put("secrets", {"client.cnf": text.replace(str(job.server.authority), str(other.file))})
    answer = job.run()
    assert answer.returncode == 1
    assert "ERROR 2026" in answer.stderr
    assert job.query("ml-pipeline", "SELECT 1")[0] != 0


def test_a_machine_without_the_server_is_told_what_to_install() -> None:
    with pytest.raises(mariadb.ServerMissing, match=r"run tests/packages\.sh mariadb-server"):
        mariadb.tool("mariadbd-of-nobody")
