"""A file of images that ./kf copies from one registry to another, as tests run it."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

from images.reference import parse
from tests.ops.command import kf
from tests.services.registry import Registry
from webhook.mirror import target_tag

STACK = "cn-north-1"
MIRROR_SECONDS = 300


class Images:
    """Lines of a file for ``--from``, whose copies lie below a prefix of the test's own."""

    def __init__(self, file: Path, own: Registry) -> None:
        self.file, self._own, self._prefix = file, own, file.parent.name
        self.digests: dict[str, str] = {}
        file.touch()

    def add(self, source: str, digest: str) -> str:
        self.digests[source] = digest
        place = parse(source).mirrored(f"{self._own.host}/{self._prefix}")
        with self.file.open("a") as lines:
            lines.write(f"{source} -> {place}\n")
        return source

    def held(self) -> dict[str, str]:
        """Source -> digest, of the copies that are there."""
        found = {
            source: self._own.digest(self.repository(source), target_tag(parse(source)))
            for source in self.digests
        }
        return {source: digest for source, digest in found.items() if digest}

    def repository(self, source: str) -> str:
        return f"{self._prefix}/{parse(source).mirrored_repository}"

    def mirror(self, *more: str) -> Result:
        return kf("images", "mirror", "--stack", STACK, "--from", str(self.file), *more)

    def check(self, *more: str) -> Result:
        return kf("images", "check", "--stack", STACK, "--from", str(self.file), *more)


def to_copy(done: Result) -> int:
    found = re.search(r"to copy: (\d+) images", done.stderr)
    return int(found[1]) if found else 0


def command_line(images: Images, *more: str) -> list[str]:
    asked = ["images", "mirror", "--stack", STACK, "--from", str(images.file), *more]
    return [sys.executable, "-m", "ops", *asked]


def await_until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + MIRROR_SECONDS
    while not true():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.1)
