"""The platform's own images: no request of a user moves a copy of one."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from components.objects.webhook_code import handler_sources
from images.reference import parse
from tests.webhook.copies_table import create_table
from tests.webhook.test_mirror import DAY, Clock, Ecr
from webhook import inventory
from webhook.claims import Claims
from webhook.copy_job import overrides
from webhook.mirror import EcrMirror, copy_name

SHA = "sha256:" + "0123456789abcdef" * 4
REGISTRY = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow"
PROXY = "docker.io/istio/proxyv2:1.28.0"
NGINX = "docker.io/library/nginx:1"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client: Any = boto3.client("dynamodb", region_name="cn-north-1")
        create_table(client, "in-flight")
        yield client


@pytest.mark.parametrize(
    ("image", "followed"),
    [
        pytest.param(NGINX, True, id="an image of a user follows its tag"),
        pytest.param(PROXY, False, id="one of the platform does not"),
        pytest.param("istio/proxyv2:1.28.0", False, id="in any spelling"),
        pytest.param("index.docker.io/istio/proxyv2:1.28.0", False, id="by an alias"),
        pytest.param("docker.io/istio/proxyv2:1.29.1", True, id="another tag of it is a user's"),
        pytest.param(f"{PROXY}@{SHA}", False, id="a digest moves nothing"),
    ],
)
def test_what_a_pod_names_never_moves_a_copy_of_the_platform(
    table: Any, image: str, followed: bool
) -> None:
    clock, requested = Clock(10 * DAY), list[str]()
    mirror = EcrMirror(
        Ecr(pushed=1.0),
        Claims(table, "in-flight", 3600, clock),
        requested.append,
        prefix="kubeflow",
        follow_seconds=DAY,
        kept={copy_name(parse(PROXY))},
        clock=clock,
    )
    assert mirror.ask(parse(image), start=True, follow=True).presence == "present"
    assert bool(requested) is followed


def test_a_build_for_an_image_of_the_platform_is_told_its_digest() -> None:
    known = {copy_name(parse(PROXY)): SHA, copy_name(parse("quay.io/a/b:1")): None}
    sources = list(map(parse, (PROXY, NGINX, "quay.io/a/b:1", f"quay.io/a/c@{SHA}")))
    (variable,) = overrides(sources, REGISTRY, known=known)
    assert variable["value"].splitlines() == [
        f"{PROXY} {REGISTRY}/{PROXY}@{SHA}",
        f"{NGINX} {REGISTRY}/{NGINX}",
        f"quay.io/a/b:1 {REGISTRY}/quay.io/a/b:1",
        f"quay.io/a/c@{SHA} {REGISTRY}/quay.io/a/c:digest-sha256-{SHA[7:]}",
    ]


def test_the_handler_reads_the_inventory_in_the_archive_of_its_code(tmp_path: Path) -> None:
    archive = tmp_path / "webhook.zip"
    with zipfile.ZipFile(archive, "w") as writer:
        for name, source in handler_sources().items():
            writer.write(source, name)
        text = inventory.text([PROXY, "quay.io/a/b"], {PROXY: SHA, "quay.io/other:1": SHA})
        writer.writestr(inventory.FILE, text)
    program = "import json; from webhook.inventory import load; print(json.dumps(load()))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(archive)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {PROXY: SHA, "quay.io/a/b:latest": None}


def test_without_a_file_nothing_is_the_platforms() -> None:
    inventory.load.cache_clear()
    assert inventory.load() == {}


def test_marks_are_short_and_distinct() -> None:
    images = [f"ghcr.io/kubeflow/kubeflow/notebook-servers/jupyter-{n}:v1" for n in range(150)]
    marks = inventory.marks(images)
    assert len(set(marks.split())) == 150
    assert len(marks) < 1700
