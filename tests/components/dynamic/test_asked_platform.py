"""What a cluster and RDS answer before an upgrade: an API server over HTTP, RDS by moto."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from moto import mock_aws
from moto.rds.models import DBInstance, DBSnapshot, rds_backends

from components.dynamic import asked_platform
from components.dynamic.asked_platform import AskedPlatform
from components.dynamic.provider import aws_client
from upgrades.asking import Unanswered

REGION = "cn-north-1"
DATABASE: dict[str, Any] = {
    "instance": "kubeflow-kubeflow",
    "region": REGION,
    "credentials": {},
    "endpoints": {},
}


class ApiServer(HTTPServer):
    """Lists objects in pages of two on the loopback interface."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status = 200
        self.names = [f"run-{number}" for number in range(5)]
        self.asked: list[dict[str, list[str]]] = []

    def kubeconfig(self) -> str:
        server = {"server": f"http://127.0.0.1:{self.server_port}"}
        return json.dumps(
            {
                "clusters": [{"name": "one", "cluster": server}],
                "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
                "current-context": "one",
                "users": [{"name": "one", "user": {"token": "word"}}],
            }
        )


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server, parts = cast(ApiServer, self.server), urlsplit(self.path)
        query = parse_qs(parts.query)
        server.asked.append(query)
        known = parts.path == "/apis/argoproj.io/v1alpha1/workflows"
        start = int(query.get("continue", ["0"])[0])
        items = [{"metadata": {"name": name}} for name in server.names[start : start + 2]]
        more = str(start + 2) if start + 2 < len(server.names) else ""
        self.send_response(server.status if known else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"items": items, "metadata": {"continue": more}}).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a test's own requests are no news."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ApiServer() as started:
        threading.Thread(target=started.serve_forever, daemon=True).start()
        yield started
        started.shutdown()


def platform(kubeconfig: Any = "{}") -> AskedPlatform:
    return AskedPlatform({"kubeconfig": kubeconfig, "database": DATABASE})


def workflows(kubeconfig: Any) -> list[str]:
    found = platform(kubeconfig).objects("argoproj.io/v1alpha1", "workflows")
    return [each["metadata"]["name"] for each in found]


def test_a_long_list_comes_in_pages(server: ApiServer) -> None:
    assert workflows(server.kubeconfig()) == server.names
    assert [asked.get("continue") for asked in server.asked] == [None, ["2"], ["4"]]
    assert {tuple(asked["limit"]) for asked in server.asked} == {("500",)}


def test_a_type_that_the_cluster_has_not_has_no_objects(server: ApiServer) -> None:
    assert list(platform(server.kubeconfig()).objects("a.example/v1", "things")) == []


def test_a_refusal_is_no_answer(server: ApiServer) -> None:
    server.status = 403
    with pytest.raises(Unanswered, match="403 Forbidden"):
        workflows(server.kubeconfig())


def test_a_server_that_is_away_is_no_answer(server: ApiServer) -> None:
    kubeconfig = server.kubeconfig()
    server.shutdown()
    server.server_close()
    with pytest.raises(Unanswered):
        workflows(kubeconfig)


@pytest.mark.parametrize("kubeconfig", ["{}", "no JSON", None])
def test_a_kubeconfig_that_is_none_is_no_answer(kubeconfig: Any) -> None:
    with pytest.raises(Unanswered):
        workflows(kubeconfig)


