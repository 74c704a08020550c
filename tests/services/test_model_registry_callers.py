"""Who reaches the registry of models: the rendered policy in a real Envoy, as a sidecar has it."""

from __future__ import annotations

from collections.abc import Generator, Mapping

import pytest

from tests.rendering.beijing import kubeflow
from tests.rendering.profile_hooks import WITH_REGISTRY
from tests.services import mesh
from tests.services.mesh import Mesh, Workload

PATH = "/api/model_registry/v1alpha3/registered_models"
GATEWAY = "istio-system/istio-ingressgateway-service-account"
PAGES = "kubeflow/model-registry-ui"


@pytest.fixture(scope="module", params=sorted(WITH_REGISTRY))
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Mesh]:
    release = kubeflow(request.param)
    pod = release.get("Deployment", "model-registry-deployment")["spec"]["template"]
    registry = Workload(
        "model-registry-service.kubeflow",
        f"kubeflow/{pod['spec']['serviceAccountName']}",
        pod["metadata"]["labels"],
        lambda path, _headers: (200, path),
    )
    gateway = Workload("gateway", GATEWAY, {"app": "istio-ingressgateway"})
    policy = release.get("AuthorizationPolicy", "model-registry-service")
    folder = tmp_path_factory.mktemp("registry")
    with mesh.running(folder, gateway, [registry], [policy], []) as sidecars:
        yield sidecars


ALICE = {"kubeflow-userid": "alice@example.com"}
TOKEN = {"authorization": "Bearer of-a-pod"}


@pytest.mark.parametrize(
    ("account", "headers", "status"),
    [
        (GATEWAY, ALICE, 200),
        # The pages send neither header (kubeflow/hub clients/ui/bff/internal/api/middleware.go).
        (PAGES, {}, 200),
        ("alice/default-editor", {}, 403),
        ("alice/default-editor", TOKEN, 200),
        # A step of a pipeline has no sidecar, and so no identity.
        (None, TOKEN, 200),
        (None, {}, 403),
        # Nobody but the gateway says who the user is.
        ("alice/default-editor", {**TOKEN, **ALICE}, 403),
        (None, {**TOKEN, **ALICE}, 403),
        ("kubeflow/jupyter-web-app-service-account", {}, 403),
    ],
)
def test_the_gateway_the_pages_and_pods_with_a_token_reach_the_registry(
    running: Mesh, account: str | None, headers: Mapping[str, str], status: int
) -> None:
    answer = running.ask(account, "model-registry-service.kubeflow", PATH, headers)
    assert answer.status_code == status
