"""Objects in a rehearsal: stored, written back and refused as by an API server."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest
from pulumi.runtime.proto import provider_pb2

from components.objects.kubernetes_objects import register
from rehearsal import protocol
from rehearsal.engine import EngineFailure
from rehearsal.kubernetes_objects import KubernetesObjects, pruned, stored
from rehearsal.providers import Simulation
from rehearsal.sample_outputs.controllers import written_back
from rendering import Object
from rendering.await_annotations import PATCH_FORCE
from rendering.normalise import normalise
from rendering.selectors import matches_selector
from tests.rehearsal.conftest import Started

API = "admissionregistration.k8s.io/v1"
RULES = [
    {"apiGroups": ["x"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["things"]}
]


def configuration(name: str, hook: str, labels: dict[str, str]) -> Object:
    """As upstream writes one: with values that its own server overwrites."""
    return {
        "apiVersion": API,
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name, "labels": labels},
        "webhooks": [
            {
                "name": hook,
                "admissionReviewVersions": ["v1"],
                "clientConfig": {"service": {"name": "server", "namespace": "system"}},
                "failurePolicy": "Ignore",
                "rules": RULES,
                "sideEffects": "None",
            }
        ],
    }


ISTIO = configuration("istio-validator", "rev.validation.istio.io", {"istio.io/rev": "default"})
KNATIVE = configuration("validation.webhook.knative.dev", "validation.webhook.knative.dev", {})
ROLE: Object = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "admin"},
    "rules": [],
}
CONFIGURATIONS = (ISTIO, KNATIVE)


def applying(*objects: Object) -> Callable[[], None]:
    def program() -> None:
        cluster = kubernetes.Provider("kubernetes", kubeconfig="{}")
        for obj in objects:
            register(copy.deepcopy(obj), opts=pulumi.ResourceOptions(provider=cluster))

    return program


def test_knative_leaves_out_the_namespaces_that_exclude_themselves() -> None:
    written = written_back(
        configuration("webhook.serving.knative.dev", "webhook.serving.knative.dev", {})
    )
    assert written is not None
    selector = written[1]["webhooks"][0]["namespaceSelector"]
    assert matches_selector(selector, {})
    assert not matches_selector(selector, {"webhooks.knative.dev/exclude": "true"})


def rendered(*upstream: Object) -> list[Object]:
    return normalise(copy.deepcopy(list(upstream)))[0]


def annotated(objects: Iterable[Object], **annotations: str) -> list[Object]:
    changed = copy.deepcopy(list(objects))
    for obj in changed:
        obj["metadata"].setdefault("annotations", {}).update(annotations)
    return changed


@pytest.mark.engine
def test_what_is_rendered_stays_unchanged_also_after_a_refresh(started: Started) -> None:
    with started(applying(*rendered(*CONFIGURATIONS, ROLE))) as rehearsal:
        rehearsal.up()
        assert set(rehearsal.preview().changes) == {"same"}
        rehearsal.refresh()
        assert set(rehearsal.preview().changes) == {"same"}


@pytest.mark.engine
@pytest.mark.parametrize(
    ("applied_before", "refreshed"),
    [
        (rendered(*CONFIGURATIONS), True),
        # An earlier version of the program applied upstream's own values.
        (list(CONFIGURATIONS), False),
        (list(CONFIGURATIONS), True),
    ],
    ids=["as-now", "as-upstream", "as-upstream-refreshed"],
)
def test_a_configuration_can_be_changed_whoever_has_written_into_it(
    started: Started, applied_before: list[Object], refreshed: bool
) -> None:
    with started(applying(*applied_before)) as rehearsal:
        rehearsal.up()
        if refreshed:
            rehearsal.refresh()
    with started(applying(*annotated(rendered(*CONFIGURATIONS), changed="yes"))) as rehearsal:
        assert rehearsal.up().changes == {"same": 1, "update": 2}
        assert set(rehearsal.preview().changes) == {"same"}


@pytest.mark.engine
def test_what_upstream_wrote_differs_for_ever_or_is_refused_unless_forced(started: Started) -> None:
    unforced = annotated([ISTIO, ROLE], **{PATCH_FORCE: "false"})
    with started(applying(*unforced)) as rehearsal:
        rehearsal.up()
        assert rehearsal.preview().changes == {"same": 2, "update": 1}
    changed = annotated(unforced[:1], changed="yes")
    conflict = r"conflict with 'pilot-discovery'.*failurePolicy"
    with started(applying(*changed)) as rehearsal, pytest.raises(EngineFailure, match=conflict):
        rehearsal.up()
    with started(applying(*unforced)) as rehearsal:
        rehearsal.refresh()
        with pytest.raises(EngineFailure, match=conflict):
            rehearsal.preview()
    with started(applying(*annotated([ISTIO], changed="yes"))) as rehearsal:
        assert rehearsal.up().changes["update"] == 1


def binding(role: str, name: str = "binding") -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": "b"}],
    }


@pytest.mark.engine
def test_a_binding_with_another_role_is_refused_and_one_with_another_name_is_not(
    started: Started,
) -> None:
    """The real one: tests/upgrade, where 26.03 has such a binding."""
    with started(applying(binding("old"))) as rehearsal:
        rehearsal.up()
    refused = pytest.raises(EngineFailure, match="cannot change roleRef")
    with started(applying(binding("new"))) as rehearsal, refused:
        rehearsal.preview()
    with started(applying(binding("new", "another"))) as rehearsal:
        assert rehearsal.up().changes == {"same": 1, "create": 1, "delete": 1}


@pytest.mark.parametrize(
    ("type_", "given", "kept"),
    [
        ("rbac.authorization.k8s.io/v1:ClusterRole", {"rules": []}, {}),
        ("core/v1:ConfigMap", {"data": {}, "metadata": {"labels": {}}}, {"metadata": {}}),
        (
            "core/v1:Pod",
            {"spec": {"nodeSelector": {}, "containers": [{"name": "a", "env": []}]}},
            {"spec": {"containers": [{"name": "a"}]}},
        ),
        ("core/v1:Pod", {"spec": {"volumes": [{"emptyDir": {}}]}}, None),
        ("networking.k8s.io/v1:NetworkPolicy", {"spec": {"ingress": [{}]}}, None),
        ("security.istio.io/v1:AuthorizationPolicy", {"spec": {"rules": []}}, None),
    ],
)
def test_empty_lists_and_maps_of_built_in_types_are_not_stored(
    type_: str, given: dict[str, Any], kept: dict[str, Any] | None
) -> None:
    struct = stored(f"kubernetes:{type_}", protocol.to_struct(given))
    assert protocol.properties(struct) == (given if kept is None else kept)


def test_of_what_is_stored_only_what_was_given_is_compared() -> None:
    live = {"a": 1, "b": [{"c": 1, "d": 2}, {"c": 3}], "e": {"f": 1, "g": 2}, "h": 1}
    given = {"a": 0, "b": [{"d": 0}], "e": {"g": 0}, "i": 0}
    struct = pruned(protocol.to_struct(live), protocol.to_struct(given))
    assert protocol.properties(struct) == {"a": 1, "b": [{"d": 2}], "e": {"g": 2}}


def test_a_refresh_gives_the_stored_values_of_what_was_given_as_inputs() -> None:
    given = protocol.to_struct(ISTIO)
    request = provider_pb2.ReadRequest(id="istio-validator", properties=given, inputs=given)
    context = SimpleNamespace(peer=lambda: "")
    read: Any = KubernetesObjects(Simulation(region="cn-north-1")).Read(request, context)
    (stored_hook,) = protocol.properties(read.properties)["webhooks"]
    (given_hook,) = protocol.properties(read.inputs)["webhooks"]
    assert stored_hook["clientConfig"]["caBundle"]
    assert given_hook == {**ISTIO["webhooks"][0], "failurePolicy": "Fail"}


def test_an_object_without_a_name_gets_one_from_its_pulumi_name() -> None:
    given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"labels": {"a": "b"}}}
    request = provider_pb2.CheckRequest(
        type="kubernetes:core/v1:ConfigMap", name="space/Some", news=protocol.to_struct(given)
    )
    context = SimpleNamespace(peer=lambda: "")
    checked: Any = KubernetesObjects(Simulation(region="cn-north-1")).Check(request, context)
    metadata = protocol.properties(checked.inputs)["metadata"]
    assert metadata["labels"] == {"a": "b"}
    assert re.fullmatch("some-[0-9a-f]{8}", metadata["name"])


def test_a_secret_stays_one_and_whole() -> None:
    live = protocol.to_struct({"data": protocol.secret({"key": "value"})})
    assert pruned(live, protocol.to_struct({"data": {"key": "plain"}})) == live
