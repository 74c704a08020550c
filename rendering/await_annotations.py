"""What the Kubernetes provider of Pulumi waits for, written as its own annotations.

A resource is created when what it needs is not only there but in force: pods run, a Job is done, a
CA is in its webhook, a Secret is written. Outside facts: pulumi-kubernetes,
provider/pkg/metadata/overrides.go and provider/pkg/jsonpath/jsonpath.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rendering.credentials import is_external_secret, is_store
from rendering.objects import (
    WEBHOOK_KINDS,
    WORKLOADS,
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

# A first install pulls some ninety images; ten minutes, the provider's default, is what one cold
# node with a slow mirror needs for its own share alone.
WORKLOAD_TIMEOUT_SECONDS = 1800

INJECTED_CA = "jsonpath={.webhooks[0].clientConfig.caBundle}"
"""Satisfied as soon as the field exists."""

READY = "condition=Ready"
"""What the External Secrets Operator writes once a store answers and a Secret is written
(external-secrets, apis/externalsecrets/v1/externalsecret_types.go)."""


def annotate_object(obj: Object) -> None:
    """The waiting of one object for itself, in place; an overlay's own annotations win."""
    kind, group = obj["kind"], ObjectKey.of(obj).group
    if not is_builtin_group(group):
        return
    if kind in ("Service", "PersistentVolumeClaim"):
        # A Service is ready when its pods are: the workload itself is what is awaited. And with
        # WaitForFirstConsumer a claim is bound only once its pod, which waits for it, runs.
        annotate(obj, {SKIP_AWAIT: "true"})
    elif kind in WORKLOADS:
        annotate(obj, {TIMEOUT_SECONDS: str(WORKLOAD_TIMEOUT_SECONDS)})
        if kind == "Job":
            # A failed Job stays failed for ever: the next run starts a new one (PR 1575).
            annotate(obj, {REPLACE_UNREADY: "true"})
    elif kind in WEBHOOK_KINDS:
        injected = any(name.startswith(CA_INJECTION) for name in annotations_of(obj))
        if injected and lacks_ca(obj):
            wait_for_ca(obj)


def annotate_needed(
    objects: Iterable[Object], prerequisites: Mapping[ObjectKey, Iterable[ObjectKey]]
) -> None:
    """Annotates, in place, what others need in force and not only in existence.

    Webhook configurations whose CA is yet to be written; ExternalSecrets and their stores.
    """
    needed = {need for needs in prerequisites.values() for need in needs}
    for obj in objects:
        key = ObjectKey.of(obj)
        if key not in needed:
            continue
        if key.kind in WEBHOOK_KINDS and lacks_ca(obj):
            wait_for_ca(obj)
        elif is_external_secret(key) or is_store(key):
            annotate(obj, {WAIT_FOR: READY})


def wait_for_ca(configuration: Object) -> None:
    """Whoever depends on this configuration is created only after a CA was injected."""
    annotate(configuration, {WAIT_FOR: INJECTED_CA})


def lacks_ca(configuration: Mapping[str, Any]) -> bool:
    """Is there a webhook served in the cluster whose CA nobody has written yet?"""
    clients = [hook.get("clientConfig") or {} for hook in configuration.get("webhooks") or []]
    return any("service" in client and "caBundle" not in client for client in clients)