@pytest.fixture
def rds(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An RDS whose instances have resource identifiers of their own, as AWS's have.

    moto gives every instance the same one, so a second instance of a name would pass for the first.
    """
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    made = iter(range(100))

    def identified(self: DBInstance, *args: Any, **options: Any) -> None:
        of_moto(self, *args, **options)
        self.dbi_resource_id = f"db-{next(made):026}"

    of_moto = DBInstance.__init__
    monkeypatch.setattr(DBInstance, "__init__", identified)
    with mock_aws():
        yield boto3.client("rds", region_name=REGION)


def install(rds: Any, name: str = "kubeflow-kubeflow") -> None:
    """An instance; RDS takes a snapshot of its own when it has made one, and each day."""
    rds.create_db_instance(
        DBInstanceIdentifier=name, Engine="mysql", DBInstanceClass="db.m6g.large"
    )


def kept_snapshots() -> Mapping[str, DBSnapshot]:
    """What moto has of them: its API cannot set their state or their time."""
    backend: Any = rds_backends["123456789012"][REGION]
    return backend.database_snapshots


def age(taken: datetime | None) -> float:
    assert taken is not None
    return (datetime.now(UTC) - taken).total_seconds()


def test_the_newest_snapshot_is_that_of_this_database(rds: Any) -> None:
    install(rds, "another")
    with pytest.raises(Unanswered, match="DBInstanceNotFound"):
        platform().newest_snapshot()
    install(rds)
    assert abs(age(platform().newest_snapshot())) < 60


def test_a_snapshot_of_an_earlier_database_of_the_name_is_none(rds: Any) -> None:
    """As of a stack that was torn down: its rows are not those of this database."""
    install(rds)
    rds.create_db_snapshot(
        DBInstanceIdentifier="kubeflow-kubeflow", DBSnapshotIdentifier="before-the-end"
    )
    rds.delete_db_instance(
        DBInstanceIdentifier="kubeflow-kubeflow", FinalDBSnapshotIdentifier="final"
    )
    install(rds)
    rds.delete_db_snapshot(
        DBSnapshotIdentifier=next(each for each in kept_snapshots() if each.startswith("rds:"))
    )
    held = rds.describe_db_snapshots(DBInstanceIdentifier="kubeflow-kubeflow")["DBSnapshots"]
    assert {each["DBSnapshotIdentifier"] for each in held} == {"before-the-end", "final"}
    assert platform().newest_snapshot() is None


def test_only_a_complete_snapshot_counts(rds: Any) -> None:
    install(rds)
    for each in kept_snapshots().values():
        each.status = "creating"
    assert platform().newest_snapshot() is None


def test_a_copy_is_as_old_as_what_it_was_copied_from(rds: Any) -> None:
    install(rds)
    (first,) = kept_snapshots().values()
    first.created = first.original_snapshot_create_time = datetime(2026, 1, 1, tzinfo=UTC)
    rds.copy_db_snapshot(
        SourceDBSnapshotIdentifier=first.db_snapshot_identifier,
        TargetDBSnapshotIdentifier="copied-today",
    )
    assert platform().newest_snapshot() == datetime(2026, 1, 1, tzinfo=UTC)


def test_the_newest_is_by_time_and_not_by_name(rds: Any) -> None:
    install(rds)
    for name, day in (("a", 1), ("b", 3), ("c", 2)):
        rds.create_db_snapshot(DBInstanceIdentifier="kubeflow-kubeflow", DBSnapshotIdentifier=name)
        taken = datetime(2026, 6, day, tzinfo=UTC)
        kept_snapshots()[name].original_snapshot_create_time = taken
    automated = next(each for each in kept_snapshots() if each.startswith("rds:"))
    rds.delete_db_snapshot(DBSnapshotIdentifier=automated)
    assert platform().newest_snapshot() == datetime(2026, 6, 3, tzinfo=UTC)


def test_an_rds_that_nobody_reaches_is_given_up_soon(
    rds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten attempts of botocore's minute each would hold a preview for ten minutes."""
    install(rds)
    clients = list[Any]()

    def remembered(*args: Any, **options: Any) -> Any:
        clients.append(aws_client(*args, **options))
        return clients[0]

    monkeypatch.setattr(asked_platform, "aws_client", remembered)
    platform().newest_snapshot()
    config = clients[0].meta.config
    assert config.connect_timeout * config.retries["total_max_attempts"] <= 60


def test_rds_that_refuses_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with pytest.raises(Unanswered, match="NoCredentialsError"):
        platform().newest_snapshot()
