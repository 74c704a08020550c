"""``make preview`` of a release against that of another one, per object.

The first preview finds the sources in the cache and no render, the second one finds all. Both are
whole commands in processes of their own, in turns.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import yaml
from rich.console import Console

from benchmarks.measuring import Row, Sample, cache_beside, cpu_seconds
from rendering.cache import CACHE
from rendering.kubernetes_yaml import Dumper
from rendering.needs import missing_of_stack
from settings import MANIFESTS

_ROOT = Path(__file__).resolve().parent.parent
PLAN_LIMIT = 1.05  # no slower, but for what two medians of the same differ by


def plan_rows(
    plans: Sequence[Mapping[str, Sample]], releases: Sequence[str], *, warm: bool
) -> list[Row]:
    """The rows of ``make preview``, an object of the first release to one of each other.

    Args:
        plans: of each round, by release; empty ones are not measured.
        releases: the first is compared to all others.
        warm: the cache had the render.
    """
    default, *others = releases
    return [
        Row(
            f"an object of {default}'s {'second' if warm else 'first'} preview / of {name}'s",
            [
                (each[default]["an object"], each[name]["an object"])
                for each in plans
                if each[default] and each[name]
            ],
            "ms of CPU",
            PLAN_LIMIT,
        )
        for name in others
    ]


def plans_of(
    stack: str, releases: Sequence[str], *, warm: bool, rounds: int, console: Console
) -> list[dict[str, Sample]]:
    """Each round's previews by release, those without sources empty; the order changes.

    Raises:
        subprocess.CalledProcessError: a preview failed; its reason is printed.
    """
    with cache_beside() as warmed:
        if warm:
            for release in releases:
                _plan(stack, release, warmed)
        measured: list[dict[str, Sample]] = []
        for number in range(rounds):
            found: dict[str, Sample] = {}
            for release in releases if number % 2 else reversed(releases):
                with nullcontext(warmed) if warm else cache_beside() as cache:
                    found[release] = _plan(stack, release, cache)
            measured.append(found)
            console.print(f"{'second' if warm else 'first'} previews {number + 1}: {found}")
    return measured


def _plan(stack: str, release: str, cache: Path) -> Sample:
    """What ``make preview`` of a release takes, in milliseconds of CPU an object."""
    if missing_of_stack(MANIFESTS, release):
        return {}
    with stack_on(release, stack) as name:
        before = cpu_seconds()
        done = subprocess.run(
            [sys.executable, "-m", "rehearsal", "preview", "--stack", name],
            cwd=_ROOT,
            env={**os.environ, CACHE: str(cache)},
            check=False,
            capture_output=True,
            encoding="utf-8",
        )
        cpu = cpu_seconds() - before
        if done.returncode:
            sys.stderr.write(done.stderr)
            done.check_returncode()
        objects = (_ROOT / "build" / name / "kubernetes.yaml").read_text("utf-8")
    return {"an object": 1000 * cpu / len(re.findall(r"^---$", objects, re.MULTILINE))}


@contextmanager
def stack_on(release: str, stack: str) -> Generator[str]:
    """A stack like another one, on a release; its file is in the project inside the block."""
    name = f"bench-{re.sub('[^0-9a-z]', '-', release)}"
    file = _ROOT / f"Pulumi.{name}.yaml"
    content = yaml.safe_load((_ROOT / f"Pulumi.{stack}.yaml").read_bytes())
    content["config"]["kubeflow:release"] = release
    file.write_text(yaml.dump(content, Dumper=Dumper), "utf-8")
    try:
        yield name
    finally:
        file.unlink()
