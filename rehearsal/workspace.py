"""The folder the engine works in: a copy of the project, its state, its home, its passphrase.

Everything the engine writes is below a build folder, so that a rehearsal never dirties a checkout.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import yaml
from pulumi import automation as auto
from pulumi.automation._stack import StackInitMode  # the type of a public argument
from semver import VersionInfo

_OFFLINE = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
    "PULUMI_SKIP_CONFIRMATIONS": "true",
    "PULUMI_K8S_CLIENT_TIMEOUT": "1",
}

# The engine lives for seconds: collecting its garbage less often saves a tenth of its time.
_SHORT_LIVED = {"GOGC": os.environ.get("GOGC", "300")}

_NO_CHECKPOINTS = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}


class EngineStack(auto.Stack):
    """A stack of which a run is one start of the CLI.

    The SDK starts the CLI again after each run, once for the history and twice for the outputs:
    three quarters of the processor time of a small stack's ``up`` (measured: 2.4 CPU seconds with
    them, 0.9 without). Outputs come with the engine's events, and the history is read by nobody.
    """

    def outputs(self) -> auto.OutputMap:
        return {}

    def info(self, show_secrets: bool = True) -> auto.UpdateSummary:  # noqa: ARG002 the SDK's own
        return auto.UpdateSummary("update", datetime.now(UTC), "", {}, {}, "succeeded")


@dataclass(frozen=True, kw_only=True)
class EngineWorkspace:
    """Where one stack's engine works; see ``rehearsal.engine.Rehearsal`` for the arguments."""

    project: Path
    stack: str
    build: Path
    pulumi: Path
    checkpoints: bool = False

    def open(self, program: Callable[[], Any]) -> auto.Stack:
        """The stack, made when it is not there, with ``program`` as its inline program."""
        # A person's own passphrase would win over our file, and the next person's would not fit.
        os.environ.pop("PULUMI_CONFIG_PASSPHRASE", None)
        work = self._write_project()
        state = self.build / "state"
        state.mkdir(parents=True, exist_ok=True)
        options = auto.LocalWorkspaceOptions(
            work_dir=str(work),
            pulumi_home=str(self._home()),
            pulumi_command=_command(self.pulumi),
            env_vars={
                **_OFFLINE,
                **_SHORT_LIVED,
                **({} if self.checkpoints else _NO_CHECKPOINTS),
                "PULUMI_BACKEND_URL": state.as_uri(),
                "PULUMI_CONFIG_PASSPHRASE_FILE": str(self._passphrase_file()),
            },
            program=program,
        )
        name = cast(str, yaml.safe_load((work / "Pulumi.yaml").read_text())["name"])
        known = state / ".pulumi" / "stacks" / name / f"{self.stack}.json"
        mode = StackInitMode.SELECT if known.exists() else StackInitMode.CREATE
        return EngineStack(self.stack, auto.LocalWorkspace(**vars(options)), mode)

    def _write_project(self) -> Path:
        """A copy of the project's two files for the engine, which writes into them."""
        work = self.build / "project"
        work.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.project / "Pulumi.yaml", work / "Pulumi.yaml")
        settings = self.project / f"Pulumi.{self.stack}.yaml"
        target = work / f"Pulumi.{self.stack}.yaml"
        own = yaml.safe_load(settings.read_text()) if settings.exists() else {}
        config = cast("dict[str, Any]", (own or {}).get("config") or {})
        kept = yaml.safe_load(target.read_text()) if target.exists() else {}
        # Another passphrase or key encrypted the real stack's secrets; no rehearsal can read them.
        copied = {"config": _without_secure(config)} if config else {}
        salt = (kept or {}).get("encryptionsalt")
        target.write_text(yaml.safe_dump(copied | ({"encryptionsalt": salt} if salt else {})))
        return work

    def _home(self) -> Path:
        """The engine's own folder, in which it can't write its automatic log.

        The CLI encrypts and compresses every property it sees into ``logs/``, 6 MB and 40 % of its
        time per preview, and has no switch for it; it goes on without when there is no such folder
        (pkg/logging/encrypted.go, StartLogging).
        """
        home = self.build / "home"
        home.mkdir(parents=True, exist_ok=True)
        logs = home / "logs"
        if logs.is_dir():
            shutil.rmtree(logs)
        logs.touch()
        return home

    def _passphrase_file(self) -> Path:
        path = self.build / "passphrase"
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(24))
        return path


def _without_secure(value: Any) -> Any:
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        if set(items) == {"secure"}:
            return "rehearsal"
        return {key: _without_secure(item) for key, item in items.items()}
    if isinstance(value, list):
        return [_without_secure(item) for item in cast("list[Any]", value)]
    return value


def _command(path: Path) -> auto.PulumiCommand:
    # PulumiCommand insists on ROOT/bin/pulumi and asks for the version again; tools has done both.
    command = auto.PulumiCommand.__new__(auto.PulumiCommand)
    command.command = str(path)
    command.version = VersionInfo(3, 259, 0)
    return command
