"""The programs this tier runs besides etcd: Karpenter and its interruption controller, kwok, and
three of Kubernetes' own.

``python -m tests.elasticity.programs`` builds them beforehand; each has its versions in a module
under ``modules/``. Scheduler and controller manager are of one module, so they have one between
them; of the others no two agree on a dependency's version.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console

from rendering import Object
from tests.cluster.api_server import built, kube_apiserver
from toolchain.go_programs import GoProgram, Say, go_environment
from toolchain.tools import ToolMissing

_MODULES = Path(__file__).parent / "modules"
_KUBERNETES = "1.36"
_VERSION_VARIABLE = "k8s.io/component-base/version.gitVersion"


def _pinned(module: str, requirement: str) -> str:
    text = (_MODULES / module / "go.mod").read_text()
    return re.findall(rf"{re.escape(requirement)} v([\d.]+)", text)[0]


def of_kubernetes(name: str, takes: str) -> GoProgram:
    """A program of Kubernetes' own, of the version that the tier runs."""
    version = _pinned("kubernetes", "k8s.io/kubernetes")
    return GoProgram(
        name=name,
        version=version,
        module=_MODULES / "kubernetes",
        package=f"k8s.io/kubernetes/cmd/{name}",
        variables={_VERSION_VARIABLE: f"v{version}"},
        takes=takes,
    )


KARPENTER = GoProgram(
    name="karpenter",
    version=_pinned("karpenter", "sigs.k8s.io/karpenter"),
    module=_MODULES / "karpenter",
    package="sigs.k8s.io/karpenter/kwok",
    variables={},
    takes="about 3 minutes on two cores",
)
SOLD_OUT = GoProgram(
    name="karpenter-sold-out",
    version=KARPENTER.version,
    module=KARPENTER.module,
    package="./soldout",
    variables={},
    takes="half a minute after Karpenter itself",
)
KWOK = GoProgram(
    name="kwok",
    version=_pinned("kwok", "sigs.k8s.io/kwok"),
    module=_MODULES / "kwok",
    package="sigs.k8s.io/kwok/cmd/kwok",
    variables={},
    takes="about 2 minutes on two cores",
)
INTERRUPTION = GoProgram(
    name="karpenter-interruption",
    version=_pinned("interruption", "github.com/aws/karpenter-provider-aws"),
    module=_MODULES / "interruption",
    package=".",
    variables={},
    takes="about 3 minutes on two cores",
)
SCHEDULER = of_kubernetes("kube-scheduler", "about 3 minutes on two cores")
CONTROLLERS = of_kubernetes("kube-controller-manager", "about 3 minutes on two cores")


@dataclass(frozen=True)
class Programs:
    """Where each program is."""

    api_server: Path
    scheduler: Path
    controllers: Path
    karpenter: Path
    sold_out: Path
    interruption: Path
    kwok: Path


def programs(say: Say) -> Programs:
    """All of them, from the cache or built.

    Raises:
        ToolMissing: one can't be built here.
    """
    return Programs(
        api_server=kube_apiserver(_KUBERNETES, say),
        scheduler=built(SCHEDULER, say),
        controllers=built(CONTROLLERS, say),
        karpenter=built(KARPENTER, say),
        sold_out=built(SOLD_OUT, say),
        interruption=built(INTERRUPTION, say),
        kwok=built(KWOK, say),
    )


def sources(program: GoProgram) -> Path:
    """Where Go keeps the module that ``program``'s package is in.

    What only that has, a CRD or kwok's stages, is read from there and never part of this project.
    """
    listed = subprocess.run(
        ["go", "list", "-mod=readonly", "-f", "{{.Module.Dir}}", program.package],
        cwd=program.module,
        env=go_environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    return Path(listed.stdout.strip())


def node_class_crd() -> Object:
    """The kwok provider's own kind of node class."""
    crds = sources(KARPENTER) / "kwok" / "apis" / "crds"
    return yaml.safe_load((crds / "karpenter.kwok.sh_kwoknodeclasses.yaml").read_text())


if __name__ == "__main__":
    _console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        for _name, _path in vars(programs(_console.print)).items():
            _console.print(f"{_name}: {_path}")
    except ToolMissing as missing:
        _console.print(str(missing), style="red")
        sys.exit(2)
