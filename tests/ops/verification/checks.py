"""Checks made up for tests of the frame, and a platform that none of them reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

from ops.current_cluster import Unreachable
from ops.findings import Finding, good
from ops.verification.check import Check
from ops.verification.platform import Platform
from ops.verification.progress import Progress
from ops.verification.run import Run


def _gone(*_: object) -> dict[str, str]:
    raise Unreachable("it is gone.")


NO_CLUSTER = SimpleNamespace(remembering=nullcontext, forget=lambda: None, answer=_gone)
NO_PLATFORM = cast("Platform", SimpleNamespace(cluster=NO_CLUSTER))


def check(
    name: str,
    *findings: Finding,
    raises: Exception | None = None,
    creates: bool = False,
    needs: tuple[str, ...] = (),
    examine: Callable[[Platform], Iterator[Finding]] | None = None,
) -> Check:
    """A check with these findings, and an exception after them."""

    def found(platform: Platform) -> Iterator[Finding]:
        yield from findings or (() if raises else (good(name, "is there"),))
        if raises:
            raise raises

    return Check(name, f"what {name} is", examine or found, creates, needs)


def run(*checks: Check, platform: Any = NO_PLATFORM) -> Run:
    """All of them, as the command runs them."""
    made = Run()
    made.add(checks, platform, Progress())
    return made
