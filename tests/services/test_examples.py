"""What the examples do: the pipeline is the SDK's own work, its steps and the checks run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from regions.region import Region
from tests.examples import FOLDER, container
from tests.services import mariadb
from tests.services.kfp_sdk import kfp_sdk
from tests.services.regional_aws import regional_aws
from tests.services.tunnels import served

PIPELINE = FOLDER / "pipeline"


def test_the_committed_pipeline_is_what_the_sdk_compiles(tmp_path: Path) -> None:
    source = tmp_path / "line.py"
    source.write_text((PIPELINE / "line.py").read_text())
    subprocess.run([str(kfp_sdk(print)), str(source)], check=True, timeout=120)
    assert (tmp_path / "line.yaml").read_text() == (PIPELINE / "line.yaml").read_text()


def ran(step: dict[str, Any], **values: str) -> str:
    """The output of a step, with the launcher's values for its placeholders."""
    args = [values[name] for arg in step["args"] for name in values if f"'{name}'" in arg]
    command = [sys.executable, *step["command"][1:], *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_steps_of_the_pipeline_find_the_slope(tmp_path: Path) -> None:
    compiled = yaml.safe_load((PIPELINE / "line.yaml").read_text())
    steps = compiled["deploymentSpec"]["executors"]
    points, slope = str(tmp_path / "points"), tmp_path / "outputs/slope"
    ran(steps["exec-make-points"]["container"], rows="100", points=points)
    ran(steps["exec-fit-line"]["container"], points=points, slope=str(slope))
    assert 2.9 < float(slope.read_text()) < 3.1


# -- the bucket -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cn-north-1", "us-west-2"])
def test_the_model_is_stored_and_the_newest_log_is_shown(name: str, tmp_path: Path) -> None:
    """By boto3 of this project in place of the image's, on a simulated S3 of the region."""
    bucket, folder = f"examples-{name}", "private-artifacts/alice"
    with regional_aws(Region.of(name), tmp_path) as aws:
        s3 = aws.client("s3")
        location = {"LocationConstraint": name}
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
        for key in (f"{folder}/line-x/main.log", "private-artifacts/bob/line-y/main.log"):
            s3.put_object(Bucket=bucket, Key=key, Body=f"text of {key}")
        environment = {
            "PATH": os.defpath,
            "PIPELINE_ROOT": f"s3://{bucket}/{folder}/v2/artifacts",
            "AWS_REGION": name,
            "AWS_DEFAULT_REGION": name,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "HTTPS_PROXY": aws.proxy,
            "AWS_CA_BUNDLE": str(aws.authority),
        }
        model = tmp_path / "model.joblib"
        model.write_text("a model")
        upload = container("iris-model.yaml", "storage-initializer")["command"][2]
        run_python(upload.replace("/model/model.joblib", str(model)), environment)
        stored = s3.get_object(
            Bucket=bucket, Key=f"{folder}/v2/artifacts/examples/iris/model.joblib"
        )
        assert stored["Body"].read() == b"a model"
        logs = container("logs-in-bucket.yaml", "storage-initializer")["command"][2]
        told = run_python(logs, environment)
    assert f"2 objects below s3://{bucket}/{folder}/, 1 logs" in told
    assert f"text of {folder}/line-x/main.log" in told
    assert "bob" not in told


# -- the model ------------------------------------------------------------------------------------

ELSEWHERE = """
import socket, time
connect = socket.create_connection
socket.create_connection = lambda _, *more, **named: connect(("127.0.0.1", {port}), *more, **named)
time.sleep = lambda _: None
"""
"""Every host of the program is a port of this machine, and no time passes."""


def test_the_model_is_asked_at_its_own_host_until_it_answers() -> None:
    asked: list[tuple[str, str, Any]] = []
    answers = [(503, "upstream connect error"), (200, '{"predictions": [0, 2]}')]

    class Model(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.headers["Host"], self.path, body))
            status, text = answers[len(asked) - 1]
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    program = container("ask-model.yaml", "sklearnserver")["command"][2]
    environment = {"PATH": os.defpath, "MODEL": "iris", "NAMESPACE": "alice"}
    with served(ThreadingHTTPServer(("127.0.0.1", 0), Model)) as server:
        elsewhere = ELSEWHERE.format(port=server.server_address[1])
        told = run_python(elsewhere + program, environment)
    assert told == '200 {"predictions": [0, 2]}\n'
    flowers = {"instances": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}
    host = "iris-predictor.alice.svc.cluster.local"
    assert asked == [(host, "/v1/models/iris:predict", flowers)] * 2


def run_python(program: str, environment: dict[str, str]) -> str:
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- the database ---------------------------------------------------------------------------------


def test_the_sql_check_shows_databases_tables_and_rows_of_each_component(tmp_path: Path) -> None:
    """With MariaDB's client by the name of MySQL's."""
    check = container("sql-check.yaml", "mysql")["command"]
    (tmp_path / "secrets").mkdir()
    client = tmp_path / "bin/mysql"
    client.parent.mkdir()
    client.symlink_to(mariadb.tool("mariadb"))
    with mariadb.running(tmp_path) as server:
        server.query(
            "CREATE DATABASE katib; CREATE TABLE katib.observation_logs (id INT);"
            "CREATE TABLE katib.`order` (id INT); INSERT INTO katib.observation_logs VALUES (1),(2)"
        )
        for component in ("ml-pipeline", "cache", "metadata", "katib"):
            options = server.options(mariadb.MASTER, mariadb.MASTER_PASSWORD)
            (tmp_path / f"secrets/{component}.cnf").write_text(options)

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*check[:-1], str(tmp_path / "secrets")],
                env={"PATH": f"{client.parent}:{os.environ['PATH']}"},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        done = run()
        (tmp_path / "secrets/cache.cnf").unlink()
        without_cache = run()
    for each, components in (
        (done, ["ml-pipeline", "cache", "metadata", "katib"]),
        (without_cache, ["ml-pipeline", "metadata", "katib"]),
    ):
        assert each.returncode == 0, each.stderr
        told = [line for line in each.stdout.splitlines() if line.startswith("==")]
        assert told == [f"== {component}" for component in components]
    assert "| katib" in done.stdout
    assert "| observation_logs |      2 |" in done.stdout
    assert "| order            |      0 |" in done.stdout
    assert mariadb.MASTER_PASSWORD not in done.stdout + done.stderr + " ".join(check)
