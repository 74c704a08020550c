"""What one user reaches of another's, through the objects that the platform renders.

Real: Envoy, mutual TLS, the rendered policies and routes, the objects of sync.py and profiles.py.
Stand-ins: the gateway's login (a request has the header kubeflow-userid that it would write), and
the applications. The UI's does as its source says: it hands a request for artifacts with
``namespace`` and all its headers to the artifact server of that namespace (kubeflow/pipelines
2.16.0 frontend/server/handlers/artifacts.ts, getArtifactsProxyHandler), and takes a request for its
open proxy by path or by Referer (proxy-middleware.ts), in 2.17.0 for a TensorBoard by a signed path
(handlers/tensorboard-proxy.ts). Its paths are Express's: in any letters, as
they came, not decoded (tests/consumers/test_ui_routes.py). No registry has the real one;
docs/known-risks.md has what was seen with it.
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Generator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
import yaml

from components.kubeflow import profiles
from rendering import Object
from rendering.release import load
from settings.users import User
from tests.releases import version_of_pipelines
from tests.rendering.beijing import MANIFESTS, kubeflow
from tests.rendering.profile_hooks import OLD, SCRIPTS, objects
from tests.services import mesh
from tests.services.mesh import Mesh, Workload

USERS = [
    User(email="ann@example.org", namespace="team-a"),
    User(email="bea@example.org", namespace="team-b", contributors=["col@example.org"]),
]
ARTIFACT = "/pipeline/artifacts/get?source=s3&bucket=b&key=private-artifacts/team-b/model"
GATEWAY = Workload(
    "gateway",
    "istio-system/istio-ingressgateway-service-account",
    {"app": "istio-ingressgateway", "istio": "ingressgateway"},
)
OF_NOTEBOOKS = "cluster.local/ns/kubeflow/sa/notebook-controller-service-account"
LOCAL_GATEWAY = "istio-system/cluster-local-gateway-service-account"
"""The account of the pods behind Service knative-local-gateway."""
MIDDLEWARE = "/apis/v1beta1/_proxy/"
TENSORBOARD = "/apps/tensorboard/proxy/"
PUBLISHED_KEY = "minio123"
"""What signs the path of a TensorBoard where nothing else is set (configs.ts of 2.17.0)."""
OF_TENSORBOARDS = re.compile(f"(/pipeline)?{TENSORBOARD}.*", re.IGNORECASE)
OF_ARTIFACTS = re.compile("(/pipeline)?/artifacts/.*", re.IGNORECASE)
"""Paths of the UI's artifact handler, with its base path and without (app.ts)."""
LOGIN = {"istio-ingressgateway-oauth2-proxy", "istio-ingressgateway-require-jwt"}
"""Policies of the gateway that the header stands for."""
WITHOUT_SIDECAR: Object = {
    "metadata": {"name": "without-sidecar", "namespace": "kubeflow"},
    "spec": {"selector": {"matchLabels": {"component": "metadata-envoy"}}, "rules": [{}]},
}
"""Nothing is judged at metadata-envoy: its pod has no sidecar."""
_SERVING = (MANIFESTS.parent / "docs/serving.md").read_text()
_BLOCKS = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", _SERVING, re.DOTALL))
(LET_IN,) = (block for block in _BLOCKS if block["kind"] == "AuthorizationPolicy")
"""What docs/serving.md tells an administrator to apply for a model of team-a."""


def proxies_anything(release: str) -> bool:
    """Whether the UI of Pipelines proxies to any host; later ones sign paths of TensorBoards."""
    return version_of_pipelines(release).startswith(("1.", "2.16."))


