"""The catalog of models: its own database, its callers, and what a stack without it has."""

from __future__ import annotations

from typing import Any

import pytest

from rendering import Object, Rendered, render
from rendering.optional import name_of
from tests.rendering.beijing import MANIFESTS, REGISTRY, ROTATION, Release, kubeflow, secret
from tests.rendering.profile_hooks import (
    CATALOG_HOST,
    ENVIRONMENTS,
    SYNC,
    WITH_CATALOG,
    WITH_REGISTRY,
    namespace,
)

SERVER, CONTROLLER = "model-catalog-server", "kubeflow-pipelines-profile-controller"
AUTHORITIES = "/etc/database-authorities"


@pytest.fixture(scope="module", params=sorted(WITH_CATALOG))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def without(name: str) -> Rendered:
    return render(
        MANIFESTS / name,
        partition="aws-cn",
        dns_suffix="amazonaws.com.cn",
        registry=REGISTRY,
        optional_parts=(),
    )


def test_the_release_with_the_registry_has_a_catalog_on_request() -> None:
    assert WITH_CATALOG == WITH_REGISTRY


def test_the_server_has_the_whole_login_in_the_variables_of_postgresql(release: Release) -> None:
    own = f"model-catalog-database-{ROTATION}"
    assert release.environment(SERVER) == {
        "PGHOST": secret(own, "host"),
        "PGPORT": secret(own, "port"),
        "PGUSER": secret(own, "username"),
        "PGPASSWORD": secret(own, "password"),
        "PGDATABASE": secret(own, "database"),
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": f"{AUTHORITIES}/authorities.pem",
    }
    mounts = {each["name"]: each["mountPath"] for each in release.container(SERVER)["volumeMounts"]}
    assert mounts == {"database-authorities": AUTHORITIES, "sources": "/catalog"}
    pod = release.get("Deployment", SERVER)["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert {each["name"]: each["configMap"]["name"] for each in pod["volumes"]} == {
        "database-authorities": "database-authorities",
        "sources": "model-catalog-sources",
    }


def test_its_secret_is_that_of_secrets_manager(release: Release) -> None:
    (own,) = [
        each
        for each in release.all("ExternalSecret")
        if each["metadata"]["name"] == f"model-catalog-database-{ROTATION}"
    ]
    assert own["spec"]["dataFrom"] == [{"extract": {"key": "<<secret.model-catalog>>"}}]
    assert own["spec"]["secretStoreRef"]["name"] == "secrets-manager"


def test_nothing_of_upstreams_database_examples_and_key_is_left(release: Release) -> None:
    ours = {name_of(obj) for obj in release.rendered.objects if of_catalog(obj)}
    assert ours == {
        "AuthorizationPolicy kubeflow/model-catalog",
        "ConfigMap kubeflow/model-catalog-sources",
        "Deployment kubeflow/model-catalog-server",
        "DestinationRule kubeflow/model-catalog-service",
        f"ExternalSecret kubeflow/model-catalog-database-{ROTATION}",
        "NetworkPolicy kubeflow/model-catalog",
        "Service kubeflow/model-catalog",
        "VirtualService kubeflow/model-catalog",
    }
    sources = release.get("ConfigMap", "model-catalog-sources")["data"]
    assert sources == {"sources.yaml": "<<model-catalog.sources>>"}


def of_catalog(obj: Object) -> bool:
    return "model-catalog" in obj["metadata"]["name"]


def test_nobody_is_killed_before_the_tables_are_made(release: Release) -> None:
    probe = release.container(SERVER)["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 3600
    assert probe["tcpSocket"] == release.container(SERVER)["livenessProbe"]["tcpSocket"]


def test_a_stack_that_does_not_ask_for_it_has_nothing_of_it(name: str, release: Release) -> None:
    bare = without(name)
    assert [name_of(obj) for obj in bare.objects if of_catalog(obj)] == [
        "NetworkPolicy kubeflow/model-catalog"
    ]
    told = Release(bare).environment(CONTROLLER)
    whole = release.environment(CONTROLLER)
    assert whole.keys() - told.keys() == {"MODEL_CATALOG"}
    assert whole["MODEL_CATALOG"] == CATALOG_HOST


# -- in a profile ----------------------------------------------------------------------------------


def in_profile(name: str, **more: str) -> dict[str, dict[str, Any]]:
    module = SYNC[name]
    made = module.desired(namespace("bob"), module.settings_from({**ENVIRONMENTS[name], **more}))
    return {f"{obj['kind']} {obj['metadata']['name']}": obj for obj in made}


def test_the_pages_find_the_catalog_in_every_profile(name: str) -> None:
    plain, shown = in_profile(name), in_profile(name, MODEL_CATALOG=CATALOG_HOST)
    assert shown.keys() - plain.keys() == {
        "Service model-catalog",
        "VirtualService model-catalog",
    }
    service = shown["Service model-catalog"]
    # kubeflow/hub v0.3.8 clients/ui/bff/internal/repositories/model_catalog.go: by this name and
    # this label, at the port of this name.
    assert service["metadata"]["labels"] == {"component": "model-catalog"}
    assert [port["name"] for port in service["spec"]["ports"]] == ["http-api"]
    assert "selector" not in service["spec"]
    route = shown["VirtualService model-catalog"]["spec"]
    assert route["hosts"] == ["model-catalog.bob.svc.cluster.local"]
    assert "gateways" not in route
    to = route["http"][0]["route"][0]["destination"]
    real = kubeflow(name).get("Service", *CATALOG_HOST.split(".")[:2])
    assert to == {"host": CATALOG_HOST, "port": {"number": real["spec"]["ports"][0]["port"]}}
