"""Words of programs, which may have secrets in them."""

from __future__ import annotations

import pytest

from ops.verification.waiting import harmless


@pytest.mark.parametrize(
    "line",
    [
        "password=hunter2",
        '{"password": "hunter2"}',
        "Authorization: Bearer hunter2",
        "authorization=Basic hunter2",
        "AWS_SECRET_ACCESS_KEY=hunter2",
        "mysql --password hunter2 --host db",
        "opens https://user:hunter2@example.org/a",
        "opens redis://:hunter2@example.org/a",
        "X-Amz-Signature=hunter2&a=b",
        "token:hunter2",
        'said {"client_secret": "hunter2',
    ],
)
def test_what_looks_like_a_secret_is_hidden(line: str) -> None:
    assert "hunter2" not in harmless(line)
    assert "***" in harmless(line)


@pytest.mark.parametrize("begin", ["ghp_", "hf_", "glpat-", "npm_", "xoxb-"])
def test_tokens_of_known_kinds_are_hidden(begin: str) -> None:
    assert harmless(f"uses {begin}{'a1' * 10} now") == "uses *** now"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("uses wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY now", "uses *** now"),
        ("-----BEGIN RSA PRIVATE KEY-----MIIEow", "***"),
        ("AKIAIOSFODNN7EXAMPLE is not active", "*** is not active"),
    ],
)
def test_keys_are_hidden_by_their_form(line: str, shown: str) -> None:
    assert harmless(line) == shown


@pytest.mark.parametrize(
    "line",
    [
        'secret "db" not found',
        "couldn't find key host in Secret alice/db",
        "ImagePullBackOff: https://example.org/v2: not found",
        "0/4 nodes are available: 4 Insufficient cpu.",
    ],
)
def test_other_words_stay(line: str) -> None:
    assert harmless(line) == line
