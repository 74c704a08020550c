"""The beginning of a release's folder: ``python -m rendering.new_release``.

With ``--like`` a copy of another one, at another commit of a source. Without, what a folder has
already: the digests of its sources are written again, after a change of a commit or of remotes.
Both print what the folder names and its sources do not have, and URLs that no remote stands for.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer
import yaml

from rendering import kustomize, sources
from rendering.cache import write_atomically
from rendering.golden import GOLDEN_FILE
from rendering.objects import RenderError
from rendering.release import ReleaseInvalid, Source, load
from terminal.application import application, run
from terminal.exit_codes import BAD_INPUT
from terminal.output import fail, messages, say

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = "example/kustomization.yaml"
"""Where kubeflow/manifests lists its components."""
_OF_ONE_RELEASE = (GOLDEN_FILE, "upgrade.yaml")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")

app = application()


def begin(folder: Path, like: Path, source: str, ref: str, commit: str) -> None:
    """Copies a release's folder, without what describes that release alone.

    Args:
        folder: to be made; its name is the release's.
        like: of the other release.
        source: whose ref and commit are replaced.
        ref: a tag, branch or commit.
        commit: of the ref.

    Raises:
        RenderError: the other release has no such source, or a value is not of its form.
    """
    old = load(like)
    if source not in [each.name for each in old.sources]:
        known = ", ".join(each.name for each in old.sources)
        raise RenderError(f"{like.name} has no source {source!r}: name one of {known}")
    text = (like / "release.yaml").read_text("utf-8")
    text = re.sub(r"(?m)^(#.*\n)?default:.*\n", "", text)
    text = re.sub(r"(?m)^name:.*$", lambda _: f"name: {_quoted(folder.name)}", text, count=1)
    text = _with(text, source, {"ref": ref, "commit": commit})
    shutil.copytree(like, folder, ignore=shutil.ignore_patterns(*_OF_ONE_RELEASE, "__pycache__"))
    write_atomically(folder / "release.yaml", text.encode())
    try:
        load(folder)
    except ReleaseInvalid:
        shutil.rmtree(folder)
        raise


def write_digests(folder: Path, project: Path) -> list[str]:
    """Writes the digest of each source as it is found into ``release.yaml``.

    Returns:
        The names of those that have another digest than before.

    Raises:
        RenderError: a source is out of reach, or has another commit.
    """
    file = folder / "release.yaml"
    changed: list[str] = []
    for source in load(folder).sources:
        found = sources.digest_found(source, project)
        if found not in source.digests:
            text = _with(file.read_text("utf-8"), source.name, {"digest": found, "checkout": None})
            write_atomically(file, text.encode())
            changed.append(source.name)
    return changed


def absent(folder: Path, project: Path) -> list[str]:
    """Entries of a release's kustomizations that its sources do not have, one sentence each.

    Raises:
        RenderError: a source is out of reach, or its digest is not that of release.yaml.
    """
    return [
        f"{name} names {path}, which {source.name} does not have"
        for name, source, unpacked, path in _named(folder, project)
        if not any(path.is_relative_to(each) for each in source.mounts)
        and not (unpacked / path).exists()
    ]


def unfetched(folder: Path, project: Path) -> list[str]:
    """URLs that a build of the release meets and ``remotes`` of its sources lack, each once.

    Raises:
        RenderError: as of ``absent``.
    """
    found = {
        f"{file.relative_to(unpacked.resolve())} of {source.name} builds on {base}"
        for _, source, unpacked, path in _named(folder, project)
        for file, base in kustomize.remote_bases(unpacked / path)
    }
    way_out = "name it under remotes, with its commit, and run this without --like"
    return [f"{each}: {way_out}" for each in sorted(found)]


def _named(folder: Path, project: Path) -> Iterator[tuple[str, Source, Path, PurePosixPath]]:
    """What the kustomizations of a release name in its sources: file, source, its files, path."""
    described = {each.name: each for each in load(folder).sources}
    unpacked = {name: sources.obtain(each, project).folder for name, each in described.items()}
    for file in kustomize.kustomizations(folder):
        inside = file.relative_to(folder.parent.parent).parent
        for entry in kustomize.bases(file):
            top, *inner = PurePosixPath(os.path.normpath(inside / entry)).parts
            if top == "sources" and inner and inner[0] in described:
                name = file.relative_to(folder.parent).as_posix()
                source = described[inner[0]]
                yield name, source, unpacked[source.name], PurePosixPath(*inner[1:])


def example_changes(old: Source, new: Source, project: Path) -> list[str]:
    """The entries that upstream's ``example`` lost (``-``) and got (``+``) between two commits.

    None where the old commit is out of reach.
    """
    try:
        before, after = (
            kustomize.bases(sources.obtain(each, project).folder / EXAMPLE) for each in (old, new)
        )
    except sources.SourcesUnavailable:
        return []
    return [
        *(f"- {each}" for each in before if each not in after),
        *(f"+ {each}" for each in after if each not in before),
    ]


def _with(text: str, source: str, values: dict[str, str | None]) -> str:
    """The text of a release.yaml with other values of one source; None removes a key.

    The text is changed and not the document, because the comments in it are the reasons.
    """
    own = rf"(?ms)^(?P<dash> *)- name: {re.escape(source)}\n.*?(?=^(?P=dash)- |^\S|\Z)"
    block = re.search(own, text)
    if block is None:
        raise RenderError(f"release.yaml: begin the entry of {source} with `- name: {source}`")
    entry, inside = block[0], " " * (len(block["dash"]) + 2)
    for key, value in values.items():
        # With a key that goes the comment goes that is its reason.
        above = rf"(?:{inside}#.*\n)*" if value is None else ""
        line = "" if value is None else f"{inside}{key}: {_quoted(value)}\n"
        entry = re.sub(rf"(?m)^{above}{inside}{key}:.*\n", lambda _, new=line: new, entry)
    return text[: block.start()] + entry + text[block.end() :]


def _quoted(value: str) -> str:
    """A text as YAML, which reads a version such as 26.04 as a number without quotes."""
    return yaml.safe_dump(value, width=1000).removesuffix("...\n").strip()


def _source(folder: Path, name: str) -> Source:
    return next(each for each in load(folder).sources if each.name == name)


def _ref_and_commit(at: str) -> tuple[str, str]:
    ref, _, commit = at.rpartition("@")
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise RenderError(f"--at {at}: write <ref>@<commit>, the commit with its 40 digits")
    return ref or commit, commit


@app.command()
def main(
    release: Annotated[str, typer.Argument(help="The folder under manifests/.")],
    *,
    like: Annotated[
        str | None, typer.Option(help="The release to copy; none: only digests are written.")
    ] = None,
    source: Annotated[
        str, typer.Option(help="With --like: whose ref and commit are replaced.")
    ] = "kubeflow-manifests",
    at: Annotated[str, typer.Option(help="With --like: <ref>@<commit> of the source.")] = "",
) -> None:
    """Copies a release's folder at another commit, and writes the digests of its sources.

    Example: `python -m rendering.new_release 26.10 --like 26.03.1 --at @<commit>`
    """
    folder = ROOT / "manifests" / release
    begun = False
    try:
        if not _NAME.fullmatch(release):
            raise RenderError(
                f"{release!r} is no name of a release: use small letters, digits, . -"
            )
        if like:
            if folder.exists():
                raise RenderError(f"manifests/{release} exists: run this without --like")
            begin(folder, folder.with_name(like), source, *_ref_and_commit(at))
            begun = True
        changed = write_digests(folder, ROOT)
        notices = absent(folder, ROOT) + unfetched(folder, ROOT)
        if like:
            old, new = (_source(each, source) for each in (folder.with_name(like), folder))
            notices += [f"{EXAMPLE}: {each}" for each in example_changes(old, new, ROOT)]
    except RenderError as error:
        sentences = [f"{error}."]
        if begun:
            way_out = "correct its release.yaml and run this without --like, or delete it"
            sentences.append(f"manifests/{release} is begun: {way_out}.")
        raise fail(sentences, BAD_INPUT) from None
    messages.print(f"new digests: {', '.join(changed) or 'none'}")
    for notice in notices:
        messages.print(notice, markup=False)
    say(folder)


if __name__ == "__main__":
    run(app, "python -m rendering.new_release")
