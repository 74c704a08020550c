"""``./kf plan --base main``: what a change would do to each stack, reviewed without credentials.

Both versions of the project are exported and rehearsed by their own code on simulated clouds: the
base makes the stack, the head plans the change on the state that the base has left, so the real
engine decides every operation. A review of the two goes to ``plan.md`` (for a pull request) and
``plan.html`` (for reading) in the output folder, and the head's plan files to a folder per stack.

What the base has made is kept in the cache by its files; a second plan against the same base
rehearses the head alone. A stack is not rehearsed where no file that it reads has changed.

Exit codes: 0, the plan is made, whatever it shows; 1, a side cannot be rehearsed, or the plan has
what ``--fail-on`` names; 2, an option, the repository or a tool is not as it must be.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from html import escape
from pathlib import Path
from typing import Annotated, Any

import typer

from costs import CostChange, cost_of
from costs.report import own_prices
from ops import targets
from ops.cli_errors import FAILED, Refused, errors_reported, fail, messages
from ops.parallel import in_order
from ops.revisions import Repository, Revision, repository
from ops.side_processes import terminated_as_interrupted
from ops.sides import HEAD, Exports, Side, SideFailed, exports
from regions.price_list import PricesRejected
from review.data import as_data
from review.html import html
from review.markdown import MOST_BYTES, markdown
from review.review import Review, review
from review.sides import base_of, read_side
from review.text import text
from settings.stack_file import no_such_stack
from toolchain import tools

_STACK_FILE = re.compile(r"Pulumi\.([A-Za-z0-9_][A-Za-z0-9_.-]{0,99})\.yaml")
_NO_PART = re.compile(
    r"(adoption|benchmarks|costs|docs|examples|ops|review|terminal|tests|\.ci|\.github)/.*"
    r"|[^/]*\.md|LICENSE|Makefile|\.gitignore|kf|renovate\.json|requirements-dev\.txt"
)
"""Files that no program of a stack reads. Price tables count for both sides alike."""
_FILES = ("plan.json", "findings.json", "images.txt", "kubernetes.yaml")
_REGION = "kubeflow:region"
_MANDATORY = "mandatory"
_AT_A_TIME = 2
"""Stacks; a rehearsal uses one core and half a gigabyte of memory."""


class Format(StrEnum):
    """What is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


class Failure(StrEnum):
    """What ends the command with exit code 1."""

    DANGER = "danger"
    POLICY = "policy"


@dataclass
class _Comparison:
    """What is known about the stacks so far."""

    base: Revision
    head: Revision
    reviews: list[Review] = field(default_factory=list[Review])
    notes: list[str] = field(default_factory=list[str])
    broken: list[str] = field(default_factory=list[str])
    """Mandatory verdicts of the head."""
    failed: list[str] = field(default_factory=list[str])
    """Stacks that cannot be rehearsed."""


def plan(
    *,
    base: Annotated[
        str, typer.Option(metavar="REF", help="The version that is deployed: branch, tag or hash.")
    ],
    head: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="The version to be deployed. Omitted: the working tree with uncommitted files.",
        ),
    ] = None,
    stack: Annotated[
        list[str] | None,
        typer.Option(metavar="STACK", help="Repeatable. Omitted: every stack that can differ."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="For plan.md, plan.html. Omitted: build/plan."),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="What is printed.")] = Format.TEXT,
    fail_on: Annotated[
        list[Failure] | None,
        typer.Option(
            help="Repeatable. Exit code 1 where the plan has a danger, or an object that a "
            "mandatory policy forbids."
        ),
    ] = None,
) -> None:
    """Shows what a change would do to each stack, from two versions; without credentials.

    Writes plan.md for a pull request, plan.html for reading, and the plan files of each stack. Both
    versions are rehearsed by the real engine on simulated clouds; nothing in the checkout and no
    cloud is touched. What the base makes is cached: the first plan against a base takes two
    rehearsals per stack, the next ones take one.

    Exit codes: 0 the plan is made, 1 a version cannot be rehearsed or has what --fail-on names,
    2 an option, the repository or a tool is not as it must be.

    Example: `./kf plan --base main --stack cn-north-1`
    """
    with errors_reported(), terminated_as_interrupted():
        folder = (output or targets.PROJECT / "build" / "plan").absolute()
        if folder.exists() and not folder.is_dir():
            raise Refused(f"--output is {output}, a file: name a folder.")
        if output is None:
            # Of stacks that an earlier plan had.
            shutil.rmtree(folder, ignore_errors=True)
        found = repository(targets.PROJECT)
        older = found.revision(base, "--base")
        if head is not None:
            comparison = _compared(found, older, found.revision(head, "--head"), stack, folder)
        else:
            with found.with_uncommitted() as (whole, newer):
                comparison = _compared(whole, older, newer, stack, folder)
        if comparison.reviews or comparison.notes:
            _write(comparison, folder)
            _print(comparison, folder, format_)
    wanted = set(fail_on or ())
    reasons = [
        *comparison.failed,
        *(["the plan has dangers."] if Failure.DANGER in wanted and _dangerous(comparison) else []),
        *(comparison.broken if Failure.POLICY in wanted else []),
    ]
    if reasons:
        raise fail(reasons, FAILED)


