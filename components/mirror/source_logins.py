"""The logins of source registries, read from Secrets Manager; on the build machine, by itself.

Its arguments are the images of a build. The variable ``SOURCE_SECRETS`` is a JSON object, registry
-> name of a secret in the build's own account and region; for the registries of the images the
secrets are read with the build's own role, by the AWS CLI. Standard output is a JSON object,
registry -> ``{"username": ..., "password": ...}``, and must go to a file of the build's user alone.

A login that cannot be read is left out, with a line on standard error: public images of that
registry still come, and what needs the login fails with that reason. Neither a secret nor what the
AWS CLI says of one is ever shown. Python's own library only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

PASSWORDS = ("password", "accessToken", "token")
"""The keys of which one has the password. ``accessToken`` is that of ECR's own secrets for pull-
through caches (docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-creating-secret
.html), so that one secret serves both."""
MALFORMED = f"it is no JSON object with username and one of {', '.join(PASSWORDS)}"

_SECONDS = 60.0


def login_in(secret: str) -> dict[str, str]:
    """The login in the text of a secret.

    Raises:
        ValueError: the text has another shape; the message does not quote it.
    """
    try:
        stored: Any = json.loads(secret)
        (password,) = (stored[key] for key in PASSWORDS if key in stored)
        texts = (stored["username"], password)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(MALFORMED) from None
    for text in texts:
        # A line's end would end the header that a login is sent in.
        if not (isinstance(text, str) and text.strip() and text.isprintable()):
            raise ValueError(MALFORMED)
    return {"username": texts[0], "password": texts[1]}


def logins(images: Iterable[str], secrets: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Registry -> login, of those registries of the images that have a secret."""
    hosts = {image.partition("/")[0].lower() for image in images}
    found: dict[str, dict[str, str]] = {}
    for host in sorted(hosts & secrets.keys()):
        try:
            found[host] = login_in(_text_of(secrets[host]))
        except subprocess.TimeoutExpired:
            print(f"the secret {secrets[host]} was not read in time", file=sys.stderr)  # noqa: T201
        except (OSError, ValueError) as failure:
            # A decoder's error quotes what it read.
            said = MALFORMED if isinstance(failure, UnicodeError) else failure
            why = f"the login to {host} in the secret {secrets[host]} cannot be used: {said}"
            print(f"{why}; {host} is asked without one", file=sys.stderr)  # noqa: T201
    return found


def _text_of(secret: str) -> str:
    read = ["aws", "secretsmanager", "get-secret-value", "--secret-id", secret]
    done = subprocess.run(
        [*read, "--query", "SecretString", "--output", "text"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=_SECONDS,
    )
    if done.returncode:
        # The error's own short name: "An error occurred (AccessDeniedException) when calling ...".
        code = done.stderr.partition("(")[2].partition(")")[0]
        raise ValueError(f"Secrets Manager answers {code if code.isalnum() else 'nothing'}")
    return done.stdout


if __name__ == "__main__":
    named = json.loads(os.environ.get("SOURCE_SECRETS") or "{}")
    json.dump(logins(sys.argv[1:], named), sys.stdout)
