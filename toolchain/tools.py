"""Finds or gets the two programs a rehearsal needs: the Pulumi CLI and kustomize.

Each is searched on PATH, then in the project's cache, then got: the CLI by Pulumi's own installer
or by building the pinned module with Go, kustomize by ``kubectl`` or Go. What one run got, the next
finds in the cache.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version
from rich.console import Console

from toolchain.go_tools import GoProgram, Say, alone, build, go, tool_folder

PULUMI_VERSION = "3.259.0"
PULUMI_OLDEST = (3, 200, 0)
KUSTOMIZE_VERSION = "5.7.1"
_INSTALLER = "https://get.pulumi.com/install.sh"
_REACH_SECONDS = 5
_INSTALL_SECONDS = 600


class ToolMissing(Exception):
    """No way to get a tool works here; the text is one sentence that names the ways."""


@dataclass(frozen=True)
class Tool:
    """A program that is ready to run.

    Args:
        command: ``("kubectl", "kustomize")`` or ``("/path/pulumi",)``.
        version: ``3.259.0``.
        how: where it came from, for people.
        seconds: what finding or getting it took.
    """

    command: tuple[str, ...]
    version: str
    how: str
    seconds: float

    @property
    def path(self) -> Path:
        """The program's file."""
        return Path(self.command[0])


_WAYS = {
    "Pulumi CLI": "There is no Pulumi CLI: put one on PATH, or let this machine reach Pulumi's own "
    "installer, or install Go so that it can be built.",
    "kustomize": "There is no kustomize: put kustomize or kubectl on PATH, or install Go so that "
    "it can be built.",
}


Found = tuple[tuple[str, ...], str, str]  # command, version, how
Way = Callable[[Say], Found | None]


def _print(text: str) -> None:
    Console(stderr=True, highlight=False).print(text)


def pulumi(say: Say = _print) -> Tool:
    """The Pulumi CLI: PATH, else the cache, else Pulumi's installer, else built with Go.

    Raises:
        ToolMissing: none of the ways works here.
    """
    return _first("Pulumi CLI", say, _pulumi_on_path, _pulumi_cached, _pulumi_got)


def kustomize(say: Say = _print) -> Tool:
    """kustomize: PATH, else the cache, else inside kubectl, else built with Go.

    Raises:
        ToolMissing: none of the ways works here.
    """
    ways = (_kustomize_on_path, _kustomize_cached, _kustomize_in_kubectl, _kustomize_built)
    return _first("kustomize", say, *ways)


def _first(label: str, say: Say, *ways: Way) -> Tool:
    start = time.monotonic()
    for way in ways:
        if found := way(say):
            command, version, how = found
            seconds = time.monotonic() - start
            say(f"{label} {version}: {how} ({seconds:.1f} s)")
            return Tool(command, version, how, seconds)
    raise ToolMissing(_WAYS[label])


def _run(
    command: list[str], *, seconds: float = 60, env: dict[str, str] | None = None
) -> str | None:
    """The output of a command, or None when it fails, hangs or is not there."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=True, env=env
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(text: str | None) -> str | None:
    found = re.search(r"v?(\d+\.\d+\.\d+)", text or "")
    return found.group(1) if found else None


# -- Pulumi ---------------------------------------------------------------------------------------


_PULUMI = GoProgram(
    name="pulumi",
    version=PULUMI_VERSION,
    module=Path(__file__).parent / "pulumi-cli",
    package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    variables={"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": f"v{PULUMI_VERSION}"},
    takes="about 5 minutes on two cores",
)


def _pulumi_on_path(say: Say) -> Found | None:
    path = shutil.which("pulumi")
    quiet = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    version = _version(_run([path, "version"], env=quiet)) if path else None
    if path is None or version is None:
        return None
    if Version(version).release < PULUMI_OLDEST:
        oldest = ".".join(map(str, PULUMI_OLDEST))
        say(f"Pulumi CLI {version} on PATH is older than {oldest}; looking for another")
        return None
    return (path,), version, f"on PATH, {path}"


def _pulumi_cached(_: Say) -> Found | None:
    # Go makes pulumi, the installer bin/pulumi.
    for path in (_PULUMI.path, _PULUMI.folder / "bin" / "pulumi"):
        if path.exists():
            return (str(path),), PULUMI_VERSION, f"in the cache, {path}"
    return None


def _pulumi_got(say: Say) -> Found | None:
    with alone(_PULUMI.folder, say):
        found = _pulumi_cached(say)
        if not found and (_pulumi_installed(say) or build(_PULUMI, say)):
            found = _pulumi_cached(say)
        return found


def _pulumi_installed(say: Say) -> bool:
    try:
        urllib.request.urlopen(_INSTALLER, timeout=_REACH_SECONDS).close()
    except (OSError, urllib.error.URLError) as failure:
        reason = getattr(failure, "reason", failure)
        say(f"Pulumi's own installer is out of reach ({reason}); building the CLI instead")
        return False
    say(f"Installing the Pulumi CLI {PULUMI_VERSION} by Pulumi's own installer")
    # In a process of its own, because the installer takes no timeout.
    program = (
        "import sys; from pulumi.automation import PulumiCommand; from semver import VersionInfo; "
        "PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))"
    )
    command = [sys.executable, "-c", program, str(_PULUMI.folder), PULUMI_VERSION]
    if _run(command, seconds=_INSTALL_SECONDS) is None:
        say("Pulumi's own installer failed; building the CLI instead")
        return False
    return True


# -- kustomize ------------------------------------------------------------------------------------


def _kustomize_on_path(_: Say) -> Found | None:
    path = shutil.which("kustomize")
    version = _version(_run([path, "version"])) if path else None
    return ((path,), version, f"on PATH, {path}") if path and version else None


def _kustomize_folder() -> Path:
    return tool_folder("kustomize", KUSTOMIZE_VERSION)


def _kustomize_cached(_: Say) -> Found | None:
    path = _kustomize_folder() / "kustomize"
    return ((str(path),), KUSTOMIZE_VERSION, f"in the cache, {path}") if path.exists() else None


def _kustomize_in_kubectl(_: Say) -> Found | None:
    path = shutil.which("kubectl")
    if path is None:
        return None
    text = _run([path, "version", "--client"]) or ""
    version = _version(next((line for line in text.splitlines() if "Kustomize" in line), ""))
    return ((path, "kustomize"), version, f"inside {path}") if version else None


def _kustomize_built(say: Say) -> Found | None:
    if shutil.which("go") is None:
        return None
    folder = _kustomize_folder()
    with alone(folder, say):
        if found := _kustomize_cached(say):
            return found
        say(f"Building kustomize {KUSTOMIZE_VERSION} with Go: under a minute, once")
        bin_folder = folder / "bin"
        built = go(
            ["install", "-v", f"sigs.k8s.io/kustomize/kustomize/v5@v{KUSTOMIZE_VERSION}"],
            say,
            cwd=folder,
            made=bin_folder / "kustomize",
            final=folder / "kustomize",
            GOBIN=str(bin_folder),
        )
        return _kustomize_cached(say) if built else None
