"""``./kf adopt``: the settings of a new stack from the facts of another Kubeflow on AWS."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from adoption import import_file, stack_file
from adoption.old_platform import CONFIG_COMMAND, FactsInvalid, OldPlatform, read
from ops.cli_errors import Refused, errors_reported
from terminal.output import Columns, Format, Row, format_option, messages, show


def adopt(
    files: Annotated[
        list[Path],
        typer.Option(
            "--from",
            metavar="FILE",
            help="JSON of kubectl or `aws rds describe-db-snapshots`; several times.",
        ),
    ],
    write: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the new stack file goes: Pulumi.<stack>.yaml."),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Of `pulumi preview --import-file`; for a stack that owns the bucket.",
        ),
    ] = None,
    import_: Annotated[
        Path | None,
        typer.Option("--import", metavar="FILE", help="Where the file for `pulumi import` goes."),
    ] = None,
    format_: Annotated[Format | None, format_option("kind, namespace, name, moves, what")] = None,
) -> None:
    """Writes the settings of a new stack that takes the data of another Kubeflow.

    Nothing on AWS or in a cluster is called. It lists what moves by the settings, with the data, by
    hand, or not at all. Values of Secrets are neither read nor written, and no file is overwritten.

    Example: `./kf adopt --from cluster.json --from snapshots.json`
    """
    with errors_reported():
        if (plan is None) != (import_ is None):
            raise Refused("--plan and --import belong together: name both or neither.")
        try:
            old = read(files)
            adoption = stack_file.adopt(old)
            imported = None if plan is None else import_file.of_plan(plan, _bucket(old))
        except (FactsInvalid, stack_file.NothingToRestore, import_file.PlanInvalid) as invalid:
            raise Refused(str(invalid)) from None
        if write is not None:
            _write(write, stack_file.text(adoption, [file.name for file in files]))
        if import_ is not None:
            _write(import_, json.dumps(imported, indent=2) + "\n")
    rows: list[Row] = [vars(each) for each in adoption.moved]
    columns: Columns = {"kind": "kind", "namespace": "namespace", "name": "name", "moves": "moves"}
    show(rows, format_, {**columns, "what": "what"}, optional=["what"])
    for sentence in stack_file.absent(old):
        messages.print(sentence, style="yellow")
    by_hand = sum(each.moves == "hand" for each in adoption.moved)
    messages.print(f"{len(rows)} things, {by_hand} of them by hand (docs/from-awslabs.md)")


def _bucket(old: OldPlatform) -> str:
    if not old.bucket:
        raise Refused(f"no file names the bucket: add `{CONFIG_COMMAND}`.")
    return old.bucket


def _write(path: Path, content: str) -> None:
    """Writes a new file that its owner alone reads: a plan can have keys of the provider."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Refused(f"{path} exists: name another file, or remove it.") from None
    except OSError as error:
        raise Refused(f"{path} cannot be written ({error.strerror}).") from None
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        opened.write(content)
