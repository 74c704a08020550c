"""Names of verifications, which nobody else's things have by chance."""

from __future__ import annotations

import hashlib
import re
import secrets

PREFIX = "kf-verify-"
_RANDOM, _CHECK = 8, 4
_OWN = re.compile(
    rf"(^|/)(?P<run>{PREFIX}(?P<random>[0-9a-f]{{{_RANDOM}}})(?P<check>[0-9a-f]{{{_CHECK}}}))"
    r"(-[a-z0-9]+)?/?$"
)


def new_run() -> str:
    """The name of a new verification: random digits, and the check digits of these.

    A sweep deletes by name. A date or a commit in a user's own name is as hexadecimal as a random
    number, and has other check digits.
    """
    digits = secrets.token_hex(_RANDOM // 2)
    return f"{PREFIX}{digits}{_check_of(digits)}"


def run_of(name: str) -> str:
    """The verification that made an experiment, a folder or what begins with it; empty: none did.

    Args:
        name: of the experiment; key of the folder, of a pipeline, a model or a workflow.
    """
    found = _OWN.search(name)
    return found["run"] if found and found["check"] == _check_of(found["random"]) else ""


def _check_of(digits: str) -> str:
    return hashlib.sha256(f"kf verify {digits}".encode()).hexdigest()[:_CHECK]
