"""The two programs a rehearsal needs, found or obtained: the Pulumi CLI and kustomize.

Each is searched on PATH and in the project's cache. Else the CLI is taken from Pulumi's archive, if
that has the pinned digest, or built from the pinned module, and kustomize is built; later runs use
the cache.
"""

from __future__ import annotations

import http.client
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

from packaging.version import Version

from rendering.cache import file_sha256
from rendering.kustomize import Kustomize, KustomizeMissing, find
from rendering.machine_faults import sentence_of
from rendering.release import VersionRange
from rendering.source_files import SourceRejected, unpack
from toolchain.go_programs import GoProgram, Say, alone, build, obtain

PULUMI_VERSION = "3.259.0"
PULUMI_OLDEST = (3, 217, 0)
KUBERNETES_PLUGIN_OF_EKS = "4.19.0"
"""Of pulumi-kubernetes, which pulumi-eks 4.4.0 uses for its own objects, beside the program's
(pulumi/pulumi-eks nodejs/eks/package.json)."""
_RELEASES = "https://get.pulumi.com/releases/sdk"
_ARCHIVES = {
    ("Linux", "x86_64"): (
        "linux-x64",
        "94ba357acac23d01474084c4b00098dc0f7bc70ce13f34c777459254a5f718e5",
    ),
    ("Linux", "aarch64"): (
        "linux-arm64",
        "edc8327463a72160bb36cf82cf5062da9c8a244290a706d9980988e7bf486853",
    ),
    ("Darwin", "x86_64"): (
        "darwin-x64",
        "eaca4c3b8277bfa3ab061fa3b270d1c66358a0b2e613da8c5587a04b7226c534",
    ),
    ("Darwin", "arm64"): (
        "darwin-arm64",
        "57c27f179e527e2cf9f62b841a448af72a020e44b2fb4ee0d9bd85556c00c864",
    ),
}
"""System and machine -> the platform in the archive's name, and the archive's sha256.

The digests are those in devenv.nix of EmergentConnext/devenv-base, in hexadecimal; Pulumi's own
list is pulumi-3.259.0-checksums.txt beside the archives
(docs/decisions/0065-pulumi-cli-by-digest.md).
"""
_ANSWER_SECONDS = 5
_DOWNLOAD_SECONDS = 600
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
    """The Pulumi CLI: PATH, else the cache, else Pulumi's archive, else built with Go.

    Raises:
        ToolMissing: none of the ways works here.
    """
    tool = _pulumi_on_path(say) or _pulumi_cached()
    if tool is None:
        with alone(_PULUMI.folder, say):
            if not _pulumi_cached() and not _pulumi_downloaded(say):
                build(_PULUMI, say)
            tool = _pulumi_cached()
    if tool is None:
        raise ToolMissing(
            f"There is no Pulumi CLI: put one on PATH, or let this machine reach {_RELEASES}, or "
            "install Go so that it can be built."
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


def _output(command: list[str], **env: str) -> str | None:
    """The output of a command; None when it fails, hangs or does not exist."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
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
    path = _PULUMI.path
    return Tool(path, PULUMI_VERSION, f"in the cache, {path}") if path.exists() else None


def _pulumi_downloaded(say: Say) -> bool:
    """Takes the CLI out of Pulumi's archive; False when that failed, the reason goes to ``say``."""
    archive = _ARCHIVES.get((platform.system(), platform.machine()))
    if archive is None:
        return False
    url = f"{_RELEASES}/pulumi-v{PULUMI_VERSION}-{archive[0]}.tar.gz"
    say(f"Downloading the Pulumi CLI from {url}")
    with tempfile.TemporaryDirectory(dir=_PULUMI.folder, prefix=".archive.") as temporary:
        file, files = Path(temporary) / "pulumi.tar.gz", Path(temporary) / "files"
        try:
            _download(url, file)
            if (sha256 := file_sha256(file)) != archive[1]:
                raise SourceRejected(f"{url} has the sha256 {sha256} instead of {archive[1]}")
            unpack(file, ["pulumi"], files, url)
        except SourceRejected as rejected:
            say(f"{rejected}; building the CLI instead")
            return False
        except (OSError, http.client.HTTPException) as failure:
            if isinstance(failure, OSError) and sentence_of(failure):
                raise
            reason = getattr(failure, "reason", failure)
            say(f"{url} cannot be downloaded ({reason}); building the CLI instead")
            return False
        program = files / "pulumi"
        program.chmod(0o755)
        program.replace(_PULUMI.path)
    return True


def _download(url: str, file: Path) -> None:
    end = time.monotonic() + _DOWNLOAD_SECONDS
    with (
        urllib.request.urlopen(url, timeout=_ANSWER_SECONDS) as answer,  # noqa: S310 - of https
        file.open("wb") as stream,
    ):
        while piece := answer.read(1 << 20):
            stream.write(piece)
            if time.monotonic() > end:
                raise TimeoutError(f"not finished after {_DOWNLOAD_SECONDS} s")
