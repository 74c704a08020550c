"""A kubectl that forwards ports to servers of the test, and refuses what the real one refuses.

Words, order of the checks, messages and exit codes: kubernetes/kubernetes v1.34.0 staging/src/
k8s.io/kubectl/pkg/cmd/portforward/portforward.go and client-go/tools/portforward/portforward.go.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

CONTEXT = "test"
_PROGRAM = """\
import json, os, socket, sys, threading
from pathlib import Path

here = Path(__file__).parent
with (here / "calls").open("a") as calls:
    print(json.dumps([os.getpid(), *sys.argv[1:]]), file=calls)
if sys.argv[1] != "port-forward":
    sys.exit(f'error: unknown command "{sys.argv[1]}" for "kubectl"')
options = dict(zip(sys.argv[2:6:2], sys.argv[3:6:2]))
resource, ports = sys.argv[6:]
if options.keys() != {"--context", "--namespace"}:
    sys.exit("error: unknown flag")
if options["--context"] != "test":
    sys.exit(f'error: context "{options["--context"]}" does not exist')
local, _, remote = ports.partition(":")
if local and not local.isdigit():
    sys.exit(f"error: error parsing local port '{local}'")
places = json.loads((here / "places.json").read_text())
place = f'{options["--namespace"]}/{resource}'
known = {each.rpartition(":")[0] for each in places}
if place not in known:
    kind, _, name = resource.partition("/")
    sys.exit(f'Error from server (NotFound): {kind}s "{name}" not found')
if f"{place}:{remote}" not in places:
    sys.exit(f"error: Service {resource} does not have a service port {remote}")
target = places[f"{place}:{remote}"]
if not target:
    sys.exit("error: unable to forward port because pod is not running. Current status=Pending")
listener = socket.create_server(("127.0.0.1", int(local or 0)))
print(f"Forwarding from 127.0.0.1:{listener.getsockname()[1]} -> 8080", flush=True)
print(f"Forwarding from [::1]:{listener.getsockname()[1]} -> 8080", flush=True)

def pump(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass

while True:
    client = listener.accept()[0]
    print(f"Handling connection for {local}", flush=True)
    now = json.loads((here / "places.json").read_text()).get(f"{place}:{remote}")
    if now != target:
        client.close()
        sys.exit("error: lost connection to pod")
    server = socket.create_connection(("127.0.0.1", target))
    for pair in ((client, server), (server, client)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""


class Kubectl:
    """The program, first on the PATH.

    Args:
        folder: for it and its files.
        patch: of the environment.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "kubectl-bin"
        self.folder.mkdir()
        self._places = dict[str, int]()
        program = self.folder / "kubectl"
        program.write_text(f"#!{sys.executable}\n{_PROGRAM}")
        program.chmod(0o755)
        patch.setenv("PATH", f"{self.folder}:{os.environ['PATH']}")
        self.leads({})

    def leads(self, places: dict[str, int]) -> None:
        """``namespace/service/name:port`` -> the port of a server; 0: it has no pod."""
        self._places |= places
        new = self.folder / "places.new"
        new.write_text(json.dumps(self._places))
        new.replace(self.folder / "places.json")

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of every call, without the process ID."""
        return [call[1:] for call in self._calls()]

    @property
    def pids(self) -> list[int]:
        """Process ID of every call."""
        return [int(call[0]) for call in self._calls()]

    def _calls(self) -> list[list[str]]:
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
