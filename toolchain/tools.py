"""The two programs a rehearsal needs, found or obtained: the Pulumi CLI and kustomize.

Each is searched on PATH and in the project's cache. Else the CLI is obtained by Pulumi's own
installer or built from the pinned module, and kustomize is built; later runs use the cache.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from packaging.version import Version

from rendering.kustomize import Kustomize, KustomizeMissing, find
from rendering.release import VersionRange
from toolchain.go_programs import GoProgram, Say, alone, build, obtain

PULUMI_VERSION = "3.259.0"
PULUMI_OLDEST = (3, 217, 0)
_INSTALLER = "https://get.pulumi.com/install.sh"
_REACH_SECONDS = 5
_INSTALL_SECONDS = 600
_PULUMI = GoProgram(
    name="pulumi",
    version=PULUMI_VERSION,
    module=Path(__file__).parent / "pulumi-cli",
    package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    variables={"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": f"v{PULUMI_VERSION}"},
    takes="about 5 minutes on two cores",
)
_KUSTOMIZE = GoProgram(
    name="kustomize",
    version="5.7.1",
    module=None,
    package="sigs.k8s.io/kustomize/kustomize/v5",
    variables={},
    takes="under a minute",
)


class ToolMissing(Exception):
    """No way to obtain a tool works here; the text is one sentence that names the ways."""


class Tool(NamedTuple):
    """A program that is ready to run.

    Attributes:
        path: its file.
        version: ``3.259.0``.
        how: its origin, for people.
    """

    path: Path
    version: str
    how: str


def pulumi(say: Say) -> Tool:
    """The Pulumi CLI: PATH, else the cache, else Pulumi's installer, else built with Go.

    Raises:
        ToolMissing: none of the ways works here.
    """
    tool = _pulumi_on_path(say) or _pulumi_cached()
    if tool is None:
        with alone(_PULUMI.folder, say):
            if not _pulumi_cached() and not _pulumi_installed(say):
                build(_PULUMI, say)
            tool = _pulumi_cached()
    if tool is None:
        raise ToolMissing(
            "There is no Pulumi CLI: put one on PATH, or let this machine reach Pulumi's own "
            "installer, or install Go so that it can be built."
        )
    say(f"Pulumi CLI {tool.version}: {tool.how}")
    return tool


def kustomize(say: Say) -> Kustomize:
    """Kustomize of any version, as renders find it; else built with Go.

    Raises:
        ToolMissing: none of the ways works here.
    """
    try:
        tool = find(VersionRange())
    except KustomizeMissing:
        if not obtain(_KUSTOMIZE, say):
            raise ToolMissing(
                "There is no kustomize: put kustomize or kubectl on PATH, or install Go so that "
                "it can be built."
            ) from None
        tool = find(VersionRange())
    say(f"kustomize {tool.version}: {' '.join(tool.command)}")
    return tool


def _output(command: list[str], seconds: float = 60, **env: str) -> str | None:
    """The output of a command; None when it fails, hangs or does not exist."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=True,
            env={**os.environ, **env},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _pulumi_on_path(say: Say) -> Tool | None:
    path = shutil.which("pulumi")
    printed = path and _output([path, "version"], PULUMI_SKIP_UPDATE_CHECK="true")
    version = re.search(r"\d+\.\d+\.\d+", printed or "")
    if not path or not version:
        return None
    if Version(version[0]).release < PULUMI_OLDEST:
        oldest = ".".join(map(str, PULUMI_OLDEST))
        say(f"Pulumi CLI {version[0]} on PATH is older than {oldest}; looking for another")
        return None
    return Tool(Path(path), version[0], f"on PATH, {path}")


def _pulumi_cached() -> Tool | None:
    # Go makes pulumi, the installer bin/pulumi.
    for path in (_PULUMI.path, _PULUMI.folder / "bin" / "pulumi"):
        if path.exists():
            return Tool(path, PULUMI_VERSION, f"in the cache, {path}")
    return None


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
    if _output(command, _INSTALL_SECONDS) is None:
        say("Pulumi's own installer failed; building the CLI instead")
        return False
    return True