def _compared(
    found: Repository,
    base: Revision,
    head: Revision,
    stacks: Sequence[str] | None,
    folder: Path,
) -> _Comparison:
    comparison = _Comparison(base, head)
    before, after = (_stacks(found.files(side.tree)) for side in (base, head))
    if unknown := [name for name in stacks or () if name not in before + after]:
        raise Refused(no_such_stack(unknown[0], {*before, *after}))
    if base.tree == head.tree:
        comparison.notes.append(f"Nothing changes: {base.name} and {head.name} have equal files.")
        return comparison
    missing = found.only_in(base, head)
    if missing:
        behind = f"{missing} commits of {base.name} are" if missing > 1 else f"{base.name} is"
        messages.print(
            f"{behind} not in {head.name}, and what they changed is shown as undone: merge them, "
            "or name the commit that both have (`git merge-base`) as --base.",
            style="yellow",
        )
    files = found.changed(base.tree, head.tree)
    chosen = list(dict.fromkeys(stacks or sorted({*before, *after})))
    due = [name for name in chosen if name in after and (name not in before or _read(name, files))]
    for name in chosen:
        if name not in after:
            comparison.notes.append(
                f"{name}: its stack file is gone. What is deployed stays: run `pulumi destroy` "
                f"with {base.name} to delete it."
            )
        elif name not in due:
            comparison.notes.append(f"{name}: nothing changes, no file that it reads differs.")
    if due:
        version = f"pulumi {tools.pulumi(progress).version}"
        with exports(targets.PROJECT, found, version, progress) as sides:
            pairs = in_order(
                due,
                lambda stack: _rehearsed(comparison, sides, stack, new=stack not in before),
                _AT_A_TIME,
                "",
            )
            for stack, pair in zip(due, pairs, strict=True):
                if isinstance(pair, SideFailed):
                    # Of a stack that nobody named, the base may be one that nobody can deploy.
                    if pair.output:
                        _keep_output(pair, folder / f"{stack}-{pair.side}.log")
                    named = stacks or pair.side == HEAD or len(due) == 1
                    (comparison.failed if named else comparison.notes).append(str(pair))
                else:
                    _add(comparison, stack, *pair, files)
                    _copy_plan(pair[1], folder / stack)
    return comparison


