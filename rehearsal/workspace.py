"""The folder the engine works in: a copy of the project, its state, its home, its passphrase.

Everything the engine writes is below a build folder, so that a rehearsal never dirties a checkout.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import yaml
from pulumi import automation as auto
from pulumi.automation._stack import StackInitMode  # the type of a public argument
from semver import VersionInfo

from rendering.kubernetes_yaml import Dumper
from toolchain.tools import PULUMI_OLDEST

_ENVIRONMENT = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
    # A person's own setting would give the file of the stack another name.
    "PULUMI_DIY_BACKEND_GZIP": "false",
    "PULUMI_DIY_BACKEND_ZSTD": "false",
    "PULUMI_K8S_CLIENT_TIMEOUT": "1",
    # The state is written once, at the end: a run of 600 objects is about six times as fast, and a
    # run that is killed loses nothing but a simulation.
    "PULUMI_EXPERIMENTAL": "true",
    "PULUMI_SKIP_CHECKPOINTS": "true",
    # The engine lives for seconds: collecting its garbage less often saves a tenth of its time.
    "GOGC": os.environ.get("GOGC", "300"),
}


class _Command(auto.PulumiCommand):
    """The CLI by its path; the SDK's own class accepts only a folder with ``bin/pulumi``."""

    def __init__(self, path: Path) -> None:
        self.command, self.version = str(path), VersionInfo(*PULUMI_OLDEST)


class EngineStack(auto.Stack):
    """A stack of which a run is one start of the CLI.

    The SDK starts the CLI again after each run, once for the history and twice for the outputs:
    three quarters of the processor time of a small stack's ``up`` (measured: 2.4 CPU seconds with
    them, 0.9 without). Outputs come with the engine's events, and nothing reads the history.
    """

    def outputs(self) -> auto.OutputMap:
        """Nothing, see the class."""
        return {}

    def info(self, show_secrets: bool = True) -> auto.UpdateSummary:  # noqa: ARG002 the SDK's own
        """An empty summary, see the class."""
        return auto.UpdateSummary("update", datetime.now(UTC), "", {}, {}, "succeeded")


def open_stack(
    project: Path, stack: str, build: Path, pulumi: Path, program: Callable[[], Any]
) -> auto.Stack:
    """The stack, made when it is not there, with ``program`` as its inline program.

    See ``rehearsal.engine.Rehearsal`` for the arguments.
    """
    # A person's own passphrase would win over the build folder's, and not fit its secrets.
    os.environ.pop("PULUMI_CONFIG_PASSPHRASE", None)
    work, state = build / "project", build / "state"
    for folder in (work, state):
        folder.mkdir(parents=True, exist_ok=True)
    _copy_project(project, stack, work)
    options = auto.LocalWorkspaceOptions(
        work_dir=str(work),
        pulumi_home=str(_home(build)),
        pulumi_command=_Command(pulumi),
        env_vars={
            **_ENVIRONMENT,
            "PULUMI_BACKEND_URL": state.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(_passphrase_file(build)),
        },
        program=program,
    )
    name = cast(str, yaml.safe_load((work / "Pulumi.yaml").read_bytes())["name"])
    file = state / ".pulumi" / "stacks" / name / f"{stack}.json"
    exists = file.exists() or file.with_name(f"{file.name}.zst").exists()
    mode = StackInitMode.SELECT if exists else StackInitMode.CREATE
    return EngineStack(stack, auto.LocalWorkspace(**vars(options)), mode)


def _copy_project(project: Path, stack: str, work: Path) -> None:
    """Copies the project's two files, because the engine writes into them."""
    shutil.copyfile(project / "Pulumi.yaml", work / "Pulumi.yaml")
    settings, target = (folder / f"Pulumi.{stack}.yaml" for folder in (project, work))
    original, before = (
        cast("dict[str, Any]", yaml.safe_load(path.read_bytes()) or {}) if path.exists() else {}
        for path in (settings, target)
    )
    copied = {"encryptionsalt": before["encryptionsalt"]} if "encryptionsalt" in before else {}
    # Another passphrase or key encrypted the real stack's secrets; no rehearsal can read them.
    copied["config"] = _without_secure(original.get("config") or {})
    target.write_text(yaml.dump(copied, Dumper=Dumper), "utf-8")


def _without_secure(value: Any) -> Any:
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        if set(items) == {"secure"}:
            return "rehearsal"
        return {key: _without_secure(item) for key, item in items.items()}
    if isinstance(value, list):
        return [_without_secure(item) for item in cast("list[Any]", value)]
    return value


def unprotected_copy(state: Path, target: Path) -> set[str]:
    """Copies a state without the protection of its resources, and returns whose it was.

    A new CLI's ``--ignore-protect`` does the same, but the SDK has no argument for it.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(state, target, ignore=shutil.ignore_patterns("history", "locks", "backups"))
    urns: set[str] = set()
    for file in target.glob(".pulumi/stacks/*/*.json"):
        content: dict[str, Any] = json.loads(file.read_bytes())
        for each in content["checkpoint"]["latest"]["resources"]:
            if each.pop("protect", False):
                urns.add(each["urn"])
        file.write_text(json.dumps(content), "utf-8")
    return urns


def _home(build: Path) -> Path:
    """The engine's own folder, in which it can't write its automatic log.

    The CLI encrypts and compresses every property it sees into ``logs/``, 6 MB and 40 % of its
    time per preview, and has no switch for it; it goes on without when there is no such folder
    (pkg/logging/encrypted.go, StartLogging).
    """
    home = build / "home"
    home.mkdir(exist_ok=True)
    logs = home / "logs"
    if logs.is_dir():
        shutil.rmtree(logs)
    logs.touch()
    return home


def _passphrase_file(build: Path) -> Path:
    path = build / "passphrase"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(24))
    return path
