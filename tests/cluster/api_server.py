"""A real Kubernetes API server on this machine: kube-apiserver and etcd, nothing else.

No controller, scheduler or kubelet runs: what they would do and the tests need is in
``stand_ins.py``. ``python -m tests.cluster.api_server`` builds the server beforehand.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import shutil
import ssl
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

from rich.console import Console
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from tests.cluster import openapi_definitions
from tests.ports import free_port
from toolchain.go_programs import GoProgram, Say, obtain
from toolchain.tools import ToolMissing

_MODULES = Path(__file__).parent / "kube-apiserver"
_READY_SECONDS = 300
_READY = ("/readyz", "/api/v1/namespaces/default", "/api/v1/namespaces/kube-system")
"""1.21 is ready before its bootstrap controller has made the namespaces."""
_VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
"""Where the server and, in 1.21, its client have the version (hack/lib/version.sh)."""

VERSIONS = {
    found.parent.name: re.findall(r"k8s\.io/kubernetes v([\d.]+)", found.read_text())[0]
    for found in sorted(_MODULES.glob("*/go.mod"))
}
"""Minor version -> the patch that its module pins."""
CHOSEN = (os.environ.get("KUBERNETES") or ",".join(VERSIONS)).split(",")
"""The minor versions under test; each takes a build of its own, once."""


def kube_apiserver(minor: str, say: Say) -> Path:
    """The program, from the cache or built.

    Raises:
        ToolMissing: it can't be built here, or there is no module for this version.
    """
    if minor not in VERSIONS:
        raise ToolMissing(f"KUBERNETES is {minor}: use one of {', '.join(VERSIONS)}.")
    version = VERSIONS[minor]
    old = minor == "1.21"
    program = GoProgram(
        name="kube-apiserver",
        version=version,
        module=_MODULES / minor,
        package="k8s.io/kubernetes/cmd/kube-apiserver",
        variables={f"{package}.gitVersion": f"v{version}" for package in _VERSION_PACKAGES},
        takes="about 2 minutes on two cores" if old else "about 5 minutes on two cores",
        toolchain=openapi_definitions.TOOLCHAIN if old else None,
        prepare=openapi_definitions.overlay if old else None,
    )
    return built(program, say)


def built(program: GoProgram, say: Say) -> Path:
    """A program of a tier, from the cache or built.

    Raises:
        ToolMissing: it can't be built here.
    """
    path = obtain(program, say)
    if path is None:
        raise ToolMissing(
            f"There is no {program.name} {program.version}: install Go to build it with."
        )
    return path


@contextmanager
def api_server(
    program: Path, folder: Path, *, more: Sequence[str] = ()
) -> Generator[dict[str, Any]]:
    """Runs etcd and ``program`` until the end of the block; yields an administrator's kubeconfig.

    Args:
        program: the kube-apiserver.
        folder: for data, keys and logs; may be thrown away afterwards.
        more: arguments of the server besides those it always gets.

    Raises:
        ToolMissing: there is no etcd.
        RuntimeError: the server does not become ready; with the end of its log.
    """
    etcd = shutil.which("etcd")
    if etcd is None:
        raise ToolMissing("There is no etcd on PATH: run `tests/packages.sh etcd-server`.")
    storage, peers, port = (free_port() for _ in range(3))
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f"{token},administrator,1,system:masters\n")
    key = folder / "service-account.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    with ExitStack() as running:
        running.enter_context(process(_etcd(etcd, folder, storage, peers), folder / "etcd.log"))
        log = folder / "kube-apiserver.log"
        command = _kube_apiserver(program, folder, storage, port)
        server = running.enter_context(process([*command, *more], log))
        kubeconfig = _kubeconfig(port, token)
        _await_ready(server, port, token, log)
        authority = (folder / "certificates" / "apiserver.crt").read_bytes()
        kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(
            authority
        ).decode()
        yield kubeconfig


def _etcd(program: str, folder: Path, clients: int, peers: int) -> list[str]:
    return [
        program,
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{clients}",
        f"--advertise-client-urls=http://127.0.0.1:{clients}",
        f"--listen-peer-urls=http://127.0.0.1:{peers}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peers}",
        f"--initial-cluster=default=http://127.0.0.1:{peers}",
        # Nothing here has to outlive a power failure.
        "--unsafe-no-fsync",
    ]


def _kube_apiserver(program: Path, folder: Path, storage: int, port: int) -> list[str]:
    key = folder / "service-account.key"
    # Admission plugins are the server's defaults, PodSecurity and ServiceAccount among them, and
    # one that EKS has on besides: since 1.19 (aws/containers-roadmap 739), and by its user guide
    # ("platform versions", awsdocs/amazon-eks-user-guide 4d52b4d) in each version it lists.
    return [
        str(program),
        f"--etcd-servers=http://127.0.0.1:{storage}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--enable-admission-plugins=ExtendedResourceToleration",
        "--allow-privileged",
        "--service-cluster-ip-range=172.20.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
    ]


def _kubeconfig(port: int, token: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": f"https://127.0.0.1:{port}"}}],
        "users": [{"name": "test", "user": {"token": token}}],
    }


@contextmanager
def process(
    command: Sequence[str], log: Path, variables: Mapping[str, str] | None = None
) -> Generator[subprocess.Popen[bytes]]:
    """Runs a program until the end of the block; ``variables`` come on top of our own.

    Go collects its garbage less often than by default: an API server that gets 87 CRDs and 701
    objects takes 33 CPU seconds with its etcd then, and 46 by default.
    """
    environment = {"GOGC": "300", **os.environ, **(variables or {})}
    with (
        log.open("wb") as stream,
        subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment,
        ) as running,
    ):
        try:
            yield running
        finally:
            # Nobody needs what it would still write, and an orderly end takes seconds.
            running.kill()


def _await_ready(server: subprocess.Popen[bytes], port: int, token: str, log: Path) -> None:
    # The certificate is made by the server itself as it starts, so there is none to trust yet.
    anybody = ssl.create_default_context()
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE

    def settled() -> bool:
        if server.poll() is not None:
            return True
        return all(found(path) for path in _READY)

    def found(path: str) -> bool:
        connection = HTTPSConnection("127.0.0.1", port, timeout=5, context=anybody)
        with closing(connection):
            try:
                connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
                return connection.getresponse().status == 200
            except OSError:
                return False

    until = Retrying(
        retry=retry_if_result(lambda done: not done),
        stop=stop_after_delay(_READY_SECONDS),
        wait=wait_fixed(0.2),
        retry_error_callback=lambda _: False,
    )
    if not until(settled) or server.poll() is not None:
        last = "\n".join(log.read_text().splitlines()[-5:])
        raise RuntimeError(f"kube-apiserver did not become ready: {log}\n{last}")


if __name__ == "__main__":
    _console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        for _minor in CHOSEN:
            _path = kube_apiserver(_minor, _console.print)
            _console.print(f"kube-apiserver {VERSIONS[_minor]}: {_path}")
    except ToolMissing as missing:
        _console.print(str(missing), style="red")
        sys.exit(2)
