"""A model of ``examples/``: trained, stored in the bucket, served by KServe, and asked."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from ops.cli_errors import Refused
from ops.findings import Finding, good, problem
from ops.live_cluster import Rejected
from ops.serving_status import MODEL, Serving, explain_serving
from ops.verification.bucket_objects import delete_folder
from ops.verification.check import Check
from ops.verification.examples import example, where_examples_run
from ops.verification.finished_jobs import JobFailed, output_of
from ops.verification.forward import Forward
from ops.verification.pipeline_runs import Place
from ops.verification.platform import Platform
from ops.verification.profile import refuse_used_up_quota
from ops.verification.waiting import pods_of, wait, warnings_of
from ops.verification.web import Answer

READY_SECONDS = 15 * 60
"""Of the training, and of the server: each pulls an image of a gigabyte."""
_KSERVE = "/apis/serving.kserve.io/v1beta1"
_KNATIVE = "/apis/serving.knative.dev/v1"
_PORT = 8080
"""Of the model server in its pod (kserve/kserve v0.16.0 pkg/constants/constants.go)."""
_GATEWAY_NAMESPACE, _GATEWAY = "istio-system", "knative-local-gateway"
_OWNERS = "ns-owner-access-istio"
"""The policy that the profile controller makes in each profile."""
_AUTOSCALER = "knative-serving/config-autoscaler"
_FLOWERS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
"""Two of the data that the example trains with, a setosa and a virginica."""
_KINDS = [0, 2]
Object = Mapping[str, Any]


def model_objects(root: str, run: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The Job that trains and the model, with a place of their own below the pipeline root.

    Args:
        root: of the profile, ``s3://bucket/private-artifacts/alice/v2/artifacts``.
        run: of the verification.
    """
    job = example("iris-model.yaml", **{"}/examples/iris/": f"}}/{run}/iris/"})
    place = {"PIPELINE_ROOT/examples/iris": f"{root}/{run}/iris"}
    return job, example("inference-service.yaml", **place)


def state_of(platform: Platform, model: Object) -> str:
    """Why a model is not ready; empty: it is."""
    cluster, namespace = platform.cluster, model["metadata"]["namespace"]
    name = f"{namespace}/{model['metadata']['name']}"
    states = explain_serving(
        Serving(
            models=[model],
            configurations=cluster.all(f"{_KNATIVE}/namespaces/{namespace}/configurations"),
            revisions=cluster.all(f"{_KNATIVE}/namespaces/{namespace}/revisions"),
            pods=cluster.all(f"/api/v1/namespaces/{namespace}/pods"),
        )
    )
    state = states[name]
    return state.sentence if state else ""


@where_examples_run("iris")
def inference_service(platform: Platform) -> Iterator[Finding]:
    """Training, readiness, a prediction in the pod, and who gets one."""
    place = Place.of(platform)
    workspace, cluster = place.workspace, platform.cluster
    folder = f"{place.root}{workspace.run}/"
    workspace.undo(
        f"the model below s3://{place.bucket}/{folder}",
        lambda: delete_folder(platform.client("s3"), place.bucket, folder),
    )
    root = f"s3://{place.bucket}/{place.root}".rstrip("/")
    job, wanted = model_objects(root, workspace.run)
    about = f"{place.namespace}/iris"
    begun = time.monotonic()
    try:
        output_of(platform, place.namespace, job, "the training of a model", seconds=READY_SECONDS)
    except JobFailed as failure:
        yield problem(about, f"its training did not succeed: {failure}")
        return
    try:
        name = str(workspace.create(wanted)["metadata"]["name"])
    except Rejected as rejected:
        yield problem(
            about,
            f"{rejected}: {platform.parts.kserve.log} has what its webhook says",
        )
        return
    path = f"{_KSERVE}/namespaces/{place.namespace}/inferenceservices/{name}"

    def model() -> Object:
        found = cluster.one(path)
        if found is None:
            raise Refused(f"somebody deleted the InferenceService {name}.")
        return found

    def ready() -> str | None:
        return None if doing() else "ready"

    def doing() -> str:
        if not pods_of(cluster, place.namespace, f"{MODEL}={name}"):
            refuse_used_up_quota(warnings_of(cluster, place.namespace), workspace.run)
        return state_of(platform, model())

    if wait(workspace, "the model to be served", ready, READY_SECONDS, doing) is None:
        yield problem(about, f"it is not ready after {READY_SECONDS} s: {doing()}")
        return
    took = time.monotonic() - begun
    yield good(about, f"trained, stored in s3://{place.bucket}/{folder} and ready in {took:.0f} s")
    yield from _asked(platform, place.namespace, name, about)