def owner_access(user: User, release: str) -> Object:
    """What the profile controller makes of a Profile.

    components/profile-controller/controllers/profile_controller.go, getAuthorizationPolicy, of
    kubeflow/kubeflow v1.10.0 and kubeflow/dashboard v2.0.0; the principals are those of the
    rendered ConfigMap profiles-config. That of v1.5.0 believes the header of every caller.
    """
    config = kubeflow(release).get("ConfigMap", "profiles-config")["data"]
    header = {"key": "request.headers[kubeflow-userid]", "values": [user.email]}
    owner: Object = {"when": [header]}
    notebooks = OF_NOTEBOOKS
    if release != OLD:
        callers = [config["ISTIO_INGRESS_GATEWAY_PRINCIPAL"], config["KFP_UI_PRINCIPAL"]]
        owner["from"] = [{"source": {"principals": callers}}]
        notebooks = config["NOTEBOOK_CONTROLLER_PRINCIPAL"]
    own = {"key": "source.namespace", "values": [user.namespace]}
    probed = {"paths": ["/healthz", "/metrics", "/wait-for-drain"]}
    kernels = {"methods": ["GET"], "paths": ["*/api/kernels"]}
    return {
        "metadata": {"name": "ns-owner-access-istio", "namespace": user.namespace},
        "spec": {
            "action": "ALLOW",
            "rules": [
                owner,
                {"when": [own]},
                {"to": [{"operation": probed}]},
                {
                    "from": [{"source": {"principals": [notebooks]}}],
                    "to": [{"operation": kernels}],
                },
            ],
        },
    }


def of_profiles(release: str) -> list[Object]:
    """The policies in the namespaces of all users."""
    parts = load(MANIFESTS / release).parts
    found: list[Object] = []
    for user in USERS:
        made = [*objects(release, name=user.namespace).values()]
        found += [owner_access(user, release), *profiles.contributor_objects(user, parts), *made]
    return [obj for obj in found if obj.get("kind", "AuthorizationPolicy") == "AuthorizationPolicy"]


def signing_key(release: str) -> str:
    """Of paths of TensorBoards, as the UI's variables say."""
    variables = kubeflow(release).environment("ml-pipeline-ui")
    given = variables.get("TENSORBOARD_PROXY_SIGNING_SECRET", PUBLISHED_KEY)
    return str(uuid4()) if given == {"fieldRef": {"fieldPath": "metadata.uid"}} else given


def token(key: str) -> str:
    """Of the TensorBoard `board` in team-b (tensorboard-proxy.ts, createTensorboardProxyPath)."""
    payload = json.dumps({"namespace": "team-b", "viewerName": "board"}, separators=(",", ":"))
    signed = hmac.digest(key.encode(), payload.encode(), "sha256")
    parts = (urlsafe_b64encode(part).decode().rstrip("=") for part in (payload.encode(), signed))
    return ".".join(parts)


