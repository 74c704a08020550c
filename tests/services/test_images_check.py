"""./kf images check: which copies are missing, and which are not what they should be."""

from __future__ import annotations

import json

from images.reference import parse
from tests.services.copied_images import Images
from tests.services.registry import Registry
from webhook.mirror import target_tag


def test_check_is_silent_about_what_is_right(upstream: Registry, images: Images) -> None:
    digest = upstream.push("right", "v1")
    images.add(f"{upstream.host}/right@{digest}", digest)
    assert images.mirror().exit_code == 0
    done = images.check()
    assert (done.exit_code, done.stdout) == (0, "")


def test_check_names_what_is_missing_and_what_differs(
    upstream: Registry, own: Registry, images: Images
) -> None:
    missing = images.add(f"{upstream.host}/missing:v1", upstream.push("missing", "v1"))
    digest = upstream.push("differs", "v1")
    differs = images.add(f"{upstream.host}/differs@{digest}", digest)
    other = own.push(images.repository(differs), target_tag(parse(differs)), ("amd64",))
    unknown = images.add(f"{upstream.host}/unknown:v1", upstream.push("unknown", "v1"))
    own.push(images.repository(unknown), "v1", ("amd64",))
    done = images.check()
    assert done.exit_code == 1
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{missing} is missing: there is no ")
    assert second.startswith(f"{differs} differs: ")
    assert second.endswith(f" is {other}, not {digest}")
    rows = json.loads(images.check("--format", "json", "--ask-sources").stdout)
    assert {row["source"]: row["state"] for row in rows} == {
        missing: "missing",
        differs: "differs",
        unknown: "differs",
    }
