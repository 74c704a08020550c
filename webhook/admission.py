"""The admission decision: an AdmissionReview in, an AdmissionReview with a JSON patch out.

Pure: no network, no clock, no AWS. What is known about a copy comes through ``Mirror``, so that
both transports (Lambda, in-cluster) and the tests share this one handler.

Shapes: k8s.io/api admission/v1 AdmissionReview; core/v1 Pod (containers, initContainers,
ephemeralContainers, and image volumes, Kubernetes 1.31 on).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, cast

from images.reference import InvalidReference, Reference, parse
from webhook.rules import Action, Rule, WhenAbsent, rule_for

OPT_OUT = "image-mirror/skip"
"""Pod annotation and namespace label: ``"true"`` leaves images as they are."""

# A pod of the kubelet's own manifest folder: a changed mirror is deleted and made again for ever.
_STATIC_POD = "kubernetes.io/config.mirror"

_API_VERSION = "admission.k8s.io/v1"
# A URL is no image reference, and may hold a password.
_LOGIN = re.compile(r"//[^/@\s]*@")
_CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
# k8s.io/api admission/v1: longer warnings, and more than 4096 characters in all, may be cut.
_LONGEST_WARNING = 256
_MOST_WARNINGS = 16


class Presence(StrEnum):
    """What is known about the copy of an image."""

    PRESENT = "present"
    COPYING = "copying"
    ABSENT = "absent"
    """Not there, and no copy was asked for (a dry run)."""
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The registry could not be asked; nothing is assumed."""
    NEVER = "never"
    """The account's registry does not serve this source at all: it stays in place."""


@dataclass(frozen=True)
class Copy:
    """The state of one image's copy and, where it failed or is unknown, why (no secrets)."""

    presence: Presence
    reason: str = ""


class Mirror(Protocol):
    """What the handler asks about copies; must answer fast and never raise."""

    def ask(self, source: Reference, *, start: bool, follow: bool = False) -> Copy:
        """The state of ``source``'s copy; ``start`` requests one where it is absent.

        ``follow``, besides, has an old copy of a tag compared with the source: it may have moved.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The rules of one stack.

    Attributes:
        registry: where copies live, ``<ecr host>/<prefix>``.
        passed: registries (hosts, or hosts with a path) left alone besides private ECR ones.
        when_absent: for images whose copy is not there yet.
        rules: tried in this order, before all else is mirrored; see ``webhook.rules``.
    """

    registry: str
    passed: tuple[str, ...] = ()
    when_absent: WhenAbsent = WhenAbsent.REWRITE
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class _Place:
    pointer: str
    image: str


@dataclass(frozen=True)
class _Decision:
    image: str
    warning: str = ""
    denied: bool = False


def review(body: object, policy: Policy, mirror: Mirror) -> dict[str, Any]:
    """Answers one AdmissionReview.

    Args:
        body: the decoded JSON of the request, whatever it is.
        policy: the stack's rules.
        mirror: what is known about copies; asked once per distinct image.

    Returns:
        An AdmissionReview. A body that is no review, or a review of something that is no pod, gets
        a response with ``status.code`` 400 and, as nobody can act on it, an empty ``uid`` when the
        request has none; a transport turns that into HTTP 400, which the API server treats by the
        webhook's failurePolicy. A readable review is always answered, never raised upon.
    """
    request = mapping(mapping(body).get("request"))
    uid = request.get("uid")
    if not isinstance(uid, str) or not uid:
        return refusal("", "the request has no AdmissionReview with a request.uid")
    version = mapping(body).get("apiVersion")
    if version != _API_VERSION:
        spoken = repr(_short(version)) if isinstance(version, str) else "no version"
        return refusal(uid, f"this webhook speaks {_API_VERSION}, the request {spoken}")
    if request.get("operation") not in ("CREATE", "UPDATE"):
        return _response(uid, {"allowed": True})
    pod = mapping(request.get("object"))
    if not isinstance(pod.get("spec"), Mapping):
        return refusal(uid, "the request has no pod in request.object")
    if _opted_out(pod):
        return _response(uid, {"allowed": True})
    return _response(uid, _answer(pod, request, policy, mirror))


def refusal(uid: str, message: str, *, code: int = 400) -> dict[str, Any]:
    """The AdmissionReview that says why a request could not be judged."""
    status = {"code": code, "message": f"image-mirror: {message}"}
    return _response(uid, {"allowed": False, "status": status})


