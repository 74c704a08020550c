"""No body, however odd, makes the handler fail or answer what the API server cannot use.

Hypothesis draws bodies for ``FUZZ_SECONDS`` (all tests of this file together), in rounds of which
each has its own seed: run longer, it sees more, and the first rounds are the same for everybody.

    FUZZ_SECONDS=600 .venv/bin/python -m pytest -n 0 -o log_cli=true -o log_cli_level=INFO \\
        tests/webhook/test_admission_fuzz.py
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from images.reference import InvalidReference, Reference, parse
from tests.webhook.bypasses import OURS, PLACES, PLATFORM, REFUSED, RULES, UNLISTED, placed, rules
from tests.webhook.odd_reviews import REAL, Draft, arbitrary, drafts, nested
from tests.webhook.reviews import OWN, FixedMirror, patched, review_of
from webhook import lambda_handler
from webhook.admission import Policy, Presence, review
from webhook.image_places import places
from webhook.outcomes import ANNOTATION
from webhook.rules import WhenAbsent

log = logging.getLogger(__name__)
SECONDS = float(os.environ.get("FUZZ_SECONDS", "8"))
POINTER = re.compile(
    r"/spec/(?:template/spec/|(?:templates/\d+|templateDefaults)/"
    r"(?:(?:steps/\d+|dag/tasks)/\d+/inline/)?(?:containerSet/)?)?"
    r"(?:(?:initContainers|containers|ephemeralContainers|sidecars)/\d+/image"
    r"|(?:container|script)/image|volumes/\d+/image/reference)"
)
ROUND = settings(
    max_examples=100,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)
policies = st.builds(
    Policy,
    registry=st.just(OWN),
    when_absent=st.sampled_from(WhenAbsent),
    rules=st.sampled_from([(), *map(rules, RULES)]),
    enforce=st.booleans(),
    keeps_domestic=st.booleans(),
    platform=st.just(PLATFORM),
)
presences = st.sampled_from(Presence)
_PIECES = (
    *("/", ":", "@", ".", "-", "//", ":443", ":0443", ":8443", "..", "*", " ", "_", "%2f", "\0"),
    *("quay.io", "QUAY.io", "docker.io", "index.docker.io", "library/", "ours", "ours/", "evil/"),
    *(f"{OWN}/", f"{OWN.partition('/')[0]}/", "kubeflow/", "m.daocloud.io/", "quay.m.daocloud.io/"),
    *("port-443/", "port-8443/", "host/", "hashed/", "ipv6-", "[::1]/", "localhost/", "gcr.io/"),
    *("a.allowed.example.com/", "platform/app:1", "team/", "dependency_proxy/containers/", ":1"),
)


@st.composite
def names(draw: st.DrawFn) -> str:
    """A name of the table of ways around rules, with pieces of others in it or lost from it."""
    ours = st.sampled_from([image for image, _ in OURS])
    name = draw(ours | st.sampled_from([*REFUSED, *UNLISTED]))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(name)))
        end = at + draw(st.sampled_from([0, 0, 1, 3, 9]))
        name = name[:at] + draw(st.sampled_from(_PIECES)) + name[end:]
    return name


@pytest.fixture(autouse=True)
def silence(caplog: pytest.LogCaptureFixture) -> None:
    """A line per answer, kept for the report of a failure, would fill the memory in minutes."""
    caplog.set_level(logging.CRITICAL, "webhook")


def fuzz(share: float, bodies: st.SearchStrategy[Any], check: Callable[[Any], bool]) -> None:
    """Rounds of ``check`` until its share of the time is over.

    ``check`` tells whether its body got a patch: without any, the bodies would test nothing.
    """
    until = time.monotonic() + SECONDS * share
    checked: list[bool] = []

    def keep(body: Any) -> None:
        checked.append(check(body))

    for number in count():
        seed(number)(ROUND(given(bodies)(keep)))()
        if time.monotonic() >= until:
            break
    log.info("%d examples, %d with a patch", len(checked), sum(checked))
    assert any(checked)


def patch_of(response: dict[str, Any]) -> list[dict[str, Any]]:
    if "patch" not in response:
        return []
    assert (response["allowed"], response["patchType"]) == (True, "JSONPatch")
    return json.loads(base64.b64decode(response["patch"], validate=True))


def uid_of(body: Any) -> str:
    request = body.get("request") if isinstance(body, dict) else None
    uid = request.get("uid") if isinstance(request, dict) else None
    return uid if isinstance(uid, str) else ""


def at(pointer: str, pod: Any) -> Any:
    for step in pointer.split("/")[1:]:
        pod = pod[int(step)] if isinstance(pod, list) else pod[step]
    return pod


def annotated(step: Any, request: Any) -> None:
    """The promises of the step with the annotation of a new pod."""
    value, there = step["value"], request["object"]["metadata"].get("annotations")
    if step["path"] == "/metadata/annotations":
        assert not isinstance(there, dict)
        assert set(value) == {ANNOTATION}
        value = value[ANNOTATION]
    else:
        assert step["path"] == "/metadata/annotations/image-mirror~1decisions"
        assert isinstance(there, dict)
    assert len(value) < 40_000
    assert set(json.loads(value)) <= {"review", "images", "more"}
    assert request["operation"] == "CREATE"


def hold(body: Any, answer: Any) -> bool:
    """The promises of every answer; tells whether there was a patch."""
    json.dumps(answer, allow_nan=False)
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = answer["response"]
    assert response["uid"] == uid_of(body)
    assert isinstance(response["allowed"], bool)
    assert all(isinstance(warning, str) for warning in response.get("warnings", []))
    patch = patch_of(response)
    for step in patch:
        assert step.keys() == {"op", "path", "value"}
        if step["op"] == "add":
            assert step is patch[-1]
            annotated(step, body["request"])
            continue
        assert step["op"] == "replace"
        assert POINTER.fullmatch(step["path"])
        old, new = parse(at(step["path"], body["request"]["object"])), parse(step["value"])
        assert new.belongs_to(OWN)
        assert (new.digest, new.tag) == (old.digest, old.tag)
    return bool(patch)


@pytest.mark.parametrize("strange", [nested(5000), 10**5000], ids=["too deep", "too long"])
def test_what_python_cannot_print_is_answered_like_anything_else(strange: object) -> None:
    mirror, policy = FixedMirror(Presence.PRESENT), Policy(registry=OWN)
    pod = {"spec": {"containers": [{"name": strange, "image": "python:3.9"}]}}
    body = {**REAL[0], "request": {**REAL[0]["request"], "object": pod, "namespace": strange}}
    assert hold(body, review(body, policy, mirror))
    body = {**REAL[0], "apiVersion": strange}
    assert not hold(body, review(body, policy, mirror))


def test_any_json_is_answered_and_any_patch_changes_images_only() -> None:
    def check(drawn: tuple[Draft, Policy, Presence]) -> bool:
        draft, policy, presence = drawn
        body = draft.body()
        return hold(body, review(body, policy, FixedMirror(presence)))

    fuzz(0.4, st.tuples(drafts, policies, presences), check)


def read_as(image: str) -> Reference | None:
    try:
        return parse(image)
    except InvalidReference:
        return None


def below(name: str, start: str) -> bool:
    return f"{name}/".startswith(f"{start}/")


def may_run(image: str) -> bool:
    """Whether the list ``allow`` of the table has an image, in words of its own."""
    found = read_as(image)
    if found is None:
        return False
    ours = ("quay.io/ours", f"{OWN}/quay.io/ours", f"{OWN.partition('/')[0]}/team")
    # A copy in the account's registry is what it is a copy of.
    host = found.name.removeprefix(f"{OWN}/").partition("/")[0]
    one_more = host.removesuffix(".allowed.example.com")
    return (
        any(below(found.name, each) for each in ours)
        or one_more not in ("", host)
        or str(found) in {*PLATFORM, *(f"{OWN}/{each}" for each in PLATFORM)}
    )


def says_denied(image: str) -> bool:
    """Whether a name has a registry of the list ``deny`` in it, for everybody to see."""
    found = read_as(image)
    parts = found.name.split("/")[:-1] if found else []
    return any(part.partition(":")[0] in ("quay.io", "docker.io") for part in parts)


def test_no_name_that_anybody_makes_up_passes_an_enforced_rule() -> None:
    def check(drawn: tuple[str, str, str, Policy, Presence]) -> bool:
        image, place, listed, policy, presence = drawn
        policy = replace(policy, rules=rules(listed), enforce=True)
        obj = placed(place, image)
        body = review_of(obj, namespace="team-a", userInfo={"groups": ["system:authenticated"]})
        response = review(body, policy, FixedMirror(presence))["response"]
        if not response["allowed"]:
            return False
        changed = patched(response)
        for pointer, new in changed.items():
            *parents, last = pointer.split("/")[1:]
            holder = at("/" + "/".join(parents), obj)
            holder[last] = new
        images = [place.image for place in places({}, obj)]
        if listed == "allow":
            assert all(map(may_run, images))
        else:
            assert not any(map(says_denied, images))
        # Where another webhook has changed the pod since, the API server asks again.
        again = review(body, policy, FixedMirror(presence))["response"]
        assert again["allowed"]
        assert not patched(again)
        return bool(changed)

    listed = st.sampled_from(["allow", "deny"])
    drawn = st.tuples(names(), st.sampled_from([*PLACES]), listed, policies, presences)
    fuzz(0.3, drawn, check)


def test_any_http_body_is_answered_and_never_by_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def check(drawn: tuple[Draft, Policy, Presence, bool, Any]) -> bool:
        draft, policy, presence, encoded, odd = drawn

        def decide(asked: object, deadline: float) -> dict[str, Any]:
            return review(asked, policy, FixedMirror(presence), deadline)

        monkeypatch.setattr("webhook.lambda_handler._decision", lambda: decide)
        unread = lambda_handler.admit({"body": odd, "isBase64Encoded": encoded}, None)
        assert unread["statusCode"] == 400
        text = draft.text()
        given = lambda_handler.admit(event(text, encoded=encoded), None)
        answer = json.loads(given["body"])
        assert given["statusCode"] in (200, 400)
        if given["statusCode"] == 200:
            return hold(json.loads(text), answer)
        assert answer["response"]["allowed"] is False
        assert answer["response"]["uid"] in ("", uid_of(read(text)))
        return False

    fuzz(0.3, st.tuples(drafts, policies, presences, st.booleans(), arbitrary), check)


def read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def event(text: str, *, encoded: bool) -> dict[str, Any]:
    """What API Gateway makes of a body."""
    if not encoded:
        return {"body": text, "isBase64Encoded": False}
    body = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
    return {"body": body, "isBase64Encoded": True}
