"""``./kf resume``: a stack after an interrupted ``pulumi up``, refresh or destroy."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

import typer

from ops import stack_locks, targets
from ops.cli_errors import Refused, errors_reported
from ops.pending_operations import Decision, Deployment, Outcome, Settlement, in_words
from ops.pulumi_cli import CliFailed, PulumiCli
from settings.errors import listed
from terminal.exit_codes import FAILED, INCOMPLETE
from terminal.output import fail, messages
from toolchain import tools
from toolchain.file_backend import remove_torn_attributes


def resume(
    stack: targets.Stack = targets.DEFAULT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report, and change nothing.")] = False,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="Lift the lock of a dead run on another machine."),
    ] = False,
    exists: Annotated[
        list[str] | None,
        typer.Option(help="URN=ID: the id of what a pending creation made; repeatable."),
    ] = None,
    absent: Annotated[
        list[str] | None,
        typer.Option(help="The URN of a pending creation that made nothing; repeatable."),
    ] = None,
) -> None:
    """Repairs the state of a stack after an interrupted `pulumi up` or `pulumi destroy`.

    Lifts the lock of a dead run. Looks up in AWS what the run was creating: what exists is taken
    into the state, what does not is created by the next `up`. Changes the state only, never the
    cloud. Exit code 3: somebody must decide first, by --exists or --absent.

    Example: `./kf resume --stack cn-north-1 --dry-run`
    """
    with errors_reported():
        targets.settings_of(stack)
        given = dict(_urn_and_id(each) for each in exists or [])
        cli = PulumiCli(tools.pulumi(messages.print).path, targets.PROJECT, stack)
        lift_lock(cli, take_over=take_over, dry_run=dry_run)
        open_ = settle(cli, given, set(absent or []), dry_run=dry_run)
    if open_:
        raise fail([f"{line}." for line in in_words(open_)], INCOMPLETE)


def _urn_and_id(text: str) -> tuple[str, str]:
    urn, _, id_ = text.partition("=")
    if not (urn.startswith("urn:pulumi:") and id_):
        raise Refused(f"--exists {text}: write URN=ID, as `./kf resume --dry-run` prints it.")
    return urn, id_


def lift_lock(cli: PulumiCli, *, take_over: bool, dry_run: bool) -> None:
    """Delete the locks of a stack if their owners are dead.

    Raises:
        Refused: an owner is alive, or on another machine without ``take_over``.
    """
    backend = cli.backend()
    locks = stack_locks.locks(backend, cli.project, cli.stack, cli.folder)
    if locks is None:
        messages.print(
            "The lock of this backend was not checked: if Pulumi reports an update in progress "
            f"that is dead, run `pulumi cancel --stack {cli.stack}`."
        )
        return
    for lock in locks:
        if lock.here and lock.alive:
            raise Refused(
                f"{cli.stack} is locked by {lock}, which is running: wait for its end, or stop "
                "that process, and run this command again."
            )
        if not lock.here and not take_over:
            command = shlex.join(["./kf", "resume", "--stack", cli.stack, "--take-over"])
            raise Refused(
                f"{cli.stack} is locked by {lock}, on another machine: make sure that the run is "
                f"dead, then `{command}`."
            )
    if backend.startswith("file:") and not dry_run:
        for path in remove_torn_attributes(stack_locks.state_folder(backend, cli.folder)):
            messages.print(f"{path}: half-written, removed")
    if locks:
        if not dry_run:
            cli.cancel()
        owners = listed([str(lock) for lock in locks], "and")
        messages.print(f"lock of {owners}: {'is dead' if dry_run else 'lifted'}")


def settle(
    cli: PulumiCli, exists: dict[str, str], absent: set[str], *, dry_run: bool
) -> list[Decision]:
    """Settle all pending operations, or none: those that a person must decide are returned.

    Pulumi drops every pending operation of a state that it imports, so that one which must stay
    keeps the others (pulumi/pulumi, pkg/cmd/pulumi/stack/io.go, SaveSnapshot).

    Raises:
        Refused: the CLI fails.
    """
    deployment = Deployment(cli.export())
    planned = [] if deployment.destroying else _planned(cli)
    decisions = Settlement(deployment, cli.stack, exists, absent, planned).decisions()
    for line in in_words([each for each in decisions if each.outcome is not Outcome.OPEN]):
        messages.print(line)
    open_ = [each for each in decisions if each.outcome is Outcome.OPEN]
    if not open_ and not dry_run:
        _repair(cli, deployment, decisions)
    if open_ or dry_run:
        messages.print("The state was not changed.")
    else:
        messages.print(_go_on(cli.stack, nothing=not decisions, destroying=deployment.destroying))
    return open_


def _planned(cli: PulumiCli) -> list[dict[str, Any]]:
    """What the next ``up`` would create; none, with a message, where the program fails."""
    messages.print("Looking up what the next `pulumi up` would create (`pulumi preview`).")
    try:
        return cli.planned()
    except CliFailed as failure:
        messages.print(f"Only what was in flight is looked up: {failure}.")
        return []


def _repair(cli: PulumiCli, deployment: Deployment, decisions: list[Decision]) -> None:
    if decisions:
        cli.import_(deployment.settled(decisions))
    read = [
        each.operation.urn
        for each in decisions
        if each.outcome in (Outcome.TAKEN, Outcome.READ)
        and (each.outcome is Outcome.TAKEN or each.operation.urn in deployment.ids)
    ]
    urns = list(dict.fromkeys([*read, *deployment.unread]))
    # Where a provider ended and the engine did not, the state still has what was deleted.
    whole = not deployment.operations and bool(deployment.resources)
    if urns or whole:
        of_what = "every resource" if whole else f"{len(urns)} resources"
        command = "pulumi refresh" if whole else "pulumi refresh --target ..."
        messages.print(f"Reading {of_what} (`{command}`).")
        try:
            cli.refresh([] if whole else urns)
        except CliFailed as failure:
            raise fail(
                [f"{failure}. Run this command again before any `pulumi up`."], FAILED
            ) from None


def _go_on(stack: str, *, nothing: bool, destroying: bool) -> str:
    up, destroy = (f"`pulumi {verb} --stack {stack}`" for verb in ("up", "destroy"))
    if destroying:
        return f"Go on with {destroy}."
    begin = "No operation was in flight. " if nothing else ""
    return f"{begin}Go on with {up} (or {destroy})."
