"""Sessions for jobs: of the right partition, without a key in sight of what needs none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from docs.ci import aws_session
from docs.ci.aws_session import NoSession, environment, session
from regions.region import Region

ROOT = Path(__file__).resolve().parent.parent.parent
ROLES = {
    "us-west-2": "arn:aws:iam::111122223333:role/kf",
    "cn-north-1": "arn:aws-cn:iam::111122223333:role/kf",
    "cn-northwest-1": "arn:aws-cn:iam::111122223333:role/kf",
    "us-gov-west-1": "arn:aws-us-gov:iam::111122223333:role/kf",
}
each_region = pytest.mark.parametrize("region", ROLES)


class _Runner(BaseHTTPRequestHandler):
    """GitHub's token endpoint: a bearer, and a URL that has a query already."""

    seen: list[str]

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.seen.append(self.path)
        right = self.headers.get("authorization") == "Bearer runtime"
        body = json.dumps({"value": "a.b.c"} if right else {"message": "no"}).encode()
        self.send_response(200 if right else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Generator[list[str]]:
    """The paths that were asked for."""
    seen: list[str] = []
    server = HTTPServer(("127.0.0.1", 0), type("Bound", (_Runner,), {"seen": seen}))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/token?api-version=2.0"
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", url)
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runtime")
    yield seen
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("KF_", "AWS_", "ACTIONS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RUNNER_TEMP", str(tmp_path))


@each_region
def test_githubs_token_is_for_the_sts_of_the_partition(region: str, runner: list[str]) -> None:
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    assert aws_session.token(Region.of(region)) == "a.b.c"
    assert runner == [f"/token?api-version=2.0&audience=sts.{suffix}"]


@each_region
def test_the_session_is_made_by_the_sts_of_the_region(
    region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KF_AWS_TOKEN", "a.b.c")
    asked: list[str] = []
    original = boto3.client

    def client(*names: str, **options: Any) -> Any:
        made = original(*names, **options)
        asked.append(made.meta.endpoint_url)
        return made

    monkeypatch.setattr(boto3, "client", client)
    with mock_aws():
        keys = session(ROLES[region], Region.of(region), "KF_AWS_ROLE_ARN")
    assert sorted(keys) == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
    assert asked == [f"https://{Region.of(region).service_host('sts')}"]
    assert region in asked[0]


@pytest.mark.parametrize("role", [ROLES["us-west-2"], "kf", "arn:aws-cn:iam"])
def test_a_role_of_another_partition_is_refused(role: str) -> None:
    with pytest.raises(NoSession) as refused:
        session(role, Region.of("cn-north-1"), "KF_AWS_ROLE_ARN")
    assert str(refused.value) == (
        f"KF_AWS_ROLE_ARN is {role} and cn-north-1 is in the partition aws-cn: name a role by its "
        "ARN, arn:aws-cn:iam::..."
    )


def test_a_job_without_identity_is_told_how_to_get_one() -> None:
    with pytest.raises(NoSession, match=r"`id-token: write` .GitHub. or `id_tokens` .GitLab."):
        session(ROLES["cn-north-1"], Region.of("cn-north-1"), "KF_AWS_ROLE_ARN")


def test_a_runner_that_refuses_is_a_sentence(
    runner: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong")
    with pytest.raises(NoSession, match=r"The runner gives no identity: .*401"):
        aws_session.token(Region.of("cn-north-1"))


@pytest.mark.parametrize("seconds", ["two hours", "-1", "7200.5"])
def test_seconds_that_are_no_number_are_refused(
    monkeypatch: pytest.MonkeyPatch, seconds: str
) -> None:
    monkeypatch.setenv("KF_AWS_SESSION_SECONDS", seconds)
    with pytest.raises(NoSession, match=f"KF_AWS_SESSION_SECONDS is {seconds}: write a number"):
        session(ROLES["cn-north-1"], Region.of("cn-north-1"), "KF_AWS_ROLE_ARN")


def test_both_accounts_of_a_stack_in_china_get_a_session_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KF_AWS_TOKEN", "a.b.c")
    monkeypatch.setenv("KF_AWS_ROLE_ARN", ROLES["cn-north-1"])
    monkeypatch.setenv("KF_AWS_BUILD_ROLE_ARN", "arn:aws:iam::444455556666:role/build")
    for name in ("GITHUB_TOKEN", "KF_GITLAB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"):
        monkeypatch.setenv(name, "of-the-forge")
    with mock_aws():
        made = environment(ROOT / "Pulumi.cn-north-1.yaml")
    assert made["AWS_REGION"] == "cn-north-1"
    assert made["AWS_SESSION_TOKEN"]
    assert "of-the-forge" not in made.values()
    assert "a.b.c" not in made.values()
    file = Path(made["AWS_SHARED_CREDENTIALS_FILE"])
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    keys = boto3.Session(profile_name="kubeflow-build").get_credentials()
    assert keys is not None
    assert keys.token not in (None, made["AWS_SESSION_TOKEN"])


def test_without_a_role_the_job_has_what_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KF_AWS_ROLE_ARN", "")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    made = environment(ROOT / "Pulumi.us-west-2.yaml")
    assert made["AWS_ACCESS_KEY_ID"] == "key"
    assert list(tmp_path.iterdir()) == []


def test_the_other_command_runs_in_its_place() -> None:
    command = ["sh", "-c", "echo $AWS_REGION; exit 7"]
    done = subprocess.run(
        [sys.executable, "-m", "docs.ci.aws_session", "--stack", "cn-north-1", "--", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "cn-north-1\n")


def test_a_wrong_stack_is_a_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        aws_session.main(["--stack", "nowhere", "--", "true"])
    assert ended.value.code == 2
    assert "Pulumi.nowhere.yaml" in capsys.readouterr().err
