"""A source from git: cloned at its commit, and made self-contained.

Upstream kustomizations name bases of other repositories by URL, and kustomize would fetch them
while it renders, unverified. ``remotes`` in release.yaml names each with its commit: they are
cloned through the same prefix, laid into ``remote/`` of the clone, and the lines that named URLs
name those folders instead. Nothing else of the clone changes.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rendering import kustomize
from rendering.cache import canonical_json, file_sha256, sha256_of
from rendering.objects import RenderError
from rendering.release import Remote, Source, VersionRange

GIT_PREFIX = "KUBEFLOW_GIT_PREFIX"
"""Environment: what stands before ``owner/name`` of a repository; for mirrors of GitHub."""

FORMAT = 1
"""Part of every identity: grows when the same repositories become other files."""

_ANSWER_SECONDS = 10
_CLONE_SECONDS = 600


class SourceRejected(RenderError):
    """An archive or a clone is not what ``release.yaml`` says it is."""


class CloneFailed(RenderError):
    """A repository is out of reach; the message is the end of a sentence."""


def identity(source: Source) -> str:
    """``git:...``: names the files that a clone of this source becomes."""
    made_of = source.model_dump(include={"commit", "remotes"}, mode="json")
    return f"git:{sha256_of(canonical_json({**made_of, 'format': FORMAT}))}"


def prefix() -> str:
    """What stands before ``owner/name``, with its last slash."""
    return os.environ.get(GIT_PREFIX, "https://github.com/").rstrip("/") + "/"


def answers(repository: str) -> bool:
    """Does the git host know the repository, within ten seconds?"""
    url = prefix() + repository
    return _git(["ls-remote", "--exit-code", url, "HEAD"], Path.cwd(), _ANSWER_SECONDS) is not None


def check_out(source: Source, target: Path) -> None:
    """Makes ``target`` a self-contained clone of the source.

    Raises:
        CloneFailed: a repository can't be cloned.
        SourceRejected: a ref is another commit, or a remote lacks what is named.
        KustomizeMissing, KustomizeFailed: a release asset can't be built.
    """
    if not (source.repository and source.ref and source.commit):
        raise CloneFailed("it is in no git repository")
    _clone(source.repository, source.ref, source.commit, target)
    for remote in source.remotes:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".remote.") as temporary:
            clone = Path(temporary) / "clone"
            _clone(remote.repository, remote.ref, remote.commit, clone)
            _lay_in(remote, clone, target / _home(remote))
    for file in kustomize.kustomizations(target):
        _name_local_bases(source, target, file)


def files_digest(folder: Path) -> str:
    """sha256 over the names and contents of every file of a folder; a link counts by its target."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            digest.update(f"link {name} {path.readlink().as_posix()}\n".encode())
        elif path.is_file():
            digest.update(f"file {name} {file_sha256(path)}\n".encode())
    return digest.hexdigest()


def _clone(repository: str, ref: str, commit: str, target: Path) -> None:
    url = prefix() + repository
    clone = ["clone", "--quiet", "--depth", "1", "--config", "core.autocrlf=false"]
    if _git([*clone, "--branch", ref, url, str(target)], target.parent, _CLONE_SECONDS) is None:
        raise CloneFailed(f"{url} could not be cloned at {ref}")
    found = (_git(["rev-parse", "HEAD"], target, _ANSWER_SECONDS) or "").strip()
    if found != commit:
        raise SourceRejected(
            f"{url} has the commit {found} at {ref}, but release.yaml names {commit}; the tag was "
            "moved, or the mirror is another repository"
        )
    shutil.rmtree(target / ".git")


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
