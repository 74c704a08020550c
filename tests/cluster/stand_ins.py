"""What a cluster has besides its API server, as far as the order of creation can be tested with it.

Stood in for here:
- pods behind a Service: they answer webhooks once Service and workload are applied, at a port that
  the Service has;
- the network between API server and Service: webhooks are redirected to a server of the test;
- the controllers of Deployments, StatefulSets, DaemonSets, Jobs and CronJobs: they create the pod
  of a template as soon as its workload exists;
- the service account controller: a ``default`` account in every namespace;
- the kubelet, in ``kubelet.py``.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterator, Mapping
from typing import Any

from rendering import Object, ObjectKey
from rendering.objects import labels_of, pod_template
from tests.cluster.admission_server import AdmissionServer

WEBHOOK_CONFIGURATIONS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_HTTPS = 443  # of a clientConfig without a port (admissionregistration.k8s.io/v1 ServiceReference)


class Backends:
    """Which Services have pods behind them, by what was applied so far."""

    def __init__(self) -> None:
        self._services: dict[tuple[str, str], Object] = {}
        self._pods: list[tuple[str, dict[str, str]]] = []

    def applied(self, obj: Object) -> None:
        key = ObjectKey.of(obj)
        if key.group_version == "v1" and key.kind == "Service":
            self._services[key.namespace, key.name] = obj["spec"]
        template = pod_template(obj)
        if template is not None:
            self._pods.append((key.namespace, labels_of(template)))

    def answer(self, namespace: str, service: str) -> bool:
        """Would a pod answer behind ``service:port``? ``service`` may carry its port."""
        name, _, port = service.partition(":")
        spec = self._services.get((namespace, name))
        if not spec or int(port or _HTTPS) not in {each["port"] for each in spec["ports"]}:
            return False
        selector: Mapping[str, str] = spec.get("selector") or {}
        return bool(selector) and any(
            where == namespace and selector.items() <= labels.items()
            for where, labels in self._pods
        )


def redirected(obj: Object, to: AdmissionServer) -> Object:
    """A copy whose webhooks (admission or conversion) are those of the test's own server."""
    kind = obj["kind"]
    if kind not in (*WEBHOOK_CONFIGURATIONS, "CustomResourceDefinition"):
        return obj
    made = copy.deepcopy(obj)
    for client in webhook_clients(made):
        service = client.pop("service", None)
        if service is not None:
            where = f"{service['namespace']}/{service['name']}:{service.get('port', _HTTPS)}"
            client["url"] = f"{to.url}/{where}{service.get('path', '')}"
            client["caBundle"] = base64.b64encode(to.authority).decode()
    return made


def webhook_clients(obj: Object) -> Iterator[dict[str, Any]]:
    """Every ``clientConfig`` in an admission configuration or in a CRD's conversion."""
    for hook in obj.get("webhooks") or []:
        yield hook["clientConfig"]
    conversion = (obj.get("spec") or {}).get("conversion") or {}
    if "webhook" in conversion:
        yield conversion["webhook"]["clientConfig"]


def pod_of(workload: Object) -> Object | None:
    """The pod that a workload's controller would ask for first; None: it is no workload."""
    template = pod_template(workload)
    if template is None or workload["kind"] == "Pod":
        return None
    key = ObjectKey.of(workload)
    metadata = {
        **copy.deepcopy(dict(template.get("metadata") or {})),
        "generateName": f"{key.name}-",
        "namespace": key.namespace,
    }
    spec = copy.deepcopy(dict(template["spec"]))
    claims = workload["spec"].get("volumeClaimTemplates") or []
    if claims:
        spec["volumes"] = [*(spec.get("volumes") or []), *map(_claimed, claims)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _claimed(claim: Mapping[str, Any]) -> dict[str, Any]:
    name = claim["metadata"]["name"]
    return {"name": name, "persistentVolumeClaim": {"claimName": f"{name}-0"}}


def default_account(namespace: str) -> Object:
    """What the service account controller makes in a new namespace."""
    metadata = {"name": "default", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
