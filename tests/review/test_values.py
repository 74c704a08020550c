"""What is shown of a value: short, on one line, and no secret."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from review.html import html
from review.markdown import markdown
from review.sides import SECRET
from review.text import text
from review.values import ASSET, LONGEST, is_generated, shown, shown_pair, visible
from tests.review.plans import kubernetes, reviewed, row
from tests.settings.secret_values import HIDDEN, PLAIN, PLANTED, SECRETS


@pytest.mark.parametrize(("path", "value"), SECRETS)
def test_a_value_that_is_a_secret_by_name_or_form_is_hidden(path: str, value: Any) -> None:
    line = shown(value, path, 10_000)
    assert SECRET in line
    for part in HIDDEN:
        assert part not in line


@pytest.mark.parametrize(("path", "value"), PLAIN)
def test_what_only_sounds_like_a_secret_is_shown(path: str, value: Any) -> None:
    assert SECRET not in shown(value, path, 10_000)


@pytest.mark.parametrize(
    ("text", "shown_text"),
    [
        ("user: a\npassword: b c\nhost: d", "user: a\\npassword: [secret]\\nhost: d"),
        ("token: |\n  a\n  b\nhost: d", "token: [secret]\\nhost: d"),
        ("--password a --host b", "--password [secret] --host b"),
        ("postgres://u:a@b@host/db?sslmode=x", "postgres://[secret]@host/db?sslmode=x"),
        ("secret:\n  secretName: a", "secret:\\n  secretName: a"),
    ],
)
def test_what_stands_around_a_secret_is_shown(text: str, shown_text: str) -> None:
    assert shown(text, "data") == shown_text


def test_chinese_inside_of_objects_stays_readable() -> None:
    assert shown({"team": ["训练"]}) == '{"team": ["训练"]}'


def test_planted_secrets_are_in_no_form_of_a_review() -> None:
    config = [{"data": {"app.conf": f"level: {n}\npassword: {PLANTED}{n}\n"}} for n in (1, 2)]
    env = [
        {
            "spec": {
                "template": {
                    "spec": {
                        "containers": [
                            {"name": "a", "env": [{"name": "TOKEN", "value": f"{PLANTED}{n}"}]}
                        ]
                    }
                }
            }
        }
        for n in (1, 2)
    ]

    def argument(n: int) -> dict[str, Any]:
        return {"spec": {"containers": [{"name": "a", "args": ["--password", f"{PLANTED}{n}"]}]}}

    rows = [
        kubernetes(
            "Secret",
            "s",
            "update",
            before={"data": {"a": f"{PLANTED}1"}},
            after={"data": {"a": f"{PLANTED}2"}},
        ),
        kubernetes("Secret", "new", "create", after={"stringData": {"a": PLANTED}}),
        kubernetes("ConfigMap", "c", "update", before=config[0], after=config[1]),
        kubernetes("Deployment", "d", "update", before=env[0], after=env[1]),
        kubernetes("Pod", "p", "update", before=argument(1), after=argument(2)),
        row(
            "aws:rds/instance:Instance",
            "db",
            "update",
            {"password": f"{PLANTED}1"},
            {"password": f"{PLANTED}2"},
        ),
        row(
            "aws:iam/user:User", "u", "update", {"tags": {"note": f"token={PLANTED}"}}, {"tags": {}}
        ),
    ]
    secure = {"kubeflow:region": "r", "kubeflow:login": {"clientSecret": f"{PLANTED}1"}}
    other = {"kubeflow:region": "r", "kubeflow:login": {"clientSecret": f"{PLANTED}2"}}
    review = reviewed(rows, settings=(secure, other))
    for page in (markdown([review]), html([review]), "\n".join(text(review))):
        assert PLANTED not in page
        assert "level: 2" in page or page.startswith("test")


def test_a_long_value_has_its_beginning_its_length_and_a_digest() -> None:
    value = "word " * 100
    line = shown(value)
    assert len(line) <= LONGEST + 5
    assert line.startswith("word word")
    assert "(500 characters, " in line
    assert line != shown(value + "x")


def test_two_long_values_are_shown_where_they_differ() -> None:
    same = "same " * 100
    assert shown_pair(f"{same}old", f"{same}new", "p") == (
        f"...{same[-24:]}old",
        f"...{same[-24:]}new",
    )


def test_generated_code_is_a_digest() -> None:
    code = base64.b64encode(bytes(range(256)) * 10).decode()
    assert is_generated(code)
    assert shown(code).startswith("data ")
    assert not is_generated("a sentence of words, " * 20)
    archive = {ASSET: "archive", "assets": {"a.py": {ASSET: "asset", "path": "a.py", "hash": "1"}}}
    other = {ASSET: "archive", "assets": {"a.py": {ASSET: "asset", "path": "a.py", "hash": "2"}}}
    assert shown(archive).startswith("code ")
    assert shown(archive) != shown(other)


def test_control_characters_and_reversed_text_are_visible() -> None:
    assert visible("a\nb\x1b[31m\u202ec") == "a\\nb\\u001b[31m\\u202ec"
