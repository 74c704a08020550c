"""./kf images where registries do not answer: within seconds, and each cause once."""

from __future__ import annotations

import json
import time

import pytest

from ops import registry_reach
from tests.services.blackholes import blackhole
from tests.services.copied_images import Images
from tests.services.registry import Registry

SECONDS = 1.5


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = (SECONDS, None)
    monkeypatch.setattr(registry_reach.unreachable, "__defaults__", defaults)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.delenv("https_proxy", raising=False)


@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--no-estimate",)])
def test_where_no_registry_answers_mirror_says_so_once(
    images: Images, more: tuple[str, ...]
) -> None:
    with blackhole() as one, blackhole() as two:
        for number in range(60):
            images.add(f"{(one, two)[number % 2]}/image-{number}:v1", "")
        begun = time.monotonic()
        done = images.mirror(*more)
        assert time.monotonic() - begun < SECONDS * 60
    assert done.exit_code == 1
    first, second = sorted([one, two])
    assert done.stderr.splitlines()[-1] == (
        f"none of 2 registries answers this machine ({first}, {second} gives no answer within 2 s; "
        "HTTPS_PROXY is not set): run this where they are reached, set a proxy, or let the builds "
        "of `pulumi up` copy (kubeflow:imageMirror.inventoryFirst)."
    )
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_one_silent_registry_stops_none_of_the_others(upstream: Registry, images: Images) -> None:
    good = images.add(f"{upstream.host}/beside:v1", upstream.push("beside", "v1"))
    with blackhole() as silent:
        for number in range(20):
            images.add(f"{silent}/image-{number}:v1", "")
        done = images.mirror()
    assert done.exit_code == 1
    assert set(images.held()) == {good}
    assert done.stderr.splitlines()[-2:] == [
        "20 of 21 images cannot be copied:",
        f"  20 images of {silent}, which gives no answer within 2 s",
    ]
    assert done.stderr.count(silent) == 1


def test_copies_that_are_there_need_no_registry_of_a_source(own: Registry, images: Images) -> None:
    digest = own.push("held", "v1")
    with blackhole() as silent:
        tagged = images.add(f"{silent}/tagged:v1", "")
        own.push(images.repository(tagged), "v1")
        with images.file.open("a") as lines:
            lines.write(f"{silent}/held@{digest} -> {own.host}/held:v1\n")
        assert images.mirror().exit_code == 0
        assert images.check().exit_code == 0


def test_check_says_once_what_it_could_not_compare(own: Registry, images: Images) -> None:
    with blackhole() as silent:
        for number in range(9):
            source = images.add(f"{silent}/image-{number}:v1", "")
            own.push(images.repository(source), "v1")
        done = images.check("--ask-sources")
        assert done.exit_code == 1
        assert done.stdout == ""
        said = f"not compared: 9 images of {silent}, which gives no answer within 2 s"
        assert said in done.stderr.splitlines()
        rows = json.loads(images.check("--ask-sources", "--format", "json").stdout)
        assert {row["state"] for row in rows} == {"uncompared"}


def test_a_target_that_does_not_answer_is_said_once(upstream: Registry, images: Images) -> None:
    with blackhole() as silent:
        lines = [f"{upstream.host}/image-{n}:v1 -> {silent}/image-{n}:v1" for n in range(40)]
        images.file.write_text("\n".join(lines))
        for run in (images.mirror, images.check):
            done = run()
            assert done.exit_code == 1
            assert done.stderr == (
                f"no registry answers this machine ({silent} gives no answer within 2 s; "
                "HTTPS_PROXY is not set): it is where the copies go.\n"
            )
