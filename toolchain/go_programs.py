"""Builds a program from a Go module that pins all it needs, into the cache, once per version."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from rendering.cache import cache_folder

Say = Callable[[str], None]

_BUILD_SECONDS = 3600
_REPORT_SECONDS = 60
_NO_DEBUGGER = ("-gcflags", "all=-dwarf=false", "-ldflags")
"""No package's debug information is made, which takes a fifth of a build (measured: 96 instead of
120 CPU seconds for 477 packages), and none is linked: a third less to keep. Stack traces stay."""


@dataclass(frozen=True)
class GoProgram:
    """A program and the module that pins it.

    Args:
        name: of the program and of its file.
        version: without ``v``.
        module: a folder with ``go.mod`` and ``go.sum``; None: the package's own, of this version.
        package: import path of the program's ``main``.
        variables: Go variables set at link time, by import path and name.
        takes: time and size of a first build, for people.
        toolchain: the Go that can still build it (``go1.16.15``), fetched like a module; None: the
            one on PATH.
        prepare: makes what the module lacks, in a writable copy of it; returns more arguments for
            ``go build``, or None when it failed, after the reason went to ``say``.
    """

    name: str
    version: str
    module: Path | None
    package: str
    variables: dict[str, str]
    takes: str
    toolchain: str | None = None
    prepare: Callable[[Path, Say], list[str] | None] | None = None

    @property
    def folder(self) -> Path:
        """The cache's folder for this version of the program."""
        return cache_folder("tools") / f"{self.name}-{self.version}"

    @property
    def path(self) -> Path:
        """Where the finished program is, or will be."""
        return self.folder / self.name


def obtain(program: GoProgram, say: Say) -> Path | None:
    """The program from the cache, else built; None when that failed, the reason goes to ``say``."""
    with alone(program.folder, say):
        return program.path if program.path.exists() or build(program, say) else None


def build(program: GoProgram, say: Say) -> bool:
    """Builds the program to ``program.path``; False when that failed, the reason goes to ``say``.

    Call it ``alone``: two builds at once would write the same files.
    """
    if shutil.which("go") is None:
        say(f"There is no Go on PATH to build {program.name} with")
        return False
    say(f"Building {program.name} {program.version} with Go: {program.takes}, once")
    if program.module is None:
        package = f"{program.package}@v{program.version}"
        install = ["install", "-v", *_NO_DEBUGGER, "-s -w", package]
        made = program.folder / "bin" / program.name
        return go(install, say, program.folder, made, program.path, GOBIN=str(made.parent))
    # A copy, so that Go never writes into the project.
    source = program.folder / "source"
    shutil.copytree(program.module, source, dirs_exist_ok=True)
    variables = (f"-X {variable}={value}" for variable, value in program.variables.items())
    flags = " ".join(["-s -w", *variables])
    made = program.folder / f"{program.name}.new"
    more = program.prepare(source, say) if program.prepare else []
    if more is None:
        return False
    command = ["build", "-v", *more, *_NO_DEBUGGER, flags, "-o", str(made), program.package]
    toolchain = {"GOTOOLCHAIN": program.toolchain} if program.toolchain else {}
    return go(command, say, source, made, program.path, **toolchain)


def go_environment(**more: str) -> dict[str, str]:
    """The variables to run Go with: no workspace and no flags of the caller.

    The flag is Go's default; an empty text would leave those of ``go env -w`` in force, which an
    older toolchain may refuse.
    """
    return {**os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off", **more}


def go(arguments: list[str], say: Say, cwd: Path, made: Path, final: Path, **env: str) -> bool:
    """Runs ``go`` with ``-v`` among its arguments; moves the result from ``made`` to ``final``."""
    start = time.monotonic()
    last, count, report_due = "no message", 0, start + _REPORT_SECONDS
    with subprocess.Popen(
        ["go", *arguments],
        cwd=cwd,
        env=go_environment(**env),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        limit = Timer(_BUILD_SECONDS, process.kill)
        limit.daemon = True
        limit.start()
        for line in process.stderr or ():  # -v: a line per package
            last, count = line.strip(), count + 1
            if time.monotonic() > report_due:
                report_due = time.monotonic() + _REPORT_SECONDS
                say(f"  {count} packages after {time.monotonic() - start:.0f} s")
        code = process.wait()
        limit.cancel()
    seconds = time.monotonic() - start
    if seconds >= _BUILD_SECONDS:
        say(f"Go did not finish in {_BUILD_SECONDS // 60} minutes")
        return False
    if code != 0:
        say(f"Go could not build it: {last}")
        return False
    made.replace(final)
    say(f"Built {final} in {seconds:.0f} s")
    return True


@contextmanager
def alone(folder: Path, say: Say) -> Generator[None]:
    """Lets one process at a time get a tool; the others wait and find it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another process is getting this tool; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
