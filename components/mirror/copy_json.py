"""The JSON that ``copy.sh`` reads and writes. Runs on the build machine: Python's own library only.

``keys`` reads a secret on standard input and prints its access key id and secret access key.
``ok IMAGE DIGEST`` and ``failed IMAGE CODE`` print the request that writes how a copy went
(``aws dynamodb update-item --cli-input-json``). Their environment: ``TABLE``, the expressions
``COPIED`` and ``FAILED``, ``FIRST_PAUSE`` (seconds until a copy that failed is tried again),
``FOLLOW_SECONDS`` (until the source of a copy is looked at again) and ``REMEMBERED_SECONDS``, how
long a row stays where that is never (0, or empty). ``repository NAME`` prints the request that
makes the repository of a copy, from ``NEW_REPOSITORY``, which has all but the name.
"""

from __future__ import annotations

import json
import os
import sys
import time


def key_pair(secret: str) -> str:
    """``accessKeyId`` and ``secretAccessKey`` of a secret, separated by a space."""
    keys = json.loads(secret)
    return f"{keys['accessKeyId']} {keys['secretAccessKey']}"


def request(outcome: str, image: str, detail: str) -> str:
    """The update of the row of ``image``; ``detail`` is the copy's digest, or a code."""
    environment, now = os.environ, int(time.time())
    if outcome == "ok":
        expression = environment["COPIED"]
        follow = int(environment.get("FOLLOW_SECONDS") or 0)
        end = now + (follow or int(environment["REMEMBERED_SECONDS"]))
        values = {":digest": {"S": detail}, ":end": {"N": str(end)}}
    else:
        expression = environment["FAILED"]
        values = {
            ":reason": {"S": detail},
            ":now": {"N": str(now)},
            ":first": {"N": environment["FIRST_PAUSE"]},
        }
    return json.dumps(
        {
            "TableName": environment["TABLE"],
            "Key": {"image": {"S": image}},
            "UpdateExpression": expression,
            "ExpressionAttributeValues": values,
        }
    )


def repository(name: str) -> str:
    """ECR's CreateRepository request."""
    return json.dumps({**json.loads(os.environ["NEW_REPOSITORY"]), "repositoryName": name})


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "keys":
        answer = key_pair(sys.stdin.read())
    elif what == "repository":
        answer = repository(*rest)
    else:
        answer = request(what, *rest)
    print(answer)  # noqa: T201
