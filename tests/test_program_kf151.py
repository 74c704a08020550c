"""The whole program on the reference's own install: Beijing, Kubeflow 1.5.1, a static key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.configuration_readers import READ_AGAIN, not_rolled
from tests.harness import Recorded
from tests.pasted import COMMANDS, paste
from tests.test_program import (
    MARKER,
    PROFILE,
    SECRET,
    checksums,
    containing,
    not_as_stored,
    stack,
    top,
)

STACK = "cn-north-1-kf151"


@pytest.fixture(scope="module")
def made() -> Recorded:
    return stack(STACK)


def config_map(made: Recorded, name: str) -> dict[str, str]:
    return made.only("kubernetes:core/v1:ConfigMap", f"kubeflow/{name}").inputs["data"]


def test_the_stack_has_the_references_own_values(made: Recorded) -> None:
    cluster = made.only("eks:index:Cluster").inputs
    nodes = made.only("aws:eks/nodeGroup:NodeGroup").inputs
    template = made.only("aws:ec2/launchTemplate:LaunchTemplate").inputs
    assert (cluster["name"], cluster["version"]) == ("kubeflow151", "1.21")
    assert (nodes["nodeGroupName"], template["instanceType"]) == ("kf", "m5.xlarge")
    assert nodes["scalingConfig"] == {"desiredSize": 4, "minSize": 4, "maxSize": 8}


def test_pipelines_configuration_names_bucket_and_databases(made: Recorded) -> None:
    data = config_map(made, "pipeline-install-config")
    assert data["bucketName"] == made.exports["bucket"]
    assert data["minioServiceHost"] == "s3.cn-north-1.amazonaws.com.cn"
    assert data["minioServiceRegion"] == "cn-north-1"
    assert (data["mlmdDb"], data["dbHost"]) == ("metadb", made.exports["databaseEndpoint"])


def test_every_object_is_given_as_an_api_server_stores_it(made: Recorded) -> None:
    assert not_as_stored(made) == []


def test_no_marker_is_left_unbound(made: Recorded) -> None:
    assert containing(made, MARKER) == []


def test_there_is_no_gpu_pool_and_the_mirror_is_there(made: Recorded) -> None:
    assert "KarpenterGpuPool" not in top(made)
    assert "ImageMirrorWebhook" in top(made)


def test_the_one_key_reaches_the_cluster_by_the_name_of_its_secret_only(made: Recorded) -> None:
    key = made.only("aws:iam/accessKey:AccessKey", "backend-artifacts").outputs
    texts = [
        json.dumps(r.inputs, default=str) for r in made.all if r.package in ("kubernetes", "aws")
    ]
    holders = [text for text in texts if str(key["secret"]) in text]
    assert len(holders) == 1  # Secrets Manager's own version
    assert "secretString" in holders[0]


def test_a_profile_has_no_role_because_its_pods_read_the_key(made: Recorded) -> None:
    (profile,) = made.of(PROFILE)
    assert "plugins" not in profile.inputs["spec"]


def test_the_account_that_reads_secrets_may_do_nothing_else(made: Recorded) -> None:
    account = "kubernetes:core/v1:ServiceAccount"
    role = made.only(account, "kubeflow/kubeflow-secrets-manager-sa").inputs["metadata"]
    arn = role["annotations"]["eks.amazonaws.com/role-arn"]
    (reader,) = [r for r in made.of("aws:iam/role:Role") if r.outputs["arn"] == arn]
    policies: list[dict[str, Any]] = [
        json.loads(r.inputs["policy"])
        for r in made.of("aws:iam/rolePolicy:RolePolicy")
        if r.name == reader.name
    ]
    actions = {action for p in policies for s in p["Statement"] for action in s["Action"]}
    assert actions == {
        "secretsmanager:GetSecretValue",
        "secretsmanager:DescribeSecret",
        "kms:Decrypt",
    }
    attached = made.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    assert [r for r in attached if r.inputs["role"] == reader.outputs["name"]] == []


def test_no_kubernetes_secret_holds_what_comes_from_secrets_manager(made: Recorded) -> None:
    names = {r.name for r in made.of(SECRET)}
    assert not names & {"kubeflow/mysql-secret", "kubeflow/mlpipeline-minio-artifact"}


def test_both_ends_of_the_login_start_anew_when_what_they_read_changes(made: Recorded) -> None:
    assert {"auth/dex", "istio-system/authservice"} <= set(checksums(made))
    assert not_rolled(made) == set(READ_AGAIN)


def test_every_output_pastes(made: Recorded, tmp_path: Path) -> None:
    assert set(paste(made.exports, tmp_path)) == COMMANDS
