"""A large request is judged without what its decision does not read: the answer is the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.webhook.odd_reviews import REAL, Draft, drafts
from tests.webhook.reviews import OWN, FixedMirror, review_of
from webhook import admission, package_defaults
from webhook.admission import Policy
from webhook.large_bodies import UNREAD, UNREAD_BY_MIRROR, reduced
from webhook.package_defaults import Additions

ADDITIONS = Additions(variables=["PIP_INDEX_URL", "HTTPS_PROXY"])
HELD = {
    "env": [{"name": "https_proxy", "value": "x"}],
    "envFrom": [{"secretRef": {"name": "s"}}],
    "volumeMounts": [{"name": "v", "mountPath": "/etc/package-authorities"}],
    "resources": {"limits": {"cpu": "1"}},
    "args": ["--image", "quay.io/a/b"],
    "command": ["run"],
}


def read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def mirrored(body: Any) -> Any:
    return admission.review(body, Policy(registry=OWN), FixedMirror())


def defaulted(body: Any) -> Any:
    return package_defaults.review(body, ADDITIONS)


@given(drafts)
@settings(
    max_examples=80, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
def test_no_decision_differs_for_what_is_left_out(draft: Draft) -> None:
    text = draft.text()
    if (whole := read(text)) is None:
        return
    assert mirrored(reduced(text, UNREAD_BY_MIRROR)) == mirrored(whole)
    assert defaulted(reduced(text, UNREAD)) == defaulted(whole)


@pytest.mark.parametrize("review", REAL, ids=range(len(REAL)))
def test_real_reviews_are_judged_alike(review: Any) -> None:
    text = json.dumps(review)
    assert mirrored(reduced(text, UNREAD_BY_MIRROR)) == mirrored(review)
    assert defaulted(reduced(text, UNREAD)) == defaulted(review)


def test_defaults_of_packages_see_what_a_container_has() -> None:
    container = {"name": "c", "image": "a", **HELD}
    review = review_of({"spec": {"containers": [container]}})
    small = reduced(json.dumps(review), UNREAD)
    assert defaulted(small) == defaulted(review)
    (left,) = small["request"]["object"]["spec"]["containers"]
    assert left.keys() == container.keys() - {"resources", "args"}


def test_most_of_a_large_object_is_left_out() -> None:
    review = review_of({"metadata": {"managedFields": [1]}, "spec": {"containers": [HELD]}})
    small = reduced(json.dumps(review), UNREAD_BY_MIRROR)
    assert small["request"]["object"] == {
        "metadata": {},
        "spec": {"containers": [{"command": ["run"]}]},
    }
