"""Models and services that are not ready: the reason and the way out."""

from __future__ import annotations

from typing import Any

import pytest

from ops.serving_status import MODEL, Serving, State, explain_serving

Json = dict[str, Any]
OTHER = "444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn"
UNRESOLVED = (
    f'Unable to fetch image "{OTHER}/team/app:1": failed to resolve image to digest: HEAD '
    f"https://{OTHER}/v2/team/app/manifests/1: unexpected status code 401 Unauthorized"
)


def of(name: str, *conditions: Json, **status: Any) -> Json:
    return {
        "metadata": {"name": name, "namespace": "team", "labels": {}},
        "status": {"conditions": list(conditions), **status},
    }


def ready(status: str, message: str = "", reason: str = "") -> Json:
    return {"type": "Ready", "status": status, "message": message, "reason": reason}


def configuration(name: str = "app", model: str = "") -> Json:
    made = of(name, ready("Unknown"), latestCreatedRevisionName=f"{name}-00002")
    made["metadata"]["labels"] = {MODEL: model} if model else {}
    return made


def revision(status: str, message: str = "", name: str = "app-00002") -> Json:
    return of(name, ready(status, message))


def pod(labels: dict[str, str], **status: Any) -> Json:
    spec = {"containers": [{"name": "user-container", "image": "quay.io/a/b:9"}]}
    metadata = {"name": "p", "namespace": "team", "labels": labels}
    return {"metadata": metadata, "spec": spec, "status": status}


def downloading(
    message: str, *, uri: str = "s3://models/iris", role: bool = True, key: str = "lastState"
) -> Json:
    """A pod of KServe's whose storage initializer ended so."""
    made = pod({MODEL: "iris"}, phase="Pending")
    variables = [{"name": "AWS_ROLE_ARN", "value": "arn"}] if role else []
    args = [uri, "/mnt/models"]
    made["spec"]["serviceAccountName"] = "default-editor" if role else "default"
    made["spec"]["initContainers"] = [
        {"name": "storage-initializer", "args": args, "env": variables}
    ]
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": message}}
    made["status"]["initContainerStatuses"] = [{"name": "storage-initializer", key: ended}]
    return made


def state(
    *pods: Json, model: Json | None = None, parts: tuple[Json, ...] = (), revisions: Any = ()
) -> State | None:
    (found,) = explain_serving(
        Serving(
            models=[model] if model else [],
            configurations=parts,
            revisions=revisions,
            pods=pods,
        )
    ).values()
    return found


def test_a_revision_without_digest_names_the_registry_and_the_setting() -> None:
    found = state(parts=(configuration(),), revisions=[revision("False", UNRESOLVED)])
    assert found is not None
    assert not found.starting
    assert found.sentence.startswith("revision app-00002 has no digest of its image (Unable to")
    assert found.sentence.endswith(
        f"Knative has no login to {OTHER}: list it in kubeflow:serving.nodeRegistries and run "
        "`pulumi up`, or name the image by its digest"
    )


def test_a_revision_that_waits_for_an_image_names_what_helps() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
    waits = pod(
        {"serving.knative.dev/configuration": "app"},
        containerStatuses=[{"name": "user-container", "state": waiting}],
    )
    found = state(waits, parts=(configuration(),), revisions=[revision("Unknown")])
    sentence = "revision app-00002 waits for an image: quay.io has no such tag: correct the image"
    assert found == State(sentence)


def test_only_the_newest_revision_counts() -> None:
    old = revision("False", "broken", name="app-00001")
    assert state(parts=(configuration(),), revisions=[old, revision("True")]) is None


@pytest.mark.parametrize(
    ("newest", "found"),
    [
        (
            revision("False", "Initial scale was never achieved"),
            State("revision app-00002 failed: Initial scale was never achieved"),
        ),
        (revision("Unknown"), State("revision app-00002 is starting", starting=True)),
        (
            revision("Unknown", "Deploying"),
            State("revision app-00002 is starting: Deploying", starting=True),
        ),
    ],
)
def test_other_revisions_are_told_in_knatives_own_words(newest: Json, found: State) -> None:
    assert state(parts=(configuration(),), revisions=[newest]) == found


def test_a_service_without_a_revision_is_told_too() -> None:
    refused = of("app", ready("False", "Revision creation failed"))
    assert state(parts=(refused,)) == State("Revision creation failed")
    assert state(parts=(of("app"),)) == State("it has no revision yet", starting=True)


