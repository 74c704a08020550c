"""Preview and render as ratios, each measured beside its lower bound on the same machine.

The preview of the whole stack against a preview of as many empty resources by the same engine and
the same simulated providers; the cold render of a release against ``kustomize build`` of the same
files; an object's part of a render, and of ``make preview``, against that of another release. Every
number is taken in a fresh process, the sides in turns, so that a busy machine disturbs both;
releases are compared by CPU time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pulumi
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Row, Sample, cache_beside, cpu_seconds
from benchmarks.plans import plan_rows, plans_of
from regions.region import Region
from rehearsal.engine import Rehearsal
from rehearsal.providers import Simulation
from rehearsal.report import peak_mib
from rendering import SourcesUnavailable, absent_sources_allowed, kustomize, render
from rendering.assembly import assemble
from rendering.cache import CACHE
from rendering.release import load
from settings import from_stack_file
from settings.mirror_mode import MirrorMode
from settings.release_files import default_release

_ROOT = Path(__file__).resolve().parent.parent
_MANIFESTS = _ROOT / "manifests"
PREVIEW_LIMIT, RENDER_LIMIT, RELEASE_LIMIT, PEAK_LIMIT = 2.0, 1.2, 1.15, 1024
EMPTY_TYPE = "aws:bench/empty:Empty"


def bench(stack: str, pulumi_cli: Path, *, rounds: int, console: Console) -> list[str]:
    """Measures and prints ``rounds`` pairs of each.

    Returns:
        A sentence for each row that is above its limit or could not be measured.

    Raises:
        subprocess.CalledProcessError: a measured run failed; the reason is on its standard error.
    """
    previews: list[tuple[Sample, Sample]] = []
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
    releases = compared_releases()
    renders = [
        {name: _measured("render", stack, name, "0") for name in releases} for _ in range(rounds)
    ]
    plans = {
        warm: plans_of(stack, releases, warm=warm, rounds=rounds, console=console)
        for warm in (False, True)
    }
    table = Table(box=None, pad_edge=False)
    for heading in ("measured", "ours", "beside", "ratio", "limit"):
        table.add_column(heading, justify="left" if heading == "measured" else "right")
    rows = [*preview_rows(previews), *render_rows(renders, releases)]
    for warm, measured in plans.items():
        rows += plan_rows(measured, releases, warm=warm)
    for row in rows:
        table.add_row(*row.cells)
    peak = max(full["peak"] for full, _ in previews)
    table.add_row("peak memory of our process", f"{peak} MiB", "", "", f"{PEAK_LIMIT} MiB")
    console.print(table)
    faults = [row.fault for row in rows if row.fault]
    if peak > PEAK_LIMIT:
        faults.append(f"peak memory of our process: {peak} MiB, above {PEAK_LIMIT} MiB.")
    return faults


def compared_releases() -> list[str]:
    """The default release first, and the others with its major version of Pipelines."""
    majors = {
        file.parent.name: described.version.partition(".")[0]
        for file in sorted(_MANIFESTS.glob("*/release.yaml"))
        if (described := load(file.parent).pipelines)
    }
    default = default_release()
    others = [name for name in majors if majors[name] == majors[default] and name != default]
    return [default, *others]


def preview_rows(previews: Sequence[tuple[Sample, Sample]]) -> list[Row]:
    """The row of the stack's previews and those of empty resources."""
    pairs = [(full["seconds"], empty["seconds"]) for full, empty in previews]
    return [Row("preview / as many empty resources", pairs, "s", PREVIEW_LIMIT)]


def render_rows(renders: Sequence[Mapping[str, Sample]], releases: Sequence[str]) -> list[Row]:
    """The rows of cold renders.

    Args:
        renders: of each round, by release; empty ones are not measured.
        releases: to all after the first, the first is compared.
    """
    rows = [
        Row(
            f"cold render of {name} / kustomize build",
            [(each[name]["cpu"], each[name]["kustomize"]) for each in renders if each[name]],
            "s of CPU",
            RENDER_LIMIT,
        )
        for name in releases
    ]
    default, *others = releases
    for name in others:
        both = [(each[default], each[name]) for each in renders if each[default] and each[name]]
        pairs = [(one["an object"], other["an object"]) for one, other in both]
        what = f"an object of {default}'s cold render / of {name}'s"
        rows.append(Row(what, pairs, "ms of CPU", RELEASE_LIMIT))
    return rows


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
    folder = _MANIFESTS / release
    try:
        with cache_beside() as cold:
            os.environ[CACHE] = str(cold)
            start = cpu_seconds()
            rendered = render(
                folder,
                partition=region.partition,
                dns_suffix=region.dns_suffix,
                registry="<<image.prefix>>" if mirror.enabled else None,
                in_region_registries=[region.ecr_registry(region.eks_addon_account)],
                cached_registries=mirror.cached,
            )
            cpu = cpu_seconds() - start
            assembly = assemble(folder)
            with assembly.laid_out() as work:
                start = cpu_seconds()
                kustomize.build(assembly.tool, work / assembly.own)
                alone = cpu_seconds() - start
    except SourcesUnavailable:
        return {}
    count = len(rendered.objects) + len(rendered.crds)
    return {"cpu": cpu, "kustomize": alone, "an object": 1000 * cpu / count}


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
