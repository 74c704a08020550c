"""A cluster without machines: the control plane's programs, kwok in place of kubelets, Karpenter.

All of them talk to one API server as its administrator; what Karpenter's own role allows is not
tested here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.dynamic.crds import CrdProvider
from components.gpu.karpenter_objects import NAMESPACE
from rendering import Object
from rendering.crd_bundle import CrdBundle
from tests.cluster.api_server import api_server, process
from tests.cluster.client import Cluster
from tests.elasticity.catalogue import catalogue
from tests.elasticity.programs import Programs
from tests.elasticity.stages import configuration
from tests.ports import free_port

_CONTROLLERS = (
    "daemonset-controller",
    "garbage-collector-controller",
    "job-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "taint-eviction-controller",
)
# EKS sizes its control plane's clients by load and says nothing of numbers; Kubernetes' own
# defaults, 20 and 50 a second, would make Katib's trials appear one by one.
_RATE = ("--kube-api-qps=1000", "--kube-api-burst=2000")
# Streamed lists need an etcd that can be asked how far it is; Debian's 3.4 cannot. Told that there
# are none, clients list and watch; otherwise kwok asks for them again and again.
SERVER = ("--feature-gates=WatchList=false",)


@dataclass(frozen=True)
class ControlPlane:
    """What runs for the whole session; ``folder`` has the logs."""

    cluster: Cluster
    programs: Programs
    folder: Path

    @property
    def kubeconfig_file(self) -> Path:
        return self.folder / "kubeconfig.json"

    @contextmanager
    def karpenter(
        self, name: str, told: Mapping[str, Any], *, sold_out: Collection[str] = ()
    ) -> Generator[None]:
        """Karpenter on its kwok provider until the end of the block.

        Args:
            name: of its log.
            told: ``settings`` of the chart's values.
            sold_out: zones that have no machine left; Karpenter learns it as it launches.
        """
        offered = self.folder / f"{name}-instance-types.json"
        offered.write_text(json.dumps(catalogue().for_kwok()))
        variables = {
            "KUBECONFIG": str(self.kubeconfig_file),
            "SYSTEM_NAMESPACE": NAMESPACE,
            "INSTANCE_TYPES_FILE_PATH": str(offered),
            # One replica, and nobody waits for the lease of one that was killed.
            "DISABLE_LEADER_ELECTION": "true",
            "METRICS_PORT": str(free_port()),
            "HEALTH_PROBE_PORT": str(free_port()),
            "FEATURE_GATES": ",".join(
                f"{gate[0].upper()}{gate[1:]}={str(on).lower()}"
                for gate, on in told["featureGates"].items()
            ),
            "BATCH_IDLE_DURATION": told["batchIdleDuration"],
            "BATCH_MAX_DURATION": told["batchMaxDuration"],
        }
        program = self.programs.karpenter
        if sold_out:
            program = self.programs.sold_out
            variables["SOLD_OUT_ZONES"] = ",".join(sold_out)
        log = self.folder / f"karpenter-{name}.log"
        with process([str(program)], log, variables):
            yield

    def crds(self, crds: Sequence[Object]) -> None:
        """All at once, by the program's own resource; returns when they are Established."""
        bundle = CrdBundle.of(crds)
        CrdProvider().create(
            {
                "bundle": bundle.digest,
                "cluster": "test",
                "digests": dict(bundle.digests),
                "keep": True,
                "kubeconfig": json.dumps(self.cluster.kubeconfig),
            }
        )


@contextmanager
def control_plane(programs: Programs, folder: Path) -> Generator[ControlPlane]:
    """Starts it all except Karpenter; data, keys and logs go into ``folder``."""
    with ExitStack() as running:
        kubeconfig = running.enter_context(api_server(programs.api_server, folder, more=SERVER))
        made = ControlPlane(Cluster(kubeconfig), programs, folder)
        made.kubeconfig_file.write_text(json.dumps(kubeconfig))
        options = (f"--controllers={','.join(_CONTROLLERS)}", "--concurrent-job-syncs=50")
        for name, command in commands(programs, folder, configuration(), options).items():
            running.enter_context(process(command, folder / f"{name}.log"))
        yield made


def commands(
    programs: Programs, folder: Path, kwok: str, controllers: Iterable[str] = ()
) -> dict[str, list[str]]:
    """The programs beside the API server, by name.

    Args:
        programs: of this tier.
        folder: of the API server, with ``kubeconfig.json``.
        kwok: its configuration file.
        controllers: further options of the controller manager.
    """
    as_administrator = f"--kubeconfig={folder / 'kubeconfig.json'}"
    alone = ["--leader-elect=false", "--secure-port=0"]
    stages = folder / "kwok.yaml"
    stages.write_text(kwok)
    return {
        "kube-scheduler": [str(programs.scheduler), as_administrator, *alone, *_RATE],
        "kube-controller-manager": [
            str(programs.controllers),
            as_administrator,
            *alone,
            *_RATE,
            f"--service-account-private-key-file={folder / 'service-account.key'}",
            *controllers,
        ],
        "kwok": [
            str(programs.kwok),
            as_administrator,
            f"--config={stages}",
            "--manage-all-nodes=true",
            # Without leases the controllers would take every node for lost after 50 seconds.
            "--node-lease-duration-seconds=40",
        ],
    }
