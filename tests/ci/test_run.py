"""`.ci/run` on a Makefile whose tiers are small, and say how they began and ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest

from tests.documents import make_targets

ROOT = Path(__file__).resolve().parent.parent.parent
BESIDE = ("test-cluster", "test-live")
TIERS = sorted(name for name in make_targets() if name.split("-")[0] == "test")
LONGEST_SECONDS = 180
AWAIT = """#!/bin/sh
# Until another process has made these files.
for file in "$@"; do until [ -e "$file" ]; do sleep 0.05; done; done
"""
TWO_TESTS = """
import pathlib, time

def test_first():
    pass

def test_second():
    while not pathlib.Path("seen").exists():
        time.sleep(0.05)
"""


class Checkout:
    """The scripts, and a Makefile of tiers that write their names into ``order``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tiers = {name: [f"@echo closing line of {name}"] for name in TIERS}
        shutil.copytree(ROOT / ".ci", folder / ".ci")
        python = folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text('#!/bin/sh\necho "$@" >> order\n')
        (folder / "await").write_text(AWAIT)
        for program in (python, folder / "await"):
            program.chmod(0o755)

    @contextmanager
    def running(self) -> Generator[subprocess.Popen[str]]:
        """The script, in a group of its own; what a failed test leaves of it is killed."""
        lines = ["setup:", "\t@echo setup >> order"]
        for name, recipe in self.tiers.items():
            lines += [f"{name}: setup", f"\t@echo {name} >> order"]
            lines += [f"\t{each}" for each in recipe]
        (self.folder / "Makefile").write_text("\n".join([*lines, ""]))
        with subprocess.Popen(
            [self.folder / ".ci" / "run"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={name: os.environ[name] for name in ("PATH", "HOME")},
        ) as process:
            limit = Timer(LONGEST_SECONDS, with_its_children, (process.pid, signal.SIGKILL))
            limit.start()
            try:
                yield process
            finally:
                limit.cancel()
                with_its_children(process.pid, signal.SIGKILL)

    def run(self) -> tuple[int, list[str]]:
        """The exit code, and what was printed."""
        with self.running() as process:
            printed, _ = process.communicate()
        return process.returncode, printed.splitlines()

    @property
    def order(self) -> list[str]:
        return (self.folder / "order").read_text().splitlines()


def with_its_children(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def until(process: subprocess.Popen[str], wanted: Callable[[str], bool]) -> str:
    """The next line for which this is so."""
    assert process.stdout
    return next((line.rstrip("\n") for line in process.stdout if wanted(line)), "no such line")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_every_tier_runs_once_and_programs_are_built_before_two_share_the_machine(
    checkout: Checkout,
) -> None:
    code, _ = checkout.run()
    order = [each for each in checkout.order if each != "setup"]
    assert code == 0
    assert sorted(each for each in order if each in TIERS) == TIERS
    assert order[0] == "test"
    built = order.index("-m tests.cluster.api_server")
    assert order.index("test-upgrade") < built < min(order.index(name) for name in BESIDE)


def test_two_tiers_run_beside_each_other_and_each_line_says_of_which_it_is(
    checkout: Checkout,
) -> None:
    for name, other in zip(BESIDE, reversed(BESIDE), strict=True):
        checkout.tiers[name] = [f"@touch {name}.began", f"@./await {other}.began", "@echo both"]
    code, lines = checkout.run()
    assert code == 0
    assert {f"{name}: both" for name in BESIDE} < set(lines)
    assert lines[-1] == "closing line of test-elasticity"


def test_a_line_is_seen_while_its_tier_goes_on(checkout: Checkout) -> None:
    """By the project's own options of pytest; a test awaits that the one before it was seen."""
    (checkout.folder / "two_tests.py").write_text(TWO_TESTS)
    shutil.copy(ROOT / "pyproject.toml", checkout.folder)
    checkout.tiers["test-live"] = [f"@{sys.executable} -m pytest -n 0 two_tests.py"]
    with checkout.running() as process:
        first = until(process, lambda line: "PASSED" in line)
        assert first.startswith("test-live: two_tests.py::test_first PASSED")
        (checkout.folder / "seen").touch()
        closing = until(process, lambda line: " 2 passed in " in line)
        assert closing.startswith("test-live: ")


@pytest.mark.parametrize("failing", BESIDE)
def test_one_that_fails_is_a_failure_and_the_other_ends_by_itself(
    checkout: Checkout, failing: str
) -> None:
    (other,) = {*BESIDE} - {failing}
    checkout.tiers[failing] = ["@echo $$PPID > made; mv made failing; echo it fails; false"]
    # Until make has seen how the process that it began for the other one ended.
    ended = "while kill -0 $$(cat failing) 2>/dev/null; do sleep 0.05; done"
    checkout.tiers[other] = [f"@./await failing; {ended}; echo servers are down"]
    code, lines = checkout.run()
    assert code != 0
    assert f"{failing}: it fails" in lines
    assert f"{other}: servers are down" in lines
    assert "test-elasticity" not in checkout.order


@pytest.fixture
def interrupted_by_sigint() -> Generator[None]:
    """A child ignores it where this process does, as in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupted_by_sigint")
def test_ctrl_c_reaches_both_and_how_they_end_is_still_printed(checkout: Checkout) -> None:
    for name in BESIDE:
        checkout.tiers[name] = ["@trap 'echo down; exit 1' INT; echo up; ./await never"]
    with checkout.running() as process:
        up = {until(process, lambda line: line.endswith(": up\n")) for _ in BESIDE}
        with_its_children(process.pid, signal.SIGINT)
        printed, _ = process.communicate()
    assert up == {f"{name}: up" for name in BESIDE}
    assert {f"{name}: down" for name in BESIDE} <= {*printed.splitlines()}
    assert process.returncode != 0
    assert "test-elasticity" not in checkout.order
