"""``python -m rehearsal preview --stack cn-north-1``: a stack on the real engine, no cloud."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

import rendering
from advisories.sentences import notices
from costs import CostChange, cost_of
from costs.report import own_prices, preview_lines
from program import advisories_of, patches_that_close, render_stack
from regions.price_list import PricesRejected
from rehearsal import plan, report
from rehearsal.api_servers import is_place
from rehearsal.clouds import ACCOUNT
from rehearsal.engine import EngineFailure, Outcome, Rehearsal
from rehearsal.pictures import pictures
from rehearsal.policy_packs import OWN_PACK
from rehearsal.providers import Simulation
from rehearsal.recording import Planned
from rehearsal.report import BAD_INPUT, console, fail, failures_as_sentences, say
from rehearsal.sample_outputs.existing_network import network_of
from rehearsal.sources import incomplete
from rendering.crd_bundle import crd_documents
from rendering.needs import missing_of_stack
from rendering.steps import steps_shown
from review.last_up import keep, last_up
from review.review import review
from review.sides import base_of, read_side
from review.text import text
from settings import MANIFESTS, Settings, from_stack_file
from settings.context import StackContext
from terminal.application import DEFAULT_STACK, Stack, application, run
from terminal.exit_codes import incomplete_fails
from terminal.output import messages
from toolchain import tools

ROOT = Path(__file__).resolve().parent.parent
PICTURES, MEASURED = ROOT / "docs" / "pictures", ROOT / "docs" / "elasticity.md"
DIAGRAM_BEGINS, DIAGRAM_ENDS = "<!-- architecture:begin -->", "<!-- architecture:end -->"

app = application(no_args_is_help=True)
Place = Annotated[
    str,
    typer.Option(
        "--from",
        help="Where this machine stands: its IPv4 address, or the ID of its security group. "
        "Omitted: where the stack admits it.",
    ),
]
SharedAccount = Annotated[
    str,
    typer.Option(
        "--account",
        help="Any name: the simulated account that stacks with the same name share. "
        "Omitted: an account of the stack's own.",
    ),
]


@app.command()
def diagram(stack: Stack = DEFAULT_STACK) -> None:
    """Puts the diagram of the last preview into CONTRIBUTING.md.

    Example: `python -m rehearsal diagram --stack cn-north-1`
    """
    with failures_as_sentences():
        from_stack_file(ROOT / f"Pulumi.{stack}.yaml")
        file = ROOT / "build" / stack / "architecture.md"
        if not file.exists():
            way_out = f"run `make preview STACK={stack}` first"
            fail([f"{file.relative_to(ROOT)} does not exist: {way_out}."], BAD_INPUT)
    drawn = file.read_text("utf-8")
    guide = ROOT / "CONTRIBUTING.md"
    before, _, rest = guide.read_text("utf-8").partition(DIAGRAM_BEGINS)
    _, _, after = rest.partition(DIAGRAM_ENDS)
    guide.write_text(f"{before}{DIAGRAM_BEGINS}\n{drawn}{DIAGRAM_ENDS}{after}", "utf-8")


@app.command("pictures")
def draw(stack: Stack = DEFAULT_STACK) -> None:
    """Draws the pictures of the last preview: into docs/pictures, of other stacks into build/.

    Example: `python -m rehearsal pictures --stack cn-north-1`
    """
    with failures_as_sentences():
        from_stack_file(ROOT / f"Pulumi.{stack}.yaml")
        build = ROOT / "build" / stack
        if not (build / "plan.json").exists():
            way_out = f"run `make preview STACK={stack}` first"
            fail([f"build/{stack}/plan.json does not exist: {way_out}."], BAD_INPUT)
    folder = PICTURES if stack == DEFAULT_STACK else build / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    rows = json.loads((build / "plan.json").read_text("utf-8"))
    for name, svg in pictures(rows, MEASURED.read_text("utf-8")):
        (folder / name).write_text(svg, "utf-8")
        say(f"wrote {(folder / name).relative_to(ROOT)}")


@app.command()
def setup() -> None:
    """Gets the tools a rehearsal needs: the Pulumi CLI and kustomize.

    Example: `python -m rehearsal setup`
    """
    with failures_as_sentences():
        _tools()


# -- one rehearsal --------------------------------------------------------------------------------


def _command(verb: str, description: str) -> None:
    example = f"Example: `python -m rehearsal {verb} --stack cn-north-1`"

    @app.command(verb, help=f"{description}\n\n{example}")
    def command(  # pyright: ignore[reportUnusedFunction]
        stack: Stack = DEFAULT_STACK, place: Place = "", account: SharedAccount = ""
    ) -> None:
        _rehearse(stack, verb, place, account)


_command("preview", "Shows what the stack would make and writes the plan files into build/<stack>.")
_command("up", "Makes or changes the stack in the simulated clouds.")
_command("refresh", "Reads every resource back from the simulated clouds.")
_command("destroy", "Deletes the stack from the simulated clouds.")


def _rehearse(stack: str, verb: str, place: str, account: str) -> None:
    times: dict[str, float] = {}

    @contextmanager
    def step(name: str) -> Generator[None]:
        start = time.monotonic()
        yield
        times[name] = time.monotonic() - start

    with failures_as_sentences(), steps_shown(messages.print):
        settings = from_stack_file(ROOT / f"Pulumi.{stack}.yaml")
        if place and not is_place(place):
            fail([f"--from is {place}: write an IPv4 address or sg-0123456789abcdef0."], BAD_INPUT)
        if account and not re.fullmatch(r"[\w-]+", account):
            fail([f"--account is {account}: use letters, digits, _ and - only."], BAD_INPUT)
        console.print(f"{verb} of {stack} on simulated clouds", style="bold")
        with step("sources"):
            missing = missing_of_stack(ROOT / "manifests", settings.release, settings.bundles_path)
        notice = incomplete(missing) if missing else ""
        if notice and incomplete_fails():
            fail([notice], BAD_INPUT)
        # At the start and at the end, when something could not be rendered.
        console.print(notice, markup=False, style="yellow", end="\n" if notice else "")
        with step("tools"):
            engine = _tools()
        with rendering.absent_sources_allowed():
            rehearsal = _rehearsal(stack, settings, engine, place, account)
            refused: EngineFailure | None = None
            with step(verb), rehearsal.started():
                try:
                    outcome: Outcome = getattr(rehearsal, verb)()
                except EngineFailure as failure:
                    if failure.outcome is None:
                        raise
                    # Plan files show what is refused.
                    outcome, refused = failure.outcome, failure
        if outcome.resources:
            with step("leak check"):
                refuse_leaks(settings, outcome.resources)
            with step("plan files"):
                _write_plan(rehearsal.build, settings, outcome)
                if verb == "up":
                    keep(rehearsal.build, ROOT, ROOT / f"Pulumi.{stack}.yaml")
    _say_outcome(outcome, times, engine)
    _say_advisories(settings, stack)
    if outcome.resources:
        _say_cost(rehearsal.build / "plan.json", settings.region, stack)
    counted = ", ".join(f"{number} {kind}" for kind, number in outcome.changes.items())
    console.print(f"{verb} of {stack} on simulated clouds: {counted or 'nothing'}", style="bold")
    console.print(notice, markup=False, style="yellow", end="\n" if notice else "")
    if verb == "preview" and set(outcome.changes) - {"create"}:
        _say_review(rehearsal.build, stack, settings.region)
    if refused:
        with failures_as_sentences():
            raise refused


def _say_outcome(outcome: Outcome, times: Mapping[str, float], engine: tools.Tool) -> None:
    console.print(report.changes_table(outcome))
    console.print()
    console.print(report.times_table(times, engine))
    if outcome.outputs:
        console.print("\noutputs", style="bold")
    for line in report.output_lines(outcome):
        say(line)


def _write_plan(build: Path, settings: Settings, outcome: Outcome) -> None:
    written = plan.write(
        build,
        outcome.resources,
        _images(settings),
        crd_documents,
        steps=outcome.steps,
        findings=outcome.findings,
    )
    for path in written:
        say(f"wrote {path.relative_to(ROOT)}")


def _say_advisories(settings: Settings, stack: str) -> None:
    table, accepted = advisories_of(settings), settings.accepted_advisories
    patches = patches_that_close(MANIFESTS / settings.release)
    for sentence in notices(settings.release, table, accepted, stack=stack, patches=patches):
        say(sentence)


def _say_cost(plan_file: Path, region: str, stack: str) -> None:
    say("")
    try:
        for line in preview_lines(json.loads(plan_file.read_text("utf-8")), region, stack):
            say(line)
    except PricesRejected as error:
        fail([str(error)], BAD_INPUT)


def _say_review(build: Path, stack: str, region: str) -> None:
    """Prints the review of the plan against the state, as ``./kf plan`` does of two versions."""
    stack_file = ROOT / f"Pulumi.{stack}.yaml"
    head = read_side(build, stack_file, "the program")
    known = last_up(build, ROOT, stack_file)
    base = known.side if known else base_of(head.rows, "the state")
    files = known.changed_files if known else ()
    cost = CostChange(*(cost_of(side.rows, region, own=own_prices()) for side in (base, head)))
    say("")
    for line in text(review(stack, base, head, changed_files=files, cost=cost)):
        say(line)


def _rehearsal(
    stack: str, settings: Settings, engine: tools.Tool, place: str, account: str
) -> Rehearsal:
    build = ROOT / "build"
    return Rehearsal(
        project=ROOT,
        stack=stack,
        build=build / stack,
        pulumi=engine.path,
        packs=[OWN_PACK],
        simulation=Simulation(
            region=settings.region,
            account=settings.account_id or ACCOUNT,
            journal=str(build / "accounts" / f"{account}.jsonl") if account else "",
            place=place,
            principal=settings.cluster.admins[0],
            network=network_of(
                settings.region, settings.network.vpc_id, settings.network.private_subnet_ids
            ),
        ),
    )


def _tools() -> tools.Tool:
    tools.kustomize(messages.print)
    return tools.pulumi(messages.print)


# -- plan files -----------------------------------------------------------------------------------


def refuse_leaks(settings: Settings, resources: Sequence[Planned]) -> None:
    """Checks the objects as they would be applied; the render had no late values in them yet.

    Raises:
        LeakError: object, path and value of each.
    """
    context = _context(settings)
    region = context.region
    objects = (plan.kubernetes_object(resource) for resource in resources)
    leaks = rendering.find_leaks(
        [obj for obj in objects if obj],
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


def _images(settings: Settings) -> Mapping[str, str]:
    """Every image and chart that the stack pulls -> where it is pulled from."""
    context = _context(settings)
    with rendering.absent_sources_allowed():
        renders = render_stack(settings, context.region)
    return renders.inventory(context.image_registry, context.mirror.cached)


if __name__ == "__main__":
    run(app, "python -m rehearsal")
