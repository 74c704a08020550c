"""Engine messages as sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal.failures import named, namespaces_explained, sentence_of, sentence_of_exception

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


PROFILE = "urn:pulumi:s::p::kubeflow:platform:M$kubernetes:kubeflow.org/v1:Profile::team-a"
STATE = [
    {"urn": "urn:pulumi:s::p::kubeflow:platform:M::kubeflow"},
    {"urn": PROFILE, "inputs": {"spec": {"owner": {"kind": "User", "name": "ann@x.cn"}}}},
]
WAYS_OUT = {
    False: (
        "put it back as it was in kubeflow:users; to delete it nevertheless, add team-a to "
        "kubeflow:deletableNamespaces, run up, and change the user then."
    ),
    True: "set kubeflow:deletionProtection to false and run up before the destroy.",
}


@pytest.mark.parametrize(
    "problem",
    [
        f'Preview failed: resource "{PROFILE}" cannot be deleted because it is protected. To ...',
        f'unable to replace resource "{PROFILE}" as it is currently marked for protection. To ...',
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_a_namespace_that_is_not_deleted_is_a_sentence_with_user_and_loss(
    problem: str, whole: bool
) -> None:
    assert namespaces_explained(["first.", problem], lambda: STATE, whole=whole) == [
        "first.",
        (
            "Namespace team-a of ann@x.cn would be deleted with its notebooks, volumes, models, "
            f"experiments, scheduled runs and secrets: {WAYS_OUT[whole]}"
        ),
    ]


@pytest.mark.parametrize(
    "problem",
    [
        'resource "urn:pulumi:s::p::aws:rds/instance:Instance::db" is protected.',
        f'resource "{PROFILE}" has a problem.',
        f'resource "{PROFILE}-2" cannot be deleted because it is protected.',
    ],
)
def test_another_refusal_stays_as_it_is(problem: str) -> None:
    assert namespaces_explained([problem], lambda: STATE, whole=False) == [problem]


def test_pythons_own_exceptions_say_where_in_the_program_they_happened() -> None:
    with pytest.raises(KeyError) as failed:
        {}["region"]  # pyright: ignore[reportUnusedExpression]
    sentence = sentence_of_exception(failed.value, Path(__file__).parent)
    assert sentence.startswith("KeyError: 'region' (test_failures.py, line ")
