"""Admission handlers: the package ``webhook`` in functions and pods, and what those pods need."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi

from components.objects.kubernetes_objects import register
from rendering import Object, ObjectKey, Rendered

_PROJECT = Path(__file__).resolve().parents[2]
# In the package of the mirror alone (``components.mirror.wheel``) imports have other names, and the
# handler's sources are unchanged in a folder of their own.
_ROOT = next(place for place in (_PROJECT / "handler", _PROJECT) if (place / "webhook").is_dir())
_GRAMMAR = ("__init__.py", "hosts.py", "reference.py", "registries.json")


def handler_sources() -> dict[str, Path]:
    """The ``webhook`` package and the grammar of images: name within an archive -> file."""
    sources = (*_ROOT.glob("webhook/*.py"), *(_ROOT / "images" / name for name in _GRAMMAR))
    return {source.relative_to(_ROOT).as_posix(): source for source in sorted(sources)}


def code_config_map(namespace: str, data: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The package as a ConfigMap with one archive; its name changes with the content.

    Python imports from an archive; in plain text, the leak check would read ``image: str`` as the
    name of an image.

    Args:
        namespace: of the ConfigMap.
        data: further files: name within the archive -> text.
    """
    contents = {name: source.read_bytes() for name, source in handler_sources().items()}
    contents |= {name: text.encode() for name, text in (data or {}).items()}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, content in contents.items():
            # A time of its own would make equal sources differ.
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            writer.writestr(entry, content, zipfile.ZIP_DEFLATED)
    digest = hashlib.sha256(archive.getvalue()).hexdigest()[:10]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{namespace}-code-{digest}", "namespace": namespace},
        "binaryData": {"webhook.zip": base64.b64encode(archive.getvalue()).decode()},
    }


def certificate_secret(
    namespace: str, certificate: pulumi.Input[str], key: pulumi.Input[str]
) -> dict[str, Any]:
    """The Secret of a handler's serving certificate; the server reads a renewed one by itself."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{namespace}-certificate", "namespace": namespace},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate, "tls.key": key},
    }


def register_pods(
    name: str,
    rendered: Rendered,
    bound: Callable[[Object], Object],
    *,
    mounted: Sequence[Object],
    ready: Sequence[pulumi.Resource],
    hooks: pulumi.ResourceHookBinding | None,
    parent: pulumi.Resource,
) -> list[pulumi.Resource]:
    """Makes: the objects of a handler's pods, and what its Deployment mounts before that.

    Args:
        name: prefix of the resources' names.
        rendered: the objects.
        bound: an object with the values of its markers.
        mounted: the ConfigMap of the code, and the Secret of the certificate.
        ready: what pods depend on.
        hooks: of workloads.
        parent: of all.
    """

    def one(obj: Object, before: Sequence[pulumi.Resource]) -> pulumi.Resource:
        return register(
            obj,
            name=f"{name}-{obj['kind'].lower()}-{obj['metadata']['name']}",
            hooks=hooks,
            opts=pulumi.ResourceOptions(parent=parent, depends_on=list(before)),
        )

    made: dict[ObjectKey, pulumi.Resource] = {}
    own: list[pulumi.Resource] = []
    for obj in rendered.objects:
        key = ObjectKey.of(obj)
        before = [made[needed] for needed in rendered.prerequisites.get(key, ())]
        if key.kind == "Deployment":
            own = [one(each, before) for each in mounted]
            before += own
        if key.kind == "Namespace":
            before += ready
        made[key] = one(bound(obj), before)
    return [*made.values(), *own]
