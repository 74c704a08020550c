"""A stack that is new on a release has accepted the release's open critical advisories."""

from __future__ import annotations

from typing import Any

import pytest

from components.dynamic.release_advisories import ReleaseAdvisoriesProvider

PROVIDER = ReleaseAdvisoriesProvider()


def inputs(release: str = "9.9", accepted: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"release": release, "open": {"CVE-1": "one", "CVE-2": "two"}, "accepted": [*accepted]}


@pytest.mark.parametrize(
    ("olds", "news", "refused"),
    [
        ({}, inputs(), ["one", "two"]),
        ({}, inputs(accepted=("CVE-2",)), ["one"]),
        ({}, inputs(accepted=("CVE-1", "CVE-2")), []),
        (inputs(), inputs(), []),
        (inputs("9.8"), inputs(), ["one", "two"]),
        (inputs("9.8"), inputs(accepted=("CVE-1", "CVE-2")), []),
    ],
)
def test_a_release_that_is_new_to_the_state_needs_the_word(
    olds: dict[str, Any], news: dict[str, Any], refused: list[str]
) -> None:
    assert [each.reason for each in PROVIDER.check(olds, news).failures] == refused


def test_the_release_and_the_word_are_recorded() -> None:
    news = inputs(accepted=("CVE-1", "CVE-2"))
    made = PROVIDER.create(news)
    assert (made.id, made.outs) == ("9.9", news)
    assert PROVIDER.diff(made.id, news, inputs("9.10")).changes
    assert PROVIDER.diff(made.id, news, inputs()).changes
    assert not PROVIDER.diff(made.id, news, {**news, "open": {}}).changes
