"""Annotations that tell Pulumi's Kubernetes provider when a resource is ready.

A resource is created when its prerequisites not only exist but are in force: pods run, a Job is
done, a CA is in its webhook, a Secret is written. Outside facts: pulumi-kubernetes,
provider/pkg/metadata/overrides.go and provider/pkg/jsonpath/jsonpath.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rendering.credentials import is_external_secret, is_store
from rendering.objects import (
    WEBHOOK_KINDS,
    Object,
    ObjectKey,
    annotate,
    annotations_of,
    is_builtin_group,
)

CA_INJECTION = "cert-manager.io/inject-"
WAIT_FOR = "pulumi.com/waitFor"
SKIP_AWAIT = "pulumi.com/skipAwait"
TIMEOUT_SECONDS = "pulumi.com/timeoutSeconds"
REPLACE_UNREADY = "pulumi.com/replaceUnready"
PATCH_FORCE = "pulumi.com/patchForce"

# A first install pulls some ninety images; one cold node with a slow mirror takes ten minutes, the
# provider's default, for its own share alone, and a pod may be the last in that queue.
_PULL_SECONDS = 600
# Until probes pass, or a Job's program is done.
_START_SECONDS = 300
_ROLLED_NODE_BY_NODE = 3

TIMEOUT_SECONDS_OF = {
    "Deployment": _PULL_SECONDS + _START_SECONDS,
    "StatefulSet": _PULL_SECONDS + _START_SECONDS,
    "Job": _PULL_SECONDS + _START_SECONDS,
    "DaemonSet": _PULL_SECONDS * _ROLLED_NODE_BY_NODE,
}
"""Kind -> how long the provider waits for its pods. A changed DaemonSet replaces its pods one node
after the other (rollingUpdate.maxUnavailable 1): time for three slow nodes. Objects with
``waitFor`` pull nothing; the provider's own ten minutes hold."""

INJECTED_CA = "jsonpath={.webhooks[0].clientConfig.caBundle}"
"""Satisfied as soon as the field exists."""

READY = "condition=Ready"
"""The condition that the External Secrets Operator sets on a reachable store and a written Secret
(external-secrets, apis/externalsecrets/v1/externalsecret_types.go)."""


def annotate_object(obj: Object) -> None:
    """Annotates one object by its kind, in place; annotations of an overlay take precedence."""
    kind, group = obj["kind"], ObjectKey.of(obj).group
    if not is_builtin_group(group):
        return
    if kind in ("Service", "PersistentVolumeClaim"):
        # A Service is ready when its pods are, and their workload is awaited. With
        # WaitForFirstConsumer a claim is bound only when its pod runs, which needs the claim.
        annotate(obj, {SKIP_AWAIT: "true"})
    elif kind in TIMEOUT_SECONDS_OF:
        annotate(obj, {TIMEOUT_SECONDS: str(TIMEOUT_SECONDS_OF[kind])})
        if kind == "Job":
            # A failed Job stays failed, so the next run starts a new one (pulumi-kubernetes#1575).
            annotate(obj, {REPLACE_UNREADY: "true"})
    elif kind in WEBHOOK_KINDS:
        injected = any(name.startswith(CA_INJECTION) for name in annotations_of(obj))
        if injected and _lacks_ca(obj):
            annotate(obj, {WAIT_FOR: INJECTED_CA})


def annotate_needed(
    objects: Iterable[Object], prerequisites: Mapping[ObjectKey, Iterable[ObjectKey]]
) -> None:
    """Annotates, in place, prerequisites that must be in force before their dependents.

    These are webhook configurations without their CA, ExternalSecrets and their stores.
    """
    needed = {need for needs in prerequisites.values() for need in needs}
    for obj in objects:
        key = ObjectKey.of(obj)
        if key not in needed:
            continue
        if key.kind in WEBHOOK_KINDS and _lacks_ca(obj):
            annotate(obj, {WAIT_FOR: INJECTED_CA})
        elif is_external_secret(key) or is_store(key):
            annotate(obj, {WAIT_FOR: READY})


def _lacks_ca(configuration: Mapping[str, Any]) -> bool:
    """Whether a webhook that is served in the cluster has no CA yet."""
    clients = [hook.get("clientConfig") or {} for hook in configuration.get("webhooks") or []]
    return any("service" in client and "caBundle" not in client for client in clients)
