"""The registry of models: its database, its callers, its pages, and what a profile sees of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rendering.beijing import ROTATION, Release, kubeflow, secret, strings
from tests.rendering.profile_hooks import ENVIRONMENTS, REGISTRY_HOST, WITH_REGISTRY, objects

AUTHORITIES = "/etc/database-authorities"
SERVER, UI = "model-registry-deployment", "model-registry-ui"


@pytest.fixture(scope="module", params=sorted(WITH_REGISTRY))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_registry_reads_the_whole_login_from_its_own_secret(release: Release) -> None:
    own = f"model-registry-database-{ROTATION}"
    assert release.environment(SERVER) == {
        "DATABASE_USER": secret(own, "username"),
        "DATABASE_PASSWORD": secret(own, "password"),
        "DATABASE_HOST": secret(own, "host"),
        "DATABASE_PORT": secret(own, "port"),
        "DATABASE_NAME": secret(own, "database"),
    }
    dsn = (
        "$(DATABASE_USER):$(DATABASE_PASSWORD)@tcp($(DATABASE_HOST):$(DATABASE_PORT))"
        "/$(DATABASE_NAME)?charset=utf8mb4"
    )
    arguments = release.container(SERVER)["args"]
    assert f"--embedmd-database-dsn={dsn}" in arguments
    assert "--embedmd-database-type=mysql" in arguments


def test_the_registry_asks_for_tls_and_checks_the_servers_name(release: Release) -> None:
    container = release.container(SERVER)
    file = f"--embedmd-database-ssl-root-cert={AUTHORITIES}/authorities.pem"
    assert {file, "--embedmd-database-ssl-verify-server-cert=true"} <= set(container["args"])
    (mount,) = container["volumeMounts"]
    assert (mount["mountPath"], mount["readOnly"]) == (AUTHORITIES, True)
    (volume,) = release.get("Deployment", SERVER)["spec"]["template"]["spec"]["volumes"]
    assert volume == {"name": mount["name"], "configMap": {"name": "database-authorities"}}


def test_hub_has_no_database_of_its_own_in_the_cluster(release: Release) -> None:
    for obj in release.rendered.objects:
        for text in strings(obj):
            assert "postgres" not in text.lower()
    images = {use.source.rpartition(":")[0] for use in release.rendered.images}
    assert {image for image in images if "/hub/" in image} == {
        "ghcr.io/kubeflow/hub/server",
        "ghcr.io/kubeflow/hub/ui",
    }


def test_pages_and_api_are_behind_the_gateway_that_asks_for_a_login(release: Release) -> None:
    routes = {
        http["match"][0]["uri"]["prefix"]: http["route"][0]["destination"]["host"]
        for each in ("model-registry", UI)
        for http in release.get("VirtualService", each)["spec"]["http"]
        if release.get("VirtualService", each)["spec"]["gateways"] == ["kubeflow-gateway"]
    }
    assert routes == {
        "/api/model_registry/": REGISTRY_HOST,
        "/model-registry/": "model-registry-ui-service.kubeflow.svc.cluster.local",
    }


def test_no_account_of_hub_can_read_a_secret_or_write_anything(release: Release) -> None:
    rules = [
        rule
        for kind in ("ClusterRole", "Role")
        for obj in release.all(kind)
        if obj["metadata"]["name"].startswith("model-registry")
        for rule in obj["rules"]
    ]
    assert {resource for rule in rules for resource in rule["resources"]} == {
        "clusterrolebindings",
        "services",
        "subjectaccessreviews",
    }
    for rule in rules:
        asks = rule["resources"] == ["subjectaccessreviews"]
        assert set(rule["verbs"]) <= ({"create"} if asks else {"get", "list", "watch"})


# -- in a profile ----------------------------------------------------------------------------------


def test_the_pages_find_the_registry_in_every_profile(name: str) -> None:
    shown = objects(name, name="bob")
    service = shown["Service model-registry"]
    # kubeflow/hub clients/ui/bff/internal/integrations/kubernetes/shared_k8s_client.go
    assert service["metadata"]["labels"] == {"component": "model-registry"}
    (port,) = service["spec"]["ports"]
    assert (port["name"], port["port"]) == ("http-api", 8080)
    # No pod of the user can stand behind it.
    assert "selector" not in service["spec"]
    route = shown["VirtualService model-registry"]["spec"]
    assert route["hosts"] == ["model-registry.bob.svc.cluster.local"]
    assert "gateways" not in route
    (http,) = route["http"]
    (to,) = http["route"]
    host, _, _ = to["destination"]["host"].partition(".svc.")
    target, namespace = host.split(".")
    real = kubeflow(name).get("Service", target, namespace)
    assert to["destination"]["port"]["number"] in {p["port"] for p in real["spec"]["ports"]}


def test_the_profile_controller_is_told_the_registry_and_may_show_it(release: Release) -> None:
    told = release.environment("kubeflow-pipelines-profile-controller")
    assert told["MODEL_REGISTRY"] == REGISTRY_HOST
    (controller,) = release.all("DecoratorController")
    made: list[dict[str, Any]] = controller["spec"]["attachments"]
    kinds = {(each["apiVersion"], each["resource"]): each for each in made}
    routes = kinds["networking.istio.io/v1", "virtualservices"]
    assert routes["updateStrategy"] == {"method": "InPlace"}
    rules = release.get("ClusterRole", "kubeflow-metacontroller")["rules"]
    (rule,) = [rule for rule in rules if "virtualservices" in rule["resources"]]
    assert rule["apiGroups"] == ["networking.istio.io"]
    assert {"create", "update", "delete", "watch"} <= set(rule["verbs"])


def test_a_release_without_a_registry_shows_none() -> None:
    for name in ENVIRONMENTS.keys() - WITH_REGISTRY:
        assert not [key for key in objects(name) if "model-registry" in key]
