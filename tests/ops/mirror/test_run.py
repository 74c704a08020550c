"""A run over copies, with a stand-in for crane."""

from __future__ import annotations

import threading
import time
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from images.reference import parse
from ops.crane import Crane
from ops.mirror.plan import Copy, Surveyed
from ops.mirror.run import Run
from ops.mirror.target import Target
from terminal import heartbeat

WANTED, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
BLOBS = {"sha256:base": 1000, "sha256:top": 10}


def due(name: str) -> Surveyed:
    copy = Copy(parse(f"quay.io/{name}:v1"), parse(f"localhost/shared:{name}"), None)
    return Surveyed(copy, WANTED, WANTED, None, None, BLOBS)


def run(folder: Path, script: str, *names: str) -> Run:
    program = folder / "crane"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    crane = Crane(program)
    made = Run([due(name) for name in names], Target(crane), crane)
    made.copy(parallel=2)
    return made


def test_a_copy_counts_once_its_digest_is_read_back(tmp_path: Path) -> None:
    outcome = run(tmp_path, f"[ $1 = copy ] || echo {WANTED}", "one", "two")
    assert {item.copy.target.tag for item in outcome.copied} == {"one", "two"}
    assert outcome.failed == {}


def test_a_copy_that_is_something_else_afterwards_has_failed(tmp_path: Path) -> None:
    outcome = run(tmp_path, f"[ $1 = copy ] || echo {OTHER}", "one")
    assert outcome.copied == []
    assert outcome.failed == {"quay.io/one:v1": f"is {OTHER} in the target, not {WANTED}"}


def test_a_copy_is_made_by_digest_into_the_tag(tmp_path: Path) -> None:
    run(tmp_path, f'[ $1 = copy ] && echo "$@" >> {tmp_path}/said || echo {WANTED}', "one")
    assert (tmp_path / "said").read_text() == f"copy quay.io/one@{WANTED} localhost/shared:one\n"


def test_a_blob_that_two_images_share_counts_once(tmp_path: Path) -> None:
    said = "; ".join(f"echo 'existing blob: {digest}' >&2" for digest in BLOBS)
    outcome = run(tmp_path, f"[ $1 = copy ] && {{ {said}; }} || echo {WANTED}", "one", "two")
    assert outcome.moved == 1010


def test_a_copy_has_one_line_in_a_narrow_terminal(tmp_path: Path) -> None:
    progress = run(tmp_path, f"[ $1 = copy ] || echo {WANTED}", "one")._progress  # pyright: ignore[reportPrivateUsage]
    narrow = Console(width=40, file=StringIO())
    progress.update(progress.task_ids[0], description="1 of 2 images of a registry")
    lines = narrow.render_lines(progress.make_tasks_table(progress.tasks))
    assert len(lines) == len(progress.tasks)


def test_one_image_that_fails_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fails = "echo 'Error: GET h: DENIED: no' >&2; exit 1"
    script = f'case "$2" in quay.io/one@*) {fails};; esac; [ $1 = copy ] || echo {WANTED}'
    outcome = run(tmp_path, script, "one", "two", "three")
    assert {item.copy.target.tag for item in outcome.copied} == {"two", "three"}
    assert list(outcome.failed) == ["quay.io/one:v1"]
    *lines, summary = capsys.readouterr().err.splitlines()
    assert summary.startswith("copied 2 of 3 images and verified their digests: 0 bytes in 0:0")
    assert sorted(line.split()[0] for line in lines) == ["[1/3]", "[2/3]", "[3/3]"]
    assert any("quay.io/one:v1 is refused by the registry" in line for line in lines)


def test_a_log_shows_every_few_seconds_which_image_is_under_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy ends when three lines have come."""
    monkeypatch.setattr(heartbeat, "SECONDS", 0.2)
    seen = tmp_path / "seen"
    said: list[str] = []

    def read() -> None:
        limit = time.monotonic() + 120
        while len(said) < 3 and time.monotonic() < limit:
            said.extend(x for x in capsys.readouterr().err.splitlines() if "under way" in x)
            time.sleep(0.05)
        seen.touch()

    reader = threading.Thread(target=read)
    reader.start()
    waits = f"until [ -e {seen} ]; do sleep 0.1; done"
    run(tmp_path, f"if [ $1 = copy ]; then {waits}; else echo {WANTED}; fi", "huge")
    reader.join()
    assert len(said) >= 3
    shown = "copying: 0 of 1 images, 0 bytes of 1.0 kB, 1 under way, quay.io/huge:v1 for 0:0"
    assert all(line.startswith(shown) for line in said)
