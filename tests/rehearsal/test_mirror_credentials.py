"""The mirror's keys on the real engine: a rotation, and where they are in clear: nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components.mirror.build import BuildSide, ImageMirrorBuild
from components.mirror.credentials import Purpose
from regions.region import Region
from rehearsal.clouds import ACCOUNT
from settings import from_mapping
from settings.context import StackContext
from tests.rehearsal.conftest import Started, steps

pytestmark = pytest.mark.engine

OWN, BUILD = Region.of("cn-north-1"), Region.of("ap-southeast-1")


def build(**mirror: Any) -> Callable[[], Any]:
    settings = from_mapping({"region": OWN.name, "imageMirror": mirror})

    def program() -> None:
        ImageMirrorBuild(
            "build",
            StackContext.of(settings, ACCOUNT, {}),
            BuildSide(
                region=BUILD,
                provider=aws.Provider("aws-build", region=BUILD.name),
                account_id=ACCOUNT,
            ),
            opts=pulumi.ResourceOptions(providers=[aws.Provider("aws", region=OWN.name)]),
        )

    return program


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
        assert [step for step in done if step[2].startswith(f"build-{purpose}")] == [
            ("create", "aws:iam/accessKey:AccessKey", f"build-{purpose}-2"),
            ("replace", "aws:secretsmanager/secretVersion:SecretVersion", f"build-{purpose}"),
            ("delete", "aws:iam/accessKey:AccessKey", f"build-{purpose}-1"),
        ]
    assert len(done) == 3 * len(Purpose), "and nothing else is touched"


def test_no_key_is_in_clear_in_anything_the_engine_writes(started: Started, tmp_path: Path) -> None:
    for number in (1, 2):
        with started(build(rotation=number)) as rehearsal:
            assert "simulated-" not in repr(rehearsal.up())
    written = [file for file in (tmp_path / "build").rglob("*") if file.is_file()]
    states = [file for file in written if b"accessKey:AccessKey" in file.read_bytes()]
    assert states
    assert [file for file in states if b"simulated-" in file.read_bytes()] == []
