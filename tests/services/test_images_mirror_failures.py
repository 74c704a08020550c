"""./kf images mirror on bad days: patient with what passes, exact about what does not."""

from __future__ import annotations

import random
import re

import pytest

from ops import crane
from tests.services.copied_images import Images, to_copy
from tests.services.disturbances import RESET, failing_at_first, healthy, way_to
from tests.services.registry import Registry


@pytest.mark.parametrize("fault", ["429 Too Many Requests", "503 Service Unavailable", RESET])
@pytest.mark.parametrize("path", ["GET .*/manifests/", "GET .*/blobs/"])
def test_what_passes_is_tried_again(
    upstream: Registry, images: Images, fault: str, path: str
) -> None:
    repository = "patient/" + re.sub(r"[^a-z0-9]+", "-", f"{fault}{path}".lower()).strip("-")
    digest = upstream.push(repository, "v1", layers=1)
    # crane itself repeats a 5xx and a broken connection twice or more; 429 is all ours.
    with way_to(upstream.host, failing_at_first(fault, 4, path)) as way:
        source = images.add(f"{way.host}/{repository}:v1", digest)
        done = images.mirror("--no-estimate")
        assert done.exit_code == 0, done.output
        assert images.held() == {source: digest}
        assert sum(bool(re.search(path, line)) for line in way.seen) > 4


def test_what_does_not_pass_is_told_with_its_reason(upstream: Registry, images: Images) -> None:
    def fault(method: str, path: str) -> str | None:
        if method == "GET" and "/busy/blobs/" in path:
            return "429 Too Many Requests"
        return "403 Forbidden" if "/secret/" in path else None

    with way_to(upstream.host, fault) as way:
        for name in ("busy", "secret", "good"):
            images.add(f"{way.host}/{name}:v1", upstream.push(name, "v1"))
        images.add(f"{way.host}/absent:v1", "")
        done = images.mirror()
    assert done.exit_code == 1
    busy = "is asked for too often (429; a `docker login` may allow more), also after 6 attempts"
    refused = f"is refused by {way.host}: log in there with the right to it, if it exists"
    assert done.stderr.splitlines()[-4:] == [
        "3 of 4 images cannot be copied:",
        f"  {way.host}/absent:v1 is not there",
        f"  {way.host}/busy:v1 {busy}",
        f"  {way.host}/secret:v1 {refused}",
    ]
    assert set(images.held()) == {f"{way.host}/good:v1"}


def test_a_target_that_fails_is_a_failure_of_each_image(
    upstream: Registry, own: Registry, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crane, "ATTEMPTS", 2)

    def fault(_method: str, path: str) -> str | None:
        return "503 Service Unavailable" if "/manifests/" in path else None

    with way_to(own.host, fault) as way:
        images.file.write_text(f"{upstream.host}/image:v1 -> {way.host}/image:v1\n")
        done = images.mirror()
    assert done.exit_code == 1
    reason = f"{way.host} gets the answer 503, also after 2 attempts"
    assert f"/image:v1 cannot be looked up: {reason}" in done.stderr


def test_twenty_images_of_which_three_fail(
    upstream: Registry, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crane, "ATTEMPTS", 2)
    chance = random.Random(2026)  # noqa: S311 - no secret
    names = [f"of-twenty/{number:02}" for number in range(20)]
    failing = chance.sample(names, 3)
    answers = {
        name: chance.choice(["503 Service Unavailable", "403 Forbidden"]) for name in failing
    }
    stumbling = dict.fromkeys(chance.sample(sorted({*names} - {*failing}), 3), RESET)

    def fault(method: str, path: str) -> str | None:
        found = re.match(r"/v2/(of-twenty/\d+)/blobs/", path)
        if found is None or method != "GET":
            return None
        return answers.get(found[1]) or stumbling.pop(found[1], None)

    with way_to(upstream.host, fault) as way:
        for name in names:
            images.add(f"{way.host}/{name}:v1", upstream.push(name, "v1", layers=1))
        done = images.mirror("--parallel", "8")
        assert done.exit_code == 1, done.output
        assert to_copy(done) == 20
        told = done.stderr.partition("3 of 20 images cannot be copied:\n")[2].splitlines()
        wanted = {f"{way.host}/{name}:v1" for name in failing}
        assert {line.split()[0] for line in told} == wanted
        held = {source: digest for source, digest in images.digests.items() if source not in wanted}
        assert images.held() == held
        assert not stumbling
        way.fault, already = healthy, len(way.seen)
        again = images.mirror("--parallel", "8")
        assert again.exit_code == 0, again.output
        assert to_copy(again) == 3
        assert images.held() == images.digests
        read = {line.split("/blobs/")[0] for line in way.seen[already:] if "/blobs/" in line}
        assert read == {f"GET /v2/{name}" for name in failing}
