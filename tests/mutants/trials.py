"""Runs the covering tests on a copy of the tree that has one mutant, with a cache of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from rendering.cache import cache_folder
from tests.mutants.covering import likeliest_first
from tests.mutants.population import Mutant

Outcome = Literal["killed", "survived", "timeout"]

# What a run of the product's code writes; `tools` are programs, which no mutant makes.
_WRITTEN = ("build", "crds", "inputs", "render", "sources")
# Rooms that write it: a mutant there may leave something wrong under the key of something right.
_WRITERS = ("images/", "rehearsal/", "rendering/", "toolchain/")
_SHORT_SUMMARY = re.compile(r"^(?:FAILED|ERROR) ([^\s:]+\.py(?:::\w+)*)", re.MULTILINE)


class TreeFails(Exception):
    """Tests fail without a mutant; the text is one sentence for people."""


@dataclass(frozen=True)
class Trial:
    """What the tests did with a mutant.

    Attributes:
        outcome: ``timeout`` where the tests did not end in the time they had.
        by: the test that failed, or its file; empty where none did.
        seconds: of the whole trial.
    """

    outcome: Outcome
    by: str
    seconds: float


@dataclass
class Copy:
    """A copy of the tree, and a cache apart from the user's, anew after a mutant that writes there.

    Args:
        root: the tree; what git ignores is left out.
        folder: where the copy goes.
        limit: seconds for the tests of one mutant.
    """

    root: Path
    folder: Path
    limit: float
    _passing: set[str] = field(default_factory=set[str])
    """Tests that pass without a mutant."""

    def __post_init__(self) -> None:
        self.tree, self._cache = self.folder / "tree", self.folder / "cache"
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in _git(self.root, "ls-files", "-z", "-co", "--exclude-standard").split("\0"):
            if name and (self.root / name).exists():
                target = self.tree / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.root / name, target, follow_symlinks=False)
        for name in (".venv", "bundles"):
            if (self.root / name).exists():
                (self.tree / name).symlink_to((self.root / name).resolve())
        # Some tests read the list of the repository's files.
        _git(self.tree, "init", "--quiet")
        _git(self.tree, "add", "--all")
        self._renew_cache()

    def trial(self, mutant: Mutant) -> Trial:
        """The tests that cover the mutant's file, likeliest first, until one fails.

        Raises:
            TreeFails: the test that failed does so without the mutant too.
        """
        begin, file = time.monotonic(), self.tree / mutant.path
        original = file.read_text()
        runs = likeliest_first(self.tree, mutant.path, mutant.line)
        outcome, by = "survived", ""
        try:
            _replace(file, mutant.source(original))
            for files in runs:
                left = self.limit - (time.monotonic() - begin)
                outcome, by = self._tested(files, left)
                if outcome != "survived":
                    break
        finally:
            _replace(file, original)
            if mutant.path.startswith(_WRITERS):
                self._renew_cache()
        if outcome == "killed":
            self._check_without_mutant(by.split(), mutant)
        return Trial(outcome, by, round(time.monotonic() - begin, 1))

    def _check_without_mutant(self, tests: Sequence[str], mutant: Mutant) -> None:
        new = [test for test in tests if test not in self._passing]
        if not new:
            return
        outcome, by = self._tested(new, self.limit)
        if outcome != "survived":
            raise TreeFails(
                f"{by or ' '.join(new)} fails without any mutant ({outcome}; it was to try "
                f"{mutant.path}:{mutant.line}): see {self.folder / 'output.txt'} and mend it first."
            )
        self._passing.update(new)

    def _tested(self, tests: Sequence[str], seconds: float) -> tuple[Outcome, str]:
        """Whether these tests, or tests of these files, pass, and the first that failed."""
        command = [
            *(sys.executable, "-m", "pytest", "-o", "addopts=", "-n", "0", "-q", "-x"),
            *("-p", "no:cacheprovider", *tests),
        ]
        # Where a source is out of reach, tests would be left out and every mutant survive.
        environment: Mapping[str, str] = {
            **os.environ, "CI": "true", "KUBEFLOW_CACHE": str(self._cache)
        }  # fmt: skip
        with (self.folder / "output.txt").open("w+") as output:
            process = subprocess.Popen(
                command,
                cwd=self.tree,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(max(seconds, 1))
            except subprocess.TimeoutExpired:
                return "timeout", ""
            finally:
                _end(process)
            if code in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
                return "survived", ""
            output.seek(0)
            failed = _SHORT_SUMMARY.search(output.read())
        return "killed", failed[1] if failed else " ".join(tests)

    def _renew_cache(self) -> None:
        own = cache_folder()
        shutil.rmtree(self._cache, ignore_errors=True)
        for kind in _WRITTEN:
            if (own / kind).exists():
                # Links, because nothing writes into a file of the cache: each is put in its place.
                shutil.copytree(
                    own / kind, self._cache / kind, copy_function=_linked, symlinks=True
                )
        (self._cache / "tools").symlink_to(cache_folder("tools"))


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system
        shutil.copy2(source, target, follow_symlinks=False)


def _replace(file: Path, text: str) -> None:
    """Another text of a module; compiled code is found by whole seconds, and both may be equal."""
    file.write_text(text)
    Path(importlib.util.cache_from_source(str(file))).unlink(missing_ok=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the tests and every server that they started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
