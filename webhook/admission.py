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
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from images.hosts import is_domestic, is_private, source_of
from images.reference import InvalidReference, Reference, ecr_registry, parse
from webhook.budgets import DEFAULT, Budgets, Review
from webhook.copy_reasons import CopyReason, words
from webhook.image_places import (
    OPT_OUT,
    Place,
    asks_to_be_left_out,
    has_pull_secrets,
    is_pod,
    mapping,
    places,
    runs_at_once,
    text,
)
from webhook.outcomes import ANNOTATION, Finding, Outcome, Report, annotation
from webhook.rules import Action, Rule, Subject, WhenAbsent, rule_for

_API_VERSION = "admission.k8s.io/v1"
_NAMESPACE = re.compile(r"[a-z0-9-]{1,63}")
# k8s.io/api admission/v1: longer warnings, and more than 4096 characters in all, may be cut.
_LONGEST_WARNING = 256
_MOST_WARNINGS = 16
_MOST_DENIALS = 20


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
    Presence.COPYING: "{} is being copied to this account's registry",
    Presence.ABSENT: "{} is not in this account's registry yet",
    Presence.FAILED: "{} could not be copied to this account's registry",
    Presence.UNKNOWN: "this account's registry could not be asked for {}",
    Presence.NEVER: "this account's registry does not serve {}",
}
_WITHOUT_COPY = (Presence.COPYING, Presence.ABSENT, Presence.FAILED)
_OUTCOMES: dict[Presence | None, Outcome] = {
    Presence.COPYING: Outcome.COPYING,
    Presence.ABSENT: Outcome.COPYING,
    Presence.FAILED: Outcome.COPY_FAILED,
}
_STAYS = "the source stays in place"
# A builder without a login may never read these; the node may, with the secrets of the pod.
_OF_PRIVATE_IMAGES = (
    *(CopyReason.NOT_FOUND, CopyReason.NEEDS_LOGIN, CopyReason.REFUSED),
    *(CopyReason.UNREACHABLE, CopyReason.PRIVATE_ADDRESS),
)
_ASK = "use another image, or ask an administrator for a rule (imageMirror.rules)"
_ABROAD = (
    "is in another partition of AWS, where the nodes of this cluster have no login: copy it into "
    "this account's registry"
)
_MIRROR_STAYS = "no rule allows the mirror that is named: name the source, and wait for its copy"
_LEFT_OUT = (
    f"{OPT_OUT} has no effect on a pod: an administrator can set it as a label of the namespace"
)
_NO_COMMAND = (
    "Argo reads the entrypoint of a container without a command from there: give the container a "
    "command, or submit the workflow again once the copy is there"
)


@dataclass(frozen=True)
class Copy:
    """The state of one image's copy and, where it failed or is unknown, why (no secrets)."""

    presence: Presence
    reason: str = ""
    code: str = ""
    """Why the last attempt failed (``copy_reasons``), also while another one is under way."""


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
        enforce: refuse what is not known to be allowed, where otherwise its author is warned.
        keeps_domestic: leave images of registries in China in place (``images.hosts``).
        platform: the platform's own images by their sources; no rule refuses them.
        logins: registries to which builds have a login.
        public: registries whose images anybody may read but for a few, and that nodes cannot reach.
        budgets: of copies.
    """

    registry: str
    when_absent: WhenAbsent = WhenAbsent.REWRITE
    rules: tuple[Rule, ...] = ()
    enforce: bool = False
    keeps_domestic: bool = False
    platform: Collection[str] = frozenset()
    logins: frozenset[str] = frozenset()
    public: frozenset[str] = frozenset()
    budgets: Budgets = DEFAULT

    def copies_for_pods_with_secrets(self, source: Reference, rule: Rule | None) -> bool:
        """Whether an image is copied although its pod has pull secrets.

        They may be for another registry: those of a service account are in each of its pods. From
        elsewhere a build would ask in vain, and tell the name of a private image abroad.
        """
        named = rule is not None and rule.action is Action.MIRROR and not rule.everywhere
        return named or source.registry in self.logins or source.registry in self.public


class _Decision(NamedTuple):
    image: str
    warning: str = ""
    denied: bool = False
    presence: Presence | None = None
    origin: str = ""
    """Of an image that named its copy already, the source."""
    source: str = ""
    """Of an image that the pod names by its copy."""

    @property
    def awaited(self) -> str:
        """The image whose copy is under way, and that the pod needs."""
        return self.source if self.presence is Presence.COPYING and not self.denied else ""

    def outcome(self, image: str) -> Outcome | None:
        """What became of the image of that name; None: nothing that its pod's owner has to know."""
        if self.denied:
            return Outcome.REFUSED
        if self.image != image or (self.origin and self.warning):
            return _OUTCOMES.get(self.presence, Outcome.MIRRORED)
        return Outcome.KEPT if self.warning and not self.origin else None