@pytest.mark.parametrize(
    ("message", "options", "way_out"),
    [
        (
            "botocore.exceptions.NoCredentialsError: Unable to locate credentials",
            {"role": False},
            "service account default has no role: set serviceAccountName: default-editor",
        ),
        (
            (
                "ClientError: An error occurred (AccessDenied) when calling the "
                "AssumeRoleWithWebIdentity operation"
            ),
            {},
            (
                "the role of service account default-editor does not trust it: name default-editor "
                "of a profile that the setting users lists"
            ),
        ),
        (
            "ClientError: An error occurred (403) when calling the HeadObject operation: Forbidden",
            {},
            (
                "the role of service account default-editor does not reach it: put the model below "
                "the profile's own prefix of the bucket"
            ),
        ),
        (
            "RuntimeError: Access denied to S3 resource 'models'. Verify permissions.",
            {},
            (
                "the role of service account default-editor does not reach it: put the model below "
                "the profile's own prefix of the bucket"
            ),
        ),
        (
            "RuntimeError: Failed to fetch model. No model found in s3://models/iris.",
            {},
            "nothing is there: correct storageUri",
        ),
        (
            "Max retries exceeded with url: /api/models/x (Caused by ConnectTimeoutError)",
            {"uri": "hf://x/y", "role": False},
            "the cluster does not reach that host: put the model into S3",
        ),
        (
            "Killed",
            {},
            "`kubectl logs` of the container storage-initializer has the rest",
        ),
    ],
)
@pytest.mark.parametrize("key", ["state", "lastState"])
def test_a_model_that_is_not_downloaded_has_a_way_out(
    message: str, options: dict[str, Any], way_out: str, key: str
) -> None:
    ended = downloading(f"Traceback\n{message}", key=key, **options)
    found = state(ended, model=of("iris", ready("Unknown")))
    uri = options.get("uri", "s3://models/iris")
    assert found == State(f"{uri} is not downloaded ({message}): {way_out}")


def test_a_model_that_is_being_downloaded_is_starting() -> None:
    pending = downloading("", key="state")
    pending["status"]["initContainerStatuses"][0]["state"] = {"running": {}}
    found = state(pending, model=of("iris", ready("Unknown")))
    assert found == State("its pods are not ready yet", starting=True)


def test_a_pod_that_ended_well_or_is_deleted_says_nothing_of_the_model() -> None:
    model = of("iris", ready("Unknown"))
    starting = State("its pods are not ready yet", starting=True)
    done = downloading("", key="state")
    done["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] = 0
    assert state(done, model=model) == starting
    silent = state(downloading(" \n"), model=model)
    assert silent is not None
    assert "(Error)" in silent.sentence
    gone = downloading("NoSuchBucket")
    gone["metadata"]["deletionTimestamp"] = "2026-11-29T01:00:00Z"
    assert state(gone, model=model) == starting


def test_a_model_is_told_by_what_failed_of_its_services() -> None:
    parts = (configuration("iris-a", "iris"), configuration("iris-b", "iris"))
    revisions = [revision("Unknown", name="iris-a-00002"), revision("False", "no", "iris-b-00002")]
    model = of("iris", ready("False", "Predictor is not ready"))
    found = state(model=model, parts=parts, revisions=revisions)
    assert found == State("revision iris-b-00002 failed: no")


def test_kserves_own_failure_has_a_way_out() -> None:
    failure = {"reason": "NoSupportingRuntime", "message": "No runtime found to support x"}
    model = of("iris", ready("False"), modelStatus={"lastFailureInfo": failure})
    found = state(model=model)
    assert found == State(
        "NoSupportingRuntime: No runtime found to support x: name one of `kubectl get "
        "clusterservingruntimes` in runtime, or correct modelFormat"
    )


def test_a_condition_of_kserve_is_told_when_nothing_else_is_known() -> None:
    model = of("iris", ready("Unknown"), {**ready("False", "no host"), "type": "IngressReady"})
    assert state(model=model) == State("no host")


def test_ready_ones_have_no_state() -> None:
    assert state(model=of("iris", ready("True"))) is None
    assert explain_serving(Serving(models=[], configurations=[], revisions=[], pods=[])) == {}