def _answer(
    pod: Mapping[str, Any], request: Mapping[str, Any], policy: Policy, mirror: Mirror
) -> dict[str, Any]:
    settled = _images_by_owner(mapping(request.get("oldObject")))
    namespace = request.get("namespace")
    where = namespace if isinstance(namespace, str) else ""
    dry_run = request.get("dryRun") is True
    decisions: dict[str, _Decision] = {}
    patch: list[dict[str, str]] = []
    for place, owner in _owned_places(pod):
        # An update may touch labels only; rewriting an image that already runs would restart its
        # container, and ephemeral containers and volumes cannot be changed at all.
        if settled.get(owner) == place.image:
            continue
        decision = decisions.get(place.image)
        if decision is None:
            decision = _decide(place.image, where, policy, mirror, start=not dry_run)
            decisions[place.image] = decision
        if decision.image != place.image:
            patch.append({"op": "replace", "path": place.pointer, "value": decision.image})
    denied = [d.warning for d in decisions.values() if d.denied]
    if denied:
        status = {
            "code": 403,
            "reason": "Forbidden",
            "message": "image-mirror: " + "; ".join(denied),
        }
        return {"allowed": False, "status": status}
    answer: dict[str, Any] = {"allowed": True}
    if patch:
        answer["patchType"] = "JSONPatch"
        answer["patch"] = base64.b64encode(json.dumps(patch).encode()).decode()
    warnings = [_short(d.warning) for d in decisions.values() if d.warning]
    if warnings:
        answer["warnings"] = warnings[:_MOST_WARNINGS]
    return answer


def _decide(
    image: str, namespace: str, policy: Policy, mirror: Mirror, *, start: bool
) -> _Decision:
    try:
        written = parse(image)
    except InvalidReference as wrong:
        return _Decision(image, f"{_LOGIN.sub('//***@', str(wrong))}: left as it is")
    if written.belongs_to(policy.registry):
        # Rendered for this registry already. Its source is known by name, so a copy that is
        # missing can still be fetched; the reference stays as it is either way. What the platform
        # was released with does not follow its source.
        source = written.origin(policy.registry)
        copy = mirror.ask(source, start=start) if source else Copy(Presence.PRESENT)
        return _Decision(image, _told(source or written, copy))
    if written.ecr_region or any(written.belongs_to(registry) for registry in policy.passed):
        return _Decision(image)
    rule = rule_for(policy.rules, written, namespace)
    match rule.action:
        case Action.KEEP:
            return _Decision(image)
        case Action.DENY:
            told = f"images of {written.name} are not allowed in namespace {namespace}"
            return _Decision(image, f"{told} by a rule of this cluster", denied=True)
        case Action.MIRROR:
            copy = mirror.ask(written, start=start, follow=True)
            when_absent = rule.when_absent or policy.when_absent
            return _mirrored(image, written.mirrored(policy.registry), written, copy, when_absent)


def _mirrored(
    image: str, target: str, source: Reference, copy: Copy, when_absent: WhenAbsent
) -> _Decision:
    if copy.presence is Presence.NEVER:
        return _Decision(image)
    told = _told(source, copy)
    if copy.presence is Presence.PRESENT or when_absent is WhenAbsent.REWRITE:
        return _Decision(target, told)
    if when_absent is WhenAbsent.DENY and copy.presence is not Presence.UNKNOWN:
        return _Decision(image, told, denied=True)
    return _Decision(image, f"{told}; the source stays in place" if told else "")


def _told(source: Reference, copy: Copy) -> str:
    reason = f": {copy.reason}" if copy.reason else ""
    match copy.presence:
        case Presence.PRESENT:
            return ""
        case Presence.COPYING:
            return f"{source} is being copied to this account's registry{reason}"
        case Presence.ABSENT:
            return f"{source} is not in this account's registry yet{reason}"
        case Presence.FAILED:
            return f"{source} could not be copied to this account's registry{reason}"
        case Presence.UNKNOWN:
            return f"this account's registry could not be asked for {source}{reason}"
        case Presence.NEVER:
            return f"this account's registry does not serve {source}{reason}"


def _owned_places(pod: Mapping[str, Any]) -> Iterator[tuple[_Place, tuple[str, str]]]:
    """Each image with its owner (list name, item name), by which an update recognises it."""
    spec = mapping(pod.get("spec"))
    for field in _CONTAINER_LISTS:
        for index, container in enumerate(_list(spec.get(field))):
            image = mapping(container).get("image")
            if isinstance(image, str) and image:
                owner = (field, _name(container))
                yield _Place(f"/spec/{field}/{index}/image", image), owner
    for index, volume in enumerate(_list(spec.get("volumes"))):
        image = mapping(mapping(volume).get("image")).get("reference")
        if isinstance(image, str) and image:
            owner = ("volumes", _name(volume))
            yield _Place(f"/spec/volumes/{index}/image/reference", image), owner


def _name(item: object) -> str:
    # Nothing but text is a name, and what else stands there may be too deep or too long to write.
    name = mapping(item).get("name")
    return name if isinstance(name, str) else ""


def _images_by_owner(pod: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    return {owner: place.image for place, owner in _owned_places(pod)}


def _opted_out(pod: Mapping[str, Any]) -> bool:
    annotations = mapping(mapping(pod.get("metadata")).get("annotations"))
    return annotations.get(OPT_OUT) == "true" or _STATIC_POD in annotations


def _response(uid: str, answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": _API_VERSION,
        "kind": "AdmissionReview",
        "response": {"uid": uid, **answer},
    }


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_WARNING else text[: _LONGEST_WARNING - 3] + "..."


def mapping(value: object) -> Mapping[str, Any]:
    """The value, if it is a JSON object, else an empty one: a request may hold anything."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