class Applications:
    """What stands behind the sidecars."""

    def __init__(self, release: str) -> None:
        self.mesh: Mesh | None = None
        self.generic_proxy = proxies_anything(release)
        self.token = token(signing_key(release))
        self.handed_on: list[tuple[str, Mapping[str, str]]] = []
        """Namespace and headers: whoever edits it may own what answers there, without a sidecar."""

    def ui(self, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
        referer = headers.get("referer", "").lower()
        if self.generic_proxy and (MIDDLEWARE in path.lower() or MIDDLEWARE in referer):
            return 200, "proxied to any host"
        asked = urlsplit(path)
        if not self.generic_proxy and OF_TENSORBOARDS.fullmatch(asked.path):
            given = asked.path.partition(TENSORBOARD)[2].partition("/")[0]
            admitted = hmac.compare_digest(given, self.token)
            return (200, "a TensorBoard") if admitted else (403, "Invalid TensorBoard proxy target")
        (namespace,) = parse_qs(asked.query).get("namespace", [""])
        if not namespace or not OF_ARTIFACTS.fullmatch(asked.path):
            return 200, "the UI itself"
        assert self.mesh is not None
        self.handed_on.append((namespace, headers))
        url = f"http://127.0.0.1:{self.mesh.port('outbound')}"
        host = {"Host": f"ml-pipeline-ui-artifact.{namespace}"}
        answer = mesh.request(url + path.replace("namespace=", "was="), {**headers, **host})
        return answer.status_code, answer.text

    def metadata(self, _path: str, _headers: Mapping[str, str]) -> tuple[int, str]:
        return 200, "metadata"

    def artifacts(self, namespace: str) -> Workload:
        def answer(_path: str, _headers: Mapping[str, str]) -> tuple[int, str]:
            return 200, f"artifact of {namespace}"

        labels = {"app": "ml-pipeline-ui-artifact"}
        name = f"ml-pipeline-ui-artifact.{namespace}"
        return Workload(name, f"{namespace}/default-editor", labels, answer)

    def model(self, namespace: str) -> Workload:
        """The server of an InferenceService."""

        def answer(_path: str, _headers: Mapping[str, str]) -> tuple[int, str]:
            return 200, f"predicted in {namespace}"

        labels = {"serving.kserve.io/inferenceservice": "iris"}
        name = f"iris-predictor.{namespace}"
        return Workload(name, f"{namespace}/default-editor", labels, answer)


@pytest.fixture(scope="module", params=SCRIPTS)
def platform(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[str, Mesh, Applications]]:
    release: str = request.param
    applications = Applications(release)
    ui = Workload(
        "ml-pipeline-ui.kubeflow",
        "kubeflow/ml-pipeline-ui",
        {"app": "ml-pipeline-ui"},
        applications.ui,
    )
    servers = [applications.artifacts(user.namespace) for user in USERS]
    servers += [applications.model(user.namespace) for user in USERS]
    metadata = Workload(
        "metadata-envoy-service.kubeflow",
        "kubeflow/default",
        {"component": "metadata-envoy"},
        applications.metadata,
    )
    rendered = kubeflow(release)
    services = [
        rendered.get("VirtualService", name) for name in ("metadata-grpc", "ml-pipeline-ui")
    ]
    policies = [*rendered.all("AuthorizationPolicy"), *of_profiles(release)]
    policies += [WITHOUT_SIDECAR, LET_IN]
    policies = [policy for policy in policies if policy["metadata"]["name"] not in LOGIN]
    folder = tmp_path_factory.mktemp("mesh")
    with mesh.running(folder, GATEWAY, [ui, *servers, metadata], policies, services) as run:
        applications.mesh = run
        yield release, run, applications


def by_browser(platform: Any, user: str, path: str, **headers: str) -> tuple[int, str]:
    _, run, _ = platform
    sent = {"kubeflow-userid": user, **headers}
    answer = mesh.request(run.gateway + path, sent)
    return answer.status_code, answer.text


# -- artifacts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["bea@example.org", "col@example.org"])
def test_an_owner_and_a_contributor_read_their_artifacts(platform: Any, user: str) -> None:
    found = by_browser(platform, user, f"{ARTIFACT}&namespace=team-b")
    assert found == (200, "artifact of team-b")


@pytest.mark.parametrize("user", ["ann@example.org", "stranger@example.org", ""])
def test_nobody_else_reads_them_through_the_ui(platform: Any, user: str) -> None:
    status, text = by_browser(platform, user, f"{ARTIFACT}&namespace=team-b")
    assert (status, text) == (403, "RBAC: access denied")


SPELLINGS = [
    "/pipeline/artifacts/get",
    "/pipeline/Artifacts/get",
    "/pipeline/ARTIFACTS/s3/b/k",
    "/pipeline/./aRtifacts/get",
    "/pipeline/x/../artifactS/get",
    "/pipeline/%41rtifacts/get",
    "/pipeline/artifacts/x/../../Artifacts/get",
]
"""All of one handler: Express compares without case, and Envoy, with case, decodes and resolves."""


@pytest.mark.parametrize("path", SPELLINGS)
def test_no_session_reaches_the_pod_of_the_namespace_that_a_link_names(
    platform: Any, path: str
) -> None:
    release, _, applications = platform
    secrets = {"cookie": "session", "authorization": "Bearer token", "referer": "http://x/"}
    secrets |= {"x-auth-token": "session"} if release == OLD else {}
    applications.handed_on.clear()
    by_browser(platform, "bea@example.org", f"{path}?namespace=team-a", **secrets)
    ((namespace, headers),) = applications.handed_on
    assert (namespace, headers["kubeflow-userid"]) == ("team-a", "bea@example.org")
    assert not set(secrets) & set(headers)


@pytest.mark.parametrize(
    ("account", "headers"),
    [
        ("team-a/default-editor", {}),
        ("team-a/default-editor", {"kubeflow-userid": "bea@example.org"}),
        ("team-b/default-editor", {}),  # it has the role itself
        (GATEWAY.account, {"kubeflow-userid": "bea@example.org"}),
        (None, {"kubeflow-userid": "bea@example.org"}),
        ("kubeflow/ml-pipeline-ui", {}),
        ("kubeflow/ml-pipeline-ui", {"kubeflow-userid": "ann@example.org"}),
    ],
)
def test_an_artifact_server_answers_the_ui_for_its_own_users_only(
    platform: Any, account: str | None, headers: dict[str, str]
) -> None:
    _, run, _ = platform
    found = run.ask(account, "ml-pipeline-ui-artifact.team-b", "/artifacts/get?key=k", headers)
    assert found.status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("GET", "/apis/v1beta1/_proxy/http%3A%2F%2Fkubernetes.default", {}),
        ("GET", "/pipeline/apis/v2beta1/_proxy/http://ml-pipeline.kubeflow:8888/", {}),
        ("GET", "/artifacts/../apis/v1beta1/_proxy/http://x", {}),
        ("GET", "/k8s/pod/logs?podname=p&podnamespace=team-a", {}),
        ("GET", "/apps/tensorboard?namespace=team-a", {}),
        ("POST", "/artifacts/get?key=k", {}),
        ("GET", "/artifacts/get?key=k", {"referer": "http://x/apis/v1beta1/_proxy/http://y"}),
    ],
)
def test_an_artifact_server_serves_artifacts_and_nothing_else(
    platform: Any, method: str, path: str, more: dict[str, str]
) -> None:
    _, run, _ = platform
    headers = {"kubeflow-userid": "bea@example.org", **more}
    to = "ml-pipeline-ui-artifact.team-b"
    found = run.ask("kubeflow/ml-pipeline-ui", to, path, headers, method=method)
    assert found.status_code == 403


