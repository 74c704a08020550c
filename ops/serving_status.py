"""Why a model or a service of Knative is not ready: one sentence each, with the way out.

Pure: objects come as JSON from the Kubernetes API. Fields: knative/serving v0.48.1
pkg/apis/serving/v1 (Configuration, Revision), kserve/kserve v0.16.0 pkg/apis/serving/v1beta1
(InferenceServiceStatus), and KServe's init container ``storage-initializer``, whose last words are
its termination message (pkg/webhook/admission/pod/storage_initializer_injector.go).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ops.image_pulls import pull_trouble, way_out_of_digest

Object = Mapping[str, Any]
MODEL = "serving.kserve.io/inferenceservice"
"""Label of what KServe makes for an InferenceService: its name."""
_CONFIGURATION = "serving.knative.dev/configuration"
_INITIALIZER = "storage-initializer"
_UNRESOLVED = re.compile(r'Unable to fetch image "(?P<image>[^"]*)": (?P<why>.*)', re.DOTALL)
_LONGEST = 300


class State(NamedTuple):
    """Why something is not ready; ``starting``: nothing has failed so far."""

    sentence: str
    starting: bool = False


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What a cluster has of KServe and Knative.

    Attributes:
        models: InferenceServices.
        configurations: of Knative, one per service.
        revisions: of Knative.
        pods: that are not over, of any kind.
    """

    models: Iterable[Object]
    configurations: Iterable[Object]
    revisions: Iterable[Object]
    pods: Iterable[Object]


def explain_serving(serving: Serving) -> dict[str, State | None]:
    """``namespace/name`` of every model, and of every other service -> why it is not ready."""
    revisions = {_name(each): each for each in serving.revisions}
    states: dict[str, State | None] = {}
    of_models: dict[str, list[Object]] = {}
    for configuration in serving.configurations:
        owner = (configuration["metadata"].get("labels") or {}).get(MODEL)
        if owner:
            of_models.setdefault(_beside(configuration, owner), []).append(configuration)
        else:
            states[_name(configuration)] = _service(configuration, revisions, serving.pods)
    for model in serving.models:
        parts = of_models.get(_name(model), [])
        states[_name(model)] = _model(model, parts, revisions, serving.pods)
    return states


def _model(
    model: Object, parts: list[Object], revisions: Mapping[str, Object], pods: Iterable[Object]
) -> State | None:
    if _condition(model, "Ready").get("status") == "True":
        return None
    own = [pod for pod in pods if _is_of(pod, model, MODEL)]
    download = next((state for pod in own if (state := _download(pod))), None)
    if download:
        return download
    services = [state for part in parts if (state := _service(part, revisions, pods))]
    # A failure explains more than a part that still starts.
    for state in sorted(services, key=lambda each: each.starting):
        return state
    status = model.get("status") or {}
    failure = (status.get("modelStatus") or {}).get("lastFailureInfo") or {}
    if failure:
        return State(_with_way_out(failure.get("reason", ""), failure.get("message", "")))
    for condition in status.get("conditions") or []:
        if condition["status"] == "False" and condition.get("message"):
            return State(_with_way_out(condition.get("reason", ""), condition["message"]))
    return State("its pods are not ready yet", starting=True)


def _service(
    configuration: Object, revisions: Mapping[str, Object], pods: Iterable[Object]
) -> State | None:
    """The state of the newest revision; older ones are history."""
    newest = (configuration.get("status") or {}).get("latestCreatedRevisionName")
    revision = revisions.get(_beside(configuration, newest)) if newest else None
    ready = _condition(revision or configuration, "Ready")
    if ready.get("status") == "True":
        return None
    if revision is None:
        message = ready.get("message")
        return State(_short(message)) if message else State("it has no revision yet", starting=True)
    name, message = revision["metadata"]["name"], ready.get("message") or ready.get("reason") or ""
    unresolved = _UNRESOLVED.search(message)
    if unresolved:
        way_out = way_out_of_digest(unresolved["image"], unresolved["why"])
        return State(f"revision {name} has no digest of its image ({_short(message)}): {way_out}")
    own = [pod for pod in pods if _is_of(pod, configuration, _CONFIGURATION)]
    way_out = next((text for pod in own if (text := pull_trouble(pod))), "")
    if way_out:
        return State(f"revision {name} waits for an image: {way_out}")
    if ready.get("status") == "False":
        return State(f"revision {name} failed: {_short(message)}")
    return State(f"revision {name} is starting{message and f': {_short(message)}'}", starting=True)


