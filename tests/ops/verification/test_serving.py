"""The model of examples/, with statuses as KServe and Knative write them, and a strict server.

The server: kserve/kserve v0.16.0 python/kserve/kserve/protocol/rest/v1_endpoints.py and errors.py.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from ops.findings import Finding, Level
from ops.verification.checks.serving import CHECKS, model_objects
from ops.verification.profile import QuotaUsedUp
from tests.ops.verification.deep_platform import ACCOUNT, RUN, Cluster, DeepPlatform
from tests.services.tunnels import served

(CHECK,) = CHECKS
BUCKET = f"kubeflow-{ACCOUNT}-cn-north-1"
ROOT = f"s3://{BUCKET}/private-artifacts/alice/v2/artifacts"
NAME = f"{RUN}-iris"
HOST = f"{NAME}-predictor.alice.svc.cluster.local"
JOB = f"/apis/batch/v1/namespaces/alice/jobs/{RUN}-iris-model"
ASKING = f"/apis/batch/v1/namespaces/alice/jobs/{RUN}-ask-model"
MODEL = f"/apis/serving.kserve.io/v1beta1/namespaces/alice/inferenceservices/{NAME}"
PODS = "/api/v1/namespaces/alice/pods"
POD = f"{NAME}-predictor-00001-deployment-7f9c-abcde"
GATEWAY = "istio-system/service/knative-local-gateway:80"
PICKED = {"[5.1, 3.5, 1.4, 0.2]": 0, "[6.7, 3.0, 5.2, 2.3]": 2}
"""Two rows of the iris data and their classes, as scikit-learn's SVC tells them."""
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
Object = dict[str, Any]


@dataclass
class Server:
    """The model server behind its gateway.

    Attributes:
        pod: what a pod of the profile prints that asked it.
        open: whether Istio admits what comes through the gateway.
        routed: whether the gateway knows the host.
        loaded: whether the server has the model.
        predicts: instead of the classes.
    """

    pod: str = '200 {"predictions": [0, 2]}'
    open: bool = False
    routed: bool = True
    loaded: bool = True
    predicts: list[int] | None = None
    port: int = 0
    gateway: int = 0


class _Model(BaseHTTPRequestHandler):
    state: Server

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(*self.predicted(sent))

    def predicted(self, sent: Mapping[str, Any]) -> tuple[int, Object | str]:
        if self.path != f"/v1/models/{NAME}:predict" or not self.state.loaded:
            return 404, {"error": f"Model with name {NAME} does not exist."}
        if set(sent) != {"instances"}:
            return 400, {"error": 'Expected "instances" to be a list'}
        found = [PICKED[json.dumps(each)] for each in sent["instances"]]
        return 200, {"predictions": self.state.predicts or found}

    def answer(self, status: int, body: Object | str) -> None:
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        del format, args


class _Gateway(_Model):
    def predicted(self, sent: Mapping[str, Any]) -> tuple[int, Object | str]:
        if self.headers["Host"] != HOST or not self.state.routed:
            return 404, ""
        if not self.state.open:
            return 403, "RBAC: access denied"
        return super().predicted(sent)


@dataclass
class Deep:
    whole: DeepPlatform
    server: Server

    @property
    def cluster(self) -> Cluster:
        return self.whole.cluster

    def found(self) -> list[Finding]:
        return list(CHECK.examine(self.whole.platform))

    def problem(self) -> str:
        *_, told = self.found()
        assert told.level is Level.PROBLEM, told
        return told.sentence


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aws: None) -> Generator[Deep]:
    whole = DeepPlatform(tmp_path, monkeypatch)
    s3: Any = boto3.client("s3", region_name="cn-north-1")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "cn-north-1"})
    whole.cluster.put(
        "/api/v1/namespaces/alice/configmaps",
        {"metadata": {"name": "kfp-launcher"}, "data": {"defaultPipelineRoot": ROOT}},
    )
    state = Server()
    model = type("Model", (_Model,), {"state": state})
    gateway = type("Gateway", (_Gateway,), {"state": state})
    with (
        served(ThreadingHTTPServer(("127.0.0.1", 0), model)) as first,
        served(ThreadingHTTPServer(("127.0.0.1", 0), gateway)) as second,
    ):
        whole.kubectl.leads(
            {f"alice/pod/{POD}:8080": first.server_address[1], GATEWAY: second.server_address[1]}
        )
        yield Deep(whole, state)


def trains(cluster: Cluster, failed: str = "") -> None:
    if JOB in cluster.objects and not cluster.objects[JOB].get("status"):
        kind = "Failed" if failed else "Complete"
        cluster.objects[JOB]["status"] = {"conditions": [{"type": kind, "status": "True"}]}
        cluster.printed["alice", f"{RUN}-iris-model", ""] = f"{ROOT}/{RUN}/iris/model.joblib\n"
        key = f"private-artifacts/alice/v2/artifacts/{RUN}/iris/model.joblib"
        s3: Any = boto3.client("s3", region_name="cn-north-1")
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"model")


