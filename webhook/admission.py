"""The admission decision: an AdmissionReview in, an AdmissionReview with a JSON patch out.

Pure: no network, no AWS, and no clock but for a review's deadline. The state of copies comes
through ``Mirror``, so that both transports (Lambda, in-cluster) and the tests share this one
handler. ``image_places`` has the objects that are judged, and where their images stand.

Shape: k8s.io/api admission/v1 AdmissionReview.
"""

from __future__ import annotations

import base64
import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from images.reference import InvalidReference, Reference, parse
from webhook.budgets import DEFAULT, Budgets, Review
from webhook.image_places import Place, mapping, places, runs_at_once, text
from webhook.rules import Action, Rule, WhenAbsent, rule_for

_API_VERSION = "admission.k8s.io/v1"
# A URL is no image reference, and may hold a password.
_LOGIN = re.compile(r"//[^/@\s]*@")
# k8s.io/api admission/v1: longer warnings, and more than 4096 characters in all, may be cut.
_LONGEST_WARNING = 256
_MOST_WARNINGS = 16


class Presence(StrEnum):
    """The state of an image's copy."""

    PRESENT = "present"
    COPYING = "copying"
    ABSENT = "absent"
    """Not there, and no copy was requested: a dry run, or a budget that is met."""
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The registry did not answer; nothing is assumed."""
    NEVER = "never"
    """The account's registry does not serve this source at all: it stays in place."""


NO_TIME = "the time of this review was over"
"""Why an image was not asked for."""

_WARNINGS = {
    Presence.PRESENT: "",
    Presence.COPYING: "{} is being copied to this account's registry",
    Presence.ABSENT: "{} is not in this account's registry yet",
    Presence.FAILED: "{} could not be copied to this account's registry",
    Presence.UNKNOWN: "this account's registry could not be asked for {}",
    Presence.NEVER: "this account's registry does not serve {}",
}
_WITHOUT_COPY = (Presence.COPYING, Presence.ABSENT, Presence.FAILED)
_NO_COMMAND = (
    "Argo reads the entrypoint of a container without a command from there: give the container a "
    "command, or submit the workflow again once the copy is there"
)


@dataclass(frozen=True)
class Copy:
    """The state of one image's copy and, where it failed or is unknown, why (no secrets)."""

    presence: Presence
    reason: str = ""


class Mirror(Protocol):
    """The source of copies' states; answers fast and never raises."""

    def ask(
        self,
        source: Reference,
        *,
        start: bool,
        follow: bool = False,
        deadline: float = math.inf,
        review: Review | None = None,
    ) -> Copy:
        """The state of ``source``'s copy.

        Args:
            source: as the pod names it.
            start: request a copy where there is none.
            follow: request the comparison of an old copy with its source, whose tag may have moved.
            deadline: monotonic seconds; no call that could wait begins after it.
            review: who asks, and what else may be asked for in the same review; None: no bound.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The rules of one stack.

    Attributes:
        registry: of copies, ``<ecr host>/<prefix>``.
        when_absent: for images whose copy is not there yet.
        rules: tried in this order, before all else is mirrored; see ``webhook.rules``.
        budgets: of copies.
    """

    registry: str
    when_absent: WhenAbsent = WhenAbsent.REWRITE
    rules: tuple[Rule, ...] = ()
    budgets: Budgets = DEFAULT


@dataclass(frozen=True)
class _Decision:
    image: str
    warning: str = ""
    denied: bool = False


def review(
    body: object, policy: Policy, mirror: Mirror, deadline: float = math.inf
) -> dict[str, Any]:
    """Answers one AdmissionReview.

    Args:
        body: the decoded JSON of the request, whatever it is.
        policy: the stack's rules.
        mirror: the state of copies; asked once per distinct image.
        deadline: monotonic seconds, after which the mirror is asked for no further image.

    Returns:
        An AdmissionReview; no body raises. One of an object without a spec gets a response with
        ``status.code`` 400, and with an empty ``uid`` when the request has none; a transport turns
        that into HTTP 400, to which the API server applies the webhook's failurePolicy.
    """
    request = mapping(mapping(body).get("request"))
    uid = request.get("uid")
    if not isinstance(uid, str) or not uid:
        return refusal("", "the request has no AdmissionReview with a request.uid")
    version = mapping(body).get("apiVersion")
    if version != _API_VERSION:
        given = repr(_short(version)) if isinstance(version, str) else "no version"
        return refusal(uid, f"this webhook speaks {_API_VERSION}, the request {given}")
    if request.get("operation") not in ("CREATE", "UPDATE"):
        return _response(uid, {"allowed": True})
    obj = mapping(request.get("object"))
    if not isinstance(obj.get("spec"), Mapping):
        return refusal(uid, "the request has no pod in request.object")
    asked = _AskedOnce(
        mirror,
        start=request.get("dryRun") is not True,
        deadline=deadline,
        review=Review(text(request.get("namespace")), policy.budgets.images_per_review),
    )
    return _response(uid, _answer(places(request, obj), request, policy, asked))


def refusal(uid: str, message: str, *, code: int = 400) -> dict[str, Any]:
    """The AdmissionReview of a request that could not be judged, with the reason."""
    status = {"code": code, "message": f"image-mirror: {message}"}
    return _response(uid, {"allowed": False, "status": status})


