"""Pipelines' launcher and API server reach S3 and RDS with their own libraries and our settings."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cluster.api_server import built
from tests.consumers.database import Database
from tests.consumers.judged_aws import JudgedAws, judged_aws
from tests.consumers.pipelines import KEY, METRICS, MINE, Launcher, api_server, put_artifact
from tests.consumers.programs import KFP_LIBRARIES
from tests.consumers.stack import PROFILES, stack
from tests.rendering.beijing import kubeflow
from tests.services.certificates import Authority

_, OTHERS = PROFILES


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Generator[JudgedAws]:
    with judged_aws(stack(), tmp_path_factory.mktemp("aws")) as running:
        yield running


def test_the_launcher_writes_reads_and_lists_below_the_root_of_its_profile(
    judged: JudgedAws, tmp_path: Path
) -> None:
    judged.journal.clear()
    launcher = Launcher(judged, tmp_path)
    for command, printed in (("put", ""), ("get", "epoch 1"), ("list", f"{KEY}\n")):
        done = launcher.run(command, "epoch 1" if command == "put" else "")
        assert (done.returncode, done.stdout) == (0, printed), done.stderr
    assert judged.denied() == []
    assert {each.role for each in judged.journal} == {judged.stack.profiles[MINE]}


@pytest.mark.parametrize("command", ["put", "get", "list"])
def test_the_launcher_reaches_no_root_of_another_profile(
    judged: JudgedAws, command: str, tmp_path: Path
) -> None:
    done = Launcher(judged, tmp_path, profile=OTHERS).run(command, "mine")
    assert done.returncode != 0
    assert "AccessDenied" in done.stderr


@pytest.mark.parametrize(("name", "read"), [(METRICS, True), (KEY, False)])
def test_the_api_server_reads_metrics_of_any_profile_and_no_artifact(
    judged: JudgedAws, tmp_path: Path, name: str, read: bool
) -> None:
    key = put_artifact(judged, OTHERS, name)
    judged.aws.forget()
    done = api_server(judged, tmp_path, "read", key)
    assert (done.returncode == 0, done.stdout) == (read, "an artifact" if read else ""), done.stderr
    assert ("AccessDenied" in done.stderr) is not read
    region = judged.stack.region
    assert {*judged.aws.hosts} == {region.service_host("s3"), region.service_host("sts")}


def connect(rds: Database, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """The API server's connection to its database, with its variables and files."""
    _, variables = rds.pod(kubeflow(), "ml-pipeline", folder)
    return subprocess.run(
        rds.command(str(built(KFP_LIBRARIES, print)), "database"),
        env={"PATH": os.environ["PATH"], **variables, **more},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_api_server_reaches_its_database_over_tls(rds: Database, tmp_path: Path) -> None:
    done = connect(rds, tmp_path)
    assert (done.returncode, done.stdout) == (0, "TLSv1.3\n"), done.stderr


def test_the_api_server_refuses_a_server_of_another_authority(
    rds: Database, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    Authority(tmp_path / "other", "another authority")
    done = connect(rds, tmp_path / "pod", SSL_CERT_DIR=str(tmp_path / "other"))
    assert done.returncode != 0
    assert "unknown authority" in done.stderr
