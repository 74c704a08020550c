"""What controllers in a cluster write into webhook configurations that somebody else applied.

Written after the writers' own sources, each named at its function; a rehearsal reads configurations
back as these leave them, and ``tests/cluster`` writes them to a real API server. All of them send a
whole object (Update), so the API server counts as theirs what they changed.
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
"""Changes one webhook of a configuration in place; False: it is none of the writer's."""


def written_back(obj: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The field manager that rewrites an object, and what it makes of it; None: nobody does."""
    if obj.get("kind") not in WEBHOOK_KINDS:
        return None
    made = copy.deepcopy(dict(obj))
    for manager, writer in _WRITERS.items():
        written = [writer(made, hook) for hook in made.get("webhooks") or []]
        if any(written):
            return manager, made
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

    Of a configuration, each server writes the webhook of the same name. It makes one rule per kind
    that it handles, in real life some twelve.
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
    """Every other server, or cert-manager for it, writes nothing but its authority.

    cert-manager pkg/controller/cainjector, open-policy-agent/cert-controller pkg/rotator (Trainer,
    JobSet), kubeflow/spark-operator internal/controller/validatingwebhookconfiguration.
    """
    client = hook["clientConfig"]
    if "service" not in client or client.get("caBundle"):
        return False
    client["caBundle"] = _AUTHORITY
    return True


_WRITERS: dict[str, Writer] = {
    # A client without a name of its own is named after its program (k8s.io/client-go
    # rest/config.go DefaultKubernetesUserAgent).
    "pilot-discovery": _istiod,
    "webhook": _knative,
    "cainjector": _authority,
}
