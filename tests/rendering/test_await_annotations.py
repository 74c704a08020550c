"""Others come after an object that is in force, not only there."""

from __future__ import annotations

import pytest

from rendering.await_annotations import annotate_needed, annotate_object
from rendering.objects import Object, ObjectKey
from tests.rendering.small_objects import APPS, obj, webhook

EXTERNAL = "external-secrets.io/v1"
WAIT = "pulumi.com/waitFor"
PULL_AND_START = {"pulumi.com/timeoutSeconds": "900"}
NODE_BY_NODE = {"pulumi.com/timeoutSeconds": "1800"}
READY = {WAIT: "condition=Ready"}


def annotations_on(thing: Object) -> dict[str, str]:
    return thing["metadata"].get("annotations", {})


@pytest.mark.parametrize(
    ("kind", "api", "expected"),
    [
        ("Service", "v1", {"pulumi.com/skipAwait": "true"}),
        ("PersistentVolumeClaim", "v1", {"pulumi.com/skipAwait": "true"}),
        ("Deployment", APPS, PULL_AND_START),
        ("StatefulSet", APPS, PULL_AND_START),
        ("DaemonSet", APPS, NODE_BY_NODE),
        ("CronJob", "batch/v1", {}),
        ("Job", "batch/v1", {**PULL_AND_START, "pulumi.com/replaceUnready": "true"}),
        ("Service", "serving.knative.dev/v1", {}),
        ("Job", "batch.volcano.sh/v1alpha1", {}),
        ("ConfigMap", "v1", {}),
        ("ExternalSecret", EXTERNAL, {}),
    ],
)
def test_what_is_awaited(kind: str, api: str, expected: dict[str, str]) -> None:
    thing = obj(kind, "x", api)
    annotate_object(thing)
    assert annotations_on(thing) == expected


def test_an_overlays_own_waiting_wins() -> None:
    own = {"pulumi.com/timeoutSeconds": "60", "pulumi.com/replaceUnready": "false"}
    job = obj("Job", "x", "batch/v1", metadata={"annotations": own})
    annotate_object(job)
    assert annotations_on(job) == own


CA = {WAIT: "jsonpath={.webhooks[0].clientConfig.caBundle}"}


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (obj("ExternalSecret", "x", EXTERNAL), READY),
        (obj("SecretStore", "x", EXTERNAL), READY),
        (obj("ClusterSecretStore", "x", EXTERNAL, None), READY),
        (webhook("x", "judge", "pods"), CA),
        (obj("ConfigMap", "x"), {}),
        (obj("SecretProviderClass", "x", "secrets-store.csi.x-k8s.io/v1"), {}),
    ],
)
@pytest.mark.parametrize("needed", [True, False])
def test_only_what_others_need_is_awaited(
    thing: Object, expected: dict[str, str], needed: bool
) -> None:
    item = {**thing, "metadata": dict(thing["metadata"])}
    other = obj("Deployment", "other", APPS)
    annotate_needed([item, other], {ObjectKey.of(other): [ObjectKey.of(item)]} if needed else {})
    assert annotations_on(item) == (expected if needed else {})
    assert annotations_on(other) == {}


def test_a_webhook_with_a_ca_is_in_force_at_once() -> None:
    configuration = webhook("x", "judge", "pods")
    configuration["webhooks"][0]["clientConfig"]["caBundle"] = "TUlJ"
    annotate_needed([configuration], {ObjectKey.of(obj("Pod", "p")): [ObjectKey.of(configuration)]})
    assert annotations_on(configuration) == {}
