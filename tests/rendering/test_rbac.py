"""A controller has its rights before it runs, and outlives what it must finish."""

from __future__ import annotations

from typing import Any

import pytest

from rendering import ObjectKey
from rendering.objects import Object
from rendering.order import derive
from tests.rendering.small_objects import (
    CERTIFICATES,
    names,
    needs,
    obj,
    service,
    webhook,
    workload,
)

RBAC = "rbac.authorization.k8s.io/v1"
WIDGETS = "w.example/v1"


def rule(
    *resources: str, group: str = "w.example", verbs: tuple[str, ...] = ("update",)
) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def role(*rules: dict[str, Any], name: str = "r", **rest: Any) -> Object:
    return obj("ClusterRole", name, RBAC, None, rules=list(rules), **rest)


def binding(name: str = "b", namespace: str | None = None, to: str = "r") -> Object:
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    return obj(
        kind,
        name,
        RBAC,
        namespace,
        roleRef={"kind": "ClusterRole", "name": to},
        subjects=[{"kind": "ServiceAccount", "name": "a", "namespace": "c"}],
    )


def controller(name: str = "controller", **pod: Any) -> Object:
    return workload(name, {"serviceAccountName": "a", **pod}, "c")


def widget(namespace: str = "n") -> Object:
    return obj("Widget", "x", WIDGETS, namespace)


def test_a_workload_comes_after_its_rights() -> None:
    objects = [controller(), role(), binding(), obj("ServiceAccount", "a", namespace="c")]
    assert needs(objects, "controller") == {"ClusterRoleBinding b", "ServiceAccount a"}
    assert needs(objects, "b") == {"ClusterRole r"}


def test_rights_of_another_account_are_not_waited_for() -> None:
    assert needs([workload("w", namespace="c"), role(), binding()], "w") == set()


def test_a_binding_comes_after_everything_an_aggregated_role_is_made_of() -> None:
    def selecting(label: str) -> dict[str, Any]:
        return {"clusterRoleSelectors": [{"matchLabels": {"to": label}}]}

    objects = [
        binding(),
        role(aggregationRule=selecting("r")),
        role(name="middle", aggregationRule=selecting("m"), metadata={"labels": {"to": "r"}}),
        role(name="leaf", metadata={"labels": {"to": "m"}}),
        role(name="other"),
    ]
    assert needs(objects, "b") == {"ClusterRole r"}
    assert needs(objects, "r") == {"ClusterRole middle"}
    assert needs(objects, "middle") == {"ClusterRole leaf"}


@pytest.mark.parametrize(
    ("allowed", "controls"),
    [
        (rule("widgets/status"), True),
        (rule("widgets/finalizers"), True),
        (rule("widgets/status", verbs=("get", "patch")), True),
        (rule("widgets/status", verbs=("*",)), True),
        (rule("widgets/status", verbs=("get", "list", "watch")), False),
        (rule("widgets", verbs=("*",)), False),
        (rule("others/status"), False),
        (rule("widgets/status", group="other.example"), False),
        # Rights on everything make an administrator, not the controller of each kind.
        (rule("*", verbs=("*",)), False),
        (rule("widgets/status", group="*"), False),
    ],
)
def test_a_custom_resource_comes_after_its_controller(
    allowed: dict[str, Any], controls: bool
) -> None:
    objects = [widget(), controller(), role(allowed), binding()]
    assert needs(objects, "x") == ({"Deployment controller"} if controls else set[str]())


@pytest.mark.parametrize(("namespace", "controls"), [("n", True), ("other", False)])
def test_a_role_binding_makes_a_controller_in_its_own_namespace(
    namespace: str, controls: bool
) -> None:
    objects = [widget(), controller(), role(rule("widgets/status")), binding(namespace=namespace)]
    assert ("Deployment controller" in needs(objects, "x")) is controls


def test_rights_through_an_aggregated_role_count() -> None:
    whole = role(aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"to": "r"}}]})
    part = role(rule("widgets/status"), name="part", metadata={"labels": {"to": "r"}})
    assert needs([widget(), controller(), whole, part, binding()], "x") == {"Deployment controller"}


@pytest.mark.parametrize("kind", ["Job", "CronJob", "Pod"])
def test_what_ends_by_itself_is_no_controller(kind: str) -> None:
    pod = {"serviceAccountName": "a"}
    template = {"template": {"spec": pod}}
    specs = {"Pod": pod, "Job": template, "CronJob": {"jobTemplate": {"spec": template}}}
    runner = obj(kind, "runner", "batch/v1", "c", spec=specs[kind])
    assert needs([widget(), runner, role(rule("widgets/status")), binding()], "x") == set()


@pytest.mark.parametrize(("judge_in", "controls"), [("c", True), ("elsewhere", False)])
def test_a_workload_away_from_the_groups_webhook_is_a_client(judge_in: str, controls: bool) -> None:
    judge = webhook(
        "hook", "judge", "widgets", group="w.example", namespace=judge_in, failurePolicy="Ignore"
    )
    objects = [widget(), controller(), role(rule("widgets/status")), binding(), judge]
    assert ("Deployment controller" in needs(objects, "x")) is controls


def test_the_status_of_a_provider_class_is_kept_per_pod() -> None:
    group = "secrets-store.csi.x-k8s.io"
    driver = role(rule("secretproviderclasspodstatuses/status", group=group))
    objects = [
        obj("SecretProviderClass", "x", f"{group}/v1"),
        controller("driver"),
        driver,
        binding(),
    ]
    assert needs(objects, "x") == {"Deployment driver"}


ISSUING = [
    obj("Certificate", "cert", CERTIFICATES, "c", spec={"secretName": "t", "issuerRef": {}}),
    role(rule("certificates/status", group="cert-manager.io")),
    binding(),
]


def test_a_controller_never_waits_for_what_it_controls() -> None:
    """Rendered with the Secret beside it, so that the pod starts before the issue."""
    needing = controller(volumes=[{"name": "v", "secret": {"secretName": "t"}}])
    assert names([*ISSUING, needing]).index("cert") < names([*ISSUING, needing]).index("controller")


def test_no_webhook_judges_the_controller_that_issues_its_ca() -> None:
    judge = webhook("hook", "judge", "pods", namespace="judges")
    judge["metadata"]["annotations"] = {"cert-manager.io/inject-ca-from": "c/cert"}
    objects = [
        *ISSUING,
        controller(),
        judge,
        workload("judge", namespace="judges"),
        service("judge", "judges"),
        workload("w"),
    ]
    order = [ObjectKey.of(item).name for item in derive(objects).objects]
    assert order.index("controller") < order.index("cert") < order.index("hook") < order.index("w")
    assert needs(objects, "controller") == {"ClusterRoleBinding b"}