def review(
    body: object,
    policy: Policy,
    mirror: Mirror,
    deadline: float = math.inf,
    tell: Callable[[Report], None] | None = None,
) -> dict[str, Any]:
    """Answers one AdmissionReview.

    Args:
        body: the decoded JSON of the request, whatever it is.
        policy: the stack's rules.
        mirror: the state of copies; asked once per distinct image.
        deadline: monotonic seconds, after which the mirror is asked for no further image.
        tell: gets what became of a pod, unless this is a dry run; must return at once.

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
        return refusal(uid, f"this webhook speaks {_API_VERSION}, the request another version")
    if request.get("operation") not in ("CREATE", "UPDATE"):
        return _response(uid, {"allowed": True})
    obj = mapping(request.get("object"))
    if not isinstance(obj.get("spec"), dict):
        return refusal(uid, "the request has no pod in request.object")
    asked = _AskedOnce(
        mirror,
        start=request.get("dryRun") is not True,
        deadline=deadline,
        review=Review(text(request.get("namespace")), policy.budgets.images_per_review),
    )
    return _response(uid, _answer(places(request, obj), request, policy, asked, tell))


def refusal(uid: str, message: str, *, code: int = 400) -> dict[str, Any]:
    """The AdmissionReview of a request that could not be judged, with the reason."""
    status = {"code": code, "message": f"image-mirror: {message}"}
    return _response(uid, {"allowed": False, "status": status})


def _answer(
    found: Sequence[Place],
    request: Mapping[str, Any],
    policy: Policy,
    asked: _AskedOnce,
    tell: Callable[[Report], None] | None,
) -> dict[str, Any]:
    before = places(request, mapping(request.get("oldObject")))
    old_images = {place.owner: place.image for place in before}
    namespace = _safe_namespace(request.get("namespace"))
    at_once, with_secrets = runs_at_once(request), has_pull_secrets(request)
    decisions: dict[tuple[str, bool], _Decision] = {}
    patch: list[dict[str, Any]] = []
    for place in found:
        # An update may touch labels only; rewriting an image that already runs would restart its
        # container, and ephemeral containers and volumes cannot be changed at all.
        if old_images.get(place.owner) == place.image:
            continue
        key = (place.image, place.never_pulled)
        if key not in decisions:
            decisions[key] = _decide(
                place, namespace, policy, asked, looked_up=at_once, with_secrets=with_secrets
            )
        image = decisions[key].image
        if image != place.image:
            patch.append({"op": "replace", "path": place.pointer, "value": image})
    report = _report(request, namespace, decisions) if is_pod(request) else None
    if report and tell and request.get("dryRun") is not True:
        tell(report)
    denied = list(dict.fromkeys(d.warning for d in decisions.values() if d.denied))
    if denied:
        more = len(denied) - _MOST_DENIALS
        also = [f"and {more} other images"] if more > 0 else []
        message = "image-mirror: " + "; ".join(denied[:_MOST_DENIALS] + also)
        status = {"code": 403, "reason": "Forbidden", "message": message}
        return {"allowed": False, "status": status}
    answer: dict[str, Any] = {"allowed": True}
    if report and report.created:
        patch.append(_annotated(report))
    if patch:
        answer["patchType"] = "JSONPatch"
        answer["patch"] = base64.b64encode(json.dumps(patch).encode()).decode()
    warnings = list(dict.fromkeys(_short(d.warning) for d in decisions.values() if d.warning))
    if decisions and asks_to_be_left_out(mapping(request.get("object"))):
        warnings.insert(0, _LEFT_OUT)
    if warnings:
        answer["warnings"] = warnings[:_MOST_WARNINGS]
    return answer


def _report(
    request: Mapping[str, Any], namespace: str, decisions: Mapping[tuple[str, bool], _Decision]
) -> Report | None:
    """What became of a pod; None: nothing that its owner has to know.

    Where another webhook changed a pod, the API server asks again; the second annotation has what
    the first one had.
    """
    metadata = mapping(request.get("object")).get("metadata")
    if not isinstance(metadata, dict):
        return None
    metadata = mapping(metadata)
    findings: list[Finding] = []
    before: list[Finding] = []
    for (image, _), decision in decisions.items():
        outcome = decision.outcome(image)
        named = decision.origin or image
        if outcome is not None:
            finding = Finding(outcome, named, decision.image, decision.warning, decision.awaited)
            findings.append(finding)
        elif decision.origin and ANNOTATION in mapping(metadata.get("annotations")):
            before.append(Finding(Outcome.MIRRORED, named, image, ""))
    if not findings:
        return None
    created = request.get("operation") == "CREATE"
    return Report(str(request["uid"]), namespace, metadata, [*before, *findings], created)


def _annotated(report: Report) -> dict[str, Any]:
    """The step of a patch that adds the annotation to a new pod."""
    value = annotation(report.review, report.findings)
    if isinstance(report.metadata.get("annotations"), dict):
        pointer = "/metadata/annotations/" + ANNOTATION.replace("/", "~1")
        return {"op": "add", "path": pointer, "value": value}
    return {"op": "add", "path": "/metadata/annotations", "value": {ANNOTATION: value}}


class _AskedOnce:
    """A mirror that is asked once per image in a review, and for none after its deadline."""

    def __init__(self, mirror: Mirror, *, start: bool, deadline: float, review: Review) -> None:
        self._mirror, self._start, self._deadline = mirror, start, deadline
        self._review = review
        self._copies: dict[tuple[str, bool, bool], Copy] = {}

    def copy_of(self, source: Reference, *, follow: bool = False, start: bool = True) -> Copy:
        key = (str(source), follow, start)
        copy = self._copies.get(key)
        if copy is None:
            if time.monotonic() >= self._deadline:
                return Copy(Presence.UNKNOWN, NO_TIME)
            copy = self._copies[key] = self._mirror.ask(
                source,
                start=self._start and start,
                follow=follow,
                deadline=self._deadline,
                review=self._review,
            )
        return copy


def _decide(
    place: Place,
    namespace: str,
    policy: Policy,
    mirror: _AskedOnce,
    *,
    looked_up: bool,
    with_secrets: bool,
) -> _Decision:
    try:
        seen = _read(place.image, policy.registry)
    except InvalidReference as error:
        # What it is not is told without a word of it: it may be a URL with a password.
        said = f"{_spoken(place.pointer)} is no image reference: {error.fault}"
        end = "; correct it" if policy.enforce else ": left as it is"
        return _Decision(place.image, f"{said}{end}", denied=policy.enforce)
    image, subject = seen.image, seen.subject
    rule = rule_for(policy.rules, subject, namespace)
    doubt = _doubt(image, subject, rule, namespace, policy)
    if doubt and not _of_the_platform(image, subject, policy):
        return _Decision(place.image, doubt, denied=_refused(subject, rule, policy))
    if subject.own:
        return _present(place.image, image, rule, policy, mirror, looked_up=looked_up)
    if place.never_pulled or stays(image, rule, policy):
        decision = _Decision(place.image)
    else:
        # A rule that names the mirror itself is about the mirror.
        about_source = rule is None or rule.action is Action.DENY or rule.names_source(subject)
        decision = _supplied(
            place.image,
            seen.source if about_source else image,
            rule,
            policy,
            mirror,
            target=seen.copy if about_source else image.mirrored(policy.registry),
            looked_up=looked_up,
            with_secrets=with_secrets,
        )
    if decision.denied or not policy.enforce:
        return decision
    return _without_ways_around(
        decision, place.image, seen, rule, namespace=namespace, policy=policy
    )


def _of_the_platform(image: Reference, subject: Subject, policy: Policy) -> bool:
    """Whether an image is one of the platform's own, or its copy, and no namesake of that."""
    copied = not subject.own or image.origin(policy.registry) is not None
    return copied and subject.full in policy.platform


