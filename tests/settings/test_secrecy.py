"""A value that looks secret is in no sentence about a stack file, and no text takes long."""

from __future__ import annotations

import time
from typing import Any

import pytest

from settings import secrecy
from settings.errors import refusal
from tests.settings.secret_values import HIDDEN, SECRETS


@pytest.mark.parametrize(("path", "value"), SECRETS)
def test_no_sentence_shows_a_secret(path: str, value: Any) -> None:
    sentence = refusal(path, value, "it must be another one")
    assert "[hidden]" in sentence
    assert not [part for part in HIDDEN if part in sentence]


@pytest.mark.parametrize(
    "text",
    [
        "https://a:b/",
        "token ",
        "token: ",
        'password="',
        "a@",
        "aB1/",
        "secret: |\n ",
        "$5$",
        "?key",
    ],
)
def test_a_long_text_is_read_once(text: str) -> None:
    begin = time.process_time()
    secrecy.without_secrets(text * (100_000 // len(text)), "x")
    assert time.process_time() - begin < 2
