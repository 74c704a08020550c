"""The fields of webhook configurations that controllers in a cluster overwrite.

Each function names the source that it follows. A rehearsal reads configurations back with these
changes, and ``tests/cluster`` writes them to a real API server. The controllers send whole objects
(Update), so the API server records them as managers of the fields that they changed.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Mapping
from typing import Any

from rendering.objects import WEBHOOK_KINDS, labels_of

_AUTHORITY = base64.b64encode(b"an authority of a simulated cluster").decode()

Hook = dict[str, Any]
Writer = Callable[[Mapping[str, Any], Hook], bool]
"""Changes one webhook of a configuration in place; False when it is of another writer."""


def written_back(obj: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The field manager that overwrites fields of an object, and the object as it leaves it."""
    if obj.get("kind") not in WEBHOOK_KINDS:
        return None
    live = copy.deepcopy(dict(obj))
    for manager, writer in _WRITERS.items():
        written = [writer(live, hook) for hook in live.get("webhooks") or []]
        if any(written):
            return manager, live
    return None


def _istiod(configuration: Mapping[str, Any], hook: Hook) -> bool:
    """istio/istio pkg/webhooks/validation/controller/controller.go and webhookpatch.go.

    Configurations are found by the label ``istio.io/rev``; failurePolicy becomes Fail as soon as an
    invalid Gateway is refused.
    """
    if "istio.io/rev" not in labels_of(configuration):
        return False
    if configuration["kind"] == "ValidatingWebhookConfiguration":
        hook["failurePolicy"] = "Fail"
    elif not hook["name"].endswith("sidecar-injector.istio.io"):
        return False
    hook["clientConfig"]["caBundle"] = _AUTHORITY
    return True


def _knative(configuration: Mapping[str, Any], hook: Hook) -> bool:
    """knative/pkg 4a022ed: webhook/configmaps, webhook/psbinding and webhook/resourcesemantics.

    Each server writes the webhook with the name of its configuration. It makes one rule per kind
    that it handles, about twelve; here two.
    """
    name = str(configuration["metadata"]["name"])
    if hook["name"] != name or not name.endswith(".knative.dev"):
        return False
    hook["clientConfig"]["caBundle"] = _AUTHORITY
    hook["clientConfig"]["service"]["path"] = f"/{name.partition('.')[0]}"
    if name.startswith("config."):
        hook["rules"] = [_rule("", "v1", "configmaps/*", scope="Namespaced")]
        return True
    hook["rules"] = [
        _rule("autoscaling.internal.knative.dev", "v1alpha1", "metrics", "metrics/status"),
        _rule("serving.knative.dev", "v1", "services", "services/status"),
    ]
    selector = hook.setdefault("namespaceSelector", {})
    expressions = selector.setdefault("matchExpressions", [])
    excluded = {"key": "webhooks.knative.dev/exclude", "operator": "DoesNotExist"}
    if excluded not in expressions:
        expressions.append(excluded)
    if configuration["kind"] == "MutatingWebhookConfiguration":
        hook["reinvocationPolicy"] = "IfNeeded"
    return True


def _rule(group: str, version: str, *resources: str, scope: str = "*") -> dict[str, Any]:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": ["CREATE", "UPDATE"],
        "resources": list(resources),
        "scope": scope,
    }


def _authority(_: Mapping[str, Any], hook: Hook) -> bool:
    """Any other server, or cert-manager for it, writes its authority alone.

    cert-manager pkg/controller/cainjector, open-policy-agent/cert-controller pkg/rotator (Trainer,
    JobSet), kubeflow/spark-operator internal/controller/validatingwebhookconfiguration.
    """
    client = hook["clientConfig"]
    if "service" not in client or client.get("caBundle"):
        return False
    client["caBundle"] = _AUTHORITY
    return True


_WRITERS: dict[str, Writer] = {
    # The default name of a client is that of its program (k8s.io/client-go
    # rest/config.go DefaultKubernetesUserAgent).
    "pilot-discovery": _istiod,
    "webhook": _knative,
    "cainjector": _authority,
}
