"""Versions of this project in git: what a name stands for, what differs, and the files of one.

Nothing in the repository changes. Uncommitted files become a tree by an index and objects of their
own, in a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ops.cli_errors import Refused
from rendering.machine_faults import full

WORKING_TREE = "working tree"


@dataclass(frozen=True)
class Revision:
    """One version of the project.

    Args:
        name: for people: ``main (1a2b3c4)``, or ``working tree``.
        tree: the hash of all its files.
        commit: empty for the working tree.
    """

    name: str
    tree: str
    commit: str


@dataclass(frozen=True)
class Repository:
    """The git repository around the project.

    Args:
        project: the project's folder.
        inside: its path in the repository, with a slash at its end; empty: the repository's top.
        variables: where git finds index and objects.
    """

    project: Path
    inside: str
    variables: Mapping[str, str] = field(default_factory=dict[str, str])

    def revision(self, ref: str, option: str) -> Revision:
        """The commit that a branch, a tag or a hash names.

        Raises:
            Refused: there is none, or it has no such project.
        """
        verify = ("rev-parse", "--verify", "--quiet", "--end-of-options")
        commit = self._try(*verify, f"{ref}^{{commit}}") if ref else ""
        if not commit:
            raise Refused(f"{option} is {ref or 'empty'}: {self._way_to_a_commit(ref)}")
        tree = self._try(*verify, f"{commit}:{self.inside.rstrip('/')}")
        if not tree or "Pulumi.yaml" not in self.files(tree):
            raise Refused(f"{option} is {ref}: that commit has no {self.inside}Pulumi.yaml.")
        return Revision(f"{ref} ({commit[:7]})" if ref != commit else commit[:7], tree, commit)

    def _way_to_a_commit(self, ref: str) -> str:
        if ref and self._try("rev-parse", "--is-shallow-repository") == "true":
            name = ref.removeprefix("origin/")
            return (
                "this shallow clone does not have that commit; run "
                f"`git fetch --unshallow` or `git fetch origin {name}`, or let CI check out "
                "everything (fetch-depth: 0)."
            )
        return "git knows no such commit here; `git branch --all` and `git tag` list names."

    def files(self, tree: str) -> list[str]:
        """The paths of all files of a tree."""
        return self._read("ls-tree", "-r", "-z", "--name-only", "--full-tree", tree)

    def changed(self, base: str, head: str) -> list[str]:
        """The paths of files that differ between two trees."""
        options = ("--name-only", "--no-renames", "-z")
        return self._read("diff-tree", "-r", *options, base, head)

    def only_in(self, one: Revision, other: Revision) -> int:
        """The number of commits of one version that another one lacks."""
        last = other.commit or "HEAD"
        return int(self._try("rev-list", "--count", one.commit, f"^{last}") or 0)

    def export(self, tree: str, folder: Path) -> None:
        """Writes the files of a tree into an empty folder."""
        with tempfile.TemporaryDirectory() as temporary:
            own = {
                "GIT_DIR": self.git("rev-parse", "--absolute-git-dir"),
                "GIT_INDEX_FILE": str(Path(temporary) / "index"),
                "GIT_WORK_TREE": str(folder),
            }
            for arguments in (("read-tree", tree), ("checkout-index", "--all")):
                _git(folder, arguments, {**self.variables, **own})

    @contextmanager
    def with_uncommitted(self) -> Generator[tuple[Repository, Revision]]:
        """The working tree with all that is not ignored as a tree, as long as the context lasts."""
        with tempfile.TemporaryDirectory() as temporary:
            index, objects = Path(temporary) / "index", Path(temporary) / "objects"
            objects.mkdir()
            existing = self.project / self.git("rev-parse", "--git-path", "index")
            if existing.exists():
                # With its time, by which git knows which files may have changed since.
                shutil.copy2(existing, index)
            variables = {
                "GIT_INDEX_FILE": str(index),
                "GIT_OBJECT_DIRECTORY": str(objects),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(
                    (self.project / self.git("rev-parse", "--git-path", "objects")).resolve()
                ),
            }
            own = Repository(self.project, self.inside, variables)
            own.git("add", "--all", "--", ".")
            tree = own.git("write-tree", *([f"--prefix={self.inside}"] if self.inside else []))
            yield own, Revision(WORKING_TREE, tree, "")

    def _read(self, *arguments: str) -> list[str]:
        return [path for path in self.git(*arguments).split("\0") if path]

    def _try(self, *arguments: str) -> str:
        """The output of a command; empty where it fails."""
        try:
            return self.git(*arguments)
        except Refused:
            return ""

    def git(self, *arguments: str) -> str:
        """The output of a git command in the project's folder.

        Raises:
            Refused: with git's own sentence.
        """
        return _git(self.project, arguments, self.variables)


def repository(project: Path) -> Repository:
    """The repository around the project.

    Raises:
        Refused: there is none, or no git.
    """
    if not shutil.which("git"):
        raise Refused("git is not on PATH: install it, versions of the project come from it.")
    try:
        inside = _git(project, ("rev-parse", "--show-prefix"), {})
    except Refused as refused:
        if "not a git repository" not in str(refused):
            raise
        raise Refused(
            f"{project} is no git repository, so it has no other version to compare with: "
            "clone the project with git instead of unpacking an archive."
        ) from None
    return Repository(project, inside)


def _git(folder: Path, arguments: Sequence[str], variables: Mapping[str, str]) -> str:
    # A hook of git that runs this has an index of its own in these variables.
    inherited = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**inherited, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", **variables},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        reason = " ".join(os.fsdecode(done.stderr).split()) or f"exit code {done.returncode}"
        if "No space left on device" in reason:
            raise full(folder)
        raise Refused(f"`git {arguments[0]}` in {folder} fails: {reason}")
    return os.fsdecode(done.stdout).strip("\n")
