"""A source from git: the files of a repository at a commit, made self-contained.

Upstream kustomizations name bases of other repositories by URL, and kustomize would fetch them
unverified while it renders. ``remotes`` in release.yaml lists each with its commit: they are
fetched from the same host and copied into ``remote/`` of the clone, and the lines with the URLs
name those folders instead. Nothing else of the clone changes. An archive as a git host makes
it gets its remote bases in the same way.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rendering import kustomize
from rendering.cache import canonical_json
from rendering.kubernetes_yaml import Dumper, Loader
from rendering.objects import RenderError
from rendering.release import Remote, Source, VersionRange
from rendering.source_files import SourceRejected, files_digest

GIT_PREFIX = "KUBEFLOW_GIT_PREFIX"
"""Environment variable with the beginning of every repository's URL; for mirrors of GitHub."""

_ANSWER_SECONDS = 10
_FETCH_SECONDS = 600
_SLOW_FAILURE_SECONDS = 3
_LOGIN = re.compile(r"(?<=:)//[^/\s]*@")


class CloneFailed(RenderError):
    """A repository is out of reach; the message is the end of a sentence."""


def prefix() -> str:
    """The part of a repository's URL before ``owner/name``, with its last slash."""
    return os.environ.get(GIT_PREFIX, "https://github.com/").rstrip("/") + "/"


def shown(text: str) -> str:
    """A text without the user and password that a URL in it has."""
    return _LOGIN.sub("//", text)


_unreachable: set[str] = set()
"""Repositories, and prefixes of hosts, that did not answer: a process tries each once."""


def answers(repository: str) -> bool:
    """Whether the git host serves the repository; takes at most ten seconds."""
    host, url = prefix(), prefix() + repository
    if {host, url} & _unreachable:
        return False
    started = time.monotonic()
    if _git(["ls-remote", "--exit-code", url, "HEAD"], Path.cwd(), _ANSWER_SECONDS) is not None:
        return True
    # A slow failure is the host's: without network each of its repositories would take as long.
    _unreachable.add(host if time.monotonic() - started > _SLOW_FAILURE_SECONDS else url)
    return False


def check_out(source: Source, target: Path) -> None:
    """Writes the files of a source into ``target``, with its remote bases as folders of their own.

    A repository whose files have a digest in release.yaml is accepted with any commit, because a
    mirror can be made of an archive. Any other repository must have the commit in release.yaml.

    Raises:
        CloneFailed: a repository can't be fetched.
        SourceRejected: a ref is another commit, or a remote lacks a folder in release.yaml.
        KustomizeMissing: a release asset can't be built.
        KustomizeFailed: likewise.
    """
    commit = _fetch(source, source.paths, target)
    if files_digest(target) in source.digests:
        return
    _require_commit(source, commit)
    add_remotes(source, target)


def names_remotes(source: Source, folder: Path) -> bool:
    """Whether files of a source name one of its ``remotes`` by URL, as its repository's do."""
    named = (
        base
        for file in (kustomize.kustomizations(folder) if source.remotes else ())
        for base in kustomize.bases(file)
        if kustomize.is_remote(base)
    )
    return any(_local(remote, base) for base in named for remote in source.remotes)


def add_remotes(source: Source, folder: Path) -> None:
    """Writes the remote bases of a source into its folder, from git, and names them there.

    Raises:
        CloneFailed, SourceRejected, KustomizeMissing, KustomizeFailed: as of ``check_out``.
    """
    for remote in source.remotes:
        if os.path.lexists(folder / _home(remote)):
            raise SourceRejected(
                f"{source} has a folder {_home(remote).as_posix()} of its own, and names its files "
                "by URL all the same; take the repository's own files, or those of a bundle"
            )
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".remote.") as temporary:
            clone = Path(temporary) / "clone"
            _require_commit(remote, _fetch(remote, (remote.folder,), clone))
            _copy_remote(remote, clone, folder / _home(remote))
    for file in kustomize.kustomizations(folder) if source.remotes else ():
        _name_local_bases(source, folder, file)


def _fetch(repository: Source | Remote, paths: Sequence[str], target: Path) -> str:
    """Writes the repository's files at the ref, those of ``paths`` or all, into ``target``.

    Returns:
        The commit.
    """
    url = prefix() + repository.repository
    target.mkdir()
    _git(["init", "--quiet"], target, _ANSWER_SECONDS)
    _git(["config", "core.autocrlf", "false"], target, _ANSWER_SECONDS)
    _git(["remote", "add", "origin", url], target, _ANSWER_SECONDS)
    fetch = ["fetch", "--quiet", "--depth", "1", "--no-tags"]
    if paths:
        # Blobs of other paths are left out; a host that cannot filter sends all of them.
        fetch.append("--filter=blob:none")
        named = [f"/{path}" for path in paths]
        if _git(["sparse-checkout", "set", "--no-cone", *named], target, _ANSWER_SECONDS) is None:
            raise CloneFailed("git 2.25 or newer is needed, which can check out some folders only")
    # The commit serves where the mirror lacks the ref, or the ref is one.
    refused: list[str] = []
    for name in dict.fromkeys((repository.ref, repository.commit)):
        done = _ran([*fetch, "origin", name], target, _FETCH_SECONDS)
        if done.output is not None:
            break
        refused.append(done.reason)
    else:
        reasons = ", then ".join(dict.fromkeys(refused))
        raise CloneFailed(
            f"{shown(url)} could not be fetched at {repository.ref} (git: {shown(reasons)})"
        )
    done = _ran(["checkout", "--quiet", "FETCH_HEAD"], target, _FETCH_SECONDS)
    if done.output is None:
        raise CloneFailed(
            f"{shown(url)} could not be checked out at {repository.ref} (git: {shown(done.reason)})"
        )
    commit = (_git(["rev-parse", "HEAD"], target, _ANSWER_SECONDS) or "").strip()
    shutil.rmtree(target / ".git")
    return commit


