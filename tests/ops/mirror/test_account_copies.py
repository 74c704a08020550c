"""What the copies of an account tell of their sources, on moto."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from ops.mirror import account_copies
from ops.mirror.account_copies import SourceFacts, sources_of_copies
from settings import Settings
from tests.webhook.copies_table import create_table

A = f"sha256:{'a' * 64}"
INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE = "application/vnd.oci.image.manifest.v1+json"
RECORDED, WHOLE, ALONE, ABSENT = (f"quay.io/a/{name}:1" for name in ("rec", "whole", "alone", "no"))


@pytest.fixture
def ecr(aws: None) -> Any:
    client: Any = boto3.client("ecr", region_name="cn-north-1")
    for image, media_type in ((RECORDED, IMAGE), (WHOLE, INDEX), (ALONE, IMAGE)):
        name = f"kubeflow/{image.partition(':')[0]}"
        client.create_repository(repositoryName=name)
        layers = [{"mediaType": "x", "size": 1000, "digest": A}]
        manifest = {"schemaVersion": 2, "mediaType": media_type, "layers": layers}
        client.put_image(
            repositoryName=name,
            imageTag="1",
            imageManifest=json.dumps(manifest),
            imageManifestMediaType=media_type,
        )
    return client


def test_digests_come_from_rows_of_builds_and_from_copies_of_all_platforms(ecr: Any) -> None:
    table: Any = boto3.client("dynamodb", region_name="cn-north-1")
    create_table(table, "kubeflow-image-copies")
    row = {"image": {"S": RECORDED}, "digest": {"S": "sha256:b"}, "source_digest": {"S": A}}
    table.put_item(TableName="kubeflow-image-copies", Item=row)
    facts = sources_of_copies(Settings(region="cn-north-1"), [RECORDED, WHOLE, ALONE, ABSENT])
    assert facts[RECORDED].digest == A
    whole = ecr.describe_images(repositoryName="kubeflow/quay.io/a/whole")["imageDetails"][0]
    assert facts[WHOLE] == SourceFacts(whole["imageDigest"], None)
    assert facts[ALONE].digest is None
    assert facts[ABSENT] == SourceFacts(None, None)


def test_many_rows_are_asked_for_in_parts(ecr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_copies, "_ROWS", 2)
    table: Any = boto3.client("dynamodb", region_name="cn-north-1")
    create_table(table, "kubeflow-image-copies")
    images = [f"quay.io/many/x:{number}" for number in range(5)]
    for image in images:
        row = {"image": {"S": image}, "source_digest": {"S": A}}
        table.put_item(TableName="kubeflow-image-copies", Item=row)
    rows = account_copies._rows(table, "kubeflow-image-copies", images)  # pyright: ignore[reportPrivateUsage]
    assert rows == dict.fromkeys(images, A)