def _download(pod: Object) -> State | None:
    """Why the model of a pod is not there."""
    spec = pod.get("spec") or {}
    found = [each for each in spec.get("initContainers") or [] if each["name"] == _INITIALIZER]
    statuses = (pod.get("status") or {}).get("initContainerStatuses") or []
    states = [each for each in statuses if each["name"] == _INITIALIZER]
    if not found or not states or (states[0].get("state") or {}).get("running"):
        return None
    ends = [(states[0].get(key) or {}).get("terminated") or {} for key in ("state", "lastState")]
    ended = next((end for end in ends if end.get("exitCode")), None)
    if ended is None:
        return None
    source = next(iter(found[0].get("args") or []), "its model")
    message = (ended.get("message") or "").strip() or ended.get("reason") or "no message"
    account = spec.get("serviceAccountName") or "default"
    named = {each["name"] for each in found[0].get("env") or []}
    last = _short(message.splitlines()[-1])
    if source.startswith("s3://") and not named & {"AWS_ROLE_ARN", "AWS_ACCESS_KEY_ID"}:
        way_out = f"service account {account} has no role: set serviceAccountName: default-editor"
    else:
        way_out = next(text for pattern, text in _DOWNLOADS if re.search(pattern, message))
        way_out = way_out.format(account=account)
    return State(f"{source} is not downloaded ({last}): {way_out}")


_DOWNLOADS = (
    (
        r"AssumeRoleWithWebIdentity",
        (
            "the role of service account {account} does not trust it: name default-editor of a "
            "profile that the setting users lists"
        ),
    ),
    (
        r"Access ?[Dd]enied|\b403\b|Forbidden",
        (
            "the role of service account {account} does not reach it: put the model below the "
            "profile's own prefix of the bucket"
        ),
    ),
    (
        r"NoSuchBucket|NoSuchKey|\b404\b|Not Found|[Nn]o model found",
        "nothing is there: correct storageUri",
    ),
    (
        r"EndpointConnectionError|Could not connect|[Cc]onnect timeout|Max retries|Name or service",
        "the cluster does not reach that host: put the model into S3",
    ),
    (r"", "`kubectl logs` of the container storage-initializer has the rest"),
)
"""Last words of kserve-storage and of what it calls -> the way out; the first match counts."""

_RUNTIMES = "name one of `kubectl get clusterservingruntimes` in runtime"
_FAILURES = {
    "NoSupportingRuntime": f"{_RUNTIMES}, or correct modelFormat",
    "RuntimeNotRecognized": _RUNTIMES,
    "RuntimeDisabled": _RUNTIMES,
    "InvalidPredictorSpec": "correct the predictor",
}
"""Reasons of KServe (FailureReason) -> the way out."""


def _with_way_out(reason: str, message: str) -> str:
    sentence = ": ".join(filter(None, [reason, _short(message)]))
    return f"{sentence}: {_FAILURES[reason]}" if reason in _FAILURES else sentence


def _is_of(pod: Object, owner: Object, label: str) -> bool:
    metadata = pod["metadata"]
    return (
        metadata.get("namespace") == owner["metadata"].get("namespace")
        and (metadata.get("labels") or {}).get(label) == owner["metadata"]["name"]
        and not metadata.get("deletionTimestamp")
    )


def _condition(obj: Object, kind: str) -> Object:
    conditions: Iterator[Object] = iter((obj.get("status") or {}).get("conditions") or [])
    return next((each for each in conditions if each["type"] == kind), {})


def _name(obj: Object) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _beside(obj: Object, name: str) -> str:
    return f"{obj['metadata']['namespace']}/{name}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