class _Seen(NamedTuple):
    """What a text names, whoever asks.

    Attributes:
        image: the reference.
        subject: what rules see of it.
        source: what it is an image of.
        copy: the name of that in the account's registry.
    """

    image: Reference
    subject: Subject
    source: Reference
    copy: str


@lru_cache(maxsize=1024)
def _read(text: str, registry: str) -> _Seen:
    """The image that a text names.

    Raises:
        InvalidReference: the text names none. Markers, which only the render has, are none either.
    """
    image = parse(text)
    if image.registry.startswith("<<"):
        raise InvalidReference("a marker is no registry", "its registry is no host name")
    source = source_of(image)
    return _Seen(image, Subject.of(image, registry), source, source.mirrored(registry))


def _without_ways_around(
    decision: _Decision,
    written: str,
    seen: _Seen,
    rule: Rule | None,
    *,
    namespace: str,
    policy: Policy,
) -> _Decision:
    """The decision, or a refusal of what it makes of the image.

    A copy with a hashed name would be refused when the API server asks again. A mirror that stays
    in place is another registry than the one that the rule allows.
    """
    if decision.image != written and seen.source.is_hashed:
        copy = _read(decision.image, policy.registry)
        later = rule_for(policy.rules, copy.subject, namespace)
        doubt = _doubt(copy.image, copy.subject, later, namespace, policy)
        return decision._replace(warning=doubt, denied=True) if doubt else decision
    if rule is None or rule.action is not Action.MIRROR or rule.names(seen.subject):
        return decision
    if decision.image == written:
        said = f"{decision.warning}; " if decision.warning else ""
        return decision._replace(warning=f"{said}{_MIRROR_STAYS}", denied=True)
    return decision


