"""A source from git: the files of a repository at a commit, made self-contained.

Upstream kustomizations name bases of other repositories by URL, and kustomize would fetch them
while it renders, unverified. ``remotes`` in release.yaml names each with its commit: they are
fetched through the same prefix, laid into ``remote/`` of the clone, and the lines that named URLs
name those folders instead. Nothing else of the clone changes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rendering import kustomize
from rendering.cache import canonical_json
from rendering.objects import RenderError
from rendering.release import Remote, Source, VersionRange
from rendering.source_files import SourceRejected, files_digest

GIT_PREFIX = "KUBEFLOW_GIT_PREFIX"
"""Environment: what stands before ``owner/name`` of a repository; for mirrors of GitHub."""

_ANSWER_SECONDS = 10
_FETCH_SECONDS = 600
_SLOW_NO_SECONDS = 3


class CloneFailed(RenderError):
    """A repository is out of reach; the message is the end of a sentence."""


def prefix() -> str:
    """What stands before ``owner/name``, with its last slash."""
    return os.environ.get(GIT_PREFIX, "https://github.com/").rstrip("/") + "/"


_unanswered: set[str] = set()
"""Repositories, and prefixes of hosts, that did not answer: none is asked twice in a process."""


def answers(repository: str) -> bool:
    """Is the repository to be had from the git host? Found out within ten seconds."""
    host, url = prefix(), prefix() + repository
    if {host, url} & _unanswered:
        return False
    started = time.monotonic()
    if _git(["ls-remote", "--exit-code", url, "HEAD"], Path.cwd(), _ANSWER_SECONDS) is not None:
        return True
    # A host that is cut off takes its time with each of its repositories.
    _unanswered.add(host if time.monotonic() - started > _SLOW_NO_SECONDS else url)
    return False


def check_out(source: Source, target: Path) -> None:
    """Lays the files of a source into ``target``, with its remote bases as folders of their own.

    A repository whose files are the ones that release.yaml names is taken whatever its commit is: a
    mirror can be made of an archive. Any other one must have the commit.

    Raises:
        CloneFailed: a repository can't be fetched.
        SourceRejected: a ref is another commit, or a remote lacks what is named.
        KustomizeMissing, KustomizeFailed: a release asset can't be built.
    """
    commit = _fetch(source, source.paths, target)
    if files_digest(target) in source.digests:
        return
    _require_commit(source, commit)
    for remote in source.remotes:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".remote.") as temporary:
            clone = Path(temporary) / "clone"
            _require_commit(remote, _fetch(remote, (remote.folder,), clone))
            _lay_in(remote, clone, target / _home(remote))
    for file in kustomize.kustomizations(target) if source.remotes else ():
        _name_local_bases(source, target, file)


def _fetch(wanted: Source | Remote, paths: Sequence[str], target: Path) -> str:
    """Lays the repository's files at the ref, those of ``paths`` or all, into ``target``.

    Returns:
        the commit.
    """
    url = prefix() + wanted.repository
    target.mkdir()
    _git(["init", "--quiet"], target, _ANSWER_SECONDS)
    _git(["config", "core.autocrlf", "false"], target, _ANSWER_SECONDS)
    _git(["remote", "add", "origin", url], target, _ANSWER_SECONDS)
    fetch = ["fetch", "--quiet", "--depth", "1", "--no-tags"]
    if paths:
        # Of a large repository only what is needed: a host that cannot filter gives everything.
        fetch.append("--filter=blob:none")
        named = [f"/{path}" for path in paths]
        if _git(["sparse-checkout", "set", "--no-cone", *named], target, _ANSWER_SECONDS) is None:
            raise CloneFailed("git 2.25 or newer is needed, which can check out some folders only")
    # A ref that is a commit, or that a mirror lacks, is asked for by the commit.
    for name in (wanted.ref, wanted.commit):
        if _git([*fetch, "origin", name], target, _FETCH_SECONDS) is not None:
            break
    else:
        raise CloneFailed(f"{url} could not be fetched at {wanted.ref}")
    if _git(["checkout", "--quiet", "FETCH_HEAD"], target, _FETCH_SECONDS) is None:
        raise CloneFailed(f"{url} could not be checked out at {wanted.ref}")
    commit = (_git(["rev-parse", "HEAD"], target, _ANSWER_SECONDS) or "").strip()
    shutil.rmtree(target / ".git")
    return commit


def _require_commit(wanted: Source | Remote, commit: str) -> None:
    if commit != wanted.commit:
        raise SourceRejected(
            f"{prefix()}{wanted.repository} has the commit {commit} at {wanted.ref}, but "
            f"release.yaml names {wanted.commit}; the tag was moved, or the mirror is another "
            "repository"
        )


def _home(remote: Remote) -> Path:
    return Path("remote") / f"{remote.repository.partition('/')[2]}-{remote.ref}"


def _lay_in(remote: Remote, clone: Path, home: Path) -> None:
    for named in filter(None, (remote.folder, remote.base)):
        if not (clone / named).is_dir():
            raise SourceRejected(
                f"{remote.repository} has no folder {named} at {remote.ref}, which release.yaml "
                "names under remotes"
            )
    shutil.copytree(clone / remote.folder, home / remote.folder, symlinks=True)
    if remote.base is not None:
        _build_asset(home, remote.base, remote.images)


def _build_asset(home: Path, base: str, images: Mapping[str, str]) -> None:
    """Flat, as the asset is: kustomize would still change names inside a base that it can see.

    Built on jobset's folders instead of its asset, 26.03 loses the Service of two conversion
    webhooks: jobset and pvcviewer both call theirs webhook-service, and kustomize gives up.
    """
    overlay, asset = home / "overlay", home / "asset"
    overlay.mkdir()
    asset.mkdir()
    _write(
        overlay / "kustomization.yaml",
        {
            "resources": [f"../{base}"],
            "images": [_changed(*change) for change in sorted(images.items())],
        },
    )
    built = kustomize.build(kustomize.find(VersionRange()), overlay)
    # In one spelling, so that every version of kustomize that agrees makes the same file.
    documents = yaml.load_all(built, Loader=yaml.CSafeLoader)
    objects = [canonical_json(document) for document in documents if document]
    (asset / "manifests.yaml").write_bytes(b"".join(b"---\n%s\n" % each for each in objects))
    _write(asset / "kustomization.yaml", {"resources": ["manifests.yaml"]})
    shutil.rmtree(overlay)


def _write(file: Path, kustomization: Mapping[str, Any]) -> None:
    head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    file.write_text(yaml.safe_dump({**head, **kustomization}, sort_keys=False), encoding="utf-8")


def _changed(name: str, reference: str) -> dict[str, str]:
    new_name, _, tag = reference.rpartition(":")
    return {"name": name, "newName": new_name, "newTag": tag}


def _name_local_bases(source: Source, root: Path, file: Path) -> None:
    for base in filter(kustomize.is_remote, kustomize.bases(file)):
        local = next(filter(None, (_local(remote, base) for remote in source.remotes)), None)
        if local is None:
            continue  # Not every folder is built; kustomize.build refuses one that is.
        if not (root / local).exists():
            name = file.relative_to(root).as_posix()
            raise SourceRejected(
                f"{name} of {source.name} builds on {base}, but {local.relative_to('remote')} is "
                "not in what release.yaml takes over under remotes"
            )
        way = Path(os.path.relpath(root / local, file.parent)).as_posix()
        whole = rf"""(?<![^\s"'\[,]){re.escape(base)}(?![^\s"'\],])"""
        text = re.sub(whole, lambda _, way=way: way, file.read_text(encoding="utf-8"))
        file.write_text(text, encoding="utf-8")


def _local(remote: Remote, base: str) -> Path | None:
    if remote.asset == base:
        return _home(remote) / "asset"
    written = re.fullmatch(
        rf"(?:https://)?github\.com/{re.escape(remote.repository)}(?:\.git)?(?P<path>/[^?]*)?"
        rf"\?(?:[^&]*&)*(?:ref|version)={re.escape(remote.ref)}(?:&.*)?",
        base,
    )
    return _home(remote) / (written["path"] or "").strip("/") if written else None


def _git(arguments: list[str], folder: Path, seconds: int) -> str | None:
    """What git prints; None when it is not installed, fails or takes longer."""
    # Large files by LFS are no manifests; a question for a password would wait for ever.
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
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