def serves(cluster: Cluster) -> None:
    if MODEL in cluster.objects and cluster.objects[MODEL].get("status") != READY:
        status = "True" if cluster.now >= 30 else "False"
        cluster.objects[MODEL]["status"] = {"conditions": [{"type": "Ready", "status": status}]}
        cluster.put(PODS, pod({"phase": "Running"}))


def asks(deep: Deep) -> None:
    """Plays the Job that asks from the profile."""

    def play(cluster: Cluster) -> None:
        if ASKING not in cluster.objects or cluster.objects[ASKING].get("status"):
            return
        cluster.objects[ASKING]["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
        name = f"{RUN}-ask-model"
        cluster.printed["alice", name, ""] = f"{deep.server.pod}\n"
        labels = {"job-name": name}
        cluster.put(PODS, {"metadata": {"name": name, "labels": labels}, "status": {}, "spec": {}})

    deep.cluster.plays += [trains, serves, play]


def pod(status: Object, **spec: Any) -> Object:
    labels = {"serving.kserve.io/inferenceservice": NAME}
    return {"metadata": {"name": POD, "labels": labels}, "spec": spec, "status": status}


@pytest.mark.check("inference-service", broken=False)
def test_a_model_is_trained_served_and_answers_its_profile_alone(deep: Deep) -> None:
    asks(deep)
    ready, itself, profile, nobody = deep.found()
    assert {each.level for each in (ready, itself, profile, nobody)} == {Level.GOOD}
    folder = f"{ROOT}/{RUN}/"
    assert ready.sentence.startswith(f"trained, stored in {folder} and ready in ")
    assert itself.sentence == "its server answers [0, 2] to two flowers"
    assert profile.sentence == f"http://{HOST} answers the same to a pod of the profile"
    assert nobody.sentence.startswith("it refuses whoever asks through istio-system/")
    asking = deep.cluster.objects[ASKING]["spec"]["template"]
    assert asking["metadata"]["labels"]["sidecar.istio.io/inject"] == "true"
    (container,) = asking["spec"]["containers"]
    assert {"name": "MODEL", "value": NAME} in container["env"]


def test_the_model_has_a_place_of_its_own_which_goes_at_the_end(deep: Deep) -> None:
    deep.cluster.plays += [trains, serves]
    s3: Any = boto3.client("s3", region_name="cn-north-1")
    mine = "private-artifacts/alice/v2/artifacts/examples/iris/model.joblib"
    s3.put_object(Bucket=BUCKET, Key=mine, Body=b"mine")
    deep.found()
    (training,) = (obj for path, obj in deep.cluster.objects.items() if path == JOB)
    program = str(training["spec"]["template"]["spec"]["containers"])
    assert f'key = f"{{prefix}}/{RUN}/iris/model.joblib"' in program
    model = deep.cluster.objects[MODEL]["spec"]["predictor"]["model"]
    assert model["storageUri"] == f"{ROOT}/{RUN}/iris"
    deep.cluster.plays.clear()
    deep.whole.alice.end()
    left = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [each["Key"] for each in left] == [mine]


def test_an_example_that_has_changed_its_place_is_noticed() -> None:
    job, model = model_objects(ROOT, RUN)
    assert "examples/iris" not in str([job, model])
    assert "PIPELINE_ROOT/" not in str([job, model])


@pytest.mark.check("inference-service", broken=True)
def test_a_training_that_fails_is_told_with_its_pods_reason(deep: Deep) -> None:
    deep.cluster.plays.append(lambda cluster: trains(cluster, "Failed"))
    ended = {"name": "upload", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}
    labels = {"job-name": f"{RUN}-iris-model"}
    status = {"phase": "Failed", "containerStatuses": [ended]}
    made = {"metadata": {"name": "iris-model-x", "labels": labels}, "spec": {}, "status": status}
    deep.cluster.put(PODS, made)
    said = deep.problem()
    assert said.startswith("its training did not succeed: Job alice/")
    assert "container upload ended (exit code 1, Error)" in said


REFUSED_DOWNLOAD = {
    "phase": "Pending",
    "initContainerStatuses": [
        {
            "name": "storage-initializer",
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {
                "terminated": {
                    "exitCode": 1,
                    "message": "botocore.exceptions.ClientError: An error occurred (403) when "
                    "calling the HeadObject operation: Forbidden",
                }
            },
        }
    ],
}


@pytest.mark.check("inference-service", broken=True)
def test_a_download_that_is_refused_is_told_with_the_way_out(deep: Deep) -> None:
    deep.cluster.plays.append(trains)
    role = {"name": "AWS_ROLE_ARN", "value": "x"}
    source = f"{ROOT}/{RUN}/iris"
    initializer = {"name": "storage-initializer", "args": [source, "/mnt"], "env": [role]}
    made = pod(REFUSED_DOWNLOAD, initContainers=[initializer], serviceAccountName="default-editor")
    deep.cluster.put(PODS, made)
    said = deep.problem()
    assert said.startswith(f"it is not ready after 900 s: {source} is not downloaded (")
    assert "the role of service account default-editor does not reach it" in said
    waited = "the model to be served (s3://"
    assert any(each.startswith(waited) for each in deep.whole.alice.said)


def test_a_runtime_that_is_missing_is_told_in_kserves_words(deep: Deep) -> None:
    deep.cluster.plays.append(trains)

    def unsupported(cluster: Cluster) -> None:
        if MODEL in cluster.objects:
            failure = {"reason": "NoSupportingRuntime", "message": "No runtime found"}
            cluster.objects[MODEL]["status"] = {"modelStatus": {"lastFailureInfo": failure}}

    deep.cluster.plays.append(unsupported)
    assert "NoSupportingRuntime: No runtime found: name one of" in deep.problem()


def test_a_quota_that_is_used_up_ends_the_check_at_once(deep: Deep) -> None:
    deep.cluster.plays.append(trains)
    event = {
        "metadata": {"name": "e1"},
        "type": "Warning",
        "reason": "FailedCreate",
        "message": 'pods "a" is forbidden: exceeded quota: profile-quota, requested: cpu=1',
        "involvedObject": {"kind": "ReplicaSet", "name": f"{RUN}-iris-predictor-00001-deployment"},
    }

    def refused(cluster: Cluster) -> None:
        if MODEL in cluster.objects:
            cluster.put("/api/v1/namespaces/alice/events", event)

    deep.cluster.plays.append(refused)
    with pytest.raises(QuotaUsedUp, match=r"is used up \(exceeded quota: profile-quota, req"):
        deep.problem()


def test_a_webhook_that_rejects_the_model_is_told_in_its_words(deep: Deep) -> None:
    deep.cluster.plays.append(trains)
    words = 'admission webhook "inferenceservice.kserve-webhook-server.validator" denied it'
    deep.cluster.rejects["InferenceService"] = words
    assert words in deep.problem()


@pytest.mark.check("inference-service", broken=True)
@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (
            {"predicts": [1, 1]},
            'its server answers 200 ({"predictions": [1, 1]}) instead of [0, 2]',
        ),
        ({"loaded": False}, "its server answers 404 ("),
        (
            {"routed": False},
            f"http://{HOST} answers 404 through istio-system/knative-local-gateway",
        ),
        ({"open": True}, "it answers whoever asks through istio-system/knative-local-gateway"),
    ],
)
def test_an_answer_that_is_wrong_is_a_problem(
    deep: Deep, broken: Mapping[str, Any], told: str
) -> None:
    asks(deep)
    for name, value in broken.items():
        setattr(deep.server, name, value)
    assert told in deep.problem()


