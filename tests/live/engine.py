"""The unmodified program on the real engine and the real Kubernetes provider; AWS is simulated."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, cast

import grpc
from pulumi import automation as auto
from pulumi.runtime.proto import ResourceProviderServicer, provider_pb2_grpc

from rehearsal.dynamic_resources import DynamicResources
from rehearsal.engine import Rehearsal
from rehearsal.providers import Simulation, serve
from rehearsal.sample_outputs import eks, eks_children
from tests.faults.attached import attach
from tests.live.cluster import LiveCluster
from toolchain.tools import KUBERNETES_PLUGIN_OF_EKS

ROOT = Path(__file__).resolve().parents[2]
_OF_AWS = ("DatabaseAuthorities", "ImageRepositories", "MirroredImages")
"""Dynamic resources that talk to AWS or to a registry: simulated."""
_ENVIRONMENT = {
    "PULUMI_K8S_CLIENT_TIMEOUT": "60",
    # By the provider's own 50 requests a second a refresh waits for two thirds of its time.
    "PULUMI_K8S_CLIENT_QPS": "1000",
    "PULUMI_K8S_CLIENT_BURST": "2000",
    "PULUMI_DIY_BACKEND_ZSTD": "true",  # as docs/first-experiment.md has it
}
_Method = Callable[[Any, Any], Any]
"""(request, context) -> response."""


class LiveRehearsal(Rehearsal):
    """A rehearsal whose cluster is there.

    Args:
        cluster: what the simulated EKS answers as its cluster.
        provider: the program pulumi-resource-kubernetes.
        checkpoints: whether the state is written at each step, as by ``pulumi up``.
        options: of ``Rehearsal``.
    """

    def __init__(
        self, cluster: LiveCluster, provider: Path, *, checkpoints: bool = True, **options: Any
    ) -> None:
        super().__init__(**options)
        self._checkpoints = checkpoints
        self.simulation = options["simulation"]
        self._cluster = cluster
        self._provider = provider

    @contextmanager
    def started(self) -> Generator[Rehearsal]:
        """As ``Rehearsal.started``."""
        self._install()
        with super().started(), _kubeconfig_of(self._cluster), _dynamic(self) as port:
            assert self._handle is not None
            attach(self, checkpoints=self._checkpoints, pulumi_python=port, kubernetes=None)
            workspace = self._handle.workspace
            workspace.env_vars = {**workspace.env_vars, **_ENVIRONMENT}
            yield self

    def printed_by_up(self) -> list[str]:
        """The lines that ``up`` prints where no person watches; one that fails ends with them."""
        assert self._handle is not None
        lines: list[str] = []
        with suppress(auto.CommandError):
            self._handle.up(on_output=lines.append, color="never")
        return [line for printed in lines for line in printed.splitlines()]

    def _install(self) -> None:
        work = self.build / "project"
        work.mkdir(parents=True, exist_ok=True)
        if not (work / "build").exists():
            # The folder of the program, where renders lay charts out.
            (work / "build").symlink_to(ROOT / "build")
        plugins = self.build / "home" / "plugins"
        for number in (version("pulumi-kubernetes"), KUBERNETES_PLUGIN_OF_EKS):
            folder = plugins / f"resource-kubernetes-v{number}"
            folder.mkdir(parents=True, exist_ok=True)
            link = folder / "pulumi-resource-kubernetes"
            if not link.exists():
                link.symlink_to(self._provider)


@contextmanager
def _kubeconfig_of(cluster: LiveCluster) -> Generator[None]:
    """The simulated EKS gives the live cluster's kubeconfig."""
    original = eks.kubeconfig

    def kubeconfig(_made: object) -> dict[str, Any]:
        return dict(cluster.cluster.kubeconfig)

    eks.kubeconfig = eks_children.kubeconfig = kubeconfig
    try:
        yield
    finally:
        eks.kubeconfig = eks_children.kubeconfig = original


@contextmanager
def _dynamic(rehearsal: LiveRehearsal) -> Generator[int]:
    """Dynamic providers by the SDK's own server, except those of AWS; yields the port."""
    command = [sys.executable, "-m", "pulumi.dynamic"]
    environment = {**os.environ, "PYTHONPATH": str(rehearsal.project)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        port = cast("IO[str]", process.stdout).readline().strip()
        options = [("grpc.max_receive_message_length", 400 * 1024 * 1024)]
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            server, own = serve(_Dynamic(channel, rehearsal.simulation))
            try:
                yield own
            finally:
                server.stop(None)
                process.kill()


class _Dynamic(ResourceProviderServicer):
    """Without a handshake, as the SDK's server: the engine creates nothing in a preview then."""

    def __init__(self, channel: grpc.Channel, simulation: Simulation) -> None:
        sdk = provider_pb2_grpc.ResourceProviderStub(channel)
        simulated = DynamicResources(simulation)
        self.Attach = simulated.Attach
        for method in ("Configure", "GetPluginInfo", "Cancel"):
            setattr(self, method, _sent_to(getattr(sdk, method)))
        for method in ("Check", "Diff", "Create", "Update", "Read", "Delete"):
            real, of_aws = _sent_to(getattr(sdk, method)), getattr(simulated, method)
            setattr(self, method, _by_type(real, of_aws))


def _sent_to(method: Callable[[Any], Any]) -> _Method:
    def send(request: Any, context: Any) -> Any:
        try:
            return method(request)
        except grpc.RpcError as failure:
            error = cast("Any", failure)
            return context.abort(error.code(), error.details())

    return send


def _by_type(real: _Method, of_aws: _Method) -> _Method:
    def choose(request: Any, context: Any) -> Any:
        method = of_aws if request.type.rsplit(":", 1)[-1] in _OF_AWS else real
        return method(request, context)

    return choose
