"""The metrics API and autoscalers of a platform that is right, and broken."""

from __future__ import annotations

import copy

import pytest

from tests.ops.verification.played.live import Change, Live, condition
from tests.ops.verification.told import assert_broken, assert_of_others, assert_right


@pytest.mark.parametrize(
    ("name", "about", "sentence"),
    [
        pytest.param(
            "metrics",
            "metrics.k8s.io",
            "measures 4 nodes",
            marks=pytest.mark.check("metrics", broken=False),
        ),
    ],
)
def test_a_right_platform_is_good_and_the_sentence_has_numbers(
    name: str, about: str, sentence: str
) -> None:
    assert_right(name, about, sentence)


def metrics_away(live: Live) -> None:
    service = live.get("APIService", "v1beta1.metrics.k8s.io")
    service["status"]["conditions"][0] |= {"status": "False", "reason": "MissingEndpoints"}


def autoscaler_blind(live: Live) -> None:
    for each in live.get("HorizontalPodAutoscaler", "istio-system/istiod")["status"]["conditions"]:
        if each["type"] == "ScalingActive":
            each |= {
                "status": "False",
                "reason": "FailedGetResourceMetric",
                "message": "no metrics",
            }


def autoscaler_of_others(live: Live) -> None:
    autoscaler = copy.deepcopy(live.get("HorizontalPodAutoscaler", "istio-system/istiod"))
    autoscaler["metadata"] |= {"name": "site", "namespace": "web"}
    autoscaler["status"]["conditions"] = [
        condition("ScalingActive", "False", reason="FailedGetExternalMetric")
    ]
    live.put(autoscaler)


@pytest.mark.parametrize(
    ("name", "change", "about", "sentence"),
    [
        pytest.param(
            "metrics",
            metrics_away,
            "metrics.k8s.io",
            "does not answer (MissingEndpoints)",
            marks=pytest.mark.check("metrics", broken=True),
        ),
        (
            "metrics",
            autoscaler_blind,
            "istio-system/istiod",
            "does not scale (FailedGetResourceMetric: no metrics)",
        ),
    ],
)
def test_a_broken_platform_gets_the_true_reason(
    name: str, change: Change, about: str, sentence: str
) -> None:
    assert_broken(name, change, about, sentence)


@pytest.mark.parametrize(
    ("name", "change", "notes"),
    [
        ("metrics", autoscaler_of_others, 1),
    ],
)
def test_what_passes_and_what_is_of_others_is_no_problem(
    name: str, change: Change, notes: int
) -> None:
    assert_of_others(name, change, notes)
