"""The admission decision on package sources: what a pod of a profile gets, as a JSON patch.

Pure: the values themselves are in a ConfigMap of the profile (manifests/addons/profile-hook). The
pod refers to it before all its own sources: of two sources with one key the later counts, and
``env`` counts before both (k8s.io/api core/v1 Container.envFrom), so a user's value always wins.
Names are optional references: nothing of this refuses a pod or makes it wait.

The ConfigMap of authorities is referred to even where the stack has none: a profile gets and loses
both ConfigMaps in one sync, minutes after a change of the setting, so the variables that name the
file and the file come and go together in new pods.

PodDefaults of Kubeflow cannot do it: their ``envFrom`` comes last, they leave init containers out,
refuse a pod over a conflict, and one without ``matchLabels`` breaks the notebook form
(kubeflow/kubeflow v1.10 components/admission-webhook/main.go, mergeEnvFrom and mutatePods).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from webhook.admission import mapping

DEFAULTS = "package-defaults"
"""The ConfigMap with variables of every container."""
AUTHORITIES = "package-authorities"
"""The ConfigMap with certificates of authorities, and the volume of it."""
MOUNT_PATH = "/etc/package-authorities"

OPT_OUT = "package-defaults/skip"
"""Pod annotation, or label of a pod or namespace: ``"true"`` leaves pods as they are."""
ADDED = "package-defaults/added"
"""Pod annotation with the names of what was added."""

# Containers that others add, and that install nothing: the mesh's and Knative's.
_LEFT_OUT = ("istio-init", "istio-proxy", "istio-validation", "queue-proxy")
# Two spellings of one setting; programs differ in which they read first.
_SPELLINGS = (
    ("HTTP_PROXY", "http_proxy"),
    ("HTTPS_PROXY", "https_proxy"),
    ("NO_PROXY", "no_proxy"),
    ("NPM_CONFIG_REGISTRY", "npm_config_registry"),
    ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
)
_API_VERSION = "admission.k8s.io/v1"


@dataclass(frozen=True, kw_only=True)
class Additions:
    """What a stack's pods get.

    Attributes:
        variables: names of the variables in the ConfigMap.
    """

    variables: Sequence[str]

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Additions:
        """From the handler's own variables; KeyError names one that is missing."""
        return cls(variables=environment["PACKAGE_VARIABLES"].split())


def review(body: object, additions: Additions) -> dict[str, Any]:
    """Answers one AdmissionReview; no body raises, and no pod is refused.

    A body that is no review of version 1 gets ``status.code`` 400, to which the API server applies
    the webhook's failurePolicy.
    """
    request = mapping(mapping(body).get("request"))
    uid = request.get("uid")
    if mapping(body).get("apiVersion") != _API_VERSION or not isinstance(uid, str) or not uid:
        status = {"code": 400, "message": f"{DEFAULTS}: it is no review of {_API_VERSION}"}
        return _response("", {"allowed": False, "status": status})
    answer: dict[str, Any] = {"allowed": True}
    pod = mapping(request.get("object"))
    if request.get("operation") == "CREATE" and (patch := list(_patch(pod, additions))):
        answer["patchType"] = "JSONPatch"
        answer["patch"] = base64.b64encode(json.dumps(patch).encode()).decode()
    return _response(uid, answer)


def _patch(pod: Mapping[str, Any], additions: Additions) -> Iterator[dict[str, Any]]:
    metadata, spec = mapping(pod.get("metadata")), mapping(pod.get("spec"))
    annotations = mapping(metadata.get("annotations"))
    if annotations.get(OPT_OUT) == "true":
        return
    changes = [
        change
        for field in ("initContainers", "containers")
        for index, container in enumerate(_items(spec, field))
        if container.get("name") not in _LEFT_OUT
        for change in _container_patch(f"/spec/{field}/{index}", container, additions)
    ]
    if not changes:
        return
    yield from changes
    if not _has(_items(spec, "volumes"), "name", AUTHORITIES):
        source = {"name": AUTHORITIES, "optional": True}
        yield _appended("/spec", spec, "volumes", {"name": AUTHORITIES, "configMap": source})
    added = " ".join(additions.variables)
    if isinstance(metadata.get("annotations"), Mapping):
        yield _add(f"/metadata/annotations/{ADDED.replace('/', '~1')}", added)
    else:
        yield _add("/metadata/annotations", {ADDED: added})


def _container_patch(
    pointer: str, container: Mapping[str, Any], additions: Additions
) -> Iterator[dict[str, Any]]:
    """Nothing of a container that has it already: after other webhooks a pod comes again."""
    sources = _items(container, "envFrom")
    if not any(mapping(each.get("configMapRef")).get("name") == DEFAULTS for each in sources):
        own = {"configMapRef": {"name": DEFAULTS, "optional": True}}
        # Into the list, before its first item.
        yield _add(f"{pointer}/envFrom/0", own) if sources else _add(f"{pointer}/envFrom", [own])
        for variable in _spelled_otherwise(_items(container, "env"), additions.variables):
            yield _appended(pointer, container, "env", variable)
    mounts = _items(container, "volumeMounts")
    if not _has(mounts, "mountPath", MOUNT_PATH):
        mount = {"name": AUTHORITIES, "mountPath": MOUNT_PATH, "readOnly": True}
        yield _appended(pointer, container, "volumeMounts", mount)


def _spelled_otherwise(
    env: Sequence[Mapping[str, Any]], variables: Sequence[str]
) -> Iterator[dict[str, str]]:
    """The user's value under each other spelling that the ConfigMap would give another value to.

    ``$(name)`` is the value of a variable before it in the list, wherever that comes from.
    """
    names = [each.get("name") for each in env]  # of any type
    for spellings in _SPELLINGS:
        if not any(name in variables for name in spellings):
            continue
        given = [name for name in spellings if name in names]
        if len(given) == 1:
            (other,) = (name for name in spellings if name != given[0])
            yield {"name": other, "value": f"$({given[0]})"}


def _add(pointer: str, value: Any) -> dict[str, Any]:
    """Sets a member, or inserts into a list (RFC 6902, section 4.1)."""
    return {"op": "add", "path": pointer, "value": value}


def _appended(
    pointer: str, holder: Mapping[str, Any], field: str, value: Mapping[str, Any]
) -> dict[str, Any]:
    """Adds to the list in that field, which need not be there."""
    if _items(holder, field):
        return _add(f"{pointer}/{field}/-", value)
    return _add(f"{pointer}/{field}", [value])


def _items(holder: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    items: object = holder.get(field)
    return [mapping(item) for item in cast("list[Any]", items)] if isinstance(items, list) else []


def _has(items: Sequence[Mapping[str, Any]], key: str, value: str) -> bool:
    return any(item.get(key) == value for item in items)


def _response(uid: str, answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": _API_VERSION,
        "kind": "AdmissionReview",
        "response": {"uid": uid, **answer},
    }
