"""Reviews as the API server sends them, the patch of an answer, and a mirror with one answer."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

from images.reference import Reference
from webhook.admission import Copy, Presence
from webhook.budgets import Review

OWN = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow"
SHA = "sha256:" + "0123456789abcdef" * 4


class FixedMirror:
    """A mirror with the same answer for every image, and a record of its calls."""

    def __init__(self, presence: Presence = Presence.PRESENT, reason: str = "") -> None:
        self.copy = Copy(presence, reason)
        self.asked: list[str] = []
        self.started: list[str] = []
        self.followed: list[str] = []
        self.deadlines: list[float] = []

    def ask(
        self,
        source: Reference,
        *,
        start: bool,
        follow: bool = False,
        deadline: float = math.inf,
        review: Review | None = None,
    ) -> Copy:
        self.deadlines.append(deadline)
        self.asked.append(str(source))
        if start:
            self.started.append(str(source))
        if follow:
            self.followed.append(str(source))
        return self.copy


def pod(*images: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": f"c{i}", "image": image} for i, image in enumerate(images)]
    return {"metadata": {"name": "p"}, "spec": {"containers": containers, **spec}}


def review_of(obj: Any, **request: Any) -> dict[str, Any]:
    """The AdmissionReview of an object that is created."""
    inner = {"uid": "u-1", "operation": "CREATE", "object": obj, **request}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": inner}


def patched(response: dict[str, Any]) -> dict[str, str]:
    """JSON pointer -> new value."""
    if "patch" not in response:
        return {}
    assert response["patchType"] == "JSONPatch"
    patch = json.loads(base64.b64decode(response["patch"]))
    assert {step["op"] for step in patch} == {"replace"}
    return {step["path"]: step["value"] for step in patch}
