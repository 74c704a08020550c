"""``kfp.Client()`` without arguments in a notebook: the SDK itself, with what the PodDefault adds.

The files of a pod stand below a folder, and the name of the API server leads to a recorder, which
refuses what Pipelines' token review refuses: a token of another audience, or none. Both releases'
PodDefaults are read by the SDK of 26.03; that of 1.5.1 is not run.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.rendering.beijing import environment
from tests.rendering.profile_hooks import SCRIPTS, objects
from tests.services.kfp_sdk import kfp_sdk

AUDIENCE = "pipelines.kubeflow.org"
"""DefaultTokenReviewAudience (kubeflow/pipelines 2.16.0, backend/src/apiserver/common/const.go)."""
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
IN_A_NOTEBOOK = """
import builtins, os.path, socket, sys

root, port = sys.argv[1], int(sys.argv[2])
really_open, really_is_file, really_resolved = open, os.path.isfile, socket.getaddrinfo

def inside(path):
    return root + path if str(path).startswith("/var/run/secrets/") else path

def resolved(host, *more, **options):
    if host == "ml-pipeline.kubeflow.svc.cluster.local":
        return really_resolved("127.0.0.1", port, *more[1:], **options)
    raise OSError(f"{host} is not asked for")

builtins.open = lambda path, *more, **options: really_open(inside(path), *more, **options)
os.path.isfile = lambda path: really_is_file(inside(path))
socket.getaddrinfo = resolved

import kfp

client = kfp.Client()
client.list_experiments(namespace=client.get_user_namespace())
"""
"""``list_experiments`` is the first call of a tutorial that needs a user."""


@pytest.fixture(scope="session")
def python() -> Path:
    return kfp_sdk(print)


Asked = list[tuple[str, str]]
"""Path with query, and the header ``authorization``, of each request."""


@contextmanager
def api_server(asked: Asked) -> Generator[int]:
    """Answers as the API server of Pipelines in multi-user mode; its port."""

    class Recorder(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("authorization", "")
            asked.append((self.path, given))
            health = urlsplit(self.path).path == "/apis/v2beta1/healthz"
            admitted = health or given == f"Bearer {token_for(AUDIENCE)}"
            text = json.dumps({"multi_user": True} if health else {}).encode()
            self.send_response(200 if admitted else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def token_for(audience: str) -> str:
    return f"of-default-editor-for-{audience}"


def files_of(pod: Mapping[str, Any], root: Path) -> None:
    """What the kubelet writes for the volumes of a pod, and for its service account."""
    own = root / ACCOUNT.lstrip("/")
    own.mkdir(parents=True)
    for name, text in {"token": "of another audience", "ca.crt": "-", "namespace": "alice"}.items():
        (own / name).write_text(text)
    mounts = {mount["name"]: mount["mountPath"] for mount in pod.get("volumeMounts", [])}
    for volume in pod.get("volumes", []):
        folder = root / mounts[volume["name"]].lstrip("/")
        folder.mkdir(parents=True)
        for source in volume["projected"]["sources"]:
            token = source["serviceAccountToken"]
            (folder / token["path"]).write_text(token_for(token["audience"]))


def used(python: Path, tmp_path: Path, pod: Mapping[str, Any], **more: str) -> tuple[int, Asked]:
    """Exit status of the notebook's program, and what it asked for."""
    files_of(pod, tmp_path / "files")
    asked: Asked = []
    variables = {"KUBERNETES_SERVICE_HOST": "10.100.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    with api_server(asked) as port:
        more = {name: value.format(port=port) for name, value in more.items()}
        done = subprocess.run(
            [str(python), "-c", IN_A_NOTEBOOK, str(tmp_path / "files"), str(port)],
            env={"HOME": str(tmp_path), "PATH": os.defpath} | variables | environment(pod) | more,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    return done.returncode, asked


@pytest.mark.parametrize("release", SCRIPTS)
def test_a_client_without_arguments_is_the_service_account_of_its_namespace(
    release: str, python: Path, tmp_path: Path
) -> None:
    pod_default = objects(release)["PodDefault access-ml-pipeline"]["spec"]
    status, asked = used(python, tmp_path, pod_default)
    path, token = asked[-1]
    assert path.startswith("/apis/v2beta1/experiments?")
    assert "namespace=alice" in path
    assert token == f"Bearer {token_for(AUDIENCE)}"
    assert status == 0


def test_without_the_pod_default_the_same_program_is_refused(python: Path, tmp_path: Path) -> None:
    status, asked = used(python, tmp_path, {})
    assert asked[-1][1] == ""
    assert status == 1


def test_the_variable_that_names_an_endpoint_would_take_the_token_away(
    python: Path, tmp_path: Path
) -> None:
    """Why no PodDefault sets it."""
    pod_default = objects()["PodDefault access-ml-pipeline"]["spec"]
    name = "KF_PIPELINES_ENDPOINT"
    assert name not in environment(pod_default)
    host = "http://ml-pipeline.kubeflow.svc.cluster.local:8888"
    status, asked = used(python, tmp_path, pod_default, **{name: host})
    assert asked[-1][1] == ""
    assert status == 1