def _keep_output(failed: SideFailed, file: Path) -> None:
    """Writes what a side has printed, for whoever looks for the reason."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(failed.output, "utf-8")
    messages.print(f"what the {failed.side} has printed: {_shown(file)}", style="dim")


def _rehearsed(
    comparison: _Comparison, sides: Exports, stack: str, *, new: bool
) -> tuple[Side | None, Side] | SideFailed:
    """Both sides of a stack. Whichever fails, the other stacks go on."""
    try:
        older = None if new else sides.base(comparison.base, stack)
        return older, sides.head(comparison.head, stack, older)
    except SideFailed as failed:
        return failed


def _add(
    comparison: _Comparison, stack: str, older: Side | None, newer: Side, files: Sequence[str]
) -> None:
    """Adds the review of a stack from its two sides."""
    for side in filter(None, (older, newer)):
        if side.notice:
            messages.print(f"{side.revision.name}: {side.notice}", style="yellow")
    try:
        after = read_side(newer.folder, newer.stack_file, newer.revision.name)
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        reason = f"{type(error).__name__}: {error}"
        comparison.failed.append(
            f"{stack} of the head {newer.revision.name} has plan files that nobody can read "
            f"({reason}): its rehearsal must write them as this version does."
        )
        return
    if any("operation" not in row for row in after.rows):
        comparison.failed.append(
            f"{stack} of the head {newer.revision.name} has a plan without operations: name a "
            "newer version as --head."
        )
        return
    before = (
        read_side(older.folder, older.stack_file, older.revision.name)
        if older
        else base_of((), f"{comparison.base.name}, without this stack")
    )
    region = str(after.settings.get(_REGION, ""))
    try:
        costs = [cost_of(side.rows, region, own=own_prices()) for side in (before, after)]
    except PricesRejected as error:
        raise Refused(str(error)) from None
    comparison.reviews.append(
        review(stack, before, after, changed_files=files, cost=CostChange(*costs))
    )
    comparison.broken += [
        f"{stack}: {finding.policy}: {finding.message}"
        for finding in after.findings
        if finding.level == _MANDATORY
    ]
    if newer.refused:
        broken = {each.policy for each in after.findings if each.level == _MANDATORY}
        comparison.notes.append(refusal(stack, newer.refused, broken))


def refusal(stack: str, sentences: Sequence[str], policies: Collection[str]) -> str:
    """Who refuses a plan, and why, where the review does not have the reason already.

    Args:
        stack: its name.
        sentences: of the engine.
        policies: the mandatory ones that the plan breaks.
    """
    verdicts = {each for each in sentences if each.partition(":")[0] in policies}
    others = [each for each in sentences if each not in verdicts]
    reasons = [_short(each) for each in others if not re.search("protect|would be deleted", each)]
    if reasons:
        return f"{stack}: the engine refuses this plan: {' '.join(reasons)}"
    if not verdicts:
        return f"{stack}: the engine refuses this plan, because of protected resources."
    too = " and protected resources" if others else ""
    return f"{stack}: mandatory policies{too} refuse this plan: {', '.join(sorted(policies))}."


def _stacks(files: Sequence[str]) -> list[str]:
    """The stacks of which a version has a stack file."""
    return [name[1] for file in files if (name := _STACK_FILE.fullmatch(file))]


def _read(stack: str, files: Sequence[str]) -> bool:
    """Whether a file that has changed can change the plan of a stack."""
    return any(
        name[1] == stack if (name := _STACK_FILE.fullmatch(file)) else not _NO_PART.fullmatch(file)
        for file in files
    )


def _dangerous(comparison: _Comparison) -> bool:
    return any(each.dangers for each in comparison.reviews)


def _short(sentence: str) -> str:
    """A sentence of the engine, with type and name of a resource in place of its URN."""

    def name_of(found: re.Match[str]) -> str:
        _, _, types, name = found[1].split("::", 3)
        return f"{types.split('$')[-1]} {name}"

    return re.sub(r'"?(urn:pulumi:[^"\s:]+::[^"\s:]+::[^"\s]+?::[^"\s]+)"?', name_of, sentence)


def progress(line: str) -> None:
    """Prints a step of the work for people."""
    messages.print(line, style="dim")


# -- output ---------------------------------------------------------------------------------------


def _copy_plan(side: Side, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        if (side.folder / name).exists():
            shutil.copyfile(side.folder / name, folder / name)


def _write(comparison: _Comparison, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    whole = markdown(comparison.reviews) if comparison.reviews else "# What this change would do\n"
    remarks = (*comparison.failed, *comparison.notes)
    # In the first screen: a stack that fails, or that the engine refuses, is what counts most.
    heading, _, rest = whole.partition("\n")
    lines: list[str] = []
    for remark in remarks:
        line = f"- {_markdown_of(remark)}\n"
        if len("".join([whole, "\n\n", *lines, line]).encode()) <= MOST_BYTES:
            lines.append(line)
    if lines:
        whole = f"{heading}\n\n{''.join(lines)}{rest}"
    (folder / "plan.md").write_text(whole, "utf-8")
    page = html(comparison.reviews)
    items = "".join(
        f"<li>{escape(remark)}</li>" for remark in (*comparison.failed, *comparison.notes)
    )
    page = page.replace("</main>", f"<ul>{items}</ul>\n</main>") if items else page
    (folder / "plan.html").write_text(page, "utf-8")


def _markdown_of(line: str) -> str:
    return re.sub(r"([\\*_{}\[\]<>#|~])", r"\\\1", line)


def _print(comparison: _Comparison, folder: Path, format_: Format) -> None:
    if format_ is Format.MARKDOWN:
        typer.echo((folder / "plan.md").read_text("utf-8"), nl=False)
        return
    if format_ is Format.JSON:
        typer.echo(json.dumps(_as_json(comparison, folder), indent=1, ensure_ascii=False))
        return
    for each in comparison.reviews:
        for line in text(each):
            typer.echo(line)
        if not each.empty:
            typer.echo()
    for note in comparison.notes:
        typer.echo(note)
    if not all(each.empty for each in comparison.reviews):
        for name in ("plan.md", "plan.html"):
            typer.echo(_shown(folder / name))


def _shown(path: Path) -> str:
    here = Path(os.path.relpath(path))
    return str(path if here.parts[:1] == ("..",) else here)


def _as_json(comparison: _Comparison, folder: Path) -> Mapping[str, Any]:
    return {
        "base": comparison.base.name,
        "head": comparison.head.name,
        "files": [str(folder / name) for name in ("plan.md", "plan.html")],
        "notes": comparison.notes,
        "stacks": [as_data(each) for each in comparison.reviews],
    }