# -- models ---------------------------------------------------------------------------------------

PREDICT = "/v1/models/iris:predict"
BEA, COL, ANN = ({"kubeflow-userid": f"{name}@example.org"} for name in ("bea", "col", "ann"))


@pytest.mark.parametrize("account", ["team-b/default-editor", "team-b/default-viewer"])
def test_a_model_answers_the_pods_of_its_own_profile(platform: Any, account: str) -> None:
    """As their sidecars send it: straight to the pod (net-istio, MakeMeshVirtualService)."""
    _, run, _ = platform
    found = run.ask(account, "iris-predictor.team-b", PREDICT, {}, method="POST")
    assert (found.status_code, found.text) == (200, "predicted in team-b")


@pytest.mark.parametrize("headers", [BEA, COL])
def test_a_model_answers_its_users_where_the_gateway_of_the_login_asks_its_pod(
    platform: Any, headers: dict[str, str]
) -> None:
    """At the host of Knative's own service, whose route has no second gateway in it."""
    _, run, _ = platform
    found = run.ask(GATEWAY.account, "iris-predictor.team-b", PREDICT, headers, method="POST")
    assert found.status_code == 200


@pytest.mark.parametrize(
    ("account", "headers"),
    [
        ("team-a/default-editor", {}),
        ("team-a/default-editor", BEA),
        (GATEWAY.account, ANN),
        (GATEWAY.account, {}),
        # The gateway of addresses inside the cluster, and what comes through the activator: neither
        # has the identity of the pod that asks.
        (LOCAL_GATEWAY, {}),
        (LOCAL_GATEWAY, BEA),
        ("knative-serving/activator", BEA),
        (None, {}),  # a step of a pipeline: its pod has no sidecar
        (None, BEA),
    ],
)
def test_a_model_answers_nobody_else(
    platform: Any, account: str | None, headers: dict[str, str]
) -> None:
    """In 1.5.1, whoever claims to be its user is believed (docs/known-risks.md)."""
    release, run, _ = platform
    found = run.ask(account, "iris-predictor.team-b", PREDICT, headers, method="POST")
    believed = release == OLD and headers == BEA
    refused = (403, "RBAC: access denied")
    expected = (200, "predicted in team-b") if believed else refused
    assert (found.status_code, found.text) == expected