def _answer(
    found: Sequence[Place], request: Mapping[str, Any], policy: Policy, asked: _AskedOnce
) -> dict[str, Any]:
    before = places(request, mapping(request.get("oldObject")))
    old_images = {place.owner: place.image for place in before}
    namespace = request.get("namespace")
    if not isinstance(namespace, str):
        namespace = ""
    at_once = runs_at_once(request)
    decisions: dict[str, _Decision] = {}
    patch: list[dict[str, str]] = []
    for place in found:
        # An update may touch labels only; rewriting an image that already runs would restart its
        # container, and ephemeral containers and volumes cannot be changed at all.
        if place.opted_out or old_images.get(place.owner) == place.image:
            continue
        if place.image not in decisions:
            decisions[place.image] = _decide(
                place.image, namespace, policy, asked, looked_up=at_once
            )
        image = decisions[place.image].image
        if image != place.image:
            patch.append({"op": "replace", "path": place.pointer, "value": image})
    denied = [d.warning for d in decisions.values() if d.denied]
    if denied:
        message = "image-mirror: " + "; ".join(denied)
        status = {"code": 403, "reason": "Forbidden", "message": message}
        return {"allowed": False, "status": status}
    answer: dict[str, Any] = {"allowed": True}
    if patch:
        answer["patchType"] = "JSONPatch"
        answer["patch"] = base64.b64encode(json.dumps(patch).encode()).decode()
    warnings = list(dict.fromkeys(_short(d.warning) for d in decisions.values() if d.warning))
    if warnings:
        answer["warnings"] = warnings[:_MOST_WARNINGS]
    return answer


class _AskedOnce:
    """A mirror that is asked once per image in a review, and for none after its deadline."""

    def __init__(self, mirror: Mirror, *, start: bool, deadline: float, review: Review) -> None:
        self._mirror, self._start, self._deadline = mirror, start, deadline
        self._review = review
        self._copies: dict[tuple[Reference, bool], Copy] = {}

    def copy_of(self, source: Reference, *, follow: bool = False) -> Copy:
        key = (source, follow)
        if key not in self._copies:
            if time.monotonic() >= self._deadline:
                return Copy(Presence.UNKNOWN, NO_TIME)
            self._copies[key] = self._mirror.ask(
                source,
                start=self._start,
                follow=follow,
                deadline=self._deadline,
                review=self._review,
            )
        return self._copies[key]


def _decide(
    image: str, namespace: str, policy: Policy, mirror: _AskedOnce, *, looked_up: bool
) -> _Decision:
    try:
        source = parse(image)
    except InvalidReference as error:
        return _Decision(image, f"{_LOGIN.sub('//***@', str(error))}: left as it is")
    if source.belongs_to(policy.registry):
        # Rendered for this registry already: the reference stays as it is. Where its name gives the
        # source, a missing copy can still be fetched; a copy of the release's own images does not
        # follow its source.
        origin = source.origin(policy.registry)
        if origin is None:
            return _Decision(image)
        copy = mirror.copy_of(origin)
        return _waiting(_Decision(image, _warning(origin, copy)), copy, looked_up=looked_up)
    rule = rule_for(policy.rules, source, namespace)
    if source.ecr_region or rule.action is Action.KEEP:
        return _Decision(image)
    if rule.action is Action.DENY:
        refused = f"images of {source.name} are not allowed in namespace {namespace}"
        return _Decision(image, f"{refused} by a rule of this cluster", denied=True)
    copy = mirror.copy_of(source, follow=True)
    target = source.mirrored(policy.registry)
    decision = _mirrored(image, target, source, copy, rule.when_absent or policy.when_absent)
    return _waiting(decision, copy, looked_up=looked_up and decision.image == target)


def _waiting(decision: _Decision, copy: Copy, *, looked_up: bool) -> _Decision:
    """The decision, or a refusal where Argo would look for the entrypoint of an absent copy.

    The step would end at once, where the kubelet of another pod retries.
    """
    if not looked_up or copy.presence not in _WITHOUT_COPY:
        return decision
    return replace(decision, warning=f"{decision.warning}; {_NO_COMMAND}", denied=True)


def _mirrored(
    image: str, target: str, source: Reference, copy: Copy, when_absent: WhenAbsent
) -> _Decision:
    if copy.presence is Presence.NEVER:
        return _Decision(image)
    warning = _warning(source, copy)
    if copy.presence is Presence.PRESENT or when_absent is WhenAbsent.REWRITE:
        return _Decision(target, warning)
    if when_absent is WhenAbsent.DENY and copy.presence is not Presence.UNKNOWN:
        return _Decision(image, warning, denied=True)
    return _Decision(image, f"{warning}; the source stays in place")


def _warning(source: Reference, copy: Copy) -> str:
    reason = f": {copy.reason}" if copy.reason else ""
    warning = _WARNINGS[copy.presence].format(source)
    return f"{warning}{reason}" if warning else ""


def _response(uid: str, answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": _API_VERSION,
        "kind": "AdmissionReview",
        "response": {"uid": uid, **answer},
    }


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_WARNING else text[: _LONGEST_WARNING - 3] + "..."