def _supplied(
    written: str,
    source: Reference,
    rule: Rule | None,
    policy: Policy,
    mirror: _AskedOnce,
    *,
    target: str,
    looked_up: bool,
    with_secrets: bool,
) -> _Decision:
    """An image that comes from the account's registry."""
    for_all = not with_secrets or policy.copies_for_pods_with_secrets(source, rule)
    copy = mirror.copy_of(source, follow=True, start=for_all)
    decision = _mirrored(
        written, target, str(source), copy, (rule and rule.when_absent) or policy.when_absent
    )
    if policy.enforce and copy.presence is Presence.UNKNOWN:
        asked = warning_of(str(source), copy)
        return decision._replace(warning=f"{asked}; try again", denied=True)
    if decision.image == target and (why := _private(source, copy, with_secrets, for_all)):
        decision = _Decision(written, f"{why}; {_STAYS}", presence=copy.presence)
    return _waiting(decision, copy, looked_up=looked_up and decision.image == target)


def _doubt(
    image: Reference, subject: Subject, rule: Rule | None, namespace: str, policy: Policy
) -> str:
    """Why an image is refused, or may not start; empty where nothing stands against it."""
    if rule is not None and rule.action is Action.DENY:
        where = f"not allowed in namespace {namespace}" if namespace else "not allowed"
        if not subject.known:
            return (
                f"{image.name} is a copy whose name was too long to tell its source, and images of "
                f"some sources are {where}: {_ASK}"
            )
        name = rule.denied(subject) or subject.name
        by_rule = f"images of {name} are {where} by a rule of this cluster"
        if name != subject.name:
            return f"{by_rule}, and {image.name} may be one of them: {_ASK}"
        copied = f", of which {image.name} is a copy" if name != image.name else ""
        return f"{by_rule}{copied}: {_ASK}"
    if image.ecr is None or image.ecr.realm == _realm(policy.registry):
        return ""
    # A rule that names the registry knows of a login that the pod has.
    return "" if rule is not None and not rule.everywhere else f"{image.name} {_ABROAD}"


def _refused(subject: Subject, rule: Rule | None, policy: Policy) -> bool:
    """Whether a doubt is a refusal: always by a rule that names the image, else where enforced."""
    by_rule = rule is not None and rule.action is Action.DENY
    return policy.enforce or (by_rule and subject.known)


