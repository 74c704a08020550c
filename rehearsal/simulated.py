"""Starts and stops the simulated providers of a rehearsal.

The providers run in a process of their own, so that the program under rehearsal has a core to
itself. Only ``eks`` is served by the program's process, where the children that its component
registers are recorded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, cast

from rehearsal.account import Account
from rehearsal.cluster_component import ClusterComponent
from rehearsal.dynamic_resources import DynamicResources
from rehearsal.kubernetes_objects import KubernetesObjects
from rehearsal.providers import SimulatedProvider, Simulation, serve
from rehearsal.recording import Recorder

_HERE = Path(__file__).resolve().parent.parent


@contextmanager
def simulated_clouds(
    simulation: Simulation, recorder: Callable[[], Recorder], python_path: Path
) -> Generator[Callable[[], str]]:
    """Serves every package while the context lasts.

    Args:
        simulation: how the clouds answer.
        recorder: returns the recorder of the current run.
        python_path: the folder of the program's modules, for its dynamic resources.

    Yields:
        A function that waits until all of them listen, and returns ``PULUMI_DEBUG_PROVIDERS``.
    """
    paths = [str(python_path), str(_HERE), os.environ.get("PYTHONPATH", "")]
    command = [sys.executable, "-m", "rehearsal.simulated", json.dumps(asdict(simulation))]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, dict.fromkeys(paths)))},
        encoding="utf-8",
    )
    stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
    server, port = serve(ClusterComponent(simulation, recorder))

    def listening() -> str:
        line = stdout.readline()
        if not line:
            raise RuntimeError(
                f"The simulated providers did not start (exit code {process.wait()}): "
                "see the messages above."
            )
        return f"{line.strip()},eks:{port}"

    try:
        yield listening
    finally:
        server.stop(None)
        stdin.close()  # end of file is the signal to leave
        process.wait(timeout=10)
        stdout.close()


def _main(simulation: Simulation) -> None:
    account = Account(Path(simulation.journal) if simulation.journal else None)
    servers = {
        "aws": serve(SimulatedProvider(simulation, account)),
        "kubernetes": serve(KubernetesObjects(simulation, account)),
        "pulumi-python": serve(DynamicResources(simulation, account)),
    }
    ports = ",".join(f"{package}:{port}" for package, (_, port) in servers.items())
    sys.stdout.write(f"{ports}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    _main(Simulation(**json.loads(sys.argv[1])))
