"""``./kf dashboard``: the dashboard of a platform in the browser, through a port of this machine.

``kubectl port-forward`` forwards to one pod of the gateway. It ends with ``lost connection to pod``
when that pod goes (kubernetes/kubernetes v1.34.0 staging/src/k8s.io/client-go/tools/portforward/
portforward.go, ErrLostConnectionToPod); an older one goes on, and reports each connection.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import webbrowser
from collections import deque
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

import typer

from ops import targets
from ops.cli_errors import Refused, errors_reported
from ops.current_cluster import CurrentCluster, connect_command, current_cluster
from program import DASHBOARD_PORT
from rendering.release import load
from settings import MANIFESTS, Settings
from settings.errors import listed
from terminal.application import interruptible
from terminal.exit_codes import FAILED
from terminal.output import fail, messages, say

GATEWAY_PORT = 80
PATIENCE_SECONDS = 120.0
"""How long a gateway without a pod is waited for; a new one starts in less than a minute."""

# Connections, and what kubectl logs beside its last words.
_NOISE = re.compile(r"Handling connection|[EIW]\d{4} ")
_WAYS_OUT = (
    ("address already in use|unable to listen", "name another port (`--port 8081`)"),
    ("permission denied", "name a port above 1023 (`--port 8081`)"),
    (r"not ?found", "make the platform with `pulumi up --stack {stack}`"),
    (
        "not running|timed out waiting|no pods|lost connection|error occurred forwarding",
        "`./kf verify --stack {stack}` lists why {what} has no pod",
    ),
    (
        "unauthorized|forbidden|provide credentials|getting credentials",
        "check `aws sts get-caller-identity`, and name that role in kubeflow:cluster.admins",
    ),
    ("", "docs/reach-the-api-server.md has the ways to the API server"),
)


def dashboard(
    stack: targets.Stack = targets.DEFAULT,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of this machine.")] = DASHBOARD_PORT,
    open_: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the address in a browser.")
    ] = True,
) -> None:
    """Opens the dashboard of a stack through a port of this machine, until Ctrl-C.

    Needs kubectl, and a kubeconfig whose current context is the stack's cluster. Prints the
    address; without a display, no browser is opened.

    Example: `./kf dashboard --stack cn-north-1 --port 8081`
    """
    with errors_reported(), interruptible("The dashboard is closed."):
        settings = targets.settings_of(stack)
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            raise Refused(
                "there is no kubectl on PATH: install it (https://kubernetes.io/docs/tasks/tools/)."
            )
        current = current_cluster(connect_command(settings))
        current.refuse_another_than(stack, settings)
        _refuse_taken(port)
        if way := of_the_way(stack, settings, current):
            messages.print(way)
        users = listed([user.email for user in settings.users], "or") if settings.users else ""
        login = (
            f"Log in as {users}; `pulumi stack output login --stack {stack}` prints the command "
            "that shows the passwords. Ctrl-C ends."
        )
        gateway = load(MANIFESTS / settings.release).parts.gateway.service
        namespace, _, name = str(gateway).partition("/")
        forwarding = Forwarding(
            *(kubectl, stack, current.context, port, namespace, f"service/{name}", GATEWAY_PORT),
            what="the gateway",
        )
        _forward(forwarding, login, open_=open_)


def of_the_way(stack: str, settings: Settings, current: CurrentCluster) -> str:
    """What is special about the way to the API server; empty: nothing."""
    if current.tunnelled:
        return f"The API server is reached through a tunnel, {current.server}."
    if settings.cluster.public_access_cidrs:
        return ""
    return (
        f"The API server of {stack} is private: it answers inside its VPC, and elsewhere through "
        "the tunnel of docs/reach-the-api-server.md."
    )


def _refuse_taken(port: int) -> None:
    """Raises Refused where another program listens; kubectl would take ::1 alone."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            other = port + 1 if 1023 < port < 65535 else DASHBOARD_PORT
            raise Refused(
                f"port {port} of this machine cannot be used ({os.strerror(error.errno or 0)}): "
                f"name another one, `--port {other}`."
            ) from None


@dataclass
class Forwarding:
    """One ``kubectl port-forward`` after the other.

    Attributes:
        kubectl: path of the program.
        stack: for the ways out.
        context: of the kubeconfig, which another program may change meanwhile.
        port: of this machine; 0: any that is free.
        namespace: of the service.
        resource: the gateway, another service, or a pod.
        remote_port: of the service or the pod.
        what: the resource in words; empty: by its name.
        lines: the last ones of kubectl.
    """

    kubectl: str
    stack: str
    context: str
    port: int
    namespace: str
    resource: str
    remote_port: int
    what: str = ""
    lines: deque[str] = field(default_factory=lambda: deque[str](maxlen=3))

    @property
    def words(self) -> list[str]:
        """The command."""
        ports = f"{self.port or ''}:{self.remote_port}"
        words = [self.kubectl, "port-forward", "--context", self.context, "--namespace"]
        return [*words, self.namespace, self.resource, ports]

    @contextmanager
    def begun(self) -> Generator[subprocess.Popen[str]]:
        """Kubectl until the end of the block."""
        self.lines.clear()
        with subprocess.Popen(
            self.words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:
            try:
                yield process
            finally:
                process.terminate()

    def heard(self, line: str) -> None:
        """Takes a line of kubectl; connections and its log are none of its words."""
        if not _NOISE.match(line):
            self.lines.append(line)

    def ended(self) -> str:
        """What kubectl printed last, and the way out, as one sentence."""
        told = " ".join(" ".join(self.lines).split()) or "it printed nothing"
        ways = (way for pattern, way in _WAYS_OUT if re.search(pattern, told, re.IGNORECASE))
        way_out = next(ways).format(stack=self.stack, what=self.what or self.resource)
        return f"kubectl port-forward ended ({told}): {way_out}."


def _forward(forwarding: Forwarding, login: str, *, open_: bool) -> None:
    """Forwards, and again when the gateway's pod goes, until Ctrl-C or without one for too long."""
    url = f"http://localhost:{forwarding.port}"
    opened, patient_until = False, 0.0
    while True:
        with forwarding.begun() as process:
            for line in process.stdout or ():
                if line.startswith("Forwarding from"):
                    messages.print("Connected." if opened else login)
                    if not opened:
                        say(url)
                        _open(url, open_=open_)
                    opened, patient_until = True, 0.0
                elif "error occurred forwarding" in line:
                    forwarding.lines.append(line)
                    break
                else:
                    forwarding.heard(line)
        if not opened:
            raise Refused(forwarding.ended())
        if not patient_until:
            messages.print("The connection to the gateway's pod ended: connecting again.")
            patient_until = time.monotonic() + PATIENCE_SECONDS
        elif time.monotonic() > patient_until:
            raise fail([forwarding.ended()], FAILED)
        time.sleep(1)


def _open(url: str, *, open_: bool) -> None:
    if open_ and _has_display(os.environ):
        webbrowser.open(url)


def _has_display(environment: Mapping[str, str]) -> bool:
    """Whether a browser has a place to open: without one, Python starts one in the terminal."""
    if sys.platform == "darwin":
        return "SSH_CONNECTION" not in environment
    return any(environment.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
