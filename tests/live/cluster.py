"""A whole cluster without machines: control plane, nodes and pods of kwok, controllers played."""

from __future__ import annotations

import base64
import json
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rendering import Object
from tests.cluster.api_server import api_server, process
from tests.cluster.client import Cluster, Refused
from tests.elasticity.cluster import SERVER, commands
from tests.elasticity.programs import KWOK, Programs, sources
from tests.elasticity.stages import configuration_of
from tests.live.egress import Answerer, Egress, Pair, admitting, egress
from tests.live.operators import EVERY_SECONDS, Operators
from tests.meanwhile import meanwhile

_NODES = 4
_MACHINE = {"cpu": "4", "memory": "16Gi", "pods": "58", "ephemeral-storage": "80Gi"}
"""An m5.xlarge, as the default stack has it."""
_FAILURES = Path(__file__).parent / "stages"
"""Stages of pods with the annotation ``live.test/fails``."""
_STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")


@dataclass(frozen=True)
class LiveCluster:
    """A running cluster; ``folder`` has the logs of its programs."""

    cluster: Cluster
    network: Egress
    folder: Path


@contextmanager
def live_cluster(programs: Programs, folder: Path) -> Generator[LiveCluster]:
    """Starts every program; data, keys and logs go into ``folder``.

    Args:
        programs: of the elasticity tier.
        folder: an empty one.
    """
    with ExitStack() as running:
        (folder / "network").mkdir()
        network = running.enter_context(egress(folder / "network"))
        selector = folder / "egress.yaml"
        selector.write_text(json.dumps(through(network)))
        more = (*SERVER, f"--egress-selector-config-file={selector}")
        kubeconfig = running.enter_context(api_server(programs.api_server, folder, more=more))
        cluster = Cluster(kubeconfig)
        (folder / "kubeconfig.json").write_text(json.dumps(kubeconfig))
        for name, command in commands(programs, folder, _kwok_configuration()).items():
            running.enter_context(process(command, folder / f"{name}.log"))
        for number in range(_NODES):
            cluster.create(_node(number))
        operators = Operators(cluster, network.authority.file.read_bytes())
        network.pair_of = lambda host: _own_pair(cluster, host, folder)
        network.lookup = lambda host: _answerer(operators, host)
        running.enter_context(meanwhile(operators.act, every=EVERY_SECONDS))
        yield LiveCluster(cluster, network, folder)


def through(network: Egress) -> dict[str, Any]:
    """The API server's configuration by which it reaches Services through a proxy."""
    transport = {"uds": {"udsName": str(network.socket)}}
    connection = {"proxyProtocol": "HTTPConnect", "transport": transport}
    return {
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "kind": "EgressSelectorConfiguration",
        "egressSelections": [{"name": "cluster", "connection": connection}],
    }


def _kwok_configuration() -> str:
    folder = sources(KWOK) / "kustomize" / "stage"
    files = [path for each in _STAGES for path in sorted((folder / each).glob("*.yaml"))]
    files += sorted(_FAILURES.glob("*.yaml"))
    stages = [yaml.safe_load(path.read_text()) for path in files]
    return configuration_of(stage for stage in stages if stage["kind"] == "Stage")


def _node(number: int) -> Object:
    zone = "abc"[number % 3]
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/zone": zone,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"node-{number}", "labels": labels},
        "status": {"allocatable": _MACHINE, "capacity": _MACHINE},
    }


def _answerer(operators: Operators, host: str) -> Answerer | None:
    """The pods behind the Service of this name; None while none is ready."""
    service, namespace, *_ = host.split(".")
    return admitting if operators.answers(namespace, service) else None


def _own_pair(cluster: Cluster, host: str, folder: Path) -> Pair | None:
    """The certificate of a server whose configuration has its authority from the program."""
    service, _, rest = host.partition(".")
    namespace = rest.removesuffix(".svc")
    try:
        secret = cluster.get(f"/api/v1/namespaces/{namespace}/secrets/{service}-certificate")
    except Refused:
        return None
    pair = folder / f"{service}.crt", folder / f"{service}.key"
    for path, key in zip(pair, ("tls.crt", "tls.key"), strict=True):
        path.write_bytes(base64.b64decode(secret["data"][key]))
    return pair
