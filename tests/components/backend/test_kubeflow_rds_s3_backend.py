"""Who may use the bucket and the database: a role per service account, and by default no key."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from settings import from_mapping
from tests.components.backend.simulated_backend import (
    ACCOUNT,
    SECRET,
    SECRET_TEXT,
    arn,
    backend,
    component,
    document,
    issuer,
)
from tests.consumers.access_decisions import allowed
from tests.database_users import users
from tests.harness import REGIONS, Recorded, run

ROLE, ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
every_region = pytest.mark.parametrize("region", REGIONS)


def statements(recorded: Recorded, role: str) -> dict[str, Any]:
    found = document(recorded.only(ROLE_POLICY, f"backend-{role}"))["Statement"]
    return {statement["Sid"]: statement for statement in found}


# -- roles -----------------------------------------------------------------------------------------

TRUSTED = [
    ("ml-pipeline", "kubeflow:ml-pipeline"),
    ("profile-team-a", "team-a:default-editor"),
    ("profile-team-b", "team-b:default-editor"),
    ("database-init", "kubeflow-database:database-init"),
]
READER = "database-clients"
READERS = ["kubeflow:database-clients", "kubeflow:kubeflow-secrets-manager-sa"]


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


@every_region
def test_the_components_secrets_are_brought_by_either_releases_reader(region: str) -> None:
    found = document(backend(region).only(ROLE, f"backend-{READER}"), "assumeRolePolicy")
    (statement,) = found["Statement"]
    subjects = statement["Condition"]["StringEquals"][f"{issuer(region)}:sub"]
    assert subjects == [f"system:serviceaccount:{account}" for account in READERS]


def test_no_other_role_exists_and_none_has_a_managed_policy() -> None:
    recorded = backend()
    expected = {f"backend-{role}" for role, _ in TRUSTED} | {f"backend-{READER}"}
    assert {r.name for r in recorded.of(ROLE)} == expected
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


A, B = "profile-team-a", "profile-team-b"
API = "ml-pipeline"
PREFIX = "private-artifacts"
POD = "wf/2026/01/02/wf-system-container-impl-1"
LOG = f"{POD}/main.log"
METRICS = f"{POD}/mlpipeline-metrics.tgz"
WRITES = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]


@every_region
@pytest.mark.parametrize(
    ("role", "action", "key", "expected"),
    [
        # -- a profile has its own
        (A, "s3:GetObject", f"{PREFIX}/team-a/v2/artifacts/p/model", True),
        *((A, action, f"{PREFIX}/team-a/v2/artifacts/p/model", True) for action in WRITES),
        (A, "s3:GetObject", f"{PREFIX}/team-b/v2/artifacts/p/model", False),
        *((A, action, f"{PREFIX}/team-b/v2/artifacts/p/model", False) for action in WRITES),
        (A, "s3:GetObject", f"{PREFIX}/team-b/{LOG}", False),
        (A, "s3:GetObject", f"{PREFIX}/team-ab/{LOG}", False),
        (A, "s3:GetObject", f"{PREFIX}/team-b/../team-a/x", False),
        (A, "s3:GetObject", "pipelines/1", False),
        (B, "s3:GetObject", f"{PREFIX}/team-a/{LOG}", False),
        # -- the API server reads two kinds: it takes keys from the status of a Workflow, which its
        # user may write
        (API, "s3:GetObject", f"{PREFIX}/team-b/{METRICS}", True),
        (API, "s3:GetObject", "pipelines/1", True),
        (API, "s3:GetObject", f"{PREFIX}/team-b/model", False),
        (API, "s3:GetObject", f"{PREFIX}/team-b/v2/artifacts/p/model", False),
        (API, "s3:GetObject", f"{PREFIX}/team-b/{LOG}", False),
        (API, "s3:GetObject", f"{PREFIX}/team-b/{METRICS}/model", False),
        (API, "s3:GetObject", f"{PREFIX}/team-b/{METRICS}.old", False),
        (API, "s3:GetObject", f"{PREFIX}/team-b/my-mlpipeline-metrics.tgz", False),
        (API, "s3:GetObject", f"other/{METRICS}", False),
        (API, "s3:GetObject", "other/1", False),
        (API, "s3:GetObjectVersion", f"{PREFIX}/team-b/{METRICS}", False),
        *((API, action, f"{PREFIX}/team-b/{METRICS}", False) for action in WRITES),
        *((API, action, "pipelines/1", False) for action in WRITES),
    ],
)
def test_an_object_is_for_these_roles(
    region: str, role: str, action: str, key: str, expected: bool
) -> None:
    policy = document(backend(region).only(ROLE_POLICY, f"backend-{role}"))
    resource = arn(region, f"s3:::kubeflow-{ACCOUNT}-{region}/{key}")
    assert allowed(policy, action, resource) is expected


@every_region
@pytest.mark.parametrize(
    ("role", "prefix", "expected"),
    [
        (A, f"{PREFIX}/team-a/v2/", True),
        (A, f"{PREFIX}/team-b/v2/", False),
        (A, f"{PREFIX}/", False),
        (A, "", False),
        (A, None, False),
        # HeadBucket, the API server's first request, has no prefix; it lists nothing.
        (API, None, True),
        (API, f"{PREFIX}/team-a/", False),
    ],
)
def test_a_list_of_keys_is_for_these_roles(
    region: str, role: str, prefix: str | None, expected: bool
) -> None:
    policy = document(backend(region).only(ROLE_POLICY, f"backend-{role}"))
    bucket = arn(region, f"s3:::kubeflow-{ACCOUNT}-{region}")
    context = {} if prefix is None else {"s3:prefix": prefix}
    assert allowed(policy, "s3:ListBucket", bucket, context) is expected
    assert allowed(policy, "s3:GetBucketLocation", bucket) is (role == A)
    assert not allowed(policy, "s3:CreateBucket", bucket)


@every_region
def test_who_writes_nothing_makes_no_data_key(region: str) -> None:
    found = statements(backend(region), API)["ArtifactKey"]
    assert found["Action"] == ["kms:Decrypt"]
    assert found["Resource"].startswith(arn(region, f"kms:{region}:{ACCOUNT}:key/"))


def test_the_artifact_prefix_is_the_settings() -> None:
    recorded = backend(artifacts={"prefix": "runs/all"})
    found = statements(recorded, "profile-team-a")
    assert found["Artifacts"]["Resource"][0].endswith("/runs/all/team-a/*")
    bucket = arn(REGIONS[0], f"s3:::kubeflow-{ACCOUNT}-{REGIONS[0]}")
    policy = document(recorded.only(ROLE_POLICY, f"backend-{API}"))
    assert allowed(policy, "s3:GetObject", f"{bucket}/runs/all/team-a/{METRICS}")
    assert not allowed(policy, "s3:GetObject", f"{bucket}/{PREFIX}/team-a/{METRICS}")


@every_region
def test_the_roles_come_out_under_the_names_the_manifests_use(region: str) -> None:
    exports = backend(region).exports
    assert set(exports["roles"]) == {
        *("ml-pipeline", "profile-default-editor", "database-clients", "database-init")
    }
    assert set(exports["profiles"]) == {"team-a", "team-b"}
    assert exports["roles"]["profile-default-editor"] == exports["profiles"]["team-a"]
    for role in (*exports["roles"].values(), *exports["profiles"].values()):
        assert role.startswith(arn(region, f"iam::{ACCOUNT}:role/"))


@pytest.mark.parametrize("role", ["ml-pipeline", "profile-default-editor", "database-init"])
def test_a_dependent_of_a_role_waits_for_its_rights(role: str) -> None:
    settings = from_mapping({"region": "cn-north-1"})

    def program() -> None:
        annotation = {"eks.amazonaws.com/role-arn": component(settings).role_arns[role]}
        account = {"metadata": {"annotations": annotation}}
        pulumi.CustomResource("kubernetes:core/v1:ServiceAccount", "account", account)

    recorded = run(program)
    waiting = recorded.dependencies_of(recorded.only("kubernetes:core/v1:ServiceAccount"))
    assert {kind for kind, _ in waiting} >= {ROLE, ROLE_POLICY}


def test_the_longest_namespace_still_gives_a_role_name() -> None:
    # IAM: 64 characters, of which the provider appends 26 to a prefix.
    recorded = backend(users=[{"email": "a@x.org", "namespace": "n" * 63}])
    for role in recorded.of(ROLE):
        assert len(role.inputs["namePrefix"]) <= 38
        assert role.inputs["namePrefix"].startswith("kubeflow-")


# -- who reads which secret ------------------------------------------------------------------------

COMPONENTS = [f"backend-database-users-{component}" for component in users()]
READ = [
    ("database-clients", "irsa", COMPONENTS),
    ("database-clients", "static-key", [*COMPONENTS, "backend-artifacts"]),
    ("database-init", "irsa", [*COMPONENTS, "backend-database-master"]),
    ("database-init", "static-key", [*COMPONENTS, "backend-database-master"]),
]


@every_region
@pytest.mark.parametrize(("role", "credentials", "expected"), READ)
def test_a_role_reads_exactly_its_secrets(
    region: str, role: str, credentials: str, expected: list[str]
) -> None:
    recorded = backend(region, artifacts={"credentials": credentials})
    found = statements(recorded, role)
    assert set(found) == {"ReadSecrets", "SecretKey"}
    arns = [recorded.only(SECRET, name).outputs["arn"] for name in expected]
    assert found["ReadSecrets"]["Resource"] == arns
    assert found["SecretKey"]["Resource"].startswith(arn(region, f"kms:{region}:{ACCOUNT}:key/"))


@pytest.mark.parametrize("role", [role for role, _ in TRUSTED if not role.startswith("database")])
def test_a_role_for_artifacts_reads_no_secret(role: str) -> None:
    assert "secretsmanager" not in json.dumps(statements(backend(), role))


@pytest.mark.parametrize(
    ("credentials", "more"), [("irsa", set[str]()), ("static-key", {"artifacts"})]
)
def test_the_secrets_come_out_under_the_names_the_manifests_use(
    credentials: str, more: set[str]
) -> None:
    recorded = backend(artifacts={"credentials": credentials})
    told = recorded.exports["secrets"]
    assert set(told) == {*users(), "database-master"} | more
    assert set(told.values()) == {r.outputs["name"] for r in recorded.of(SECRET)}


# -- keys ------------------------------------------------------------------------------------------


@every_region
def test_by_default_there_is_no_user_and_no_access_key(region: str) -> None:
    recorded = backend(region)
    assert recorded.none("aws:iam/user:User")
    assert recorded.none("aws:iam/accessKey:AccessKey")
    assert not [r for r in recorded.of(SECRET_TEXT) if "accesskey" in r.inputs["secretString"]]


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


def test_with_a_static_key_no_role_reaches_artifacts() -> None:
    exports = backend(artifacts={"credentials": "static-key"}).exports
    assert set(exports["roles"]) == {"database-clients", "database-init"}
    assert not exports["profiles"]
