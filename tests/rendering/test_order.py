"""The order of creation comes from the objects, and from nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from rendering import ObjectKey
from rendering.objects import Object
from rendering.order import DuplicateObject, OrderCycle, derive, sequence
from tests.rendering.small_objects import (
    APPS,
    CERTIFICATES,
    names,
    needs,
    obj,
    service,
    space,
    webhook,
    workload,
)


def env(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"containers": [{"env": [{"name": "A", "valueFrom": {kind: {"name": name, **more}}}]}]}


def volume(**source: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "v", **source}]}


@pytest.mark.parametrize(
    ("pod", "needed"),
    [
        (env("configMapKeyRef", "c", key="k"), "ConfigMap c"),
        (env("secretKeyRef", "s", key="k"), "Secret s"),
        (env("secretKeyRef", "s", key="k", optional=True), "Secret s"),
        ({"containers": [{"envFrom": [{"configMapRef": {"name": "c"}}]}]}, "ConfigMap c"),
        ({"initContainers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]}, "Secret s"),
        (volume(configMap={"name": "c"}), "ConfigMap c"),
        (volume(secret={"secretName": "s"}), "Secret s"),
        (volume(projected={"sources": [{"secret": {"name": "s"}}]}), "Secret s"),
        (volume(projected={"sources": [{"configMap": {"name": "c"}}]}), "ConfigMap c"),
        (volume(csi={"nodePublishSecretRef": {"name": "s"}}), "Secret s"),
        (volume(persistentVolumeClaim={"claimName": "p"}), "PersistentVolumeClaim p"),
        ({"imagePullSecrets": [{"name": "s"}]}, "Secret s"),
        ({"serviceAccountName": "a"}, "ServiceAccount a"),
        ({"priorityClassName": "high"}, "PriorityClass high"),
    ],
)
def test_a_workload_comes_after_what_its_pods_name(pod: dict[str, Any], needed: str) -> None:
    objects = [
        workload("w", pod),
        obj("ConfigMap", "c"),
        obj("Secret", "s"),
        obj("PersistentVolumeClaim", "p"),
        obj("ServiceAccount", "a"),
        obj("PriorityClass", "high", "scheduling.k8s.io/v1", None),
        # The same names in another namespace are other objects.
        obj("ConfigMap", "c", namespace="other"),
        obj("Secret", "s", namespace="other"),
    ]
    assert needs(objects, "w") == {needed}


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "Job", "Pod", "CronJob"])
def test_every_kind_of_workload_is_read(kind: str) -> None:
    pod: dict[str, Any] = {"spec": {"serviceAccountName": "a"}}
    bodies: dict[str, dict[str, Any]] = {
        "Pod": pod,
        "CronJob": {"spec": {"jobTemplate": {"spec": {"template": pod}}}},
    }
    api = {"Pod": "v1", "Job": "batch/v1", "CronJob": "batch/v1"}.get(kind, APPS)
    body = bodies.get(kind, {"spec": {"template": pod}})
    assert needs([obj(kind, "w", api) | body, obj("ServiceAccount", "a")], "w") == {
        "ServiceAccount a"
    }


def test_a_namespace_comes_before_its_content() -> None:
    assert needs([obj("ConfigMap", "c"), space("n")], "c") == {"Namespace n"}


def test_only_direct_prerequisites_are_kept() -> None:
    objects = [space("n"), obj("ServiceAccount", "a"), workload("w", {"serviceAccountName": "a"})]
    assert needs(objects, "w") == {"ServiceAccount a"}


@pytest.mark.parametrize(
    ("issuer", "needed"),
    [
        ({"name": "i"}, "Issuer i"),
        ({"name": "i", "kind": "Issuer"}, "Issuer i"),
        ({"name": "c", "kind": "ClusterIssuer"}, "ClusterIssuer c"),
    ],
)
def test_a_certificate_comes_after_its_issuer(issuer: dict[str, str], needed: str) -> None:
    objects = [
        obj("Certificate", "x", CERTIFICATES, spec={"secretName": "t", "issuerRef": issuer}),
        obj("Issuer", "i", CERTIFICATES),
        obj("ClusterIssuer", "c", CERTIFICATES, None),
    ]
    assert needs(objects, "x") == {needed}


@pytest.mark.parametrize(
    ("secret", "needed"),
    [
        ({"secretName": "t"}, {"Certificate x"}),
        # A pod that starts without it need not wait for its issue.
        ({"secretName": "t", "optional": True}, set[str]()),
    ],
)
def test_a_workload_comes_after_the_certificate_it_mounts(
    secret: dict[str, Any], needed: set[str]
) -> None:
    certificate = obj(
        "Certificate", "x", CERTIFICATES, spec={"secretName": "t", "issuerRef": {"name": "i"}}
    )
    assert needs([workload("w", volume(secret=secret)), certificate], "w") == needed


def test_a_webhook_comes_after_its_service_and_its_workload() -> None:
    objects = [webhook("hook", "judge", "widgets"), workload("judge"), service("judge")]
    assert needs(objects, "hook") == {"Deployment judge", "Service judge"}


def test_an_aggregated_api_comes_after_its_service_and_its_workload() -> None:
    served = {"service": {"name": "server", "namespace": "n"}}
    api = obj("APIService", "v1.widgets", "apiregistration.k8s.io/v1", None, spec=served)
    crd_api = obj("APIService", "v1.local", "apiregistration.k8s.io/v1", None, spec={})
    objects = [api, crd_api, workload("server"), service("server")]
    assert needs(objects, "v1.widgets") == {"Deployment server", "Service server"}
    assert needs(objects, "v1.local") == set()


def test_a_webhook_comes_after_the_certificate_injected_into_it() -> None:
    configuration = webhook("hook", "judge", "widgets")
    configuration["metadata"]["annotations"] = {"cert-manager.io/inject-ca-from": "n/x"}
    certificate = obj(
        "Certificate", "x", CERTIFICATES, spec={"secretName": "t", "issuerRef": {"name": "i"}}
    )
    assert needs([configuration, certificate], "hook") == {"Certificate x"}


JUDGE = [workload("judge", namespace="mesh"), service("judge", namespace="mesh")]


def injector(**rest: Any) -> Object:
    return webhook("hook", "judge", "pods", namespace="mesh", **rest)


@pytest.mark.parametrize(
    ("configuration", "waits"),
    [
        (injector(), True),
        (injector(failurePolicy="Ignore"), False),
        (injector(namespaceSelector={"matchLabels": {"injection": "on"}}), True),
        (injector(namespaceSelector={"matchLabels": {"injection": "off"}}), False),
        (
            injector(namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": "n"}}),
            True,
        ),
        (injector(objectSelector={"matchLabels": {"app": "w"}}), True),
        (injector(objectSelector={"matchLabels": {"app": "other"}}), False),
        (webhook("hook", "judge", "deployments", group="apps", namespace="mesh"), True),
        (webhook("hook", "judge", "configmaps", namespace="mesh"), False),
    ],
)
def test_a_workload_comes_after_the_webhook_that_judges_it(
    configuration: Object, waits: bool
) -> None:
    objects = [space("n", injection="on"), space("mesh"), *JUDGE, configuration, workload("w")]
    assert ("ValidatingWebhookConfiguration hook" in needs(objects, "w")) is waits


def test_a_webhook_never_judges_what_it_needs_itself() -> None:
    account = obj("ServiceAccount", "a", namespace="mesh")
    judge = [workload("judge", {"serviceAccountName": "a"}, "mesh"), service("judge", "mesh")]
    everything = webhook("hook", "judge", "*", namespace="mesh")
    order = [*judge, account, everything, obj("ConfigMap", "c")]
    assert names(order).index("judge") < names(order).index("hook") < names(order).index("c")
    assert needs(order, "c") == {"ValidatingWebhookConfiguration hook"}


def test_webhooks_never_judge_webhook_configurations() -> None:
    greedy = webhook("greedy", "judge", "*", group="*", namespace="mesh")
    assert needs([*JUDGE, greedy, webhook("other", "nobody", "x")], "other") == set()


def test_two_judges_that_judge_each_other_are_a_cycle() -> None:
    objects = [
        workload("a"),
        service("a"),
        workload("b"),
        service("b"),
        webhook("hook-a", "a", "pods", objectSelector={"matchLabels": {"app": "b"}}),
        webhook("hook-b", "b", "pods", objectSelector={"matchLabels": {"app": "a"}}),
    ]
    with pytest.raises(OrderCycle) as cycle:
        derive(objects)
    assert {key.name for key in cycle.value.members} == {"a", "hook-a", "b", "hook-b"}
    assert all(str(key) in str(cycle.value) for key in cycle.value.members)


def test_objects_that_need_nothing_of_each_other_come_by_kind_and_then_by_name() -> None:
    kinds = ["ServiceAccount", "Secret", "Deployment", "Gateway", "MutatingWebhookConfiguration"]
    keys = [ObjectKey("v1", kind, "n", name) for kind in kinds for name in "ab"]
    assert sequence({key: set() for key in reversed(keys)}) == keys


def test_each_member_of_a_cycle_needs_the_next_and_the_least_is_first() -> None:
    needs = {"a": set[str](), "b": {"d"}, "c": {"b"}, "d": {"a", "c"}}
    keys = {name: ObjectKey("v1", "Secret", "n", name) for name in needs}
    with pytest.raises(OrderCycle) as cycle:
        sequence({keys[name]: {keys[other] for other in needs[name]} for name in needs})
    assert "".join(key.name for key in cycle.value.members) == "bdc"


def test_every_process_names_the_same_cycle() -> None:
    # "0" needs six objects, which wait for each other by twos: hashes differ between processes,
    # and so does the order of a set.
    program = (
        "from rendering.objects import ObjectKey, RenderError\n"
        "from rendering.order import sequence\n"
        "keys = [ObjectKey('v1', 'Secret', 'n', f'{n}') for n in range(7)]\n"
        "needs = {keys[n]: {keys[(n - 1 ^ 1) + 1]} for n in range(1, 7)}\n"
        "try: sequence({keys[0]: {*keys[1:]}, **needs})\n"
        "except RenderError as cycle: print(cycle)\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(6)
    }
    assert len(told) == 1
    assert "wait for each other" in told.pop()


@pytest.mark.parametrize(
    "kind",
    ["VirtualService", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Role"],
)
def test_these_need_only_their_namespace(kind: str) -> None:
    api = {"VirtualService": "networking.istio.io/v1"}.get(kind, "rbac.authorization.k8s.io/v1")
    everything = [space("n"), workload("w"), service("w"), obj("Role", "r", api)]
    assert needs([*everything, obj(kind, "x", api)], "x") == {"Namespace n"}


def test_one_object_rendered_twice_is_refused() -> None:
    with pytest.raises(DuplicateObject, match="v1/ConfigMap n/c is rendered twice"):
        derive([obj("ConfigMap", "c"), obj("ConfigMap", "c")])
