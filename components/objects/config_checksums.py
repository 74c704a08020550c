"""Pods are replaced when a ConfigMap or Secret that they read has changed.

A pod reads environment variables and ``subPath`` mounts once, when it starts, and most programs,
among them Dex, read the files of other volumes once too. A controller replaces pods only when their
template changes. Therefore the template has an annotation with a digest of everything that the pods
read, as in Helm's charts
(https://helm.sh/docs/howto/charts_tips_and_tricks/#automatically-roll-deployments).

Kustomize's names with a hash of the content would not do: kustomize runs before values known at
deploy time are bound, and upstream switches the hashes off in many places.
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
"""Kinds whose controller replaces pods. A Job's template cannot change, and every pod of a CronJob
is new."""
_CONTENT = ("binaryData", "data", "stringData")


def read_by(workload: Object) -> list[ObjectKey]:
    """The ConfigMaps and Secrets in a workload's pod template, sorted; none for other kinds."""
    template = pod_template(workload)
    if template is None or workload["kind"] not in _ROLLED:
        return []
    namespace = ObjectKey.of(workload).namespace
    references = named_by(template.get("spec") or {})
    return sorted(
        {ObjectKey("v1", r.kind, namespace, r.name) for r in references if r.kind in CONFIGURATION}
    )


def with_checksum(workload: Object, read: Iterable[Mapping[str, Any]]) -> Object:
    """A copy of ``workload`` with the digest of ``read`` in its pod template.

    Args:
        workload: an object with a pod template at ``spec.template``.
        read: ConfigMaps and Secrets with their values bound, and with a public text that changes
            with it in place of a secret value: a secret would make the annotation a secret too, and
            a preview could not show whether pods are replaced. Empty: nothing is added.
    """
    content = [
        [source["kind"], source["metadata"]["name"], {key: source.get(key) for key in _CONTENT}]
        for source in read
    ]
    if not content:
        return workload
    digest = pulumi.Output.json_dumps(content, sort_keys=True).apply(
        lambda text: hashlib.sha256(text.encode()).hexdigest()
    )
    template = workload["spec"]["template"]
    metadata: dict[str, Any] = template.get("metadata") or {}
    annotations = {**(metadata.get("annotations") or {}), ANNOTATION: digest}
    annotated = {**template, "metadata": {**metadata, "annotations": annotations}}
    return {**workload, "spec": {**workload["spec"], "template": annotated}}
