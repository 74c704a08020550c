"""``./kf images list --stack cn-north-1``: the groups of commands."""

from __future__ import annotations

import signal

if __name__ == "__main__":  # Until `run`, Ctrl-C ends the process without words of Python.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ops import version
from terminal.application import application, run

COMMANDS = {
    "images": ("ops.images", "Images: list, lock, mirror, check."),
    "bundle": ("ops.bundles", "Bundles of sources, for machines without GitHub."),
    "completion": ("ops.completion", "Prints a script that completes ./kf in a shell."),
    "dashboard": (
        "ops.dashboard",
        "Opens the dashboard of a stack through a port of this machine, until Ctrl-C.",
    ),
    "cost": (
        "ops.cost",
        "Shows what a stack costs: a month, the busiest hour, each pool; unknown prices by name.",
    ),
    "advisories": (
        "ops.advisories",
        "Lists published holes of a release: which are open here, the most severe first.",
    ),
    "adopt": (
        "ops.adopt",
        "Writes the settings of a new stack that takes the data of another Kubeflow.",
    ),
    "doctor": ("ops.doctor", "Lists obstacles to the deployment of a stack file; read-only."),
    "leftovers": (
        "ops.leftovers",
        "Lists what exists of a stack in AWS and in its cluster after `pulumi destroy`; read-only.",
    ),
    "plan": (
        "ops.plan",
        "Shows what a change would do to each stack, from two versions; without credentials.",
    ),
    "resume": (
        "ops.resume",
        "Repairs the state of a stack after an interrupted `pulumi up` or `pulumi destroy`.",
    ),
    "rights": (
        "ops.rights",
        "Writes the IAM policies that the deployer of a stack needs, from its plan.",
    ),
    "users": ("ops.users", "Lists the users of a stack: namespace, quota, buckets, rotation."),
    "verify": (
        "ops.verify",
        "Checks a live platform, on the cluster of the current kubeconfig.",
    ),
}
"""Command or group -> its module, and its line in the help of ``./kf``."""


class ImportedWhenCalled(TyperGroup):
    """Commands whose modules are imported when they are called.

    All of them take two seconds of processor time, which ``./kf --help`` and ``--version`` save.
    Until its import a command is represented by one without parameters.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command, then resolve as Typer does."""
        if args and args[0] in COMMANDS:
            # Python drops a KeyboardInterrupt that is raised in a callback of an import.
            before = signal.signal(signal.SIGINT, signal.SIG_DFL)
            self.commands[args[0]] = imported(args[0])
            signal.signal(signal.SIGINT, before)
        return super().resolve_command(ctx, args)


def imported(name: str) -> Any:
    """The command or group of that name, from its module: ``app``, or a function of the name."""
    module = import_module(COMMANDS[name][0])
    parent = application()
    if hasattr(module, "app"):
        parent.add_typer(module.app, name=name)
    else:
        parent.command(name)(getattr(module, name))
    return typer.main.get_group(parent).commands[name]


app = application(no_args_is_help=True, cls=ImportedWhenCalled)
for _name, (_, _summary) in COMMANDS.items():
    app.command(_name, short_help=_summary)(lambda: None)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"kf {version()}")
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            help="Print the version and exit.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Operational commands beside `pulumi up`.

    Example: `./kf doctor --stack cn-north-1`
    """


if __name__ == "__main__":
    run(app, "kf")
