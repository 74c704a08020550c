"""./kf images mirror between two real registries: whole, and only what is missing."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import termios
import threading
import time
from contextlib import suppress

import pytest

from ops import targets
from settings import Settings
from tests.services.copied_images import MIRROR_SECONDS, STACK, Images, command_line, to_copy
from tests.services.disturbances import way_to
from tests.services.registry import Registry


def copying(monkeypatch: pytest.MonkeyPatch, platform: str | None) -> None:
    """The stack's ``imageMirror.platform``."""
    known = targets.settings_of(STACK)
    mirror = known.image_mirror.model_copy(update={"platform": platform})
    changed = known.model_copy(update={"image_mirror": mirror})

    def settings_of(_stack: str) -> Settings:
        return changed

    monkeypatch.setattr(targets, "settings_of", settings_of)


@pytest.fixture(autouse=True)
def all_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests of copies are those of their sources, unless a test says otherwise."""
    copying(monkeypatch, "all")


def test_an_index_is_copied_with_all_its_platforms_and_layers(
    upstream: Registry, own: Registry, images: Images
) -> None:
    digest = upstream.push("many", "v1", ("amd64", "arm64"), layers=3)
    source = images.add(f"{upstream.host}/many:v1", digest)
    done = images.mirror()
    assert done.exit_code == 0, done.output
    assert images.held() == {source: digest}
    repository = images.repository(source)
    found = own.manifest(repository, "v1")
    assert found is not None
    platforms = [each["platform"]["architecture"] for each in found[1]["manifests"]]
    assert platforms == ["amd64", "arm64"]
    for member in found[1]["manifests"]:
        image = own.manifest(repository, member["digest"])
        assert image is not None
        assert [len(own.blob(repository, each["digest"])) for each in image[1]["layers"]] == [
            *([1000] * 3)
        ]


def test_of_an_index_one_platform_is_copied_where_the_stack_says_so(
    *, upstream: Registry, own: Registry, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.push("one", "v1", ("amd64", "arm64"))
    index = upstream.manifest("one", "v1")
    assert index is not None
    _, arm64 = (member["digest"] for member in index[1]["manifests"])
    source = images.add(f"{upstream.host}/one:v1", arm64)
    copying(monkeypatch, "linux/arm64")
    assert images.mirror().exit_code == 0
    assert images.held() == {source: arm64}
    assert images.check("--ask-sources").exit_code == 0


def test_only_what_the_nodes_can_run_is_copied_and_older_copies_of_all_stay(
    upstream: Registry, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = upstream.push("older", "v1", ("amd64", "arm64"), layers=1)
    older = images.add(f"{upstream.host}/older:v1", digest)
    assert images.mirror().exit_code == 0
    copying(monkeypatch, None)
    upstream.push("newer", "v1", ("arm64", "amd64"), layers=1)
    index = upstream.manifest("newer", "v1")
    assert index is not None
    newer = images.add(f"{upstream.host}/newer:v1", index[1]["manifests"][1]["digest"])
    assert to_copy(images.mirror()) == 1
    assert images.held() == {older: digest, newer: images.digests[newer]}
    assert to_copy(images.mirror()) == 0
    assert images.check("--ask-sources").exit_code == 0


def test_a_chart_is_copied_as_it_is(upstream: Registry, own: Registry, images: Images) -> None:
    digest = upstream.push_chart("charts/karpenter", "1.14.1")
    source = images.add(f"{upstream.host}/charts/karpenter:1.14.1", digest)
    assert images.mirror().exit_code == 0
    assert images.held() == {source: digest}
    found = own.manifest(images.repository(source), "1.14.1")
    assert found is not None
    assert found[1]["config"]["mediaType"] == "application/vnd.cncf.helm.config.v1+json"
    assert own.blob(images.repository(source), found[1]["layers"][0]["digest"])


def test_a_source_pinned_by_digest_gets_a_tag_that_keeps_it(
    upstream: Registry, own: Registry, images: Images
) -> None:
    digest = upstream.push("pinned", "moving")
    source = images.add(f"{upstream.host}/pinned@{digest}", digest)
    upstream.push("pinned", "moving", ("amd64",))
    assert images.mirror().exit_code == 0
    tag = f"digest-sha256-{digest.removeprefix('sha256:')}"
    assert own.digest(images.repository(source), tag) == digest


def test_only_what_is_missing_or_differs_is_copied(upstream: Registry, images: Images) -> None:
    for name in ("steady", "moved", "new"):
        digest = upstream.push(name, "v1")
        if name != "new":
            images.add(f"{upstream.host}/{name}:v1", digest)
    assert to_copy(images.mirror()) == 2
    images.digests[f"{upstream.host}/moved:v1"] = upstream.push("moved", "v1", ("amd64",))
    new = upstream.digest("new", "v1")
    assert new is not None
    images.add(f"{upstream.host}/new:v1", new)
    done = images.mirror()
    assert "1 differs, 1 missing, 1 present" in done.stderr
    assert images.held() == images.digests
    assert to_copy(images.mirror()) == 0


def test_a_dry_run_says_what_it_would_copy_and_copies_nothing(
    upstream: Registry, images: Images
) -> None:
    digest = upstream.push("dry", "v1", ("amd64",), layers=2)
    source = images.add(f"{upstream.host}/dry:v1", digest)
    done = images.mirror("--dry-run")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"{source} -> ")
    assert re.search(r"to copy: 1 images, 2\.\d kB with what", done.stderr)
    assert images.held() == {}


def test_sizes_are_asked_for_once(upstream: Registry, images: Images) -> None:
    with way_to(upstream.host) as way:
        digest = upstream.push("sized", "v1", ("amd64", "arm64"))
        images.add(f"{way.host}/sized:v1", digest)
        images.mirror("--dry-run")
        asked = [line for line in way.seen if line.startswith("GET ") and "/manifests/" in line]
        assert len(asked) == 3
        del way.seen[:]
        assert to_copy(images.mirror("--dry-run")) == 1
        assert [line for line in way.seen if "/manifests/" in line] == [
            "HEAD /v2/sized/manifests/v1"
        ]


def test_a_pattern_chooses_the_images(upstream: Registry, images: Images) -> None:
    chosen, left = (f"{upstream.host}/only/{name}:v1" for name in ("kserve", "katib"))
    images.add(chosen, upstream.push("only/kserve", "v1"))
    images.add(left, upstream.push("only/katib", "v1"))
    assert images.mirror("--only", "*kserve*").exit_code == 0
    assert set(images.held()) == {chosen}


def test_a_copy_whose_source_is_gone_counts_as_good(
    upstream: Registry, own: Registry, images: Images
) -> None:
    source = images.add(f"{upstream.host}/gone:v1", "")
    own.push(images.repository(source), "v1")
    done = images.mirror()
    assert done.exit_code == 0
    assert "1 images: 1 uncompared" in done.stderr


def test_a_terminal_shows_the_images_at_work_and_the_bytes_of_all(
    upstream: Registry, images: Images
) -> None:
    def slow(_method: str, path: str) -> None:
        if "/blobs/" in path:
            time.sleep(0.5)

    with way_to(upstream.host, slow) as way:
        for name in ("shown/one", "shown/two"):
            images.add(f"{way.host}/{name}:v1", upstream.push(name, "v1", layers=2))
        screen = on_a_terminal(images)
    assert re.search(r"shown/one:v1 .*/2\.1 kB", screen)
    assert re.search(r"0 of 2 images|all .*/4\.1 kB", screen)
    assert re.search(r"2 of 2 images .*4\.1/4\.1 kB", screen)
    assert set(images.held()) == set(images.digests)


def on_a_terminal(images: Images) -> str:
    """Runs ./kf on a terminal; returns all it showed, without colours."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (30, 120))
    environment = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(
        command_line(images), cwd=targets.PROJECT, env=environment, stdout=its, stderr=its
    ) as process:
        os.close(its)
        limit = threading.Timer(MIRROR_SECONDS, process.kill)
        limit.start()
        shown = b""
        with suppress(OSError):  # how a terminal ends
            while part := os.read(ours, 65536):
                shown += part
        assert process.wait(timeout=30) == 0
        limit.cancel()
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode(errors="replace"))
