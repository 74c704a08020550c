"""Runs kustomize: the tool's own binary, in a version that ``release.yaml`` accepts.

kustomize 5.8 renders Kubeflow v1.11.0 wrong without an error (kubeflow/manifests#3315), so a binary
outside the range in ``release.yaml`` is never used.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import yaml

from rendering.cache import cache_folder
from rendering.graphs import reachable
from rendering.objects import RenderError
from rendering.release import VersionRange

log = logging.getLogger(__name__)

BUILD_SECONDS = 600
FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_REMOTE = re.compile(r"(?:[a-z+]+:)+//|git::|[\w.-]+@[\w.-]+:|(?:www\.)?github\.com[/:]")
_VERSION = r"v(\d+\.\d+\.\d+)"
_HARMLESS = ("deprecated", "well-defined vars that were never replaced", "kustomize edit fix")


class KustomizeMissing(RenderError):
    """No kustomize on this machine, or none in the range that the release accepts."""


class KustomizeFailed(RenderError):
    """kustomize ran and failed; the message is the last line of its error output."""


@dataclass(frozen=True)
class Kustomize:
    """A kustomize on this machine.

    Attributes:
        command: program and subcommand; the folder to build follows.
        version: without the leading v.
    """

    command: tuple[str, ...]
    version: str


def find(accepted: VersionRange) -> Kustomize:
    """The first kustomize in the accepted range: PATH, the tools cache, ``kubectl kustomize``.

    Raises:
        KustomizeMissing: one sentence with the versions that were found and those accepted.
    """
    refused: list[str] = []
    for program, arguments in _programs():
        version = _version(program, arguments)
        if version is None:
            continue
        if accepted.holds(version):
            return Kustomize((program, *arguments), version)
        refused.append(f"{' '.join((program, *arguments))} is {version}")
    reason = f"found, but not accepted: {'; '.join(refused)}" if refused else "found neither"
    versions = str(accepted) or "of any version"
    raise KustomizeMissing(
        f"rendering needs kustomize {versions} on PATH, in {cache_folder('tools')}, or kubectl "
        f"with such a kustomize ({reason})"
    )


def build(kustomize: Kustomize, folder: Path) -> str:
    """The YAML stream that kustomize prints for a folder.

    A folder with remote bases is refused: kustomize would fetch them unverified, and wait long
    without network.

    Raises:
        KustomizeFailed: with kustomize's own error, or the remote base it would fetch.
    """
    if remote := remote_bases(folder):
        named = "; ".join(f"{file} builds on {base}" for file, base in remote)
        raise KustomizeFailed(
            f"{named}; not on this machine: name it under remotes of its source in release.yaml, "
            "with its commit, and let `python -m rendering.new_release` write the new digest"
        )
    try:
        done = subprocess.run(
            [*kustomize.command, str(folder)],
            capture_output=True,
            encoding="utf-8",
            timeout=BUILD_SECONDS,
            check=False,
            # A build frees little: its collector works only when that much memory is in use.
            env={"GOGC": "off", "GOMEMLIMIT": "512MiB", **os.environ},
        )
    except subprocess.TimeoutExpired:
        raise KustomizeFailed(
            f"kustomize {kustomize.version} was still building {folder} after {BUILD_SECONDS} s"
        ) from None
    complaints = [line for line in done.stderr.splitlines() if line.strip()]
    if done.returncode:
        last = complaints[-1] if complaints else f"no reason given, exit code {done.returncode}"
        last = next((line for line in reversed(complaints) if "rror" in line), last)
        raise KustomizeFailed(f"kustomize {kustomize.version} refuses {folder}: {last}")
    for line in complaints:
        harmless = any(phrase in line for phrase in _HARMLESS)
        log.log(logging.DEBUG if harmless else logging.WARNING, "kustomize: %s", line)
    if not done.stdout.strip():
        raise KustomizeFailed(f"kustomize {kustomize.version} renders nothing from {folder}")
    return done.stdout


def kustomizations(folder: Path) -> list[Path]:
    """Every kustomization file below a folder."""
    return sorted(path for path in folder.rglob("*") if path.name in FILES)


def files(folder: Path) -> list[Path]:
    """The kustomization files in a folder: one, or none, or kustomize's own refusal."""
    return [file for name in FILES if (file := folder / name).is_file()]


def names(value: Any) -> Iterator[str]:
    """Every text of a kustomization, or of a part of it, that can name a file or folder."""
    if isinstance(value, dict | list):
        children = cast("Any", value.values() if isinstance(value, dict) else value)
        for child in children:
            yield from names(child)
    # Others are texts, such as a patch.
    elif isinstance(value, str) and "\n" not in value and len(value) < 256:
        yield value


def fields(file: Path) -> dict[str, Any]:
    """The content of a kustomization; empty when it is unreadable."""
    try:
        kustomization = yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)
    except (OSError, yaml.YAMLError):
        return {}  # kustomize reports what is wrong with the file.
    return cast("dict[str, Any]", kustomization) if isinstance(kustomization, dict) else {}


def bases(file: Path) -> list[str]:
    """The files, folders and URLs that a kustomization builds on; none when it is unreadable."""
    kustomization = fields(file)
    return [
        entry
        for key in ("resources", "bases", "components", "crds", "transformers", "generators")
        for entry in kustomization.get(key) or []
        if isinstance(entry, str) and "\n" not in entry
    ]


def is_remote(base: str) -> bool:
    """Whether kustomize would fetch this base (api/internal/git/repospec.go, api/loader)."""
    return _REMOTE.match(base) is not None


def remote_bases(folder: Path) -> list[tuple[Path, str]]:
    """Every base that a build of ``folder`` would fetch, with the file that names it."""
    remote: list[tuple[Path, str]] = []

    def local_bases(inside: Path) -> Iterator[Path]:
        for file in files(inside):
            for base in bases(file):
                if is_remote(base):
                    remote.append((file, base))
                elif (inside / base).is_dir():
                    yield (inside / base).resolve()

    reachable([folder.resolve()], local_bases)
    return sorted(remote)


def _programs() -> Iterator[tuple[str, tuple[str, ...]]]:
    own = shutil.which("kustomize")
    if own:
        yield own, ("build",)
    for path in sorted(cache_folder("tools").glob("kustomize*/kustomize"), reverse=True):
        if path.is_file() and os.access(path, os.X_OK):
            yield str(path), ("build",)
    kubectl = shutil.which("kubectl")
    if kubectl:
        yield kubectl, ("kustomize",)


@lru_cache(maxsize=16)
def _version(program: str, arguments: tuple[str, ...]) -> str | None:
    command, printed = [program, "version"], _VERSION
    if arguments == ("kustomize",):
        command += ["--client", "-o", "json"]
        printed = rf'"kustomizeVersion":\s*"{_VERSION}'
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # A build by `go install` can print (devel); its folder in the tools cache has the version.
    version = re.search(printed, done.stdout) or re.search(r"kustomize-(\d+\.\d+\.\d+)/", program)
    return version[1] if version else None
