"""The control plane, started once per process; scenarios; the report of them all at the end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from functools import partial

import pytest
from rich.console import Console

from tests.cluster.platform import platform
from tests.cluster.stand_ins import default_account
from tests.elasticity import report
from tests.elasticity.cluster import ControlPlane, control_plane
from tests.elasticity.pools import STACK
from tests.elasticity.programs import node_class_crd, programs
from tests.elasticity.scenario import Scenario, scenario

_GROUPS = ("karpenter.sh", "karpenter.k8s.aws", "autoscaling.x-k8s.io")
_PLUGIN = "nvidia-device-plugin-daemonset"

NewScenario = Callable[..., AbstractContextManager[Scenario]]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    written = report.write()
    if written:
        terminalreporter.section("simulated nodes, real Karpenter", sep="-")
        for path in written:
            terminalreporter.write_line(str(path))


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Generator[ControlPlane]:
    """The control plane and kwok, with the Beijing stack's CRDs and GPU software."""
    built = programs(Console(stderr=True, highlight=False).print)
    whole = platform(STACK)
    crds = [crd for crd in whole.crds if crd["spec"]["group"] in _GROUPS]
    with control_plane(built, tmp_path_factory.mktemp("plane")) as made:
        made.crds([*crds, node_class_crd()])
        made.cluster.apply(default_account("kube-system"))
        # Karpenter counts its pod on every machine.
        made.cluster.apply(whole.objects[whole.key("DaemonSet", _PLUGIN)])
        yield made


@pytest.fixture
def new_scenario(plane: ControlPlane) -> NewScenario:
    """Starts a scenario; see ``scenario.scenario``."""
    return partial(scenario, plane)
