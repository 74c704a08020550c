"""What a change of inputs does to a simulated resource."""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal.diff import changed_paths, replacing
from rehearsal.protocol import SIGNATURE


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2, "b": 3}, ["a", "b"]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["a.b[1]"]),
        ({"a": [1, 2]}, {"a": [1]}, ["a"]),
        ({"a": {"x/y": "1"}}, {"a": {}}, ["a.x/y"]),
        ({"a": 1}, {"a": {"b": 1}}, ["a"]),
    ],
)
def test_a_change_is_named_as_deep_as_it_is(old: Any, new: Any, paths: list[str]) -> None:
    assert changed_paths(old, new) == paths


@pytest.mark.parametrize(
    ("type_", "path", "replaced"),
    [
        ("aws:iam/role:Role", "name", True),
        ("aws:iam/role:Role", "namePrefix", True),
        ("aws:iam/role:Role", "assumeRolePolicy", False),
        ("aws:cloudwatch/logGroup:LogGroup", "name", True),
        ("aws:eks/nodeGroup:NodeGroup", "launchTemplate.version", False),
        ("aws:eks/nodeGroup:NodeGroup", "launchTemplate.id", True),
        ("aws:kms/alias:Alias", "targetKeyId", False),
        ("aws:s3/bucketPolicy:BucketPolicy", "bucket", True),
        ("aws:ec2/subnet:Subnet", "cidrBlock", True),
        ("aws:rds/instance:Instance", "engine", True),
        ("aws:rds/instance:Instance", "engineVersion", False),
        ("aws:eks/cluster:Cluster", "encryptionConfig.provider.keyArn", True),
        ("aws:quantum/entangler:Entangler", "name", False),
        ("kubernetes:apps/v1:Deployment", "spec.selector.matchLabels.app", True),
        ("kubernetes:apps/v1:Deployment", "spec.replicas", False),
        ("kubernetes:apps/v1:Deployment", "metadata.name", True),
        ("kubernetes:core/v1:ConfigMap", "data.key", True),
        ("kubernetes:example.com/v1:Thing", "metadata.namespace", True),
    ],
)
def test_what_a_cloud_cannot_change_is_replaced(type_: str, path: str, replaced: bool) -> None:
    assert replacing(type_, [path]) == ([path] if replaced else [])


def test_a_kubernetes_provider_can_be_told_to_change_data_in_place() -> None:
    assert replacing("kubernetes:core/v1:Secret", ["data.a"], mutable=frozenset({"Secret"})) == []


def test_a_file_is_compared_by_its_content_wherever_it_lies() -> None:
    def archive(place: str, digest: str) -> dict[str, Any]:
        file = {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "path": place, "hash": digest}
        kind = "0def7320c3a5731c473e5ecbe6d01bc7"
        return {"code": {SIGNATURE: kind, "assets": {"a.py": file}, "hash": digest}}

    assert changed_paths(archive("/here", "1"), archive("/there", "1")) == []
    assert changed_paths(archive("/here", "1"), archive("/here", "2")) == ["code.hash"]
