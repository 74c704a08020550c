"""The objects of the checks that run something, on a real API server with the platform's CRDs.

Controllers are played: each writes the statuses that its source says, through the API server, which
judges them by the CRDs.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ops.findings import Finding, Level
from ops.live_cluster import LiveCluster
from ops.verification.checks import gpu, katib, notebooks, serving
from ops.verification.platform import Platform
from ops.verification.progress import Progress
from ops.verification.workspace import Workspaces
from settings.context import StackContext
from tests.cluster.client import Refused
from tests.cluster.conftest import CURRENT, NewCluster
from tests.cluster.installation import Installation
from tests.cluster.platform import Platform as Whole
from tests.cluster.stand_ins import default_account
from tests.ops.verification import test_katib
from tests.ops.verification.deep_platform import settings_of
from tests.rendering.beijing import kubeflow

pytestmark = pytest.mark.parametrize("version", CURRENT[-1:], indirect=True, scope="session")

GROUPS = ("kubeflow.org", "karpenter.sh", "serving.kserve.io", "serving.knative.dev", "argoproj.io")
Object = dict[str, Any]


class Deep:
    """The API server and a verification on it."""

    def __init__(self, made: Installation) -> None:
        self.made = made
        self.cluster = LiveCluster()
        self.workspaces = Workspaces(self.cluster, Progress())
        settings = settings_of()
        self.platform = Platform(
            stack="test",
            settings=settings,
            context=StackContext.of(settings, "111122223333", {}),
            cluster=self.cluster,
            client=lambda service: pytest.fail(f"{service} is not asked"),
            workspace=self.workspaces,
        )

    @property
    def run(self) -> str:
        return self.workspaces.run

    def status(self, path: str, status: Object) -> None:
        """As a controller writes it."""
        obj = self.made.cluster.get(path)
        self.made.cluster.replace_status({**obj, "status": status}, manager="controller")

    @contextmanager
    def playing(self, path: str, *steps: Callable[[], None]) -> Generator[None]:
        """Takes the steps once there is an object."""
        failures = list[BaseException]()

        def play() -> None:
            limit = time.monotonic() + 300
            while time.monotonic() < limit:
                try:
                    self.made.cluster.get(path)
                    break
                except Refused:
                    time.sleep(0.1)
            try:
                for step in steps:
                    step()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=play, daemon=True)
        thread.start()
        yield
        thread.join(300)
        assert failures == []


@pytest.fixture(scope="module")
def installed_crds(
    new_cluster: NewCluster, whole: Whole, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Path]:
    """An API server with the CRDs of what is run; the path of a kubeconfig."""
    with new_cluster("deep") as made:
        made.crds([crd for crd in whole.crds if crd["spec"]["group"] in GROUPS])
        for name in ("alice", "kubeflow"):
            made.cluster.apply(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            )
            made.cluster.apply(default_account(name))
        editor = default_account("alice")
        made.cluster.apply({**editor, "metadata": {**editor["metadata"], "name": "default-editor"}})
        file = tmp_path_factory.mktemp("kubeconfig") / "kubeconfig"
        file.write_text(json.dumps(made.cluster.kubeconfig))
        SERVERS[file] = made
        yield file


SERVERS = dict[Path, Installation]()


@pytest.fixture
def deep(installed_crds: Path, monkeypatch: pytest.MonkeyPatch) -> Deep:
    monkeypatch.setenv("KUBECONFIG", str(installed_crds))
    return Deep(SERVERS[installed_crds])


def levels(found: list[Finding]) -> list[Level]:
    return [each.level for each in found]


def test_an_experiment_is_accepted_owned_and_read_as_katib_writes_it(deep: Deep) -> None:
    name = f"{deep.run}-random"
    path = f"/apis/kubeflow.org/v1beta1/namespaces/alice/experiments/{name}"
    status = test_katib.good()
    for condition in status["conditions"]:
        condition["lastUpdateTime"] = condition["lastTransitionTime"] = "2026-11-29T12:00:00Z"
    with deep.playing(path, lambda: deep.status(path, status)):
        (told,) = katib.katib_experiment(deep.platform)
    assert told.level is Level.GOOD, told
    assert "4 trials succeeded in" in told.sentence
    (owner,) = deep.made.cluster.get(path)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Job", deep.run)


def test_a_notebook_is_accepted_and_goes_with_its_claim(deep: Deep) -> None:
    deployment = kubeflow().get("Deployment", "jupyter-web-app-deployment")
    names = {
        each["configMap"]["name"]
        for each in deployment["spec"]["template"]["spec"]["volumes"]
        if "configMap" in each
    }
    deep.made.cluster.apply(deployment)
    for each in kubeflow().all("ConfigMap"):
        if each["metadata"]["name"] in names:
            deep.made.cluster.apply(each)
    name = f"{deep.run}-notebook"
    path = f"/apis/kubeflow.org/v1/namespaces/alice/notebooks/{name}"
    claim = f"/api/v1/namespaces/alice/persistentvolumeclaims/{name}-workspace"
    status = {"conditions": [], "readyReplicas": 1, "containerState": {"running": {}}}

    def lets_go() -> None:
        """As the controller that protects claims does when no pod mounts one any more."""
        limit = time.monotonic() + 300
        while time.monotonic() < limit:
            obj = deep.made.cluster.get(claim)
            if obj["metadata"].get("deletionTimestamp"):
                obj["metadata"]["finalizers"] = []
                deep.made.cluster.replace(obj, manager="pvc-protection")
                return
            time.sleep(0.1)

    with deep.playing(path, lambda: deep.status(path, status), lets_go):
        found = list(notebooks.notebook(deep.platform))
    assert levels(found) == [Level.GOOD, Level.GOOD], found


def test_a_model_is_accepted_and_waited_for_with_kserves_own_reason(deep: Deep) -> None:
    root = "s3://bucket/private-artifacts/alice/v2/artifacts"
    job, model = serving.model_objects(root, deep.run)
    space = deep.platform.workspace("alice")
    space.create(job)
    made = space.create(model)
    path = f"/apis/serving.kserve.io/v1beta1/namespaces/alice/inferenceservices/{deep.run}-iris"
    assert serving.state_of(deep.platform, made) == "its pods are not ready yet"
    failure = {"reason": "NoSupportingRuntime", "message": "No runtime found"}
    states = {"activeModelState": "", "targetModelState": "FailedToLoad"}
    deep.status(
        path,
        {
            "modelStatus": {
                "transitionStatus": "InvalidSpec",
                "states": states,
                "lastFailureInfo": failure,
            }
        },
    )
    reason = serving.state_of(deep.platform, deep.made.cluster.get(path))
    assert reason.startswith("NoSupportingRuntime: No runtime found: name one of")
    deep.status(path, {"conditions": [{"type": "Ready", "status": "True"}]})
    assert serving.state_of(deep.platform, deep.made.cluster.get(path)) == ""


def test_a_trial_on_a_gpu_is_accepted_and_its_pending_pod_explained(
    deep: Deep, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = next(obj for key, obj in whole.objects.items() if key.kind == "NodePool")
    deep.made.cluster.apply(pool)
    monkeypatch.setattr(gpu, "START_SECONDS", 3)
    name = f"{deep.run}-gpu-trial"
    path = f"/apis/batch/v1/namespaces/alice/jobs/{name}"

    def pod() -> None:
        """As the Job's controller makes it."""
        template = deep.made.cluster.get(path)["spec"]["template"]
        labels = {**template["metadata"]["labels"], "job-name": name}
        metadata = {**template["metadata"], "name": f"{name}-x", "namespace": "alice"}
        spec = template["spec"]
        made = {"apiVersion": "v1", "kind": "Pod", "spec": spec}
        deep.made.cluster.create({**made, "metadata": {**metadata, "labels": labels}})

    with deep.playing(path, pod):
        (told,) = gpu.gpu_trial(deep.platform)
    assert told.level is Level.PROBLEM
    assert told.sentence.startswith("it has not begun after 3 s: ")
    assert "no reason is recorded yet" in told.sentence


