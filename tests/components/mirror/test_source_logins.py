"""The logins of source registries on the build machine: read by its role, shown to nobody."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.mirror import source_logins
from components.mirror.source_logins import MALFORMED, login_in

PASSWORD = "dckr_pat_0123456789"
SECRETS = {"docker.io": "registries/hub", "reg.example.com:5000": "company", "ghcr.io": "broken"}
# The AWS CLI: a secret is a file; what is none is refused as AWS refuses it, quoting the request.
AWS = r"""#!/bin/bash
echo "$*" >> "$WORLD/calls"
[ "$1 $2 $3" = "secretsmanager get-secret-value --secret-id" ] || exit 2
[ "$5 $6 $7 $8" = "--query SecretString --output text" ] || exit 2
cat "$WORLD/secrets/${4//\//_}" 2>/dev/null && exit
echo "An error occurred (AccessDeniedException) when calling the operation: no $4" >&2
exit 254
"""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    for name in ("bin", "secrets"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin" / "aws").write_text(AWS)
    (tmp_path / "bin" / "aws").chmod(0o755)
    login = json.dumps({"username": "robot", "accessToken": PASSWORD})
    (tmp_path / "secrets" / "registries_hub").write_text(f"{login}\n")
    (tmp_path / "secrets" / "broken").write_text(f"robot:{PASSWORD}")
    return tmp_path


def run(world: Path, *images: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{world}/bin:/usr/bin:/bin",
        "WORLD": str(world),
        "SOURCE_SECRETS": json.dumps(SECRETS),
    }
    return subprocess.run(
        [sys.executable, "-I", str(source_logins.__file__), *images],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )


def calls(world: Path) -> list[str]:
    file = world / "calls"
    return file.read_text().splitlines() if file.exists() else []


def test_a_registry_of_an_image_has_its_login_and_no_other_secret_is_read(world: Path) -> None:
    done = run(world, "docker.io/library/python:3.9", "docker.io/a/b:1", "quay.io/a/b:1")
    assert json.loads(done.stdout) == {"docker.io": {"username": "robot", "password": PASSWORD}}
    assert [call.split()[3] for call in calls(world)] == ["registries/hub"]
    assert done.stderr == ""


def test_without_an_image_of_such_a_registry_nothing_is_read(world: Path) -> None:
    done = run(world, "quay.io/docker.io/b:1")
    assert (json.loads(done.stdout), calls(world)) == ({}, [])


def test_a_login_that_cannot_be_read_is_left_out_and_its_text_is_not_shown(world: Path) -> None:
    done = run(world, "REG.example.com:5000/a/b:1", "ghcr.io/a/b:1", "docker.io/a/b:1")
    assert set(json.loads(done.stdout)) == {"docker.io"}
    ghcr, company = done.stderr.splitlines()
    assert ghcr == (
        f"the login to ghcr.io in the secret broken cannot be used: {MALFORMED}; ghcr.io is asked "
        "without one"
    )
    assert "company cannot be used: Secrets Manager answers AccessDeniedException;" in company
    assert PASSWORD not in done.stderr


def test_a_secret_that_is_no_text_is_left_out_and_no_byte_of_it_is_shown(world: Path) -> None:
    (world / "secrets" / "broken").write_bytes(b'{"username": "u", "password": "\xfe"}')
    done = run(world, "ghcr.io/a/b:1")
    assert (done.stdout, MALFORMED in done.stderr, "xfe" in done.stderr) == ("{}", True, False)


@pytest.mark.parametrize("key", ["password", "accessToken", "token"])
def test_a_password_has_one_of_three_keys(key: str) -> None:
    login = login_in(json.dumps({"username": "u", key: "p", "note": 1}))
    assert login == {"username": "u", "password": "p"}


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "u:p", "[]", '"u"', "null", "{}", "[" * 100_000),
        *({"username": "u"}, {"password": "p"}, {"username": "u", "password": ""}),
        *({"username": 1, "password": "p"}, {"username": "u", "password": ["p"]}),
        {"username": "u", "password": "p", "token": "p"},
        {"username": "u\r\nHost: other", "password": "p"},
        {"username": "u", "password": "p\n"},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_another_shape_is_refused_without_its_text(wrong: Any) -> None:
    text = wrong if isinstance(wrong, str) else json.dumps(wrong)
    with pytest.raises(ValueError, match="no JSON object") as why:
        login_in(text)
    assert str(why.value) == MALFORMED
