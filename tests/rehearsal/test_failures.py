"""Engine messages as sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal.failures import named, sentence_of, sentence_of_exception

MESSAGES = {
    "python inline source runtime error: No.\nTraceback (most recent call last):\n  File x": "No.",
    "an unhandled error occurred: python inline source runtime error: No.": "No.",
    "aws:a:B resource 'x': property p value {correct\nhorse} has a problem: is wrong": (
        "aws:a:B resource 'x': property p is wrong"
    ),
    "\n code: 255\n stdout: \n stderr: warning: w\nerror: no stack named 'x' found\n": (
        "no stack named 'x' found"
    ),
}


@pytest.mark.parametrize(("message", "sentence"), MESSAGES.items())
def test_an_engine_message_becomes_one_sentence_without_values(message: str, sentence: str) -> None:
    assert sentence_of(message) == sentence


@pytest.mark.parametrize(
    ("sentence", "urn", "text"),
    [
        ("No.", "urn:pulumi:s::p::a:b:C$aws:iam/role:Role::node", "aws:iam/role:Role node: No."),
        ("'node' is bad.", "urn:pulumi:s::p::aws:iam/role:Role::node", "'node' is bad."),
        ("No.", "urn:pulumi:s::p::pulumi:pulumi:Stack::p-s", "No."),
        ("No.", None, "No."),
    ],
)
def test_a_sentence_names_its_resource(sentence: str, urn: str | None, text: str) -> None:
    assert named(sentence, urn) == text


def test_pythons_own_exceptions_say_where_in_the_program_they_happened() -> None:
    with pytest.raises(KeyError) as failed:
        {}["region"]  # pyright: ignore[reportUnusedExpression]
    sentence = sentence_of_exception(failed.value, Path(__file__).parent)
    assert sentence.startswith("KeyError: 'region' (test_failures.py, line ")
