"""Preview and render as ratios, each measured beside its lower bound on the same machine.

The preview of the whole stack against a preview of as many empty resources by the same engine and
the same simulated providers; the cold render of a release against ``kustomize build`` of the same
files, and of its objects against those of another release. Every number is taken in a fresh
process, the sides in turns, so that a busy machine disturbs both; renders are compared by CPU time.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pulumi
from rich.console import Console
from rich.table import Table

from regions.region import Region
from rehearsal.engine import Rehearsal
from rehearsal.providers import Simulation
from rehearsal.report import peak_mib
from rendering import SourcesUnavailable, absent_sources_allowed, kustomize, render
from rendering.assembly import assemble
from rendering.cache import cache_folder
from settings import from_stack_file
from settings.mirror_mode import MirrorMode
from tests.releases import DEFAULT, PIPELINES_2

_ROOT = Path(__file__).resolve().parent.parent
PREVIEW_LIMIT, RENDER_LIMIT, RELEASE_LIMIT = 2.0, 1.2, 1.25
EMPTY_TYPE = "aws:bench/empty:Empty"


def bench(stack: str, pulumi_cli: Path, *, rounds: int, console: Console) -> None:
    """Measures and prints ``rounds`` pairs of each.

    Raises:
        subprocess.CalledProcessError: a measured run failed; the reason is on its standard error.
    """
    previews: list[tuple[dict[str, Any], dict[str, Any]]] = []
    count = str(_measured("stack", stack, str(pulumi_cli), "0")["resources"])  # also warms up
    for number in range(1, rounds + 1):
        sides = ("stack", "empty") if number % 2 else ("empty", "stack")
        measured = {side: _measured(side, stack, str(pulumi_cli), count) for side in sides}
        full, empty = measured["stack"], measured["empty"]
        previews.append((full, empty))
        console.print(
            f"preview {number}: {full['resources']} resources {full['seconds']:.1f} s, "
            f"empty {empty['seconds']:.1f} s"
        )
    renders = [
        {name: _measured("render", stack, name, "0") for name in PIPELINES_2} for _ in range(rounds)
    ]
    table = Table(box=None, pad_edge=False)
    for heading in ("measured", "ours", "beside", "ratio", "limit"):
        table.add_column(heading, justify="left" if heading == "measured" else "right")
    pairs = [(full["seconds"], empty["seconds"]) for full, empty in previews]
    table.add_row("preview / as many empty resources", *_row(pairs), f"{PREVIEW_LIMIT:.1f}")
    for name in PIPELINES_2:
        pairs = [(each[name]["cpu"], each[name]["kustomize"]) for each in renders if each[name]]
        if pairs:
            row = _row(pairs, "s of CPU")
            table.add_row(f"cold render of {name} / kustomize build", *row, f"{RENDER_LIMIT:.1f}")
    for name in PIPELINES_2:
        sides = [(each[DEFAULT], each[name]) for each in renders if each[DEFAULT] and each[name]]
        if sides and name != DEFAULT:
            row = _row(
                [(one["an object"], other["an object"]) for one, other in sides], "ms of CPU"
            )
            table.add_row(
                f"an object of {DEFAULT}'s cold render / of {name}'s", *row, f"{RELEASE_LIMIT:.2f}"
            )
    peak = max(full["peak"] for full, _ in previews)
    table.add_row("peak memory of our process", f"{peak} MiB", "", "", "1024 MiB")
    console.print(table)


def _row(pairs: list[tuple[float, float]], unit: str = "s") -> tuple[str, str, str]:
    ours = statistics.median(one for one, _ in pairs)
    beside = statistics.median(other for _, other in pairs)
    ratio = statistics.median(one / other for one, other in pairs)
    return f"{ours:.1f} {unit}", f"{beside:.1f} {unit}", f"{ratio:.2f}"


def _measured(what: str, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.preview_and_render", what, *arguments],
        cwd=_ROOT,
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    return cast("dict[str, Any]", json.loads(done.stdout.splitlines()[-1]))


# -- one measurement, in its own process ----------------------------------------------------------


def _preview(stack: str, cli: str, program: Callable[[], Any] | None, name: str) -> dict[str, Any]:
    settings = from_stack_file(_ROOT / f"Pulumi.{stack}.yaml")
    rehearsal = Rehearsal(
        project=_ROOT,
        stack=stack,
        build=_ROOT / "build" / stack / "bench" / name,
        pulumi=Path(cli),
        simulation=Simulation(region=settings.region),
        program=program,
    )
    start = time.monotonic()
    with absent_sources_allowed(), rehearsal.started():
        outcome = rehearsal.preview()
    return {
        "seconds": time.monotonic() - start,
        "resources": len(outcome.resources),
        "peak": peak_mib()[0],
    }


def _empties(count: int) -> Callable[[], None]:
    def program() -> None:
        for number in range(count):
            pulumi.CustomResource(EMPTY_TYPE, f"empty-{number}", {})

    return program


def _render(stack: str, release: str) -> dict[str, Any]:
    """A render of a release with an empty render cache, and kustomize alone, in seconds of CPU.

    Empty without the release's sources.
    """
    settings = from_stack_file(_ROOT / f"Pulumi.{stack}.yaml")
    region = Region.of(settings.region)
    mirror = MirrorMode(settings.image_mirror, region)
    folder = _ROOT / "manifests" / release
    kept = cache_folder()
    cold = Path(tempfile.mkdtemp(prefix="kubeflow-bench-"))
    try:
        for part in ("sources", "tools"):
            (kept / part).mkdir(exist_ok=True)
            (cold / part).symlink_to(kept / part)
        os.environ["KUBEFLOW_CACHE"] = str(cold)
        start = _cpu_seconds()
        rendered = render(
            folder,
            partition=region.partition,
            dns_suffix=region.dns_suffix,
            registry="<<image.prefix>>" if mirror.enabled else None,
            in_region_registries=[region.ecr_registry(region.eks_addon_account)],
            cached_registries=mirror.cached,
        )
        cpu = _cpu_seconds() - start
        assembly = assemble(folder)
        with assembly.laid_out() as work:
            start = _cpu_seconds()
            kustomize.build(assembly.tool, work / assembly.own)
            alone = _cpu_seconds() - start
    except SourcesUnavailable:
        return {}
    finally:
        shutil.rmtree(cold)
    count = len(rendered.objects) + len(rendered.crds)
    return {"cpu": cpu, "kustomize": alone, "an object": 1000 * cpu / count}


def _cpu_seconds() -> float:
    """Of this process and of those that it started and that ended."""
    return sum(os.times()[:4])


def _main(what: str, stack: str, release_or_cli: str, count: str) -> None:
    if what == "render":
        result = _render(stack, release_or_cli)
    elif what == "stack":
        result = _preview(stack, release_or_cli, None, what)
    else:
        result = _preview(stack, release_or_cli, _empties(int(count)), what)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