KERNELS = "/notebook/team-b/train/api/kernels"


@pytest.mark.parametrize(
    ("account", "method", "path", "status"),
    [
        ("kubeflow/notebook-controller-service-account", "GET", KERNELS, 200),
        ("kubeflow/notebook-controller-service-account", "POST", KERNELS, 403),
        ("kubeflow/notebook-controller-service-account", "GET", f"{KERNELS}/1", 403),
        ("team-a/default-editor", "GET", KERNELS, 403),
        (None, "GET", KERNELS, 403),
    ],
)
def test_the_notebook_controller_reads_kernels_and_nothing_else(
    platform: Any, account: str | None, method: str, path: str, status: int
) -> None:
    """At every pod of a profile; the server of a model stands for a notebook's."""
    _, run, _ = platform
    found = run.ask(account, "iris-predictor.team-b", path, {}, method=method)
    assert found.status_code == status


def test_knatives_probes_reach_a_model(platform: Any) -> None:
    _, run, _ = platform
    assert run.ask(None, "iris-predictor.team-b", "/healthz", {}).status_code == 200


@pytest.mark.parametrize(
    ("account", "headers", "status"),
    [
        (LOCAL_GATEWAY, ANN, 200),
        (LOCAL_GATEWAY, BEA, 403),
        (LOCAL_GATEWAY, {}, 403),
        ("team-b/default-editor", ANN, 403),
        (None, ANN, 403),
    ],
)
def test_an_administrator_opens_one_model_to_its_user_behind_the_local_gateway(
    platform: Any, account: str | None, headers: dict[str, str], status: int
) -> None:
    release, run, _ = platform
    found = run.ask(account, "iris-predictor.team-a", PREDICT, headers, method="POST")
    assert found.status_code == (200 if release == OLD and headers == ANN else status)


# -- the open proxy -------------------------------------------------------------------------------

PROXIED = [
    "/apis/v1beta1/_proxy/http%3A%2F%2Fml-pipeline.kubeflow%3A8888%2F",
    "/apis/v1beta1/_proxy/http://ml-pipeline.kubeflow:8888/",
    "/apis/v1beta1/_proxy",
    "/apis/v1beta1/%5Fproxy/ml-pipeline.kubeflow:8888/",
    "/apis/v1beta1/_proxy%2Fml-pipeline.kubeflow:8888/",
    "/apis/v1beta1/runs/../_proxy/http://x",
    "/apis/v1beta1/./_proxy/http://x",
    "/apis/v1beta1/_proxy/http://x?referer=no",
]


@pytest.mark.parametrize("prefix", ["", "/pipeline"])
@pytest.mark.parametrize("path", PROXIED)
def test_the_open_proxy_is_closed_by_path(platform: Any, prefix: str, path: str) -> None:
    release, run, _ = platform
    headers = {"authorization": "Bearer token"}
    for version in ("v1beta1",) if release == OLD else ("v1beta1", "v2beta1"):
        asked = prefix + path.replace("v1beta1", version)
        if prefix:
            found = by_browser(platform, "ann@example.org", asked)
            assert found == (403, "RBAC: access denied")
        found = run.ask("team-a/default-editor", "ml-pipeline-ui.kubeflow", asked, headers)
        assert (found.status_code, found.text) == (403, "RBAC: access denied")


WITH_SIGNED_PATHS = [name for name in SCRIPTS if not proxies_anything(name)]
TENSORBOARDS = [
    f"{TENSORBOARD}TOKEN/",
    f"{TENSORBOARD}TOKEN/data/runs?x=y",
    "/apps/tensorboard?namespace=team-b",
    "/apps/%74ensorboard/proxy/TOKEN/",
    "/runs/../apps/tensorboard/proxy/TOKEN/",
]


