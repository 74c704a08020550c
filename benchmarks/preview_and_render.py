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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from rendering.release import load
from settings import from_stack_file
from settings.mirror_mode import MirrorMode
from settings.release_files import default_release

_ROOT = Path(__file__).resolve().parent.parent
_MANIFESTS = _ROOT / "manifests"
PREVIEW_LIMIT, RENDER_LIMIT, RELEASE_LIMIT, PEAK_LIMIT = 2.0, 1.2, 1.15, 1024
EMPTY_TYPE = "aws:bench/empty:Empty"
Sample = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: what is measured.
        pairs: ours and what it is compared with, of each round; empty: not measured.
        unit: of both.
        limit: of the median of their ratios.
    """

    name: str
    pairs: Sequence[tuple[float, float]]
    unit: str
    limit: float

    @property
    def ratio(self) -> float:
        """The median of the ratios of all rounds."""
        return statistics.median(one / other for one, other in self.pairs)

    @property
    def cells(self) -> tuple[str, ...]:
        """Of the table."""
        if not self.pairs:
            return (self.name, "", "", "not measured", f"{self.limit:.2f}")
        medians = (statistics.median(side) for side in zip(*self.pairs, strict=True))
        sides = (f"{median:.1f} {self.unit}" for median in medians)
        return (self.name, *sides, f"{self.ratio:.2f}", f"{self.limit:.2f}")

    @property
    def fault(self) -> str:
        """A sentence, where the promise is not kept or not measured; else empty."""
        if not self.pairs:
            return f"{self.name}: not measured, for want of a release's sources."
        if self.ratio > self.limit:
            return f"{self.name}: {self.ratio:.2f}, above its limit of {self.limit:.2f}."
        return ""


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
    table = Table(box=None, pad_edge=False)
    for heading in ("measured", "ours", "beside", "ratio", "limit"):
        table.add_column(heading, justify="left" if heading == "measured" else "right")
    rows = [*preview_rows(previews), *render_rows(renders, releases)]
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
