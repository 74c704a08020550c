"""Releases and add-ons as a Beijing stack renders them, with short ways to look into them.

Late values still stand as <<name>>; where a text must be parsed, a test fills them in first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from rendering import Object, Rendered, render
from rendering.assembly import assemble
from rendering.golden import upstream_objects
from tests.releases import DEFAULT

MANIFESTS = Path(__file__).parents[2] / "manifests"
REGISTRY = "<<image.prefix>>"
KEY_FORMAT = (
    "<<bucket.prefix>>/{{workflow.namespace}}/{{workflow.name}}/{{workflow.creationTimestamp.Y}}/"
    "{{workflow.creationTimestamp.m}}/{{workflow.creationTimestamp.d}}/{{pod.name}}"
)
S3 = "<<s3.host>>"
REGION = "<<region.name>>"
ROTATION = "<<database.rotation>>"


@cache
def rendered(folder: str) -> Rendered:
    """``manifests/<folder>`` for aws-cn with all images from the account's registry."""
    return render(
        MANIFESTS / folder, partition="aws-cn", dns_suffix="amazonaws.com.cn", registry=REGISTRY
    )


@cache
def kubeflow(release: str = DEFAULT) -> Release:
    return Release(rendered(release))


@cache
def upstream(release: str) -> tuple[Object, ...]:
    """What a release is a changed copy of, as its sources render to it."""
    return tuple(upstream_objects(assemble(MANIFESTS / release)))


class Release:
    """Rendered objects by kind and name; names of generated objects without their hash."""

    def __init__(self, rendered: Rendered) -> None:
        self.rendered = rendered

    def all(self, kind: str) -> list[Object]:
        return [obj for obj in self.rendered.objects if obj["kind"] == kind]

    def get(self, kind: str, name: str, namespace: str = "kubeflow") -> Object:
        exact = re.compile(re.escape(name) + r"(-[a-z0-9]{10})?")
        matches = [
            obj
            for obj in self.all(kind)
            if exact.fullmatch(obj["metadata"]["name"])
            and obj["metadata"].get("namespace") in (namespace, None)
        ]
        assert len(matches) == 1, f"{len(matches)} objects match {kind} {namespace}/{name}"
        return matches[0]

    def text(self, config_map: str, key: str, namespace: str = "kubeflow") -> str:
        return self.get("ConfigMap", config_map, namespace)["data"][key]

    def secret(self, name: str, namespace: str = "kubeflow") -> dict[str, str]:
        return self.get("Secret", name, namespace).get("stringData", {})

    def container(self, deployment: str, name: str | None = None) -> dict[str, Any]:
        every = containers(self.get("Deployment", deployment))
        return next(each for each in every if name in (None, each["name"]))

    def environment(self, deployment: str, container: str | None = None) -> dict[str, Any]:
        return environment(self.container(deployment, container))


def containers(workload: Object) -> list[dict[str, Any]]:
    spec = workload["spec"]["template"]["spec"]
    return [*spec["containers"], *spec.get("initContainers", [])]


def environment(container: Mapping[str, Any]) -> dict[str, Any]:
    """Variable -> its value, or the dictionary that says where it comes from."""
    return {
        entry["name"]: entry.get("value", entry.get("valueFrom"))
        for entry in container.get("env", [])
    }


def config(key: str) -> dict[str, Any]:
    return {"configMapKeyRef": {"name": "pipeline-install-config", "key": key}}


def secret(name: str, key: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": name, "key": key}}


def strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, child in cast("dict[str, object]", value).items():
            yield key
            yield from strings(child)
    elif isinstance(value, list):
        for child in cast("list[object]", value):
            yield from strings(child)
    elif isinstance(value, str):
        yield value