def _asked(platform: Platform, namespace: str, name: str, about: str) -> Iterator[Finding]:
    """Predictions of the model server itself, and who gets one at its address in the cluster."""
    path, body = f"/v1/models/{name}:predict", {"instances": _FLOWERS}
    pods = pods_of(platform.cluster, namespace, f"{MODEL}={name}")
    running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
    if not running:
        raise Refused(f"the model {name} has no running pod to ask.")
    pod = running[-1]["metadata"]["name"]
    with Forward(platform, namespace, f"pod/{pod}", _PORT) as forward:
        answer = forward.request(path, method="POST", json=body)
    if not _right(answer):
        yield problem(
            about,
            f"its server answers {_said(answer)} instead of {_KINDS}: `kubectl --namespace "
            f"{namespace} logs {pod} --container kserve-container` has the reason",
        )
        return
    yield good(about, f"its server answers {_KINDS} to two flowers")
    host = f"{name}-predictor.{namespace}.svc.cluster.local"
    yield _asked_by_a_pod(platform, namespace, name, host)
    yield _asked_without_an_identity(platform, namespace, host, path)


def _asked_by_a_pod(platform: Platform, namespace: str, name: str, host: str) -> Finding:
    """What a pod of the same profile gets, which its sidecar gives an identity."""
    about = f"{namespace}/iris"
    job = example("ask-model.yaml", **{"name: MODEL, value: iris": f"name: MODEL, value: {name}"})
    try:
        printed = output_of(platform, namespace, job, "an answer of the model to a pod")
    except JobFailed as failure:
        return problem(about, f"no pod of the profile could ask it: {failure}")
    status, _, text = printed.strip().partition(" ")
    if not status.isdecimal():
        return problem(about, f"the pod that asked it printed {printed.strip()[:200]!r} instead")
    answer = Answer(int(status), text)
    if _right(answer):
        return good(about, f"http://{host} answers the same to a pod of the profile")
    said = f"http://{host} answers a pod of the profile {_said(answer)}"
    if answer.status == 404:
        return problem(
            about,
            f"{said}: `kubectl --namespace {namespace} get ksvc,virtualservice` shows who has that "
            "host",
        )
    return problem(
        about,
        f"{said}: AuthorizationPolicy {namespace}/{_OWNERS} has to admit source.namespace "
        f'{namespace}, and ConfigMap {_AUTOSCALER} to have target-burst-capacity "0", else '
        "Knative's activator is between the two and hides who asks",
    )


def _asked_without_an_identity(platform: Platform, namespace: str, host: str, path: str) -> Finding:
    """What the gateway of local addresses gets, behind which nobody sees who asks."""
    about, gateway = f"{namespace}/iris", f"{_GATEWAY_NAMESPACE}/{_GATEWAY}"
    body = {"instances": _FLOWERS}
    with Forward(platform, _GATEWAY_NAMESPACE, f"service/{_GATEWAY}", 80) as forward:
        answer = forward.request(path, method="POST", headers={"Host": host}, json=body)
    if answer.status == 403 and "RBAC" in answer.text:
        return good(about, f"it refuses whoever asks through {gateway} without an identity (403)")
    if answer.status == 200:
        return problem(
            about,
            f"it answers whoever asks through {gateway}, without an identity: one of `kubectl "
            f"--namespace {namespace} get authorizationpolicies` admits everybody; the one in "
            "docs/serving.md asks for the header of the login",
        )
    return problem(
        about,
        f"http://{host} answers {_said(answer)} through {gateway}: `kubectl --namespace "
        f"{namespace} get ksvc,virtualservice` shows who has that host",
    )


def _right(answer: Answer) -> bool:
    told = answer.json
    return answer.status == 200 and isinstance(told, dict) and told.get("predictions") == _KINDS


def _said(answer: Answer) -> str:
    text = " ".join(answer.text.split())[:200]
    return f"{answer.status}{text and f' ({text})'}"


CHECKS: tuple[Check, ...] = (
    Check(
        "inference-service",
        "the model of the examples, from its training to a prediction",
        inference_service,
        creates=True,
    ),
)
