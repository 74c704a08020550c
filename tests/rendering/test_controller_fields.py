"""What webhook servers write into their own configurations is in no render."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rendering import Object
from rendering.controller_fields import drop
from rendering.objects import Path, value_at

VALIDATING, MUTATING = "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"
ISTIO, KNATIVE = {"istio.io/rev": "default"}, "webhook.serving.knative.dev"
WHOLE: dict[str, Any] = {
    "admissionReviewVersions": ["v1"],
    "clientConfig": {
        "caBundle": "Q0E=",
        "service": {"name": "server", "namespace": "system", "path": "/judge"},
    },
    "failurePolicy": "Ignore",
    "namespaceSelector": {"matchLabels": {"a": "b"}},
    "objectSelector": {"matchLabels": {"a": "b"}},
    "reinvocationPolicy": "Never",
    "rules": [{"apiGroups": ["x"]}],
    "sideEffects": "None",
}
CA: Path = ("clientConfig", "caBundle")
SERVICE_PATH: Path = ("clientConfig", "service", "path")
BY_KNATIVE: tuple[Path, ...] = (CA, SERVICE_PATH, ("reinvocationPolicy",), ("rules",))


def configuration(kind: str, name: str, hook: str, labels: dict[str, str]) -> Object:
    metadata = {"name": name, "labels": labels}
    return {
        "kind": kind,
        "metadata": metadata,
        "webhooks": [{"name": hook, **copy.deepcopy(WHOLE)}],
    }


@pytest.mark.parametrize(
    ("kind", "name", "hook", "labels", "left_out"),
    [
        (VALIDATING, "istio-validator", "rev.validation.istio.io", ISTIO, (CA, ("failurePolicy",))),
        (VALIDATING, "istio-validator", "rev.validation.istio.io", {}, ()),
        (MUTATING, "injector", "namespace.sidecar-injector.istio.io", ISTIO, ()),
        (MUTATING, KNATIVE, KNATIVE, {}, BY_KNATIVE),
        (VALIDATING, f"config.{KNATIVE}", f"config.{KNATIVE}", {}, BY_KNATIVE),
        (VALIDATING, f"config.{KNATIVE}", KNATIVE, {}, ()),
        (VALIDATING, "validator.example.com", "validator.example.com", {}, ()),
    ],
)
def test_exactly_what_its_server_writes_is_left_out_of_a_configuration(
    kind: str, name: str, hook: str, labels: dict[str, str], left_out: tuple[Path, ...]
) -> None:
    made = configuration(kind, name, hook, copy.deepcopy(labels))
    kept = copy.deepcopy(made)
    drop(made)
    for way in left_out:
        del value_at(kept["webhooks"][0], way[:-1])[way[-1]]
    assert made == kept


@pytest.mark.parametrize("given", [{"name": KNATIVE}, {"name": KNATIVE, "clientConfig": None}])
def test_what_is_not_there_cannot_be_left_out(given: dict[str, Any]) -> None:
    made: Object = {"kind": MUTATING, "metadata": {"name": KNATIVE}, "webhooks": [given]}
    before = copy.deepcopy(made)
    drop(made)
    assert made == before
