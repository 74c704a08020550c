"""Preview and render as ratios, each measured beside its lower bound on the same machine.

The preview of the whole stack against a preview of as many empty resources by the same engine and
the same simulated providers, and the cold render against ``kustomize build`` alone. Every number is
taken in a fresh process, the two sides in turns, so that a busy machine disturbs both.
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
from rendering import absent_sources_allowed, kustomize, render
from rendering.cache import cache_folder
from settings import from_stack_file
from settings.mirror_mode import MirrorMode

_ROOT = Path(__file__).resolve().parent.parent
PREVIEW_LIMIT, RENDER_LIMIT = 2.0, 1.5
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
    renders = [_measured("render", stack, "", "0") for _ in range(rounds)]
    table = Table(box=None, pad_edge=False)
    for heading in ("measured", "ours", "beside", "ratio", "limit"):
        table.add_column(heading, justify="left" if heading == "measured" else "right")
    pairs = [(full["seconds"], empty["seconds"]) for full, empty in previews]
    table.add_row("preview / as many empty resources", *_row(pairs), f"{PREVIEW_LIMIT:.1f}")
    pairs = [(one["seconds"], one["kustomize"]) for one in renders if one["kustomize"]]
    if pairs:
        table.add_row("cold render / kustomize build", *_row(pairs), f"{RENDER_LIMIT:.1f}")
    peak = max(full["peak"] for full, _ in previews)
    table.add_row("peak memory of our process", f"{peak} MiB", "", "", "1024 MiB")
    console.print(table)


def _row(pairs: list[tuple[float, float]]) -> tuple[str, str, str]:
    ours = statistics.median(one for one, _ in pairs)
    beside = statistics.median(other for _, other in pairs)
    ratio = statistics.median(one / other for one, other in pairs)
    return f"{ours:.1f} s", f"{beside:.1f} s", f"{ratio:.2f}"


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


def _render(stack: str) -> dict[str, Any]:
    """A render with an empty render cache, and how much of it was kustomize itself."""
    settings = from_stack_file(_ROOT / f"Pulumi.{stack}.yaml")
    region = Region.of(settings.region)
    mirror = MirrorMode(settings.image_mirror, region)
    spent: list[float] = []
    build = kustomize.build

    def timed(*arguments: Any) -> str:
        start = time.monotonic()
        text = build(*arguments)
        spent.append(time.monotonic() - start)
        return text

    kept = cache_folder()
    cold = Path(tempfile.mkdtemp(prefix="kubeflow-bench-"))
    kustomize.build = timed
    try:
        for part in ("sources", "tools"):
            (kept / part).mkdir(exist_ok=True)
            (cold / part).symlink_to(kept / part)
        os.environ["KUBEFLOW_CACHE"] = str(cold)
        start = time.monotonic()
        with absent_sources_allowed():
            render(
                _ROOT / "manifests" / settings.release,
                partition=region.partition,
                dns_suffix=region.dns_suffix,
                registry="<<image.prefix>>" if mirror.enabled else None,
                in_region_registries=[region.ecr_registry(region.eks_addon_account)],
                cached_registries=mirror.cached,
            )
        return {"seconds": time.monotonic() - start, "kustomize": sum(spent)}
    finally:
        shutil.rmtree(cold)


def _main(what: str, stack: str, cli: str, count: str) -> None:
    if what == "render":
        result = _render(stack)
    elif what == "stack":
        result = _preview(stack, cli, None, what)
    else:
        result = _preview(stack, cli, _empties(int(count)), what)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
