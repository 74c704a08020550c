"""The mirror's credentials on the real engine: a rotation, and the way from keys to sessions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components.image_mirror_build import ImageMirrorBuild, ImageMirrorBuildArgs
from components.image_mirror_credentials import Issuer, Purpose
from components.region import Region
from components.settings import from_mapping
from rehearsal.clouds import ACCOUNT
from rehearsal.engine import Outcome
from tests.rehearsal.conftest import Started

pytestmark = pytest.mark.engine

OWN, BUILD = Region.of("cn-north-1"), Region.of("ap-southeast-1")
SESSIONS = {"credentials": "web-identity", "inventoryFirst": False}


def build(**mirror: Any) -> Callable[[], Any]:
    settings = from_mapping({"region": OWN.name, "imageMirror": mirror})

    def program() -> None:
        ImageMirrorBuild(
            "build",
            ImageMirrorBuildArgs(
                settings=settings,
                region=OWN,
                build_region=BUILD,
                build_provider=aws.Provider("aws-build", region=BUILD.name),
                account_id=ACCOUNT,
                build_account_id=ACCOUNT,
                registry=settings.image_mirror.registry(OWN, ACCOUNT),
                issuer=Issuer(
                    provider_arn=OWN.arn("iam", "oidc-provider/issuer", region=""), host="issuer"
                ),
                tags={},
            ),
            pulumi.ResourceOptions(providers=[aws.Provider("aws", region=OWN.name)]),
        )

    return program


def steps(outcome: Outcome) -> list[tuple[str, str]]:
    """What was done, in its order: operation, and kind and name of the resource."""
    return [
        (operation, " ".join(part.rsplit(":", 1)[-1] for part in urn.rsplit("::", 2)[-2:]))
        for urn, operation in outcome.operations.items()
        if operation != "same"
    ]


def test_a_rotation_makes_keys_writes_them_and_only_then_removes_the_old_ones(
    started: Started,
) -> None:
    with started(build()) as rehearsal:
        rehearsal.up()
        assert set(rehearsal.up().changes) == {"same"}
    with started(build(rotation=2)) as rehearsal:
        done = steps(rehearsal.up())
        assert set(rehearsal.up().changes) == {"same"}
    for purpose in Purpose:
        assert [step for step in done if f"build-{purpose}" in step[1]] == [
            ("create", f"AccessKey build-{purpose}-2"),
            ("replace", f"SecretVersion build-{purpose}"),
            ("delete", f"AccessKey build-{purpose}-1"),
        ]
    assert len(done) == 3 * len(Purpose), "and nothing else is touched"


def test_no_key_is_in_clear_in_anything_the_engine_writes(started: Started, tmp_path: Path) -> None:
    for number in (1, 2):
        with started(build(rotation=number)) as rehearsal:
            told = repr(rehearsal.up())
            assert "simulated-" not in told
    written = [file for file in (tmp_path / "build").rglob("*") if file.is_file()]
    states = [file for file in written if b"accessKey:AccessKey" in file.read_bytes()]
    assert states
    assert [file for file in states if b"simulated-" in file.read_bytes()] == []


def test_sessions_take_the_place_of_keys_and_keep_the_secrets(started: Started) -> None:
    with started(build(rotation=3)) as rehearsal:
        rehearsal.up()
    with started(build(**SESSIONS)) as rehearsal:
        done = steps(rehearsal.up())
        assert set(rehearsal.up().changes) == {"same"}
    gone = {what.split()[0] for operation, what in done if operation == "delete"}
    assert gone == {"AccessKey", "SecretVersion", "User", "UserPolicy"}
    assert not [what for _, what in done if what.startswith("Secret ")]
    made = {what.split()[0] for operation, what in done if operation == "create"}
    assert made == {"OpenIdConnectProvider", "Role", "RolePolicy"}
