"""Runs kustomize: the tool's own binary, in a version that renders the release rightly.

kustomize 5.8 renders Kubeflow v1.11.0 wrong and says nothing (kubeflow/manifests#3315), so the
range comes from ``release.yaml`` and is checked; a binary outside it is never used.
"""

from __future__ import annotations

import json
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
from rendering.objects import RenderError
from rendering.release import VersionRange

log = logging.getLogger(__name__)

BUILD_SECONDS = 600
_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_REMOTE = re.compile(r"(?:[a-z+]+:)+//|git::|[\w.-]+@[\w.-]+:|(?:www\.)?github\.com[/:]")
_VERSION = re.compile(r"v(\d+\.\d+\.\d+)")
_HARMLESS = ("deprecated", "well-defined vars that were never replaced", "kustomize edit fix")


class KustomizeMissing(RenderError):
    """No kustomize, or none in the range that the release accepts."""


class KustomizeFailed(RenderError):
    """kustomize ran and refused; the message is its own last line."""


@dataclass(frozen=True)
class Kustomize:
    """A way to run kustomize."""

    command: tuple[str, ...]
    """Program and subcommand; the folder to build follows."""
    version: str
    """Without the leading v."""


def find(accepted: VersionRange) -> Kustomize:
    """The first kustomize in the accepted range: PATH, the tools cache, ``kubectl kustomize``.

    Raises:
        KustomizeMissing: one sentence with what was found and what is accepted.
    """
    seen: list[str] = []
    for program, arguments in _programs():
        version = _version(program, arguments)
        if version is None:
            continue
        if accepted.holds(version):
            return Kustomize((program, *arguments), version)
        seen.append(f"{' '.join((program, *arguments))} is {version}")
    found = f"found, but not accepted: {'; '.join(seen)}" if seen else "found neither"
    wanted = str(accepted) or "of any version"
    raise KustomizeMissing(
        f"rendering needs kustomize {wanted} on PATH, in {cache_folder('tools')}, or kubectl with "
        f"such a kustomize ({found})"
    )


def build(kustomize: Kustomize, folder: Path) -> str:
    """The YAML stream kustomize prints for a folder.

    Nothing is fetched: kustomize takes remote bases unverified, and waits long where it can't.

    Raises:
        KustomizeFailed: with kustomize's own complaint, or the remote base it would fetch.
    """
    for file, base in remote_bases(folder):
        raise KustomizeFailed(
            f"{file} builds on {base}, which is not on this machine: name it under remotes of its "
            "source in release.yaml, with its commit"
        )
    try:
        done = subprocess.run(
            [*kustomize.command, str(folder)],
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise KustomizeFailed(
            f"kustomize {kustomize.version} was still building {folder} after {BUILD_SECONDS} s"
        ) from None
    complaints = [line for line in done.stderr.splitlines() if line.strip()]
    if done.returncode:
        last = next((line for line in reversed(complaints) if "rror" in line), "no reason given")
        raise KustomizeFailed(f"kustomize {kustomize.version} refuses {folder}: {last}")
    for line in complaints:
        harmless = any(phrase in line for phrase in _HARMLESS)
        log.log(logging.DEBUG if harmless else logging.WARNING, "kustomize: %s", line)
    if not done.stdout.strip():
        raise KustomizeFailed(f"kustomize {kustomize.version} renders nothing from {folder}")
    return done.stdout


def kustomizations(folder: Path) -> list[Path]:
    """Every kustomization file below a folder."""
    return sorted(path for path in folder.rglob("*") if path.name in _FILES)


def bases(file: Path) -> list[str]:
    """What a kustomization builds on: files, folders and URLs; nothing when it is unreadable."""
    try:
        found = cast("object", yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader))
    except (OSError, yaml.YAMLError):
        return []  # kustomize says better than we do what is wrong with it.
    if not isinstance(found, dict):
        return []
    kustomization = cast("dict[str, Any]", found)
    entries = [
        entry
        for key in ("resources", "bases", "components", "crds", "transformers", "generators")
        for entry in cast("list[object]", kustomization.get(key) or [])
    ]
    return [entry for entry in entries if isinstance(entry, str) and "\n" not in entry]


def is_remote(base: str) -> bool:
    """Would kustomize fetch this base (kustomize api/internal/git/repospec.go, api/loader)?"""
    return _REMOTE.match(base) is not None


def remote_bases(folder: Path) -> list[tuple[Path, str]]:
    """Every base that a build of ``folder`` would fetch, with the file that names it."""
    found: list[tuple[Path, str]] = []
    seen: set[Path] = set()
    folders = [folder]
    while folders:
        here = folders.pop().resolve()
        if here in seen:
            continue
        seen.add(here)
        for file in (here / name for name in _FILES):
            for base in bases(file):
                if is_remote(base):
                    found.append((file, base))
                elif (here / base).is_dir():
                    folders.append(here / base)
    return sorted(found)


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
    """Asked once per binary and process."""
    if arguments == ("kustomize",):
        text = _output([program, "version", "--client", "-o", "json"])
        try:
            text = str(json.loads(text)["kustomizeVersion"])
        except (ValueError, KeyError, TypeError):
            return None
    else:
        text = _output([program, "version"])
    # One built by `go install` can call itself (devel); its folder in the tools cache names it.
    found = _VERSION.search(text) or re.search(r"kustomize-(\d+\.\d+\.\d+)/", program)
    return found[1] if found else None


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