@pytest.mark.parametrize("platform", WITH_SIGNED_PATHS, indirect=True)
@pytest.mark.parametrize("prefix", ["", "/pipeline"])
@pytest.mark.parametrize("path", TENSORBOARDS)
def test_tensorboards_of_pipelines_are_closed_even_with_a_right_signature(
    platform: Any, prefix: str, path: str
) -> None:
    _, run, applications = platform
    asked = prefix + path.replace("TOKEN", applications.token)
    headers = {"authorization": "Bearer token"}
    if prefix:
        assert by_browser(platform, "bea@example.org", asked) == (403, "RBAC: access denied")
    found = run.ask("team-a/default-editor", "ml-pipeline-ui.kubeflow", asked, headers)
    assert (found.status_code, found.text) == (403, "RBAC: access denied")


@pytest.mark.parametrize("platform", WITH_SIGNED_PATHS, indirect=True)
def test_no_published_key_signs_the_path_of_a_tensorboard(platform: Any) -> None:
    """Express takes the route in any letters, and the token after the small ones."""
    for key in (PUBLISHED_KEY, "", "minio"):
        path = f"/pipeline/Apps/tensorboard/proxy{TENSORBOARD}{token(key)}/"
        found = by_browser(platform, "bea@example.org", path)
        assert found == (403, "Invalid TensorBoard proxy target")


REFERERS = [
    "https://kubeflow.example.org/pipeline/apis/v1beta1/_proxy/http://ml-pipeline.kubeflow:8888/",
    "/apis/v1beta1/_proxy/http://x",
    "x/PIPELINE/apis/v1beta1/_proxy/http%3A%2F%2Fx",
]


@pytest.mark.parametrize("referer", REFERERS)
@pytest.mark.parametrize("name", ["Referer", "referer", "REFERER"])
def test_the_open_proxy_is_closed_by_referer(platform: Any, referer: str, name: str) -> None:
    _, run, _ = platform
    page = "/pipeline/apis/v1beta1/runs"
    found = by_browser(platform, "ann@example.org", page, **{name: referer})
    assert found == (200, "the UI itself")
    headers = {"authorization": "Bearer token", name: referer}
    found = run.ask("team-a/default-editor", "ml-pipeline-ui.kubeflow", page, headers)
    assert found.status_code == 403


def test_pages_calls_and_the_sdk_reach_the_ui(platform: Any) -> None:
    release, run, _ = platform
    pages = ["", "apis/v1beta1/runs?namespace=team-a", "k8s/pod/logs?podname=p", "artifactsx"]
    for path in (f"/pipeline/{page}" for page in pages):
        from_a_page = {"Referer": "https://kubeflow.example.org/pipeline/"}
        found = by_browser(platform, "ann@example.org", path, **from_a_page)
        assert found == (200, "the UI itself")
    headers = {"authorization": "Bearer token"}
    path = "/apis/v2beta1/experiments"
    found = run.ask("team-a/default-editor", "ml-pipeline-ui.kubeflow", path, headers)
    assert found.status_code == (403 if release == OLD else 200)


@pytest.mark.parametrize("user", ["ann@example.org", "bea@example.org"])
def test_nobody_claims_to_be_somebody_at_the_ui(platform: Any, user: str) -> None:
    _, run, _ = platform
    headers = {"authorization": "Bearer token", "kubeflow-userid": user}
    path = "/artifacts/get?key=k&namespace=team-b"
    found = run.ask("team-a/default-editor", "ml-pipeline-ui.kubeflow", path, headers)
    assert found.status_code == 403


# -- ML Metadata ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ml_metadata.MetadataStoreService/GetArtifactsByContext", 200),
        ("/ml_metadata.MetadataStoreService/PutArtifacts", 403),
        ("/ml_metadata.MetadataStoreService/../ml_metadata.MetadataStoreService/PutEvents", 403),
        ("/ml_metadata.MetadataStoreService/Get/../PutArtifacts", 403),
        ("/%6Dl_metadata.MetadataStoreService/PutArtifacts", 403),
        ("/ml_metadata", 403),
        ("/ml_metadata.Other/GetArtifacts", 403),
    ],
)
def test_a_browser_reads_metadata_and_writes_none(platform: Any, path: str, status: int) -> None:
    release, run, _ = platform
    found = mesh.request(run.gateway + path, {"kubeflow-userid": "ann@example.org"}, method="POST")
    assert found.status_code == (200 if release == OLD else status)
