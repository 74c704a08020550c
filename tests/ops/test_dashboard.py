"""./kf dashboard: a real HTTP server behind a kubectl that refuses what the real one refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from ops import targets
from ops.current_cluster import CurrentCluster
from ops.dashboard import PATIENCE_SECONDS, of_the_way
from settings import from_mapping
from tests.ops.command import kf
from tests.ports import free_port
from tests.services.tunnels import served

# kubernetes/kubernetes v1.34.0 staging/src/k8s.io/kubectl/pkg/cmd/portforward/portforward.go and
# client-go/tools/portforward/portforward.go: words, order of the checks, messages, exit codes.
KUBECTL = """\
import json, os, select, signal, socket, sys, threading
from pathlib import Path

here = Path(__file__).parent
state = json.loads((here / "state.json").read_text())
with (here / "calls").open("a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
(here / "pid").write_text(str(os.getpid()))
if sys.argv[1] != "port-forward":
    sys.exit(f'error: unknown command "{sys.argv[1]}" for "kubectl"')
options = dict(zip(sys.argv[2:6:2], sys.argv[3:6:2]))
resource, ports = sys.argv[6:]
if options.keys() != {"--context", "--namespace"}:
    sys.exit("error: unknown flag")
if options["--context"] != state["context"]:
    sys.exit(f'error: context "{options["--context"]}" does not exist')
if state.get("error"):
    sys.exit(state["error"])
if (options["--namespace"], resource) != ("istio-system", "service/istio-ingressgateway"):
    sys.exit(f'Error from server (NotFound): services "{resource}" not found')
local, _, remote = ports.partition(":")
if remote != "80":
    sys.exit("error: Service istio-ingressgateway does not have a service port " + remote)
if not state["pod"]:
    sys.exit("error: unable to forward port because pod is not running. Current status=Pending")
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    listener.bind(("127.0.0.1", int(local)))
except OSError:
    sys.exit("Unable to listen on port: bind: address already in use\\n"
             "error: unable to listen on any of the requested ports: [{8080 80}]")
listener.listen()
signal.signal(signal.SIGINT, lambda *_: os._exit(0))
print(f"Forwarding from 127.0.0.1:{local} -> 8080", flush=True)

def pump(one, other):
    while data := one.recv(65536):
        other.sendall(data)
    other.shutdown(socket.SHUT_WR)

while True:
    ready, _, _ = select.select([listener], [], [], 0.05)
    if json.loads((here / "state.json").read_text())["pod"] != state["pod"]:
        sys.exit("error: lost connection to pod")
    if ready:
        print(f"Handling connection for {local}", flush=True)
        client = listener.accept()[0]
        service = socket.create_connection(("127.0.0.1", state["pod"]))
        threading.Thread(target=pump, args=(service, client), daemon=True).start()
        threading.Thread(target=pump, args=(client, service), daemon=True).start()
"""
ARN = "arn:aws-cn:eks:cn-north-1:111122223333:cluster/kubeflow"
PRIVATE = "https://0123456789.gr7.cn-north-1.eks.amazonaws.com.cn"


def kubeconfig_of(cluster: str = ARN, server: str = PRIVATE, *args: str) -> dict[str, Any]:
    """As `aws eks update-kubeconfig` writes it."""
    return {
        "current-context": cluster,
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
        "clusters": [{"name": cluster, "cluster": {"server": server}}],
        "users": [{"name": cluster, "user": {"exec": {"command": "aws", "args": [*args]}}}],
    }


class Machine:
    """A machine with a kubectl, a kubeconfig, a browser that notes what it opens."""

    def __init__(self, folder: Path, pod: int) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        self.kubectl = folder / "bin" / "kubectl"
        self.kubectl.write_text(f"#!{sys.executable}\n{KUBECTL}")
        browser = folder / "browser"
        browser.write_text(f'#!/bin/sh\necho "$1" >> {folder}/opened\n')
        for program in (self.kubectl, browser):
            program.chmod(0o755)
        self.environment = {
            **{name: value for name, value in os.environ.items() if "DISPLAY" not in name},
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "KUBECONFIG": str(folder / "kubeconfig"),
            "BROWSER": str(browser),
        }
        self.configure(kubeconfig_of())
        self.have(pod=pod)

    def configure(self, kubeconfig: dict[str, Any]) -> None:
        (self.folder / "kubeconfig").write_text(json.dumps(kubeconfig))

    def have(self, **state: Any) -> None:
        file = self.folder / "bin" / "state.json"
        before = json.loads(file.read_text()) if file.exists() else {"context": ARN}
        new = file.with_suffix(".new")
        new.write_text(json.dumps(before | state))
        new.replace(file)

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of every call of kubectl."""
        lines = (self.folder / "bin/calls").read_text().splitlines()
        return [json.loads(line) for line in lines]

    @property
    def opened(self) -> list[str]:
        file = self.folder / "opened"
        return file.read_text().split() if file.exists() else []

    @contextmanager
    def dashboard(self, *options: str) -> Generator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [targets.PROJECT / "kf", "dashboard", "--stack", "cn-north-1", *options],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def refused(self, *options: str) -> str:
        """The errors of a command in this process."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            done = kf("dashboard", "--stack", "cn-north-1", *options)
        assert (done.exit_code, done.stdout) == (2, ""), done.output
        return done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Generator[Machine]:
    """A machine whose cluster's gateway is a real HTTP server."""
    (tmp_path / "index.html").write_text("the dashboard")

    class Files(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, directory=str(tmp_path), **options)

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    with served(ThreadingHTTPServer(("127.0.0.1", 0), Files)) as server:
        yield Machine(tmp_path, server.server_address[1])


def body(url: str) -> str:
    with urlopen(url, timeout=120) as answer:  # noqa: S310
        return answer.read().decode()


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def until(reached: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < limit
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_dashboard_is_opened_and_closed_at_ctrl_c(machine: Machine, number: int) -> None:
    port = free_port()
    with machine.dashboard("--port", str(port)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url == f"http://localhost:{port}"
        assert body(url) == "the dashboard"
        pid = int((machine.folder / "bin/pid").read_text())
        process.send_signal(number)
        out, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert out == ""
    until(lambda: gone(pid))
    first, *_, last = errors.splitlines()
    assert "Log in as user@example.com; `pulumi stack output login --stack cn-north-1`" in first
    assert last == "The dashboard is closed."
    assert machine.opened == [url]
    (call,) = machine.calls
    assert call[:3] == ["port-forward", "--context", ARN]


@pytest.mark.parametrize("no_open", [True, False])
def test_no_browser_is_opened_without_a_display_or_a_wish(
    machine: Machine, *, no_open: bool
) -> None:
    if not no_open:
        del machine.environment["BROWSER"]
    options = ["--no-open"] if no_open else []
    with machine.dashboard("--port", str(free_port()), *options) as process:
        assert process.stdout is not None
        assert body(process.stdout.readline().strip()) == "the dashboard"
    assert machine.opened == []


def test_a_pod_that_goes_is_replaced_by_the_next(machine: Machine) -> None:
    port, pod = free_port(), json.loads((machine.folder / "bin/state.json").read_text())["pod"]
    with machine.dashboard("--port", str(port)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().strip()
        process.stderr.readline()
        machine.have(pod=0)
        lost = "The connection to the gateway's pod ended: connecting again.\n"
        assert process.stderr.readline() == lost
        until(lambda: len(machine.calls) >= 3)
        machine.have(pod=pod)
        assert process.stderr.readline() == "Connected.\n"
        assert body(url) == "the dashboard"
    assert machine.opened == [url]


def test_a_gateway_without_a_pod_is_not_waited_for_for_ever(machine: Machine) -> None:
    assert 60 <= PATIENCE_SECONDS <= 300
    code = (
        "import ops.dashboard as d; d.PATIENCE_SECONDS = 1.0; from ops.__main__ import app; app()"
    )
    words = ["dashboard", "--port", str(free_port())]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=targets.PROJECT,
        env=machine.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    machine.have(pod=0)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    last = errors.splitlines()[-1]
    assert last.startswith("kubectl port-forward ended (error: unable to forward port because pod")
    assert last.endswith("`./kf verify --stack cn-north-1` lists why the gateway has no pod.")


@pytest.mark.parametrize(
    ("error", "way_out"),
    [
        (
            'Error from server (NotFound): services "x" not found',
            "with `pulumi up --stack cn-north-1`",
        ),
        ("error: You must be logged in to the server (Unauthorized)", "kubeflow:cluster.admins"),
        ("Error from server (Forbidden): services is forbidden", "kubeflow:cluster.admins"),
        ("Unable to connect to the server: dial tcp: i/o timeout", "docs/reach-the-api-server.md"),
        ("error: timed out waiting for the condition", "`./kf verify --stack cn-north-1`"),
    ],
)
def test_what_kubectl_refuses_is_one_sentence_with_the_way_out(
    machine: Machine, error: str, way_out: str
) -> None:
    machine.have(error=f'E1129 16:17:30.082208 10636 memcache.go:265] "Unhandled Error"\n{error}')
    last = machine.refused("--port", str(free_port())).splitlines()[-1]
    assert last.startswith(f"kubectl port-forward ended ({error}): ")
    assert way_out in last


def test_a_port_that_is_taken_is_one_sentence(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        errors = machine.refused("--port", str(port))
    reason = f"port {port} of this machine cannot be used (Address already in use): name another"
    assert errors.startswith(reason)
    assert not (machine.folder / "bin/calls").exists()


def test_without_kubectl_nothing_is_begun(machine: Machine) -> None:
    machine.kubectl.unlink()
    machine.environment["PATH"] = str(machine.folder / "bin")
    assert machine.refused().startswith("there is no kubectl on PATH: install it")


OTHER = "run `aws eks update-kubeconfig --region cn-north-1 --name kubeflow`"
OREGON = "https://0123456789.gr7.us-west-2.eks.amazonaws.com"


@pytest.mark.parametrize(
    ("kubeconfig", "told"),
    [
        (kubeconfig_of(ARN.replace("kubeflow", "other")), "the cluster other in cn-north-1"),
        (kubeconfig_of(ARN.replace("north-1", "northwest-1")), "kubeflow in cn-northwest-1"),
        (kubeconfig_of("mine", PRIVATE, "eks", "get-token", "--cluster-name", "x"), "cluster x in"),
        (kubeconfig_of("mine", OREGON), "is of a cluster in us-west-2, and"),
    ],
)
@pytest.mark.parametrize("command", ["dashboard", "verify"])
def test_the_cluster_of_another_stack_is_refused(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    kubeconfig: dict[str, Any],
    told: str,
    command: str,
) -> None:
    machine.configure(kubeconfig)
    monkeypatch.setenv("KUBECONFIG", machine.environment["KUBECONFIG"])
    done = kf(command, "--stack", "cn-north-1")
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr
    assert OTHER in done.stderr
    assert not (machine.folder / "bin/calls").exists()


@pytest.mark.parametrize(
    "file", [{}, {"current-context": "x"}, {"current-context": "x", "contexts": None}]
)
def test_a_kubeconfig_without_a_context_is_one_sentence(
    machine: Machine, file: dict[str, Any]
) -> None:
    machine.configure(file)
    errors = machine.refused()
    assert errors.startswith("there is no usable kubeconfig (")
    assert OTHER in errors


@pytest.mark.parametrize(
    ("server", "tunnelled"),
    [
        (PRIVATE, False),
        ("https://127.0.0.1:8443", True),
        ("https://localhost:8443", True),
        ("https://localhost.example.com", False),
    ],
)
def test_a_tunnel_is_told_by_the_address(server: str, *, tunnelled: bool) -> None:
    assert CurrentCluster.of(kubeconfig_of(server=server)).tunnelled is tunnelled


def test_who_comes_by_a_tunnel_is_told_so(machine: Machine) -> None:
    machine.configure(kubeconfig_of(server="https://127.0.0.1:8443"))
    with machine.dashboard("--port", str(free_port())) as process:
        assert process.stderr is not None
        told = process.stderr.readline()
    assert told == "The API server is reached through a tunnel, https://127.0.0.1:8443.\n"


@pytest.mark.parametrize(("admitted", "private"), [([], True), (["203.0.113.10/32"], False)])
def test_a_private_api_server_is_named_before_the_wait(
    admitted: list[str], *, private: bool
) -> None:
    settings = from_mapping({"region": "us-west-2", "cluster": {"publicAccessCidrs": admitted}})
    told = of_the_way("mine", settings, CurrentCluster.of(kubeconfig_of()))
    assert ("docs/reach-the-api-server.md" in told) is private
