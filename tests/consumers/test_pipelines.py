"""Pipelines' launcher and API server reach S3 and RDS with their own libraries and our settings."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cluster.api_server import built
from tests.consumers.database import Database
from tests.consumers.judged_aws import JudgedAws
from tests.consumers.pipelines import KEY, METRICS, MINE, Launcher, api_server, put_artifact, run
from tests.consumers.programs import kfp_libraries
from tests.consumers.stack import PROFILES, stack
from tests.releases import PIPELINES_2
from tests.rendering.beijing import kubeflow
from tests.rendering.test_release_pipelines import OF_THE_IMAGE, READ_WITHOUT_DEFAULT
from tests.services.certificates import Authority

_, OTHERS = PROFILES
each_release = pytest.mark.parametrize("release", PIPELINES_2)


@each_release
def test_the_launcher_writes_reads_and_lists_below_the_root_of_its_profile(
    judged: JudgedAws, release: str, tmp_path: Path
) -> None:
    judged.journal.clear()
    launcher = Launcher(judged, tmp_path, release=release)
    for command, printed in (("put", ""), ("get", "epoch 1"), ("list", f"{KEY}\n")):
        done = launcher.run(command, "epoch 1" if command == "put" else "")
        assert (done.returncode, done.stdout) == (0, printed), done.stderr
    assert judged.denied() == []
    assert {each.role for each in judged.journal} == {judged.stack.profiles[MINE]}


@each_release
@pytest.mark.parametrize("command", ["put", "get", "list"])
def test_the_launcher_reaches_no_root_of_another_profile(
    judged: JudgedAws, command: str, release: str, tmp_path: Path
) -> None:
    done = Launcher(judged, tmp_path, profile=OTHERS, release=release).run(command, "mine")
    assert done.returncode != 0
    assert "AccessDenied" in done.stderr


@each_release
@pytest.mark.parametrize(("name", "read"), [(METRICS, True), (KEY, False)])
def test_the_api_server_reads_metrics_of_any_profile_and_no_artifact(
    judged: JudgedAws, tmp_path: Path, release: str, name: str, read: bool
) -> None:
    key = put_artifact(judged, OTHERS, name)
    judged.aws.forget()
    done = api_server(judged, tmp_path, "read", key, release=release)
    assert (done.returncode == 0, done.stdout) == (read, "an artifact" if read else ""), done.stderr
    assert ("AccessDenied" in done.stderr) is not read
    region = judged.stack.region
    assert {*judged.aws.hosts} == {region.service_host("s3"), region.service_host("sts")}


def connect(
    rds: Database, release: str, folder: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    """The API server's connection to its database, with its variables and files."""
    _, variables = rds.pod(kubeflow(release), "ml-pipeline", folder)
    return subprocess.run(
        rds.command(str(built(kfp_libraries(release), print)), "database"),
        env={"PATH": os.environ["PATH"], **variables, **more},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@each_release
def test_the_api_server_reaches_its_database_over_tls(
    rds: Database, release: str, tmp_path: Path
) -> None:
    done = connect(rds, release, tmp_path)
    assert (done.returncode, done.stdout) == (0, "TLSv1.3\n"), done.stderr


@each_release
def test_the_api_server_refuses_a_server_of_another_authority(
    rds: Database, release: str, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    Authority(tmp_path / "other", "another authority")
    done = connect(rds, release, tmp_path / "pod", SSL_CERT_DIR=str(tmp_path / "other"))
    assert done.returncode != 0
    assert "unknown authority" in done.stderr


def test_the_api_servers_own_reader_finds_every_setting_and_no_plugin(tmp_path: Path) -> None:
    """viper, in the version of 2.17.0, with the file and the variables that are rendered."""
    release = kubeflow("26.03.1")
    given = stack()
    (tmp_path / "config.json").write_text(release.text("ml-pipeline-server-config", "config.json"))
    wanted = {
        **READ_WITHOUT_DEFAULT,
        **OF_THE_IMAGE,
        "REQUIRE_NAMESPACE_FOR_PIPELINES": "true",
        "plugins": None,
        "plugins.mlflow": None,
    }
    done = run(
        ["config", str(tmp_path), *wanted],
        {"PATH": os.environ["PATH"], **given.variables(release, "ml-pipeline")},
        release="26.03.1",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == wanted
