"""Why an image is not pulled or resolved, and the way out: by its registry and the message.

Pure. Messages: containerd's, as the kubelet passes them on, and go-containerregistry's, which
Knative's controller uses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from images.reference import InvalidReference, Reference, parse

Object = Mapping[str, Any]
_PULLING = ("ErrImagePull", "ImagePullBackOff")
_INVALID = "InvalidImageName"
# <prefix>/<registry>/<path>, as Reference.mirrored writes it.
_COPY = re.compile(r"[^/]+/(?P<source>[a-z0-9-]+(?:\.[a-z0-9-]+)+/.+)")
_NO_ENTRY = re.compile(r"unauthorized|401|403|forbidden|denied|no basic auth", re.IGNORECASE)
_NOT_THERE = re.compile(
    r"not ?found|404|manifest unknown|manifest_unknown|name_unknown", re.IGNORECASE
)


def pull_trouble(pod: Object) -> str:
    """The way out for the first container of a pod whose image is not pulled; empty for none."""
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    images = {
        each["name"]: each.get("image", "")
        for kind in ("initContainers", "containers")
        for each in spec.get(kind) or []
    }
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or []:
            waiting = (container.get("state") or {}).get("waiting") or {}
            image = images.get(container["name"]) or container.get("image", "")
            if waiting.get("reason") == _INVALID:
                return "correct the name of the image"
            if waiting.get("reason") in _PULLING:
                return way_out_of_pull(image, waiting.get("message", ""))
    return ""


def way_out_of_pull(image: str, message: str) -> str:
    """What helps where a node cannot pull an image."""
    try:
        reference = parse(image)
    except InvalidReference:
        return "correct the name of the image"
    copied = _copied_from(reference)
    if copied:
        return (
            "its copy is under way or failed; `kubectl run asked --dry-run=server "
            f"--image={copied}` says which, and why"
        )
    host = reference.registry
    if _NOT_THERE.search(message) and not _NO_ENTRY.search(message):
        return f"{host} has no such tag: correct the image"
    if reference.ecr_region:
        return f"let the policy of its repository in {host} admit the role of the nodes"
    if _NO_ENTRY.search(message):
        return f"name a secret with a login to {host} in imagePullSecrets, or correct the image"
    return (
        f"nodes do not reach {host}: set kubeflow:imageMirror.enabled to true, or push the image "
        "to the account's registry"
    )


def way_out_of_digest(image: str, message: str) -> str:
    """What helps where Knative's controller cannot resolve a tag; it tries again by itself."""
    try:
        reference = parse(image)
    except InvalidReference:
        return "correct the name of the image"
    host = reference.registry
    if reference.ecr_region:
        return (
            f"Knative has no login to {host}: list it in kubeflow:serving.nodeRegistries and run "
            "`pulumi up`, or name the image by its digest"
        )
    if _NO_ENTRY.search(message):
        return (
            f"Knative has no login to {host}: name a secret with one in imagePullSecrets of the "
            "service account, or name the image by its digest"
        )
    if _NOT_THERE.search(message):
        return f"{host} has no such tag: correct the image"
    return (
        f"Knative's controller does not reach {host}: the image mirror gave no answer, or a rule "
        "of it keeps that registry; create the service again, or push the image to the account's "
        "registry"
    )


def _copied_from(image: Reference) -> str:
    """The source of a copy in ECR; empty where the name gives none."""
    copy = _COPY.fullmatch(image.repository) if image.ecr_region else None
    suffix = str(image)[len(image.name) :]
    return f"{copy['source']}{suffix}" if copy else ""
