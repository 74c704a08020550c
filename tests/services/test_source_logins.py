"""Sources with a login, which the person's usual Docker configuration has; on a real registry."""

from __future__ import annotations

import base64
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from images.reference import parse
from ops.crane import Crane, CraneFailed
from ops.lock_digests import digest_of
from ops.mirror.docker_config import own_logins
from tests.services.copied_images import Images
from tests.services.private_registry import PASSWORD, USER, Private

AUTH = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
HELPER = f"""#!/bin/sh
read -r host
echo '{{"ServerURL": "'"$host"'", "Username": "{USER}", "Secret": "{PASSWORD}"}}'
"""
KINDS = ("auths", "credHelpers", "credsStore", "podman")


@pytest.fixture(params=KINDS)
def login(
    request: pytest.FixtureRequest,
    private: Private,
    surroundings: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The person is logged in, by one of the usual ways."""
    kind: str = request.param
    folder = tmp_path / "docker"
    folder.mkdir()
    helper = folder / "docker-credential-ours"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    config: dict[str, Any] = {
        "auths": {"auths": {private.host: {"auth": AUTH}}},
        "podman": {"auths": {private.host: {"auth": AUTH}}},
        "credHelpers": {"credHelpers": {private.host: "ours"}},
        "credsStore": {"credsStore": "ours"},
    }[kind]
    if kind == "podman":
        (folder / "auth.json").write_text(json.dumps(config))
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(folder / "auth.json"))
    else:
        (folder / "config.json").write_text(json.dumps(config))
        monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return kind


@pytest.mark.usefixtures("login")
def test_an_image_behind_a_login_is_copied_and_checked(private: Private, images: Images) -> None:
    source = images.add(private.image, private.digest)
    done = images.mirror()
    assert done.exit_code == 0, done.output
    assert images.held() == {source: private.digest}
    checked = images.check("--ask-sources")
    assert checked.exit_code == 0
    assert PASSWORD not in done.output + checked.output
    assert AUTH not in done.output + checked.output


@pytest.mark.usefixtures("login")
def test_the_lock_gets_the_digest_of_an_image_behind_a_login(private: Private, tool: Path) -> None:
    with own_logins() as config, Crane(tool, config) as crane:
        query = partial(digest_of, crane=crane, mirror=None)
        assert query(parse(private.image)) == private.digest


def test_without_a_login_it_fails_with_a_sentence(private: Private, images: Images) -> None:
    images.add(private.image, private.digest)
    done = images.mirror()
    assert done.exit_code == 1
    assert f"is refused by {private.host}: log in there" in done.stderr


def test_another_registry_gets_no_login_of_this_one(
    private: Private, tool: Path, surroundings: None, tmp_path: Path, monkeypatch: Any
) -> None:
    folder = tmp_path / "docker"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"auths": {"other.example": {"auth": AUTH}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    with own_logins() as config, Crane(tool, config) as crane, pytest.raises(CraneFailed):
        crane.digest(private.image)
