"""``python -m rehearsal preview --stack cn-north-1``: a stack on the real engine, no cloud."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console

import rendering
from benchmarks.admissions import admission_bench
from benchmarks.preview_and_render import bench as measure
from program import render_stack
from rehearsal import plan, report
from rehearsal.clouds import ACCOUNT
from rehearsal.engine import EngineFailure, Outcome, Rehearsal
from rehearsal.providers import Simulation
from rehearsal.recording import Planned
from rehearsal.sources import incomplete, incomplete_fails
from rendering.cache import cache_folder
from rendering.needs import missing_of_stack
from rendering.release import Source
from rendering.steps import steps_shown
from settings import Settings, SettingsError, from_stack_file
from settings.context import StackContext
from toolchain import tools

ROOT = Path(__file__).resolve().parent.parent
BAD_INPUT, ENGINE_FAILED = 2, 1
DIAGRAM_BEGINS, DIAGRAM_ENDS = "<!-- architecture:begin -->", "<!-- architecture:end -->"

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
console = Console(highlight=False, soft_wrap=True)
Stack = Annotated[str, typer.Option(help="The stack: Pulumi.<stack>.yaml.")]


@app.command()
def preview(stack: Stack = "cn-north-1") -> None:
    """Shows what the stack would make and writes the plan files into build/<stack>."""
    _rehearse(stack, "preview", lambda rehearsal: rehearsal.preview())


@app.command()
def up(stack: Stack = "cn-north-1") -> None:
    """Makes or changes the stack in the simulated clouds."""
    _rehearse(stack, "up", lambda rehearsal: rehearsal.up())


@app.command()
def refresh(stack: Stack = "cn-north-1") -> None:
    """Reads every resource back from the simulated clouds."""
    _rehearse(stack, "refresh", lambda rehearsal: rehearsal.refresh())


@app.command()
def destroy(stack: Stack = "cn-north-1") -> None:
    """Deletes the stack from the simulated clouds."""
    _rehearse(stack, "destroy", lambda rehearsal: rehearsal.destroy())


@app.command()
def diagram(stack: Stack = "cn-north-1") -> None:
    """Puts the diagram of the last preview into both READMEs."""
    drawn = (ROOT / "build" / stack / "architecture.md").read_text()
    for readme in ROOT.glob("README*.md"):
        before, _, rest = readme.read_text().partition(DIAGRAM_BEGINS)
        _, _, after = rest.partition(DIAGRAM_ENDS)
        readme.write_text(f"{before}{DIAGRAM_BEGINS}\n{drawn}{DIAGRAM_ENDS}{after}")


@app.command()
def setup() -> None:
    """Gets the tools a rehearsal needs: the Pulumi CLI and kustomize."""
    with _sentences():
        _tools()


@app.command()
def bench(stack: Stack = "cn-north-1", rounds: int = 3) -> None:
    """Measures the preview against as many empty resources, and the render against kustomize.

    Then the image mirror's admission, in milliseconds and by the second.
    """
    with _sentences():
        from_stack_file(_stack_file(stack))
        measure(stack, _tools().path, rounds=rounds, console=console)
        console.print()
        admission_bench(console, rounds=rounds)


# -- one rehearsal --------------------------------------------------------------------------------


@dataclass
class _Clock:
    times: dict[str, float] = field(default_factory=dict[str, float])

    @contextmanager
    def step(self, name: str) -> Generator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.times[name] = time.monotonic() - start


def _rehearse(stack: str, verb: str, operation: Callable[[Rehearsal], Outcome]) -> None:
    clock = _Clock()
    with _sentences(), steps_shown(_say):
        settings = from_stack_file(_stack_file(stack))
        console.print(f"[bold]{verb} of {stack} on simulated clouds[/]")
        with clock.step("sources"):
            missing = missing_of_stack(ROOT / "manifests", settings.release, settings.bundles_path)
        if missing and incomplete_fails():
            _fail([incomplete(missing)], BAD_INPUT)
        _tell(missing)
        with clock.step("tools"):
            engine = _tools()
        with rendering.absent_sources_allowed():
            rehearsal = _rehearsal(stack, settings, engine)
            with clock.step(verb), rehearsal.started():
                outcome = operation(rehearsal)
        if outcome.resources:
            with clock.step("leak check"):
                refuse_leaks(settings, outcome.resources)
            with clock.step("plan files"):
                _write_plan(rehearsal, settings, outcome)
    console.print(report.changes_table(outcome))
    console.print()
    console.print(report.times_table(clock.times, engine))
    if outcome.outputs:
        console.print("\n[bold]outputs[/]")
    for line in report.output_lines(outcome):
        _say(line)
    counted = ", ".join(f"{number} {kind}" for kind, number in outcome.changes.items())
    console.print(f"[bold]{verb} of {stack} on simulated clouds[/]: {counted or 'nothing'}")
    _tell(missing)


def _tell(missing: Sequence[Source]) -> None:
    """At the start and at the end, when something could not be rendered."""
    if missing:
        console.print(incomplete(missing), markup=False, style="yellow")


def _stack_file(stack: str) -> Path:
    return ROOT / f"Pulumi.{stack}.yaml"


def _rehearsal(stack: str, settings: Settings, engine: tools.Tool) -> Rehearsal:
    return Rehearsal(
        project=ROOT,
        stack=stack,
        build=ROOT / "build" / stack,
        pulumi=engine.path,
        simulation=Simulation(region=settings.region, account=settings.account_id or ACCOUNT),
    )


def _tools() -> tools.Tool:
    tools.kustomize(_say)
    return tools.pulumi(_say)


def _say(text: str) -> None:
    console.print(text, markup=False)


@contextmanager
def _sentences() -> Generator[None]:
    """Failures as sentences on standard error and an exit code, never as a stack trace."""
    try:
        yield
    except SettingsError as error:
        _fail(error.problems, BAD_INPUT)
    except EngineFailure as failure:
        cause = failure.cause.__cause__ if failure.cause is not None else None
        is_input = isinstance(cause or failure.cause, (SettingsError, rendering.RenderError))
        _fail(failure.problems, BAD_INPUT if is_input else ENGINE_FAILED)
    except (tools.ToolMissing, rendering.RenderError) as error:
        _fail([str(error)], BAD_INPUT)


def _fail(problems: Sequence[str], code: int) -> None:
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    for problem in problems:
        errors.print(problem, markup=False, style="red")
    raise typer.Exit(code)


# -- plan files -----------------------------------------------------------------------------------


def refuse_leaks(settings: Settings, resources: Sequence[Planned]) -> None:
    """The render was checked before late values came in; here with them, as it would be applied.

    Raises:
        LeakError: object, path and value of each.
    """
    context = _context(settings)
    region = context.region
    leaks = rendering.find_leaks(
        [made for each in resources if (made := plan.kubernetes_object(each))],
        partition=region.partition,
        dns_suffix=region.dns_suffix,
        registry=context.image_registry,
        in_region_registries=[region.ecr_registry(region.eks_addon_account)],
        cached_registries=context.mirror.cached,
        bound=True,
    )
    if leaks:
        raise rendering.LeakError(leaks)


def _context(settings: Settings) -> StackContext:
    return StackContext.of(settings, settings.account_id or ACCOUNT, {})


def _write_plan(rehearsal: Rehearsal, settings: Settings, outcome: Outcome) -> None:
    for path in plan.write(rehearsal.build, outcome.resources, _images(settings), _crds_of):
        _say(f"wrote {path.relative_to(ROOT)}")


def _images(settings: Settings) -> list[tuple[str, str]]:
    """Every image and chart the stack pulls, and where it pulls it from."""
    context = _context(settings)
    with rendering.absent_sources_allowed():
        renders = render_stack(settings, context.region)
    return list(renders.inventory(context.image_registry, context.mirror.cached).items())


def _crds_of(digest: str) -> Sequence[Mapping[str, Any]]:
    """The CRDs of a bundle, as rendering left them in the cache."""
    path = cache_folder("crds") / f"{Path(digest).stem}.json"
    return cast("list[dict[str, Any]]", json.loads(path.read_text())) if path.exists() else []


if __name__ == "__main__":
    app(prog_name="python -m rehearsal")