@pytest.mark.check("inference-service", broken=True)
@pytest.mark.parametrize(
    ("printed", "told"),
    [
        (
            "403 RBAC: access denied",
            "403 (RBAC: access denied): AuthorizationPolicy alice/ns-owner-access-istio has to",
        ),
        ("503 upstream connect error", 'config-autoscaler to have target-burst-capacity "0"'),
        ("0 TimeoutError('timed out')", "answers a pod of the profile 0 (TimeoutError"),
        ("404", "get ksvc,virtualservice` shows who has that host"),
        ('200 {"predictions": [1, 1]}', "answers a pod of the profile 200 ("),
        ("Traceback", "printed 'Traceback' instead"),
    ],
)
def test_a_pod_of_the_profile_that_gets_no_prediction_is_a_problem(
    deep: Deep, printed: str, told: str
) -> None:
    asks(deep)
    deep.server.pod = printed
    (found,) = (each for each in deep.found() if each.level is Level.PROBLEM)
    assert told in found.sentence


def test_a_pod_that_cannot_ask_is_told_with_its_reason(deep: Deep) -> None:
    deep.cluster.plays += [trains, serves]

    def fails(cluster: Cluster) -> None:
        if ASKING in cluster.objects:
            cluster.objects[ASKING]["status"] = {
                "conditions": [{"type": "Failed", "status": "True"}]
            }

    deep.cluster.plays.append(fails)
    (found,) = (each for each in deep.found() if each.level is Level.PROBLEM)
    assert found.sentence.startswith(
        f"no pod of the profile could ask it: Job alice/{RUN}-ask-model"
    )
