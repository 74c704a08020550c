"""Codes have words, and nothing but a code is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from webhook.copy_reasons import CopyReason, reason_from, words


@pytest.mark.parametrize("reason", CopyReason)
def test_every_code_has_words_of_its_own(reason: CopyReason) -> None:
    assert words(reason.value)
    assert [other for other in CopyReason if words(other) == words(reason)] == [reason]
    assert len(words(reason)) < 80


@pytest.mark.parametrize("page", ["images.md", "images.zh-CN.md"])
def test_every_reason_is_on_the_page_with_what_to_do(page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / page).read_text("utf-8")
    assert [reason for reason in CopyReason if f"`{words(reason)}`" not in text] == []


@pytest.mark.parametrize(
    "stored",
    [
        '{"AccessKeyId":"ASIAINTERNAL"}',
        "unexpected status code 403 Forbidden: \x1b[31mroot\x1b[0m\nok docker.io/a/b:1 sha256:0",
        "NOT-FOUND",
        "not-found\n",
        "",
        None,
        {"S": "not-found"},
    ],
)
def test_whatever_is_no_code_reads_as_unknown(stored: object) -> None:
    assert reason_from(stored) is CopyReason.UNKNOWN
    assert words(stored) == words(CopyReason.UNKNOWN)
