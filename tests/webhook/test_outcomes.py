"""What became of a pod's images: its annotation, and the report that Events are made of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.webhook.reviews import OWN, FixedMirror, pod, review_of, steps
from webhook.admission import Copy, Policy, Presence, review
from webhook.outcomes import ANNOTATION, Outcome, Report
from webhook.rules import Action, Rule, WhenAbsent

COPYING = "docker.io/library/python:3.9 is being copied to this account's registry"
NOT_ALLOWED = (
    "are not allowed in namespace team by a rule of this cluster: use another image, or ask an "
    "administrator for a rule (imageMirror.rules)"
)
PYTHON = f"{OWN}/docker.io/library/python:3.9"


def told(body: Any, mirror: FixedMirror, **policy: Any) -> tuple[dict[str, Any], list[Report]]:
    """The response, and what was told."""
    reports: list[Report] = []
    answer = review(body, Policy(registry=OWN, **policy), mirror, tell=reports.append)
    return answer["response"], reports


@pytest.mark.parametrize(
    ("presence", "policy", "outcome", "text"),
    [
        (Presence.PRESENT, {}, "ImageMirrored", f"python:3.9 is pulled from {PYTHON}"),
        (
            Presence.COPYING,
            {},
            "ImageCopying",
            f"{COPYING}: why",
        ),
        (
            Presence.FAILED,
            {},
            "ImageCopyFailed",
            "docker.io/library/python:3.9 could not be copied to this account's registry: why",
        ),
        (
            Presence.UNKNOWN,
            {},
            "ImageMirrored",
            "this account's registry could not be asked for docker.io/library/python:3.9: why",
        ),
        (
            Presence.COPYING,
            {"when_absent": WhenAbsent.KEEP},
            "ImageKept",
            f"{COPYING}: why; the source stays in place",
        ),
        (
            Presence.FAILED,
            {"when_absent": WhenAbsent.DENY},
            "ImageRefused",
            "docker.io/library/python:3.9 could not be copied to this account's registry: why",
        ),
        (
            Presence.PRESENT,
            {"rules": (Rule(action=Action.DENY),)},
            "ImageRefused",
            f"images of docker.io/library/python {NOT_ALLOWED}",
        ),
    ],
)
def test_each_decision_has_its_word_and_sentence(
    presence: Presence, policy: Any, outcome: str, text: str
) -> None:
    mirror = FixedMirror(presence, "" if presence is Presence.PRESENT else "why")
    body = review_of(pod("python:3.9"), namespace="team")
    answer, (report,) = told(body, mirror, **policy)
    (finding,) = report.findings
    assert (finding.outcome, finding.text, finding.image) == (outcome, text, "python:3.9")
    assert (report.namespace, report.review, report.created) == ("team", "u-1", True)
    awaits = outcome == "ImageCopying"
    assert finding.awaited == ("docker.io/library/python:3.9" if awaits else "")
    assert report.refused == (not answer["allowed"]) == (outcome == "ImageRefused")
    if answer["allowed"]:
        copy = {} if outcome == "ImageKept" else {"copy": PYTHON}
        (*_, step) = steps(answer)
        assert json.loads(step["value"][ANNOTATION]) == {
            "review": "u-1",
            "images": [{"image": "python:3.9", **copy, "outcome": outcome}],
        }


def test_a_pod_that_names_a_copy_waits_for_it_too() -> None:
    body = review_of(pod(PYTHON), namespace="team")
    _, (report,) = told(body, FixedMirror(Presence.COPYING))
    assert [each.awaited for each in report.findings] == ["docker.io/library/python:3.9"]


@pytest.mark.parametrize(
    "image", [PYTHON, "444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn/app:1", f"{OWN}/own:1"]
)
def test_a_pod_of_which_nothing_was_changed_is_left_alone(image: str) -> None:
    answer, reports = told(review_of(pod(image)), FixedMirror())
    assert (steps(answer), reports) == ([], [])


def test_a_copy_that_the_platform_names_and_that_is_missing_is_told() -> None:
    answer, (report,) = told(review_of(pod(PYTHON)), FixedMirror(Presence.FAILED))
    assert [each.outcome for each in report.findings] == [Outcome.COPY_FAILED]
    assert [step["op"] for step in steps(answer)] == ["add"]


def test_annotations_of_others_stay_and_a_forged_one_is_replaced() -> None:
    obj = pod("python:3.9")
    obj["metadata"]["annotations"] = {"mine": "1", ANNOTATION: "forged"}
    answer, _ = told(review_of(obj), FixedMirror())
    (*_, step) = steps(answer)
    assert (step["op"], step["path"]) == ("add", "/metadata/annotations/image-mirror~1decisions")
    assert "forged" not in step["value"]


def test_a_second_look_after_another_webhook_keeps_what_the_first_one_wrote() -> None:
    obj = pod(PYTHON, "quay.io/side/car:1")
    obj["metadata"]["annotations"] = {ANNOTATION: "of the first review"}
    answer, (report,) = told(review_of(obj, uid="u-2"), FixedMirror())
    written = json.loads(steps(answer)[-1]["value"])
    assert [each["image"] for each in written["images"]] == [
        "docker.io/library/python:3.9",
        "quay.io/side/car:1",
    ]
    assert len(report.findings) == 2


def test_a_dry_run_has_the_annotation_and_tells_nobody() -> None:
    answer, reports = told(review_of(pod("python:3.9"), dryRun=True), FixedMirror())
    assert (len(steps(answer)), reports) == (2, [])


def test_an_update_is_told_and_the_pod_that_runs_is_not_annotated() -> None:
    old, new = pod("python:3.9"), pod("python:3.10")
    body = review_of(new, operation="UPDATE", oldObject=old)
    answer, (report,) = told(body, FixedMirror())
    assert [step["op"] for step in steps(answer)] == ["replace"]
    assert report.created is False


@pytest.mark.parametrize("kind", [("serving.knative.dev", "Revision"), ("argoproj.io", "Workflow")])
def test_only_pods_are_annotated_for_others_reach_their_author(kind: tuple[str, str]) -> None:
    body = review_of(pod("python:3.9"), kind={"group": kind[0], "kind": kind[1]})
    answer, reports = told(body, FixedMirror())
    assert ({step["op"] for step in steps(answer)} <= {"replace"}, reports) == (True, [])


def test_a_pod_of_ten_thousand_images_has_a_short_annotation() -> None:
    images = [f"quay.io/{'a' * 200}/{number}:1" for number in range(10_000)]
    mirror = FixedMirror()
    mirror.copy = Copy(Presence.PRESENT)
    answer, _ = told(review_of(pod(*images)), mirror)
    value = steps(answer)[-1]["value"][ANNOTATION]
    assert len(value) < 20_000
    assert json.loads(value)["more"] == 10_000 - 16
