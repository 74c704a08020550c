"""The two sides of a plan: versions of the project, exported and rehearsed by their own code.

A side runs in the cache's folder ``plan``, with a virtual environment of its own by its own
``setup.sh``, and without this machine's credentials. What a base has made is kept there, by its
files, its stack and the programs that ran it: the newest ``_KEPT``.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from ops.revisions import Repository, Revision
from ops.side_processes import Processes, environment
from rendering import sources
from rendering.cache import cache_folder, canonical_json, sha256_of
from terminal.output import SENTENCES

_KEPT = 12
_A_DAY = 24 * 3600
_FORMAT = 2
"""Of what is kept; another number makes all of it anew."""
_LEFT_OUT = (
    *("home", "kubernetes.yaml", "architecture.md", "account.run.jsonl", "history", "*.bak*"),
    "last-up",
)
_LONGEST = 600
_NO_REASON = re.compile(
    r"(Preview failed: .*|preview failed|update failed"
    # Steps that a rehearsal prints while it works (toolchain/, rendering/build.py).
    r"|(Pulumi CLI|kustomize) [\d.]+: .*|\S+: .* after [\d.]+ s|\d+ packages after \d+ s"
    r"|(Building|Built|Downloading) .*|.*(; looking for another|; waiting for it))"
)
_OF_THIS_RUN = re.compile(r"\S*/kubeflow-render-\w+/|[EWF]\d{4} [\d:.]+ +\d+ \S+:\d+\] ")
"""Folders that only this run had, and times and process IDs of a log."""
_DIGESTS = "digests.json"


BASE, HEAD = "base", "head"


class SideFailed(Exception):
    """A side that cannot be rehearsed; the message is one sentence with side, ref and cause.

    Attributes:
        side: ``base`` or ``head``.
        output: all that it has printed.
    """

    def __init__(self, side: str, message: str, output: str = "") -> None:
        super().__init__(message)
        self.side = side
        self.output = output


@dataclass(frozen=True)
class Side:
    """What one version of a stack has made.

    Args:
        revision: of the project.
        folder: with ``plan.json`` and the other plan files.
        stack_file: of that version.
        refused: sentences of the engine, which would not do what the plan shows.
        notice: what is missing in the plan; empty: nothing.
    """

    revision: Revision
    folder: Path
    stack_file: Path
    refused: tuple[str, ...] = ()
    notice: str = ""


@dataclass(frozen=True)
class Checkout:
    """An exported version of the project, ready to run.

    Args:
        side: ``base`` or ``head``, for messages.
        revision: which version.
        folder: with its files.
        processes: run its programs.
    """

    side: str
    revision: Revision
    folder: Path
    processes: Processes

    def rehearse(self, verb: str, stack: str, base: Path | None = None) -> Side:
        """Runs ``python -m rehearsal`` of this version.

        Args:
            verb: ``up`` or ``preview``.
            stack: its stack.
            base: a folder with the state to begin with.

        Raises:
            SideFailed: it made no plan.
        """
        build, file = self.folder / "build" / stack, self.folder / f"Pulumi.{stack}.yaml"
        if base:
            shutil.copytree(base, build)
            (build / "plan.json").unlink(missing_ok=True)
        command = (".venv/bin/python", "-m", "rehearsal", verb, "--stack", stack)
        done = self._run(*command)
        sentences = self._reasons(done.stderr)
        if done.returncode and (verb == "up" or not (build / "plan.json").exists()):
            raise self._failed(stack, sentences, done)
        notice = re.search(r"^INCOMPLETE, .*$", done.stdout, re.MULTILINE)
        refused = tuple(sentences) if done.returncode else ()
        return Side(self.revision, build, file, refused, notice[0] if notice else "")

    def set_up(self) -> None:
        """Makes the version's virtual environment, where the cache has none.

        Raises:
            SideFailed: its packages cannot be installed.
        """
        done = self._run("./setup.sh")
        if done.returncode:
            raise self._failed("", self._reasons(done.stderr), done)

    @property
    def _written(self) -> Path:
        return self.folder.parent / "sentences.json"

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        self._written.unlink(missing_ok=True)
        variables = {**_environment(), SENTENCES: str(self._written)}
        return self.processes.run(command, self.folder, variables)

    def _failed(
        self, stack: str, sentences: list[str], done: subprocess.CompletedProcess[str]
    ) -> SideFailed:
        cause = "; ".join(sentences) or f"exit code {done.returncode}"
        if len(cause) > _LONGEST:
            cause = f"{cause[: _LONGEST - 3]}..."
        subject = f"{stack} of the {self.side}" if stack else f"the {self.side}"
        return SideFailed(
            self.side,
            f"{subject} {self.revision.name} cannot be rehearsed: {cause}",
            f"{done.stdout}{done.stderr}",
        )

    def _reasons(self, printed: str) -> list[str]:
        """Why a program has failed, without the folder of this run, which differs each time."""
        return [
            each.replace(f"{self.folder}/", "").replace(str(self.folder), ".")
            for each in sentences_of(printed, self._written)
        ]


def sentences_of(printed: str, written: Path) -> list[str]:
    """Why a rehearsal has failed.

    Args:
        printed: on standard error; of a traceback its last line counts.
        written: the file with its own sentences, which older versions do not write.
    """
    try:
        lines = [str(each) for each in json.loads(written.read_text("utf-8"))]
    except (OSError, ValueError, TypeError):
        lines = [line.strip() for line in printed.splitlines() if line.strip()]
        if any(line.startswith("Traceback ") for line in lines):
            lines = lines[-1:]
    reasons = [line for line in lines if not _NO_REASON.fullmatch(line)]
    return list(dict.fromkeys(_OF_THIS_RUN.sub("", line) for line in reasons or lines))


def _environment() -> dict[str, str]:
    """The environment of a side: sources and caches of this checkout, and no credentials."""
    kept = environment()
    named = [entry for entry in kept.get(sources.BUNDLES, "").split(os.pathsep) if entry]
    if named:
        paths = (str(Path(entry).expanduser().absolute()) for entry in named)
        kept[sources.BUNDLES] = os.pathsep.join(paths)
    # The same interpreter, so that the same lock has the same environment.
    own = Path(sys.base_prefix) / "bin" / "python3"
    if own.exists():
        kept.setdefault("PYTHON", str(own))
    return {**kept, "PYTHONUTF8": "1", "NO_COLOR": "1", "COLUMNS": "200"}


class Exports:
    """Versions in folders of their own for one comparison, and what is kept of earlier ones.

    Args:
        project: this checkout, whose sources the versions use.
        repository: where they come from.
        work: a folder that is deleted afterwards.
        tools: versions of the programs that run a side.
        say: prints a line of progress.
    """

    def __init__(
        self,
        project: Path,
        repository: Repository,
        work: Path,
        tools: str,
        say: Callable[[str], None],
    ) -> None:
        self._project = project
        self._repository = repository
        self._work = work
        self._tools = tools
        self._say = say
        self.processes = Processes()
        self._alone = threading.Lock()
        self._checkouts: dict[str, Checkout] = {}

    def checkout(self, side: str, revision: Revision) -> Checkout:
        """The exported version, made at its first use.

        Raises:
            SideFailed: it cannot be set up.
        """
        with self._alone:
            if side not in self._checkouts:
                folder = self._work / side / self._project.name
                folder.mkdir(parents=True)
                self._repository.export(revision.tree, folder)
                self._link(Path("..") / "shared", folder)
                self._link(Path("bundles"), folder)
                checkout = Checkout(side, revision, folder, self.processes)
                checkout.set_up()
                self._checkouts[side] = checkout
            return self._checkouts[side]

    def base(self, revision: Revision, stack: str) -> Side:
        """The stack as the base has made it, with its state.

        Raises:
            SideFailed: it cannot be rehearsed.
        """
        kept = _kept(revision, stack, self._tools)
        file = kept / f"Pulumi.{stack}.yaml"
        if kept.exists():
            if _is_whole(kept):
                os.utime(kept)
                return Side(revision, kept, file)
            shutil.rmtree(kept, ignore_errors=True)
        checkout = self.checkout(BASE, revision)
        self._link_bundles(checkout.folder, stack)
        self._say(f"rehearsing {stack} as in {revision.name}, the base")
        side = checkout.rehearse("up", stack)
        if not side.notice:
            _keep(side, kept)
        return side

    def head(self, revision: Revision, stack: str, base: Side | None) -> Side:
        """The stack as the head would change it.

        Raises:
            SideFailed: it cannot be rehearsed.
        """
        checkout = self.checkout(HEAD, revision)
        self._link_bundles(checkout.folder, stack)
        self._say(f"rehearsing {stack} as in {revision.name}, the head")
        return checkout.rehearse("preview", stack, base.folder if base else None)

    def _link_bundles(self, folder: Path, stack: str) -> None:
        """Links the place of sources that a stack file names, which git may ignore."""
        try:
            content: Any = yaml.safe_load((folder / f"Pulumi.{stack}.yaml").read_bytes())
            named = cast("Mapping[str, Any]", content)["config"].get("kubeflow:bundles")
        except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError):
            return  # The rehearsal has a sentence for such a file.
        if isinstance(named, str) and named:
            self._link(Path(named), folder)

    def _link(self, path: Path, folder: Path) -> None:
        """Links a place beside or in this checkout at the same place of an exported one."""
        target, origin = Path(os.path.normpath(folder / path)), self._project / path
        inside = target.is_relative_to(self._work) and not path.is_absolute()
        if inside and origin.exists() and not os.path.lexists(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(origin.resolve())


@contextmanager
def exports(
    project: Path, repository: Repository, tools: str, say: Callable[[str], None]
) -> Generator[Exports]:
    """Exports for one comparison; their folders are deleted at the end of the block."""
    root = cache_folder("plan")
    work = Path(tempfile.mkdtemp(prefix=".work.", dir=root))
    made = Exports(project, repository, work, tools, say)
    try:
        yield made
    finally:
        made.processes.end()
        shutil.rmtree(work, ignore_errors=True)
        _prune(root)


def _kept(revision: Revision, stack: str, tools: str) -> Path:
    about = [_FORMAT, revision.tree, stack, tools, sys.version, platform.machine()]
    return cache_folder("plan") / sha256_of(canonical_json(about))[:24]


def _keep(side: Side, kept: Path) -> None:
    """Copies what a side has made into the cache, in one step."""
    copy = Path(tempfile.mkdtemp(prefix=".copy.", dir=kept.parent)) / "side"
    try:
        shutil.copytree(side.folder, copy, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        shutil.copyfile(side.stack_file, copy / side.stack_file.name)
        (copy / _DIGESTS).write_text(json.dumps(_digests(copy)), "utf-8")
        if not kept.exists():
            copy.replace(kept)
    finally:
        shutil.rmtree(copy.parent, ignore_errors=True)


def _digests(folder: Path) -> dict[str, str]:
    """Every file of a kept side with its digest."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != _DIGESTS
    }


def _is_whole(kept: Path) -> bool:
    """Whether a kept side is as it was stored: a full disk may have cut it."""
    try:
        return json.loads((kept / _DIGESTS).read_text("utf-8")) == _digests(kept)
    except (OSError, ValueError):
        return False


def _prune(root: Path) -> None:
    """Deletes the oldest kept sides, and what interrupted comparisons have left."""
    now = time.time()
    ages: list[tuple[float, Path]] = []
    for path in root.iterdir():
        try:
            changed = path.stat().st_mtime
        except FileNotFoundError:
            continue
        if not path.name.startswith("."):
            ages.append((changed, path))
        elif now - changed > _A_DAY:
            shutil.rmtree(path, ignore_errors=True)
    for _, path in sorted(ages, reverse=True)[_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
