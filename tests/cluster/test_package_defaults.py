"""Package sources as a real API server adds them: by our configuration, to each kind of pod.

The pods have their controllers' labels. One webhook that comes after ours adds a storage
initializer, as KServe's does, so that ours must be asked again.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from benchmarks.certificates import Certificate, self_signed
from rendering import Object
from tests.cluster.client import Cluster
from tests.cluster.conftest import NewCluster
from tests.cluster.mirrored import namespace, pod
from tests.rendering.beijing import rendered
from tests.webhook.serving import PATH, serving
from webhook.package_defaults import ADDED, MOUNT_PATH, OPT_OUT, Additions, review

PROFILE = "team"
ADDITIONS = Additions(variables=("PIP_INDEX_URL", "NO_PROXY", "no_proxy"))
SOURCE = {"configMapRef": {"name": "package-defaults", "optional": True}}
NOTEBOOK = pod("notebook-0", "jupyter", metadata={"labels": {"notebook-name": "notebook"}})
STEP = pod(
    "step",
    "python:3.12",
    metadata={"labels": {"workflows.argoproj.io/workflow": "run"}},
    initContainers=[{"name": "init", "image": "argoexec"}],
)
TRIAL = pod("trial", "trial", metadata={"labels": {"katib.kubeflow.org/trial": "trial"}})
TRAINING = pod(
    "node-0-0", "torch", metadata={"labels": {"jobset.sigs.k8s.io/jobset-name": "train"}}
)
MODEL = pod(
    "model", "sklearnserver", metadata={"labels": {"serving.kserve.io/inferenceservice": "iris"}}
)


def storage_initializer(body: Any, _deadline: float) -> dict[str, Any]:
    """Adds an init container to KServe's pods (kserve/kserve v0.16.0 pkg/webhook/admission/pod)."""
    request = body["request"]
    answer: dict[str, Any] = {"uid": request["uid"], "allowed": True}
    labels = request["object"]["metadata"].get("labels", {})
    if "serving.kserve.io/inferenceservice" in labels:
        container = {"name": "storage-initializer", "image": "storage", "args": ["hf://a/b", "/m"]}
        step = {"op": "add", "path": "/spec/initContainers", "value": [container]}
        if not request["object"]["spec"].get("initContainers"):
            patch = base64.b64encode(json.dumps([step]).encode()).decode()
            answer |= {"patchType": "JSONPatch", "patch": patch}
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "response": answer}


def configuration() -> Object:
    (found,) = (
        obj
        for obj in rendered("addons/package-defaults").objects
        if obj["kind"] == "MutatingWebhookConfiguration"
    )
    return copy.deepcopy(found)


def sent_to(port: int, certificate: Certificate, obj: Object) -> Object:
    bundle = base64.b64encode(certificate.certificate.read_bytes()).decode()
    url = f"https://127.0.0.1:{port}{PATH}"
    obj["webhooks"][0]["clientConfig"] = {"url": url, "caBundle": bundle}
    return obj


def kserve() -> Object:
    """Its rules, under a name that comes after ours."""
    own = configuration()
    own["metadata"]["name"] = "storage-initializer"
    own["webhooks"][0] |= {"name": "pods.storage.internal", "reinvocationPolicy": "Never"}
    return own


def defaults(body: object, _deadline: float) -> dict[str, Any]:
    return review(body, ADDITIONS)


@pytest.fixture(scope="module")
def cluster(
    new_cluster: NewCluster, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Cluster]:
    certificate = self_signed(tmp_path_factory.mktemp("package-defaults-certificate"))
    with new_cluster("package-defaults") as installation, ExitStack() as running:
        own = running.enter_context(serving(certificate, defaults))
        later = running.enter_context(serving(certificate, storage_initializer))
        made = installation.cluster
        made.apply(sent_to(own, certificate, configuration()))
        made.apply(sent_to(later, certificate, kserve()))
        profile = {"pipelines.kubeflow.org/enabled": "true"}
        installation.apply(namespace(PROFILE, profile))
        installation.apply(namespace("left-out", {**profile, OPT_OUT: "true"}))
        installation.apply(namespace("no-profile"))
        in_effect = Retrying(
            retry=retry_if_result(lambda found: not found),
            stop=stop_after_delay(300),
            wait=wait_fixed(0.1),
        )
        # The API server reads new configurations when it gets to it.
        probe = copy.deepcopy(MODEL)
        in_effect(lambda: both_answer(made.apply(probe, dry_run=True).body))
        yield made


def both_answer(obj: Object) -> bool:
    return bool(obj["spec"].get("initContainers")) and ADDED in obj["metadata"].get(
        "annotations", {}
    )


def containers(obj: Object) -> list[dict[str, Any]]:
    spec = obj["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


@pytest.mark.parametrize(
    ("obj", "names"),
    [
        (NOTEBOOK, ["c0"]),
        (STEP, ["init", "c0"]),
        (TRIAL, ["c0"]),
        (TRAINING, ["c0"]),
        (MODEL, ["storage-initializer", "c0"]),
    ],
    ids=["notebook", "pipeline-step", "trial", "training-job", "model"],
)
def test_every_container_of_each_kind_of_pod_has_the_sources(
    cluster: Cluster, obj: Object, names: list[str]
) -> None:
    stored = cluster.read(cluster.create(obj).body)
    assert [each["name"] for each in containers(stored)] == names
    for each in containers(stored):
        assert each["envFrom"] == [SOURCE]
        assert [mount["mountPath"] for mount in each["volumeMounts"]].count(MOUNT_PATH) == 1
    volumes = [volume["name"] for volume in stored["spec"]["volumes"]]
    assert volumes.count("package-authorities") == 1
    assert stored["metadata"]["annotations"][ADDED] == "PIP_INDEX_URL NO_PROXY no_proxy"


def test_a_users_own_values_come_after_ours(cluster: Cluster) -> None:
    own = pod("own", "python:3.12")
    own["spec"]["containers"][0] |= {
        "env": [{"name": "no_proxy", "value": "mine"}],
        "envFrom": [{"configMapRef": {"name": "mine"}}],
    }
    (stored,) = containers(cluster.create(own).body)
    assert stored["envFrom"] == [SOURCE, {"configMapRef": {"name": "mine"}}]
    assert stored["env"] == [
        {"name": "no_proxy", "value": "mine"},
        {"name": "NO_PROXY", "value": "$(no_proxy)"},
    ]


@pytest.mark.parametrize(
    "left_out",
    [
        {"where": "no-profile"},
        {"where": "left-out"},
        {"metadata": {"labels": {OPT_OUT: "true"}}},
        {"metadata": {"annotations": {OPT_OUT: "true"}}},
    ],
    ids=["no-profile", "namespace", "label", "annotation"],
)
def test_these_pods_stay_as_they_are(cluster: Cluster, left_out: dict[str, Any]) -> None:
    made = cluster.create(pod(f"as-it-is-{len(str(left_out))}", "python:3.12", **left_out)).body
    assert [each.get("envFrom") for each in containers(made)] == [None]
    assert ADDED not in made["metadata"].get("annotations", {})
