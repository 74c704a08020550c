"""Upstream sources: found, verified, unpacked once.

Ways, in this order: a folder given by the caller, ``KUBEFLOW_BUNDLES`` (folders or archives,
separated like ``PATH``), ``bundles`` in the project, ``../shared/upstream``, the cache, git. An
archive must have the sha256 that ``release.yaml`` names, a clone its commit; nothing else is used.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rendering.cache import cache_folder, file_sha256
from rendering.objects import RenderError
from rendering.release import Source

log = logging.getLogger(__name__)

GIT_PREFIX = "KUBEFLOW_GIT_PREFIX"
"""Environment: what stands before ``owner/name`` of a repository; for mirrors of GitHub."""

GIT_ANSWER_SECONDS = 10
GIT_CLONE_SECONDS = 300


class SourcesUnavailable(RenderError):
    """None of the ways leads to a source; the message names them."""


class SourceRejected(RenderError):
    """An archive or a clone is not what ``release.yaml`` says it is."""


@dataclass(frozen=True)
class Unpacked:
    """A verified source on this disk."""

    folder: Path
    identity: str
    """``sha256:...`` of the archive or ``commit:...`` of the clone."""


def obtain(source: Source, project: Path, bundles: Path | None = None) -> Unpacked:
    """Finds, verifies and unpacks a source.

    Raises:
        SourcesUnavailable: no way leads to it.
        SourceRejected: an archive or clone is there but is a different one.
    """
    identity = f"sha256:{source.sha256}"
    unpacked = cache_folder("sources") / f"{source.name}-{source.sha256[:20]}"
    if unpacked.is_dir():
        return Unpacked(unpacked, identity)
    for candidate in _candidates(source, project, bundles):
        if candidate.is_file():
            _verify(candidate, source)
            log.info("unpacking %s from %s", source.name, candidate)
            _unpack(candidate, unpacked)
            return Unpacked(unpacked, identity)
    return _clone(source, bundles)


def _candidates(source: Source, project: Path, bundles: Path | None) -> Iterator[Path]:
    folders = [bundles] if bundles else []
    for entry in os.environ.get("KUBEFLOW_BUNDLES", "").split(os.pathsep):
        if entry:
            folders.append(Path(entry).expanduser())
    folders += [project / "bundles", project.parent / "shared" / "upstream"]
    folders.append(cache_folder("sources"))
    for folder in folders:
        yield folder if folder.name == source.bundle else folder / source.bundle


def _verify(archive: Path, source: Source) -> None:
    found = file_sha256(archive)
    if found != source.sha256:
        raise SourceRejected(
            f"{archive} has the sha256 {found}, but release.yaml names {source.sha256} for "
            f"{source.name}; replace the archive, it is damaged or of another version"
        )


def _unpack(archive: Path, target: Path) -> None:
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        with tarfile.open(archive, "r:gz") as content:
            # The data filter refuses absolute names, links that leave the folder, and devices.
            content.extractall(temporary, filter="data")
        inside = list(temporary.iterdir())
        top = inside[0] if len(inside) == 1 and inside[0].is_dir() else temporary
        _publish(top, target)
    except (tarfile.TarError, EOFError) as error:
        raise SourceRejected(f"{archive} cannot be unpacked: {error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(folder: Path, target: Path) -> None:
    """Half an unpacked source is never seen; of two processes that unpack it, one wins."""
    try:
        folder.replace(target)
    except OSError:
        if not target.is_dir():
            raise


def _clone(source: Source, bundles: Path | None) -> Unpacked:
    if not (source.repository and source.ref and source.commit):
        raise _unavailable(source, bundles, "it is in no git repository")
    target = cache_folder("sources") / f"{source.name}-git-{source.commit[:20]}"
    identity = f"commit:{source.commit}"
    if target.is_dir():
        return Unpacked(target, identity)
    prefix = os.environ.get(GIT_PREFIX, "https://github.com/")
    url = f"{prefix.rstrip('/')}/{source.repository}"
    if prefix not in _answering:
        _answering[prefix] = _answers(url)
    if not _answering[prefix]:
        raise _unavailable(source, bundles, f"{url} does not answer")
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        log.info("cloning %s at %s", url, source.ref)
        clone = ["clone", "--quiet", "--depth", "1", "--branch", source.ref, url, "clone"]
        if _git(clone, temporary, GIT_CLONE_SECONDS) is None:
            raise _unavailable(source, bundles, f"{url} could not be cloned at {source.ref}")
        checkout = temporary / "clone"
        commit = (_git(["rev-parse", "HEAD"], checkout, GIT_ANSWER_SECONDS) or "").strip()
        if commit != source.commit:
            raise SourceRejected(
                f"{url} has the commit {commit} at {source.ref}, but release.yaml names "
                f"{source.commit}; the tag was moved, or the mirror is another repository"
            )
        shutil.rmtree(checkout / ".git")
        _publish(checkout, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Unpacked(target, identity)


_answering: dict[str, bool] = {}
"""Which git hosts answered: one that is cut off is asked once per process, not once per source."""


def _answers(url: str) -> bool:
    asked = ["ls-remote", "--exit-code", url, "HEAD"]
    return _git(asked, Path.cwd(), GIT_ANSWER_SECONDS) is not None


def _git(arguments: list[str], folder: Path, seconds: int) -> str | None:
    """What git prints; None when it is not installed, fails or takes longer."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _unavailable(source: Source, bundles: Path | None, last: str) -> SourcesUnavailable:
    given = f"{bundles}, " if bundles else ""
    return SourcesUnavailable(
        f"the sources of {source.name} are not to be had: put {source.bundle} into {given}"
        f"a folder named by KUBEFLOW_BUNDLES, ./bundles or ../shared/upstream, or let git reach "
        f"its repository ({GIT_PREFIX} names a mirror); the last way failed because {last}"
    )
