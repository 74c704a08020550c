"""A build and a source that asks for a login: real crane, real registries, the guard in between."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.services.build_machine import PREFIX, ROLE_KEY, BuildMachine
from tests.services.private_registry import PASSWORD, USER, Private
from tests.services.registry import Registry


@pytest.fixture
def machine(tool: Path, own: Registry, tmp_path: Path) -> BuildMachine:
    made = BuildMachine.set_up(tmp_path / "machine", tool, own.host)
    logins = made.folder / "logins"
    logins.mkdir()
    login = json.dumps({"username": USER, "accessToken": PASSWORD})
    (logins / "company").write_text(login)
    (logins / "malformed").write_text(f"{USER}:{PASSWORD}")
    (logins / "wrong").write_text(json.dumps({"username": USER, "password": "another"}))
    return made


def named(private: Private, secret: str) -> str:
    return json.dumps({private.host: secret, "docker.io": "unused"})


@pytest.mark.parametrize("crossing", [False, True])
def test_an_image_behind_a_login_is_copied_and_the_login_is_nowhere(
    crossing: bool, private: Private, own: Registry, machine: BuildMachine
) -> None:
    name = f"with-login-{crossing}".lower()
    keys = {"CREDENTIALS_SECRET": "push"} if crossing else {}
    done = machine.copy(
        (private.image, machine.target(f"{name}:v1")),
        SOURCE_SECRETS=named(private, "company"),
        **keys,
    )
    assert done.stdout == f"ok {private.image} {private.digest}\n", done.stderr
    assert own.digest(f"{PREFIX}/{name}", "v1") == private.digest
    assert PASSWORD not in done.stdout + done.stderr
    left = [file for file in machine.folder.rglob("*") if file.parent.name != "logins"]
    texts = [file.read_bytes() for file in left if file.is_file() and not file.is_symlink()]
    assert not [text for text in texts if PASSWORD.encode() in text]
    read = (machine.folder / "secrets-read").read_text().splitlines()
    assert f"company {ROLE_KEY}" in read
    assert not [line for line in read if line.startswith("unused")]


@pytest.mark.parametrize("secret", ["", "absent", "malformed", "wrong"])
def test_without_a_right_login_the_reason_is_that_it_needs_one(
    secret: str, private: Private, machine: BuildMachine
) -> None:
    variables = {"SOURCE_SECRETS": named(private, secret)} if secret else {}
    done = machine.copy((private.image, machine.target("without:v1")), **variables)
    assert done.stdout == f"failed {private.image} needs-login\n", done.stderr
    assert machine.repositories == []
    assert PASSWORD not in done.stdout + done.stderr
    if secret in ("absent", "malformed"):
        assert f"the login to {private.host} in the secret {secret} cannot be used" in done.stderr


def test_a_public_image_comes_although_the_login_of_its_registry_cannot_be_read(
    upstream: Registry, machine: BuildMachine
) -> None:
    digest = upstream.push("public", "v1")
    source = f"{upstream.host}/public:v1"
    secrets = json.dumps({upstream.host: "absent"})
    done = machine.copy((source, machine.target("public:v1")), SOURCE_SECRETS=secrets)
    assert done.stdout == f"ok {source} {digest}\n", done.stderr
