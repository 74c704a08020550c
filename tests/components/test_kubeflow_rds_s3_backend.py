"""Who may use the bucket and the database: a role per service account, and by default no key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.components.simulated_backend import (
    ACCOUNT,
    PARTITIONS,
    SECRET_TEXT,
    arn,
    backend,
    document,
    issuer,
)
from tests.harness import REGIONS, Recorded

ROLE, ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
every_region = pytest.mark.parametrize("region", REGIONS)


def statements(recorded: Recorded, role: str) -> dict[str, Any]:
    found = document(recorded.only(ROLE_POLICY, f"backend-{role}"))["Statement"]
    return {statement["Sid"]: statement for statement in found}


# -- roles -----------------------------------------------------------------------------------------

TRUSTED = [
    ("ml-pipeline", "kubeflow:ml-pipeline"),
    ("ml-pipeline-ui", "kubeflow:ml-pipeline-ui"),
    ("profile-team-a", "team-a:default-editor"),
    ("profile-team-b", "team-b:default-editor"),
]


@every_region
@pytest.mark.parametrize(("role", "account"), TRUSTED)
def test_a_role_is_for_one_service_account_of_this_cluster(
    region: str, role: str, account: str
) -> None:
    found = document(backend(region).only(ROLE, f"backend-{role}"), "assumeRolePolicy")
    (statement,) = found["Statement"]
    provider = arn(region, f"iam::{ACCOUNT}:oidc-provider/{issuer(region)}")
    assert statement["Principal"] == {"Federated": provider}
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {
            f"{issuer(region)}:aud": "sts.amazonaws.com",
            f"{issuer(region)}:sub": f"system:serviceaccount:{account}",
        }
    }


def test_no_other_role_exists_and_none_has_a_managed_policy() -> None:
    recorded = backend()
    assert {r.name for r in recorded.of(ROLE)} == {f"backend-{role}" for role, _ in TRUSTED}
    assert recorded.none("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    assert all("managedPolicyArns" not in r.inputs for r in recorded.of(ROLE))


@every_region
@pytest.mark.parametrize("namespace", ["team-a", "team-b"])
def test_a_profile_reads_and_writes_its_own_artifacts_only(region: str, namespace: str) -> None:
    found = statements(backend(region), f"profile-{namespace}")
    bucket = arn(region, f"s3:::kubeflow-{ACCOUNT}-{region}")
    assert found["Artifacts"]["Resource"] == [f"{bucket}/private-artifacts/{namespace}/*"]
    assert {"s3:GetObject", "s3:PutObject"} <= {*found["Artifacts"]["Action"]}
    assert found["ListArtifacts"]["Condition"] == {
        "StringLike": {
            "s3:prefix": [f"private-artifacts/{namespace}", f"private-artifacts/{namespace}/*"]
        }
    }
    assert found["ArtifactKey"]["Resource"].startswith(arn(region, f"kms:{region}:{ACCOUNT}:key/"))


def test_the_api_server_writes_artifacts_and_pipeline_definitions() -> None:
    bucket = arn("cn-north-1", f"s3:::kubeflow-{ACCOUNT}-cn-north-1")
    found = statements(backend(), "ml-pipeline")["Artifacts"]
    assert found["Resource"] == [f"{bucket}/private-artifacts/*", f"{bucket}/pipelines/*"]
    assert "s3:PutObject" in found["Action"]


def test_the_user_interface_only_reads() -> None:
    found = statements(backend(), "ml-pipeline-ui")
    assert found["Artifacts"]["Action"] == ["s3:GetObject", "s3:GetObjectVersion"]
    assert found["ArtifactKey"]["Action"] == ["kms:Decrypt"]


def test_the_artifact_prefix_is_the_settings() -> None:
    found = statements(backend(artifacts={"prefix": "runs/all"}), "profile-team-a")
    assert found["Artifacts"]["Resource"][0].endswith("/runs/all/team-a/*")


@every_region
def test_the_roles_come_out_under_the_names_the_manifests_use(region: str) -> None:
    exports = backend(region).exports
    assert {"ml-pipeline", "ml-pipeline-ui", "profile-default-editor"} <= set(exports["roles"])
    assert set(exports["profiles"]) == {"team-a", "team-b"}
    assert exports["roles"]["profile-default-editor"] == exports["profiles"]["team-a"]
    for role in (*exports["roles"].values(), *exports["profiles"].values()):
        assert role.startswith(arn(region, f"iam::{ACCOUNT}:role/"))


def test_the_longest_namespace_still_gives_a_role_name() -> None:
    # IAM: 64 characters, of which the provider appends 26 to a prefix.
    recorded = backend(users=[{"email": "a@x.org", "namespace": "n" * 63}])
    for role in recorded.of(ROLE):
        assert len(role.inputs["namePrefix"]) <= 38
        assert role.inputs["namePrefix"].startswith("kubeflow-")


# -- keys ------------------------------------------------------------------------------------------


@every_region
def test_by_default_there_is_no_user_and_no_access_key(region: str) -> None:
    recorded = backend(region)
    assert recorded.none("aws:iam/user:User")
    assert recorded.none("aws:iam/accessKey:AccessKey")
    assert len(recorded.of(SECRET_TEXT)) == 1


@every_region
def test_a_static_key_opens_this_bucket_only_and_is_kept_in_secrets_manager(region: str) -> None:
    recorded = backend(region, artifacts={"credentials": "static-key"})
    recorded.only("aws:iam/accessKey:AccessKey")
    bucket = arn(region, f"s3:::kubeflow-{ACCOUNT}-{region}")
    policy = document(recorded.only("aws:iam/userPolicy:UserPolicy"))
    ours = (bucket, arn(region, f"kms:{region}:{ACCOUNT}:key/"))
    for statement in policy["Statement"]:
        named = statement["Resource"]
        assert all(r.startswith(ours) for r in (named if isinstance(named, list) else [named]))
    (kept,) = [v for v in recorded.of(SECRET_TEXT) if v.name == "backend-artifacts"]
    assert "secretString" in kept.secrets
    assert set(json.loads(kept.inputs["secretString"])) == {"accesskey", "secretkey"}


# -- everything ------------------------------------------------------------------------------------


@every_region
def test_everything_that_can_carry_tags_carries_the_stacks(region: str) -> None:
    tagged = [r for r in backend(region).all if "tags" in r.inputs]
    assert len(tagged) >= 12
    for resource in tagged:
        assert resource.inputs["tags"]["platform"] == "kubeflow", resource.name
        assert resource.inputs["tags"]["Name"], resource.name


@every_region
def test_nothing_names_another_partition(region: str) -> None:
    others = {partition for partition, _ in PARTITIONS.values()} - {PARTITIONS[region][0]}
    for resource in backend(region).all:
        text = json.dumps(resource.inputs, default=str)
        assert not any(f"arn:{other}:" in text for other in others), resource.name


def test_every_child_uses_the_stacks_own_provider() -> None:
    for resource in backend().all:
        if resource.type.startswith("aws:"):
            assert "pulumi:providers:aws::aws::" in resource.provider, resource.name
