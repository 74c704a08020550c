"""The two Lambda functions: ``admit`` behind API Gateway, ``start_copy`` behind ``admit``.

Configuration comes from the environment (``service.Environment``). Clients are made once per
container, on first use, so that a cold start only imports.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import time
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from botocore.config import Config

from webhook import admission, copy_job, copy_queue, inventory, service
from webhook.memory import cost, marks_of

logging.getLogger().setLevel(logging.INFO)
logging.getLogger("botocore").setLevel(logging.WARNING)

# Of a function with 512 MB (components/mirror/functions.py), for its one request.
_MOST_MEMORY = 256 << 20
_PATIENT = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 4})


def admit(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Answers one request of an HTTP API (payload 2.0): ``service.reply``."""
    deadline = time.monotonic() + service.REVIEW_SECONDS
    body = _body(event)
    if cost(body, marks_of(body)) > _MOST_MEMORY:
        status, message = (
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "the object is too large to be judged",
        )
        review = admission.refusal("", message, code=status)
    else:
        status, review = service.reply(body, _decide, deadline)
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(review),
    }


def start_copy(event: Mapping[str, Any], _context: object) -> dict[str, int]:
    """Starts copies: of ``event["image"]``, and of images that wait; answers how many did and do.

    An admission sends an image, EventBridge an event without one every minute. After an error
    Lambda's queue tries again, twice.
    """
    environment = _environment()
    job = copy_job.CopyJob(
        builds=_builds,
        claims=service.claims(environment, _PATIENT),
        project=environment.project,
        registry=environment.registry,
        known=inventory.load(),
    )
    queue = copy_queue.CopyQueue(claims=job.claims, job=job)
    begun, waiting = queue.run(str(event.get("image", "")))
    return {"begun": begun, "waiting": waiting}


def _body(event: Mapping[str, Any]) -> bytes:
    text: object = event.get("body")
    if not isinstance(text, str):
        return b""  # no request of API Gateway, perhaps a test event written by hand
    if not event.get("isBase64Encoded"):
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""  # no JSON, like what was sent


@cache
def _environment() -> service.Environment:
    return service.Environment.read(os.environ)


@cache
def _decision() -> service.Decide:
    return service.decision(_environment())


def _decide(body: object, deadline: float) -> dict[str, Any]:
    # The environment is read inside the call: a wrong one is an answered error like any other.
    return _decision()(body, deadline)


def _builds() -> Any:
    environment = _environment()
    keys: dict[str, str] = {}
    if environment.credentials_secret:
        secrets = service.client("secretsmanager", _PATIENT)
        keys = copy_job.stored_credentials(secrets, environment.credentials_secret)
    return service.client("codebuild", _PATIENT, region_name=environment.build_region, **keys)
