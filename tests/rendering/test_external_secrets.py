"""The External Secrets Operator: what it runs, what it may do, and what it is asked to copy."""

from __future__ import annotations

from typing import Any

import pytest

from rendering import ObjectKey
from tests.database_users import users
from tests.releases import PIPELINES_2
from tests.rendering.beijing import REGION, REGISTRY, Release, kubeflow, rendered
from tests.rendering.secret_writer import REMOTE, written

ACCOUNTS = {"kubeflow": "database-clients", "kubeflow-database": "database-init"}
"""Namespace that has ExternalSecrets -> the account its store signs in as."""

WRITING = {"create", "update", "patch", "delete", "deletecollection", "*"}


@pytest.fixture(scope="module")
def operator() -> Release:
    return Release(rendered("addons/external-secrets"))


def rules(operator: Release, namespace: str) -> dict[str, dict[str, Any]]:
    """group/resource -> the rule about it."""
    role = operator.get("Role", f"external-secrets-{namespace}", namespace)
    return {
        f"{group}/{resource}": rule
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_only_the_kinds_it_runs_are_installed(operator: Release) -> None:
    assert [crd["metadata"]["name"] for crd in operator.rendered.crds] == [
        "externalsecrets.external-secrets.io",
        # its controller is started whatever the flags say
        "generatorstates.generators.external-secrets.io",
        "secretstores.external-secrets.io",
    ]


def test_nothing_but_the_controllers_runs(operator: Release) -> None:
    kinds = {obj["kind"] for obj in operator.rendered.objects}
    assert kinds == {"Namespace", "ServiceAccount", "Role", "RoleBinding", "Deployment"}


def test_no_crd_needs_a_webhook(operator: Release) -> None:
    for crd in operator.rendered.crds:
        assert "conversion" not in crd["spec"]
        assert len([v for v in crd["spec"]["versions"] if v["served"]]) == 1


@pytest.mark.parametrize("namespace", ACCOUNTS)
def test_a_controller_watches_one_namespace_and_has_the_rest_switched_off(
    operator: Release, namespace: str
) -> None:
    workload = operator.get("Deployment", f"external-secrets-{namespace}", "external-secrets")
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{REGISTRY}/ghcr.io/external-secrets/external-secrets:v2.9.0"
    assert container["args"][:6] == [
        f"--namespace={namespace}",
        "--enable-cluster-store-reconciler=false",
        "--enable-cluster-external-secret-reconciler=false",
        "--enable-cluster-push-secret-reconciler=false",
        "--enable-push-secret-reconciler=false",
        "--enable-generator-state=false",
    ]
    assert {"name": "AWS_REGION", "value": REGION} in container["env"]
    assert {"name": "AWS_EC2_METADATA_DISABLED", "value": "true"} in container["env"]


@pytest.mark.parametrize("namespace", ACCOUNTS)
def test_a_controller_may_write_secrets_of_its_namespace_and_nothing_elsewhere(
    operator: Release, namespace: str
) -> None:
    allowed = rules(operator, namespace)
    assert {what for what, rule in allowed.items() if WRITING & {*rule["verbs"]}} == {
        "/secrets",
        "/serviceaccounts/token",
        "/events",
        "external-secrets.io/externalsecrets",
        "external-secrets.io/externalsecrets/finalizers",
        "external-secrets.io/externalsecrets/status",
        "external-secrets.io/secretstores/status",
    }
    binding = operator.get("RoleBinding", f"external-secrets-{namespace}", namespace)
    account = {"kind": "ServiceAccount", "name": f"external-secrets-{namespace}"}
    assert binding["subjects"] == [{**account, "namespace": "external-secrets"}]
    assert operator.all("ClusterRole") == []


@pytest.mark.parametrize(("namespace", "account"), ACCOUNTS.items())
def test_a_controller_signs_in_as_the_stores_account_only(
    operator: Release, namespace: str, account: str
) -> None:
    for built in (operator, *map(kubeflow, PIPELINES_2)):
        token = rules(built, namespace)["/serviceaccounts/token"]
        assert (token["verbs"], token["resourceNames"]) == (["create"], [account])
    store = kubeflow().get("SecretStore", "secrets-manager", namespace)
    assert store["spec"] == {
        "provider": {
            "aws": {
                "service": "SecretsManager",
                "region": REGION,
                "auth": {"jwt": {"serviceAccountRef": {"name": account}}},
            }
        }
    }
    role = kubeflow().get("ServiceAccount", account, namespace)["metadata"]["annotations"]
    assert role == {"eks.amazonaws.com/role-arn": f"<<role.{account}>>"}


def test_every_namespace_with_an_external_secret_has_its_controller() -> None:
    namespaces = {obj["metadata"]["namespace"] for obj in kubeflow().all("ExternalSecret")}
    assert namespaces == ACCOUNTS.keys()


def test_the_job_is_given_the_master_user_and_every_components_user() -> None:
    name = "database-init-<<database.rotation>>"
    files = written(kubeflow().get("ExternalSecret", name, "kubeflow-database"), REMOTE)
    assert files["client.cnf"].splitlines() == [
        "[client]",
        "host=db.example.rds.cn-north-1.amazonaws.com.cn",
        "port=3306",
        "user=kubeflow",
        "password=passwordOfmaster",
        "connect-timeout=10",
        "ssl-mode=VERIFY_IDENTITY",
        "ssl-ca=/etc/database-authorities/authorities.pem",
    ]
    for component, user in users().items():
        assert files[f"{component}.username"] == user.user
        assert files[f"{component}.database"] == user.database
        assert files[f"{component}.password"] == f"passwordOf{user.user}"
        assert files[f"{component}.cnf"].splitlines() == [
            "!include /etc/database-secrets/client.cnf",
            "[client]",
            f"user={user.user}",
            f"password=passwordOf{user.user}",
        ]


def test_an_external_secret_is_written_before_the_pods_that_read_it_and_deleted_after() -> None:
    order = kubeflow().rendered.prerequisites
    version = "external-secrets.io/v1"
    for namespace in ACCOUNTS:
        store = ObjectKey(version, "SecretStore", namespace, "secrets-manager")
        controller = f"external-secrets-{namespace}"
        assert ObjectKey("apps/v1", "Deployment", "external-secrets", controller) in order[store]
    for name in users():
        external = ObjectKey(
            version, "ExternalSecret", "kubeflow", f"{name}-database-<<database.rotation>>"
        )
        assert any(external in needs for needs in order.values())


def test_the_job_runs_before_the_clients_of_its_users() -> None:
    job = ObjectKey("batch/v1", "Job", "kubeflow-database", "database-init-<<database.rotation>>")
    after = {
        key.full_name for key, needs in kubeflow().rendered.prerequisites.items() if job in needs
    }
    assert after == {user.deployment for user in users().values()}