def test_the_token_for_pipelines_is_given_for_its_audience(deep: Deep) -> None:
    from ops.verification.pipelines_api import AUDIENCE, token

    given = token(deep.platform, "alice")
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": given, "audiences": [AUDIENCE]},
    }
    told = deep.cluster.answer("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {}, review)
    assert told["status"]["authenticated"], told
    assert told["status"]["user"]["username"] == "system:serviceaccount:alice:default-editor"
    review["spec"] = {"token": given}
    told = deep.cluster.answer("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {}, review)
    assert not told["status"].get("authenticated")


def test_a_workflow_of_a_run_is_adopted(deep: Deep) -> None:
    """What Pipelines makes ends with the verification too."""
    spec: Object = {"entrypoint": "a", "templates": [{"name": "a", "container": {"image": "b"}}]}
    metadata = {"name": "line-x", "namespace": "alice", "labels": {"pipeline/runid": "r1"}}
    kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"}
    deep.made.cluster.create({**kind, "metadata": metadata, "spec": spec})
    path = "/apis/argoproj.io/v1alpha1/namespaces/alice/workflows/line-x"
    deep.platform.workspace("alice").adopt(path)
    adopted = deep.made.cluster.get(path)["metadata"]
    assert [each["name"] for each in adopted["ownerReferences"]] == [deep.run]
    assert adopted["labels"]["pipeline/runid"] == "r1"
