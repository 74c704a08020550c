"""What a live stack would become, by name: its drift, its next change, and the change as approved.

Pulumi shows old and new values, and the new value of a secret that was edited behind its back in
the clear (3.259.0: ``password: [secret] => "..."``, also with ``--json``). So only operations, URNs
and paths of properties leave this program.

``up`` previews again and goes on when the operations equal those approved. A saved plan (``pulumi
preview --save-plan``, ``pulumi up --plan``) cannot do that here: the engine refuses a list with
values known after the first resources exist, such as a cluster's subnets, as "violates plan".

Exit codes: 0 as expected; 1 a drift, or operations that nobody approved; 2 Pulumi failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

DIFFERENT = 1
FAILED = 2
_NO_CHANGES_EXPECTED = 7
"""pulumi/pulumi pkg/cmd/pulumi/cmd/exit_codes.go 3.259.0; an older CLI ends with another code and
the same words."""
_LONGEST = 300
_UNCHANGED = {"same", "refresh", "read"}
_QUIET = ("--non-interactive", "--color", "never")


class PulumiFailed(Exception):
    """Pulumi could not compare; the message has its errors."""


@dataclass(frozen=True, order=True)
class Operation:
    """What would happen to a resource, or has happened to it behind Pulumi's back.

    Args:
        operation: ``create``, ``update``, ``replace``, ``delete``.
        urn: of the resource.
        properties: paths of what differs, without values.
    """

    operation: str
    urn: str
    properties: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        """Type and name."""
        *_, types, name = self.urn.split("::", 3)
        return f"{types.split('$')[-1]} {name}"


def operations_of(digest: dict[str, Any]) -> list[Operation]:
    """The operations in the JSON of a preview; a replacement's three steps are one.

    The JSON is PreviewDigest of pulumi/pulumi sdk/go/common/apitype and pkg/display 3.259.0.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for step in digest.get("steps") or []:
        operation = "replace" if "replace" in step["op"] else step["op"]
        if operation in _UNCHANGED or step["urn"].split("::")[2] == "pulumi:pulumi:Stack":
            continue
        paths = {*(step.get("detailedDiff") or {}), *(step.get("diffReasons") or [])}
        found.setdefault((operation, step["urn"]), set()).update(paths)
    return sorted(Operation(*key, tuple(sorted(paths))) for key, paths in found.items())


def compared(stack: str, command: Sequence[str]) -> list[Operation]:
    """The operations of ``pulumi preview`` or ``pulumi refresh --preview-only``.

    Raises:
        PulumiFailed: there is no digest, or Pulumi ended for another reason than changes.
    """
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    # With it the JSON is a stream of events.
    environment.pop("PULUMI_ENABLE_STREAMING_JSON_PREVIEW", None)
    try:
        done = subprocess.run(
            ["pulumi", *command, "--stack", stack, "--json", *_QUIET],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
            check=False,
        )
    except FileNotFoundError:
        raise PulumiFailed("There is no `pulumi` on the PATH.") from None
    try:
        digest: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        digest = {}
    changed = done.returncode == _NO_CHANGES_EXPECTED or "no changes were expected" in done.stderr
    if not digest or (done.returncode and not changed):
        errors = [
            str(each.get("message", "")).strip()
            for each in digest.get("diagnostics") or []
            if each.get("severity") == "error"
        ]
        last = done.stderr.strip().splitlines()[-3:]
        raise PulumiFailed("\n".join([*errors, *last]) or f"pulumi ended with {done.returncode}.")
    return operations_of(digest)


def table(operations: Sequence[Operation]) -> list[str]:
    """Markdown rows, names only."""
    rows = [
        " | ".join(
            [
                f"| {each.operation}",
                _code(each.resource),
                f"{' '.join(map(_code, each.properties))} |",
            ]
        )
        for each in operations[:_LONGEST]
    ]
    more = len(operations) - len(rows)
    return [
        "| operation | resource | properties |",
        "|---|---|---|",
        *rows,
        *([f"\nand {more} more."] if more else []),
    ]


def _code(text: str) -> str:
    escaped = text.replace("|", "\\|").replace("`", "'")
    return f"`{escaped}`"


def drift(stack: str, report: Path) -> int:
    """Compares the state with the clouds."""
    command = ["refresh", "--preview-only", "--expect-no-changes"]
    found = compared(stack, command)
    lines = [f"Stack `{stack}`: {len(found)} resources differ from the state.", ""]
    if found:
        lines += [
            *table(found),
            "",
            "`delete`: it no longer exists. `update`: somebody else changed it.",
            f"`pulumi refresh --stack {stack} --preview-only --diff` shows values, secrets too.",
        ]
    _tell(report, lines)
    return DIFFERENT if found else 0


def preview(stack: str, report: Path, approval: Path) -> int:
    """Stores what ``up`` would do, for approval."""
    found = compared(stack, ["preview"])
    approval.write_text(json.dumps([asdict(each) for each in found], indent=1), "utf-8")
    _tell(
        report, [f"Stack `{stack}`: {len(found)} operations.", "", *(table(found) if found else [])]
    )
    return 0


def up(stack: str, approval: Path) -> int:
    """Deploys when a second preview has the approved operations and no other."""
    approved = {
        Operation(row["operation"], row["urn"], tuple(row["properties"]))
        for row in json.loads(approval.read_text("utf-8"))
    }
    found = compared(stack, ["preview"])
    other = sorted({*found} ^ approved)
    if other:
        lines = ["The operations are not those that were approved; start the run again:", ""]
        sys.stdout.write("\n".join([*lines, *table(other)]) + "\n")
        return DIFFERENT
    if not found:
        sys.stdout.write("Nothing to change.\n")
        return 0
    sys.stdout.flush()
    command = ["pulumi", "up", "--stack", stack, "--yes", "--skip-preview", "--suppress-outputs"]
    return FAILED if subprocess.run([*command, *_QUIET], check=False).returncode else 0


def _tell(report: Path, lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    report.write_text(text, "utf-8")
    sys.stdout.write(text)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(text)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python3 -m docs.ci.live_stack", description=__doc__)
    parser.add_argument("command", choices=["drift", "preview", "up"])
    parser.add_argument("--stack", required=True)
    parser.add_argument("--report", type=Path, default=Path("build/report.md"))
    parser.add_argument("--approval", type=Path, default=Path("build/approval.json"))
    chosen = parser.parse_args(arguments)
    chosen.report.parent.mkdir(parents=True, exist_ok=True)
    try:
        if chosen.command == "drift":
            return drift(chosen.stack, chosen.report)
        if chosen.command == "preview":
            return preview(chosen.stack, chosen.report, chosen.approval)
        return up(chosen.stack, chosen.approval)
    except PulumiFailed as failed:
        sys.stderr.write(f"Stack {chosen.stack} was not compared. {failed}\n")
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
