"""The API server reaches every webhook: it is in no namespace that a policy admits, and in no mesh.

EKS calls pods from network interfaces in the VPC, and the stack's CNI keeps NetworkPolicies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import pytest

from rendering import Object
from tests.releases import PIPELINES_2
from tests.rendering.beijing import kubeflow

CANONICAL = "service.istio.io/canonical-name"
"""A label of pods with a sidecar (istio/istio pilot/pkg/model/service.go, canonicalService)."""


class Webhook(NamedTuple):
    """A Service that the API server calls, with a workload behind it."""

    release: str
    service: str
    workload: Object
    port: int

    @property
    def labels(self) -> dict[str, str]:
        """Those of its pods in the cluster."""
        labels = _metadata(self.workload)["labels"]
        if not self.sidecar:
            return labels
        names = (CANONICAL, "app.kubernetes.io/name", "app")
        own = self.workload["metadata"]["name"]
        return {CANONICAL: next((labels[name] for name in names if name in labels), own), **labels}

    @property
    def sidecar(self) -> bool:
        """Whether Istio puts one into its pods."""
        metadata = _metadata(self.workload)
        chosen = {**metadata.get("annotations", {}), **metadata["labels"]}
        return (
            self.workload["metadata"]["namespace"] in _injected(self.release)
            and chosen.get("sidecar.istio.io/inject") != "false"
        )


def _metadata(workload: Object) -> dict[str, Any]:
    return workload["spec"]["template"]["metadata"]


@cache
def _injected(release: str) -> frozenset[str]:
    namespaces = kubeflow(release).all("Namespace")
    return frozenset(
        each["metadata"]["name"]
        for each in namespaces
        if each["metadata"].get("labels", {}).get("istio-injection") == "enabled"
    )


def _services(release: str) -> Iterator[tuple[str, str, int]]:
    rendered = kubeflow(release).rendered
    configurations = [each for obj in rendered.objects for each in obj.get("webhooks") or ()]
    conversions = [
        conversion
        for crd in rendered.crds
        if (conversion := crd["spec"].get("conversion", {}).get("webhook"))
    ]
    for each in (*configurations, *conversions):
        service = each["clientConfig"]["service"]
        yield service["namespace"], service["name"], service.get("port", 443)


@cache
def webhooks(release: str) -> tuple[Webhook, ...]:
    found = list[Webhook]()
    for namespace, name, port in sorted(set(_services(release))):
        spec = kubeflow(release).get("Service", name, namespace)["spec"]
        ports = {each["port"]: each.get("targetPort", port) for each in spec["ports"]}
        for workload in kubeflow(release).all("Deployment"):
            if workload["metadata"]["namespace"] == namespace and _selects(
                {"matchLabels": spec["selector"]}, _metadata(workload)["labels"]
            ):
                target = ports[port]
                number = target if isinstance(target, int) else _ports(workload)[target]
                found.append(Webhook(release, f"{namespace}/{name}", workload, number))
    return tuple(found)


def _ports(workload: Object) -> dict[str, int]:
    containers = workload["spec"]["template"]["spec"]["containers"]
    return {
        port["name"]: port["containerPort"]
        for container in containers
        for port in container.get("ports", [])
        if "name" in port
    }


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    expressions = selector.get("matchExpressions", [])
    assert {each["operator"] for each in expressions} <= {"In"}
    plain = selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in plain.items()) and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


def _policies(release: str, kind: str, webhook: Webhook, selector: str) -> list[Object]:
    namespace = webhook.workload["metadata"]["namespace"]
    return [
        policy
        for policy in kubeflow(release).all(kind)
        if policy["metadata"]["namespace"] == namespace
        and _selects(policy["spec"].get(selector, {}), webhook.labels)
    ]


def _admitted(policy: Object, webhook: Webhook) -> bool:
    ports = _ports(webhook.workload)
    return any(
        not rule.get("from")
        and (
            not rule.get("ports")
            or webhook.port in [ports.get(each["port"], each["port"]) for each in rule["ports"]]
        )
        for rule in policy["spec"].get("ingress", [])
    )


each_release = pytest.mark.parametrize("release", PIPELINES_2)


@each_release
def test_every_webhook_has_pods(release: str) -> None:
    behind = {webhook.service for webhook in webhooks(release)}
    assert behind == {f"{space}/{name}" for space, name, _ in _services(release)}
    assert len(behind) > 10


@each_release
def test_network_policies_admit_the_api_server_to_every_webhook(release: str) -> None:
    kept_out = [
        webhook.service
        for webhook in webhooks(release)
        if (policies := _policies(release, "NetworkPolicy", webhook, "podSelector"))
        and not any(_admitted(policy, webhook) for policy in policies)
    ]
    assert kept_out == []


@each_release
def test_the_mesh_admits_the_api_server_to_every_webhook(release: str) -> None:
    """A sidecar leaves the port alone, or a policy of these pods admits everybody."""
    kept_out = list[str]()
    for webhook in webhooks(release):
        excluded = "traffic.sidecar.istio.io/excludeInboundPorts"
        ports = _metadata(webhook.workload).get("annotations", {}).get(excluded, "").split(",")
        policies = _policies(release, "AuthorizationPolicy", webhook, "selector")
        open_to_all = any({} in policy["spec"].get("rules", []) for policy in policies)
        if webhook.sidecar and str(webhook.port) not in ports and not open_to_all:
            kept_out.append(webhook.service)
    assert kept_out == []
