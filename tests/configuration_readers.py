"""Pods that go on with a configuration of yesterday: read from a whole plan."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rendering.objects import pod_template
from rendering.pod_references import named_by
from tests.harness import Recorded

READ_AGAIN = {
    **dict.fromkeys(
        (
            f"{name}/{name} Secret {name}-certificate"
            for name in ("image-mirror", "package-defaults")
        ),
        "webhook/serving_certificate.py: a changed file is used from the next connection on",
    ),
    **dict.fromkeys(
        (f"{name}/{name} Secret {name}-paths" for name in ("image-mirror", "package-defaults")),
        "webhook/secret_path.py: a changed file is used within a second",
    ),
    **dict.fromkeys(
        (
            f"kubeflow/{workload} Secret mlpipeline-minio-artifact"
            for workload in ("kubeflow-pipelines-profile-controller", "ml-pipeline")
        ),
        "components/backend/kubeflow_rds_s3_backend.py, _static_key: one key for ever",
    ),
    "kubeflow/ml-pipeline-ui Secret mlpipeline-minio-artifact": "the same key",
}
"""Workload and source without a digest -> why the pods never have an old value."""
Place = tuple[str, str, str]
_CONTENT = ("binaryData", "data", "stringData")
_ROLLED = ("DaemonSet", "Deployment", "StatefulSet")


def not_rolled(recorded: Recorded) -> set[str]:
    """``workload source`` of every ConfigMap and Secret of the stack whose change rolls no pod.

    Secrets that cert-manager issues are not the stack's: they are renewed between its runs.
    """
    objects = [
        one.inputs
        for one in recorded.all
        if one.package == "kubernetes" and "apiVersion" in one.inputs
    ]
    made = {_place(obj): obj for obj in objects if obj["kind"] in ("ConfigMap", "Secret")}
    written = {
        ("Secret", obj["metadata"]["namespace"], name)
        for obj in objects
        for name in _secrets_written_for(obj)
    }
    workloads = [obj for obj in objects if obj["kind"] in _ROLLED]
    assert len(workloads) > 0
    return {line for workload in workloads for line in _old(workload, made, written)}


def _secrets_written_for(obj: Mapping[str, Any]) -> list[str]:
    if obj["kind"] == "ExternalSecret":
        return [obj["spec"]["target"].get("name", obj["metadata"]["name"])]
    if obj["kind"] == "SecretProviderClass":
        return [each["secretName"] for each in obj["spec"].get("secretObjects", [])]
    return []


def _place(obj: Mapping[str, Any]) -> Place:
    metadata = obj["metadata"]
    return obj["kind"], metadata.get("namespace", ""), metadata["name"]


def _old(
    workload: Mapping[str, Any], made: Mapping[Place, Mapping[str, Any]], written: set[Place]
) -> Iterator[str]:
    template = pod_template(workload) or {}
    _, namespace, name = _place(workload)
    named = {(one.kind, namespace, one.name) for one in named_by(template["spec"])}
    read = [made[place] for place in sorted(named & made.keys())]
    shown = (template.get("metadata") or {}).get("annotations", {}).get("checksum/config", "")
    covered = shown == _digest(read) or (
        # A digest has public versions in place of secret values: tests/rehearsal/test_people.py.
        bool(re.fullmatch("[0-9a-f]{64}", shown)) and any(one["kind"] == "Secret" for one in read)
    )
    for source in read:
        if not covered and not _named_by_content(source):
            yield f"{namespace}/{name} {source['kind']} {source['metadata']['name']}"
    for _, _, secret in sorted((named & written) - made.keys()):
        # The name has the rotation, so that other values are another Secret.
        if not re.search(r"-\d+$", secret):
            yield f"{namespace}/{name} Secret {secret}"


def _digest(read: list[Mapping[str, Any]]) -> str:
    content = [
        [one["kind"], one["metadata"]["name"], {key: one.get(key) for key in _CONTENT}]
        for one in read
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _named_by_content(source: Mapping[str, Any]) -> bool:
    """Whether the name ends with the digest of the one file in it."""
    values = list((source.get("binaryData") or {}).values())
    digests = [hashlib.sha256(base64.b64decode(value)).hexdigest()[:10] for value in values]
    return len(digests) == 1 and source["metadata"]["name"].endswith(digests[0])
