"""./kf images mirror, ended half way: the next run does the rest."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from ops import targets
from tests.services.copied_images import (
    MIRROR_SECONDS,
    Images,
    await_until,
    command_line,
    to_copy,
)
from tests.services.disturbances import HANG, Way, healthy, way_to
from tests.services.registry import Registry


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_goes_on_where_it_was(
    upstream: Registry, images: Images, ended_by: signal.Signals
) -> None:
    names = [f"ended-{ended_by}/{number}" for number in range(6)]

    def fault(method: str, path: str) -> str | None:
        return HANG if method == "GET" and re.search(r"/[2-5]/blobs/", path) else None

    with way_to(upstream.host, fault) as way:
        for name in names:
            digest = upstream.push(name, "v1", layers=2)
            images.add(f"{way.host}/{name}:v1", digest)
        code, said = ended(images, way, ended_by)
        if ended_by is not signal.SIGKILL:  # which nobody survives to say anything
            assert code == 130
            assert "the same command continues with the rest" in said
        await_until(lambda: not cranes_at(way.host), "crane has ended")
        before = images.held()
        assert set(before) == {f"{way.host}/{name}:v1" for name in names[:2]}
        way.fault = healthy
        done = images.mirror()
        assert done.exit_code == 0, done.output
        assert to_copy(done) == 4
        assert images.held() == images.digests


def ended(images: Images, way: Way, by: signal.Signals) -> tuple[int, str]:
    """Ends ./kf with a signal while four copies hang; returns its exit code and last words."""
    # A shell makes what it starts in the background deaf to SIGINT, these tests for example.
    hearing = ["env", "--default-signal=INT"]
    with subprocess.Popen(
        [*hearing, *command_line(images, "--parallel", "4")],
        cwd=targets.PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            await_until(
                lambda: len(images.held()) == 2 and hanging(way) == 4, "two copies, four hang"
            )
            # As a terminal does it; SIGTERM comes to one process, from whoever started it.
            send = os.kill if by is signal.SIGTERM else os.killpg
            send(process.pid, by)
            _, said = process.communicate(timeout=MIRROR_SECONDS)
        finally:
            process.kill()
    return process.returncode, said


def hanging(way: Way) -> int:
    return len({found[1] for line in way.seen if (found := re.search(r"/([2-5])/blobs/", line))})


def cranes_at(host: str) -> list[str]:
    found: list[str] = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode().split("\0")
        except OSError:  # it has ended
            continue
        if "copy" in words and any(host in word for word in words):
            found.append(" ".join(words))
    return found
