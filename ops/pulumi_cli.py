"""The Pulumi CLI on one stack: its backend, its state, its lock."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from ops.cli_errors import Refused

_WAYS_OUT = {
    "PULUMI_ACCESS_TOKEN must be set": (
        "`pulumi login` comes first, with the URL of the state, such as "
        "'s3://my-pulumi-state?region=cn-north-1'"
    ),
    "no stack named": "`pulumi stack ls` lists those of the state that `pulumi login` has chosen",
}
"""A message of the CLI -> the way out, which the CLI does not print."""


class CliFailed(Refused):
    """A command of the Pulumi CLI without a result."""


@dataclass(frozen=True)
class PulumiCli:
    """Runs the CLI in a project's folder.

    Args:
        program: the CLI.
        folder: with ``Pulumi.yaml``.
        stack: the stack's name.
        environment: beside that of this process.
    """

    program: Path
    folder: Path
    stack: str
    environment: Mapping[str, str] | None = None

    @property
    def project(self) -> str:
        """The project's name."""
        text = (self.folder / "Pulumi.yaml").read_text("utf-8")
        return cast("dict[str, str]", yaml.safe_load(text))["name"]

    def backend(self) -> str:
        """The URL of the backend."""
        return str(json.loads(self._run("whoami", "--json"))["url"])

    def export(self) -> dict[str, Any]:
        """The state; its secrets stay encrypted."""
        return json.loads(self._run("stack", "export", "--stack", self.stack))

    def planned(self) -> list[dict[str, Any]]:
        """The resources that the next ``up`` would create, as the program describes them.

        Secrets are ``[secret]``, and what is not known before is a fixed text
        (pulumi/pulumi, pkg/backend/display/json.go).

        Raises:
            CliFailed: the program or a provider fails.
        """
        preview = self._run("preview", "--json", "--stack", self.stack)
        try:
            steps: list[dict[str, Any]] = json.loads(preview)["steps"]
        except (ValueError, KeyError):
            raise CliFailed(f"`pulumi preview` of {self.stack} prints no plan") from None
        return [step["newState"] for step in steps if step["op"] in ("create", "import")]

    def import_(self, deployment: dict[str, Any]) -> None:
        """Replace the state; Pulumi drops all pending operations of an imported state."""
        self._run("stack", "import", "--stack", self.stack, text=json.dumps(deployment))

    def cancel(self) -> None:
        """Delete every lock of the stack."""
        self._run("cancel", "--yes", "--stack", self.stack)

    def refresh(self, urns: Sequence[str]) -> None:
        """Read resources, or all, from the cloud into the state, and drop those that are gone."""
        targets = [word for urn in urns for word in ("--target", urn)]
        self._run("refresh", "--yes", "--skip-preview", "--stack", self.stack, *targets)

    def _run(self, *arguments: str, text: str | None = None) -> str:
        """The standard output of a command.

        Raises:
            CliFailed: with what the CLI prints from its first ``error:`` on.
        """
        quiet = {"PULUMI_SKIP_UPDATE_CHECK": "true"}
        done = subprocess.run(
            [str(self.program), *arguments, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env={**os.environ, **quiet, **(self.environment or {})},
            input=text,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            errors = " ".join((done.stderr + done.stdout).partition("error: ")[2].split())
            reason = errors[:500] or f"exit code {done.returncode}"
            command = " ".join(arguments[:2] if arguments[0] == "stack" else arguments[:1])
            ways_out = "".join(f": {way}" for said, way in _WAYS_OUT.items() if said in reason)
            raise CliFailed(f"`pulumi {command}` of {self.stack} fails: {reason}{ways_out}")
        return done.stdout