def _require_commit(repository: Source | Remote, commit: str) -> None:
    if commit != repository.commit:
        url = shown(prefix()) + repository.repository
        raise SourceRejected(
            f"{url} has the commit {commit} at {repository.ref}, but "
            f"release.yaml names {repository.commit}; the tag was moved, or the mirror is another "
            "repository"
        )


def _home(remote: Remote) -> Path:
    return Path("remote") / f"{remote.repository.partition('/')[2]}-{remote.ref}"


def _copy_remote(remote: Remote, clone: Path, home: Path) -> None:
    for folder in filter(None, (remote.folder, remote.base)):
        if not (clone / folder).is_dir():
            raise SourceRejected(
                f"{remote.repository} has no folder {folder} at {remote.ref}, which release.yaml "
                "names under remotes"
            )
    shutil.copytree(clone / remote.folder, home / remote.folder, symlinks=True)
    if remote.base is not None:
        _build_asset(home, remote.base, remote.images)


def _build_asset(home: Path, base: str, images: Mapping[str, str]) -> None:
    """Builds a release asset into one file, because kustomize changes names in a folder's bases.

    Built on jobset's folders instead of its asset, 26.03 loses the Service of two conversion
    webhooks: jobset and pvcviewer both call theirs webhook-service, and kustomize finds neither.
    """
    overlay, asset = home / "overlay", home / "asset"
    overlay.mkdir()
    asset.mkdir()
    tags = [(name, *reference.rpartition(":")) for name, reference in sorted(images.items())]
    changed = [{"name": name, "newName": new, "newTag": tag} for name, new, _, tag in tags]
    _write_kustomization(overlay, resources=[f"../{base}"], images=changed)
    built = kustomize.build(kustomize.find(VersionRange()), overlay)
    # In one spelling, so that versions of kustomize that only format differently give equal files.
    documents = yaml.load_all(built, Loader=Loader)
    objects = [canonical_json(document) for document in documents if document]
    (asset / "manifests.yaml").write_bytes(b"".join(b"---\n%s\n" % obj for obj in objects))
    _write_kustomization(asset, resources=["manifests.yaml"])
    shutil.rmtree(overlay)


def _write_kustomization(folder: Path, **fields: Any) -> None:
    head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    text = yaml.dump({**head, **fields}, Dumper=Dumper, sort_keys=False)
    (folder / "kustomization.yaml").write_text(text, encoding="utf-8")


def _name_local_bases(source: Source, root: Path, file: Path) -> None:
    for base in filter(kustomize.is_remote, kustomize.bases(file)):
        local = next(filter(None, (_local(remote, base) for remote in source.remotes)), None)
        if local is None:
            continue  # Some folders are never built; kustomize.build refuses the others.
        if not (root / local).exists():
            name = file.relative_to(root).as_posix()
            raise SourceRejected(
                f"{name} of {source.name} builds on {base}, but {local.relative_to('remote')} is "
                "not in what release.yaml takes over under remotes"
            )
        relative = os.path.relpath(root / local, file.parent)
        whole = rf"""(?<![^\s"'\[,]){re.escape(base)}(?![^\s"'\],])"""
        text = re.sub(whole, lambda _, new=relative: new, file.read_text(encoding="utf-8"))
        file.write_text(text, encoding="utf-8")


def _local(remote: Remote, base: str) -> Path | None:
    if remote.asset == base:
        return _home(remote) / "asset"
    url = re.fullmatch(
        rf"(?:https://)?github\.com/{re.escape(remote.repository)}(?:\.git)?(?P<path>/[^?]*)?"
        rf"\?(?:[^&]*&)*(?:ref|version)={re.escape(remote.ref)}(?:&.*)?",
        base,
    )
    return _home(remote) / (url["path"] or "").strip("/") if url else None


@dataclass(frozen=True)
class _Ran:
    """What git answered.

    Attributes:
        output: None when it is not installed, fails or takes longer.
        reason: why, in git's own words.
    """

    output: str | None
    reason: str = ""


def _git(arguments: list[str], folder: Path, seconds: int) -> str | None:
    return _ran(arguments, folder, seconds).output


def _ran(arguments: list[str], folder: Path, seconds: int) -> _Ran:
    """Runs git.

    Raises:
        OSError: the disk of the folder is full.
    """
    # Large files by LFS are no manifests; a prompt for a password would never end.
    environment = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "LC_ALL": "C",
    }
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=seconds,
            check=False,
        )
    except OSError as error:
        return _Ran(None, error.strerror or str(error))
    except subprocess.TimeoutExpired:
        return _Ran(None, f"no end after {seconds} s")
    if done.returncode and os.strerror(errno.ENOSPC) in done.stderr:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    return _Ran(done.stdout) if done.returncode == 0 else _Ran(None, _reason(done.stderr))


def _reason(errors: str) -> str:
    """The most specific line of git's error output: the host's own, or the first fatal one."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    for beginning in ("remote:", "fatal:"):
        if line := next((each for each in lines if each.startswith(beginning)), None):
            return line.rstrip(". ")
    return lines[-1] if lines else "no reason given"