@lru_cache(maxsize=8)
def _realm(registry: str) -> str | None:
    own = ecr_registry(registry.partition("/")[0])
    return own.realm if own else None


def stays(image: Reference, rule: Rule | None, policy: Policy) -> bool:
    """Whether an image that is allowed keeps its name, for nodes alone pull it."""
    if rule is not None and rule.action is Action.KEEP:
        return True
    if image.ecr is not None or is_private(image.registry):
        return True
    if not policy.keeps_domestic or (rule is not None and not rule.everywhere):
        return False
    return is_domestic(image.registry) and source_of(image) is image


def _present(
    written: str,
    image: Reference,
    rule: Rule | None,
    policy: Policy,
    mirror: _AskedOnce,
    *,
    looked_up: bool,
) -> _Decision:
    """An image of the account's registry: the reference stays as it is.

    Where its name gives the source, a missing copy can still be fetched, unless nothing of this
    source is copied; a copy of the release's own images does not follow its source.
    """
    origin = image.origin(policy.registry)
    if origin is None or is_private(origin.registry) or origin.ecr is not None:
        return _Decision(written)
    copied = str(origin) in policy.platform or not stays(origin, rule, policy)
    copy = mirror.copy_of(origin, start=copied)
    name = str(origin)
    told = warning_of(name, copy)
    named = _Decision(written, told, presence=copy.presence, origin=name, source=name)
    return _waiting(named, copy, looked_up=looked_up)


def _spoken(pointer: str) -> str:
    """A JSON pointer as people write it: ``spec.containers[0].image``."""
    return re.sub(r"\.(\d+)", r"[\1]", pointer.strip("/").replace("/", "."))


def _safe_namespace(namespace: object) -> str:
    return namespace if isinstance(namespace, str) and _NAMESPACE.fullmatch(namespace) else ""


def _waiting(decision: _Decision, copy: Copy, *, looked_up: bool) -> _Decision:
    """The decision, or a refusal where Argo would look for the entrypoint of an absent copy.

    The step would end at once, where the kubelet of another pod retries.
    """
    if not looked_up or copy.presence not in _WITHOUT_COPY:
        return decision
    return decision._replace(warning=f"{decision.warning}; {_NO_COMMAND}", denied=True)


def _mirrored(
    image: str, target: str, source: str, copy: Copy, when_absent: WhenAbsent
) -> _Decision:
    if copy.presence is Presence.NEVER:
        return _Decision(image)
    warning = warning_of(source, copy)
    if copy.presence is Presence.PRESENT or when_absent is WhenAbsent.REWRITE:
        return _Decision(target, warning, presence=copy.presence, source=source)
    if when_absent is WhenAbsent.DENY and copy.presence is not Presence.UNKNOWN:
        return _Decision(image, warning, denied=True)
    return _Decision(image, f"{warning}; {_STAYS}", presence=copy.presence)


def _private(source: Reference, copy: Copy, with_secrets: bool, for_all: bool) -> str:
    """Why only the node, by the pull secrets of a pod, may be able to pull an image; else empty.

    An image at a private address is one that only the node can pull, with or without secrets.
    """
    if copy.presence is Presence.PRESENT:
        return ""
    if not for_all:
        login = f"no build has a login to {source.registry} (imageMirror.sourceCredentials)"
        return f"{source} is not copied, for its pod has pull secrets and {login}"
    if copy.code == CopyReason.PRIVATE_ADDRESS or (
        with_secrets and copy.code in _OF_PRIVATE_IMAGES
    ):
        failed = warning_of(str(source), Copy(Presence.FAILED, words(copy.code)))
        return f"{failed}, and its pod has pull secrets" if with_secrets else failed
    return ""


def warning_of(source: str, copy: Copy) -> str:
    """The sentence about the state of a copy, without its end; empty where it is there."""
    if copy.presence is Presence.PRESENT:
        return ""
    reason = f": {copy.reason}" if copy.reason else ""
    return f"{_WARNINGS[copy.presence].format(source)}{reason}"


def _response(uid: str, answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": _API_VERSION,
        "kind": "AdmissionReview",
        "response": {"uid": uid, **answer},
    }


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_WARNING else text[: _LONGEST_WARNING - 3] + "..."
