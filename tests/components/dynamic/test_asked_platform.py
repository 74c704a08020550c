"""What a cluster and RDS answer before an upgrade: an API server over HTTP, RDS by moto."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from moto import mock_aws

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


def test_the_newest_snapshot_is_that_of_this_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        rds: Any = boto3.client("rds", region_name=REGION)
        assert platform().newest_snapshot() is None
        for name in ("another", "kubeflow-kubeflow"):
            assert platform().newest_snapshot() is None
            # RDS takes a snapshot of its own when it has made an instance, and each day.
            rds.create_db_instance(
                DBInstanceIdentifier=name, Engine="mysql", DBInstanceClass="db.m6g.large"
            )
        taken = platform().newest_snapshot()
        assert taken is not None
        assert abs((datetime.now(UTC) - taken).total_seconds()) < 60


def test_an_rds_that_nobody_reaches_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten attempts of botocore's minute each would hold a preview for ten minutes."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    clients = list[Any]()

    def remembered(*args: Any, **options: Any) -> Any:
        clients.append(aws_client(*args, **options))
        return clients[0]

    monkeypatch.setattr(asked_platform, "aws_client", remembered)
    with mock_aws():
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
