"""Who reaches the catalog of models: the rendered policy in a real Envoy, as a sidecar has it."""

from __future__ import annotations

from collections.abc import Generator, Mapping

import pytest

from tests.rendering.beijing import kubeflow
from tests.rendering.profile_hooks import WITH_CATALOG
from tests.services import mesh
from tests.services.mesh import Mesh, Workload
from tests.services.test_model_registry_callers import ALICE, GATEWAY, PAGES, TOKEN

HOST = "model-catalog.kubeflow"
PATH = "/api/model_catalog/v1alpha1/models"


@pytest.fixture(scope="module", params=sorted(WITH_CATALOG))
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Mesh]:
    release = kubeflow(request.param)
    labels = release.get("Deployment", "model-catalog-server")["spec"]["template"]["metadata"]
    catalog = Workload(HOST, "kubeflow/default", labels["labels"], lambda path, _: (200, path))
    gateway = Workload("gateway", GATEWAY, {"app": "istio-ingressgateway"})
    policy = release.get("AuthorizationPolicy", "model-catalog")
    folder = tmp_path_factory.mktemp("catalog")
    with mesh.running(folder, gateway, [catalog], [policy], []) as sidecars:
        yield sidecars


@pytest.mark.parametrize(
    ("account", "headers", "status"),
    [
        (GATEWAY, ALICE, 200),
        (PAGES, {}, 200),
        ("alice/default-editor", {}, 403),
        ("alice/default-editor", TOKEN, 200),
        (None, TOKEN, 200),
        (None, {}, 403),
        ("alice/default-editor", {**TOKEN, **ALICE}, 403),
        ("kubeflow/jupyter-web-app-service-account", {}, 403),
    ],
)
def test_who_reaches_the_registry_reads_the_catalog(
    running: Mesh, account: str | None, headers: Mapping[str, str], status: int
) -> None:
    assert running.ask(account, HOST, PATH, headers).status_code == status


@pytest.mark.parametrize(
    ("account", "headers"), [(GATEWAY, ALICE), (PAGES, {}), ("alice/default-editor", TOKEN)]
)
def test_nobody_asks_it_to_open_files_or_hosts(
    running: Mesh, account: str, headers: Mapping[str, str]
) -> None:
    preview = "/api/model_catalog/v1alpha1/sources/preview"
    assert running.ask(account, HOST, preview, headers, method="POST").status_code == 403
