"""Pods start anew when a ConfigMap or Secret that they read has changed.

A pod reads environment variables and ``subPath`` mounts once, when it starts, and most programs
read the files of other volumes once too, Dex among them. A controller replaces pods only when
their template changes. Therefore the template has an annotation with a digest of all that the pods
read, as Helm's charts do it
(https://helm.sh/docs/howto/charts_tips_and_tricks/#automatically-roll-deployments).

Kustomize's own answer, names with a hash of the content, is made before late values are bound, and
upstream switches it off in many places.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import pulumi

from rendering import Object, ObjectKey
from rendering.objects import pod_template
from rendering.pod_references import named_by

ANNOTATION = "checksum/config"
CONFIGURATION = ("ConfigMap", "Secret")
_ROLLED = ("DaemonSet", "Deployment", "StatefulSet")
"""Kinds whose controller replaces pods; the template of a Job cannot change, and a CronJob's next
pod reads everything anew."""
_CONTENT = ("binaryData", "data", "stringData")


def read_by(workload: Object) -> list[ObjectKey]:
    """The ConfigMaps and Secrets in the pod template of a workload that is rolled; others: none.

    Each once, in an order of its own: the order of volumes has no effect.
    """
    template = pod_template(workload)
    if template is None or workload["kind"] not in _ROLLED:
        return []
    namespace = ObjectKey.of(workload).namespace
    named = named_by(template.get("spec") or {})
    return sorted(
        {ObjectKey("v1", n.kind, namespace, n.name) for n in named if n.kind in CONFIGURATION}
    )


def with_checksum(workload: Object, read: Iterable[Mapping[str, Any]]) -> Object:
    """A copy of ``workload`` with the digest of ``read`` in its pod template.

    Args:
        workload: an object with a pod template at ``spec.template``.
        read: ConfigMaps and Secrets with late values bound; in place of a secret value something
            public that changes with it. A secret value would make the annotation a secret too,
            and hide from a preview whether pods are replaced.

    Nothing is added when ``read`` is empty.
    """
    told = [
        [each["kind"], each["metadata"]["name"], {key: each.get(key) for key in _CONTENT}]
        for each in read
    ]
    if not told:
        return workload
    digest = pulumi.Output.json_dumps(told, sort_keys=True).apply(_sha256)
    template = workload["spec"]["template"]
    metadata: dict[str, Any] = template.get("metadata") or {}
    annotations = {**(metadata.get("annotations") or {}), ANNOTATION: digest}
    annotated = {**template, "metadata": {**metadata, "annotations": annotations}}
    return {**workload, "spec": {**workload["spec"], "template": annotated}}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
