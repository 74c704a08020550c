"""The JSON that ``copy.sh`` reads and writes. Runs on the build machine: Python's own library only.

``keys`` reads a secret on standard input and prints its access key id and secret access key.
``begun IMAGE TIME``, ``ok IMAGE TIME DIGEST SOURCE_DIGEST KEPT`` and ``failed IMAGE TIME CODE``
print the request that writes how a copy goes (``aws dynamodb update-item --cli-input-json``); TIME
is in epoch seconds, of a used up budget that at which its bytes were refused; KEPT is empty, or the
row is of an image that is never compared with its source again. Their environment: ``TABLE``, the
expressions ``BEGUN``, ``COPIED``, ``FAILED`` and ``POSTPONED`` (until the next day, when the bytes
of this one are used up), ``FIRST_PAUSE`` (seconds until a copy that failed is tried again),
``FOLLOW_SECONDS`` (until the source of a copy is looked at again) and ``REMEMBERED_SECONDS``, how
long a row stays where that is never (0, or empty). ``repository NAME`` prints the request that
makes the repository of a copy, from ``NEW_REPOSITORY``, which has all but the name.
``bytes NUMBER NAMESPACE TIME`` prints the request that uses bytes of ``GIB_PER_DAY`` on the day of
TIME, of which one namespace has 1/``SHARE`` (an empty one: those of all); it fails
its condition where they are used up. A number below zero gives bytes back. An image larger than all
of them is the only one of its day.
"""

from __future__ import annotations

import json
import os
import sys
import time

DAY = 86400
KEPT_SECONDS = 10 * 365 * DAY


def key_pair(secret: str) -> str:
    """``accessKeyId`` and ``secretAccessKey`` of a secret, separated by a space."""
    keys = json.loads(secret)
    return f"{keys['accessKeyId']} {keys['secretAccessKey']}"


def request(outcome: str, image: str, at: str, *details: str) -> str:
    """The update of the row of ``image``.

    Args:
        outcome: ``begun``, ``ok`` or ``failed``.
        image: the source.
        at: epoch seconds.
        details: of an ``ok`` the copy's digest, the source's and KEPT, of a failure its code.
    """
    environment, now = os.environ, int(at)
    detail, source, kept = (*details, "", "", "")[:3]
    if outcome == "begun":
        expression = environment["BEGUN"]
        half = int(environment["FIRST_PAUSE"]) // 2
        values = {":now": {"N": str(now)}, ":half": {"N": str(half)}, ":one": {"N": "1"}}
    elif detail in ("budget", "budget-share"):
        expression = environment["POSTPONED"]
        end = (now // DAY + 1) * DAY
        values = {":reason": {"S": detail}, ":end": {"N": str(end)}, ":less": {"N": "-1"}}
    elif outcome == "ok":
        expression = environment["COPIED"]
        follow = int(environment.get("FOLLOW_SECONDS") or 0)
        seconds = KEPT_SECONDS if kept else follow or int(environment["REMEMBERED_SECONDS"])
        values = {
            ":digest": {"S": detail},
            ":source": {"S": source},
            ":end": {"N": str(now + seconds)},
        }
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


def of_the_day(number: str, namespace: str, at: str) -> str:
    """The update that counts bytes in the row of the day, of all copies or of one namespace."""
    environment, now = os.environ, int(at)
    most = int(environment["GIB_PER_DAY"]) * 2**30
    if namespace:
        most //= int(environment["SHARE"])
    numbers = {":more": int(number), ":room": most - int(number), ":end": now + 2 * DAY}
    return json.dumps(
        {
            "TableName": environment["TABLE"],
            "Key": {"image": {"S": day_key(now, namespace)}},
            "UpdateExpression": environment["COUNT"],
            "ConditionExpression": environment["BELOW"],
            "ExpressionAttributeValues": {
                name: {"N": str(value)} for name, value in numbers.items()
            },
        }
    )


def day_key(now: float, namespace: str = "") -> str:
    """The row that counts the bytes of the day of ``now``: of one namespace, or of all."""
    day = time.strftime("#bytes/%Y-%m-%d", time.gmtime(now))
    return f"{day}/{namespace}" if namespace else day


def repository(name: str) -> str:
    """ECR's CreateRepository request."""
    return json.dumps({**json.loads(os.environ["NEW_REPOSITORY"]), "repositoryName": name})


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "keys":
        answer = key_pair(sys.stdin.read())
    elif what == "bytes":
        answer = of_the_day(*rest)
    elif what == "repository":
        answer = repository(*rest)
    else:
        answer = request(what, *rest)
    print(answer)  # noqa: T201
