"""The Lambda functions: ``admit`` behind API Gateway; ``start_copy``, ``post_events`` behind that.

Configuration comes from the environment (``service.Environment``, and ``_reporter`` for the last).
Clients are made once per container, on first use, so that a cold start only imports.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import time
from collections.abc import Mapping
from functools import cache, partial
from http import HTTPStatus
from typing import Any

import boto3
from botocore.config import Config

from webhook import admission, copy_job, copy_queue, inventory, service
from webhook.cluster_api import ClusterApi
from webhook.cluster_token import ClusterToken, cluster_token
from webhook.event_notices import Limits, Notice
from webhook.event_request import EventRequest
from webhook.events import Reporter
from webhook.memory import cost, marks_of
from webhook.mirror import invoke_later

log = logging.getLogger(__name__)

logging.getLogger().setLevel(logging.INFO)
logging.getLogger("botocore").setLevel(logging.WARNING)

# Of a function with 512 MB (components/mirror/functions.py), for its one request.
_MOST_MEMORY = 256 << 20
# After a review, of the five seconds that the API server waits (components/mirror/api.py).
_ASKING_SECONDS, _ANSWER_SECONDS = 1.5, 3.0
_HASTY = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1})
# In one invocation, which has begun some tenths of a second after the review; what ``admit`` leaves
# out as a repetition is none of this function's own.
_LIMITS = Limits(look_seconds=(1.0, 4.0, 12.0), repeat_seconds=240.0)
# For one search and five Events of a review, each with a time-out.
_LAST_CALLS_SECONDS = 30.0
_PATIENT = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 4})


def admit(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Answers one request of an HTTP API (payload 2.0): ``service.reply``."""
    begun = time.monotonic()
    body = _body(event)
    if cost(body, marks_of(body)) > _MOST_MEMORY:
        status, message = (
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "the object is too large to be judged",
        )
        review = admission.refusal("", message, code=status)
    else:
        status, review = service.reply(body, _decide, begun + service.REVIEW_SECONDS)
        _EVENTS.send(min(_ASKING_SECONDS, begun + _ANSWER_SECONDS - time.monotonic()))
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


def post_events(event: Mapping[str, Any], context: Any) -> None:
    """Posts the Events of one review; what ``admit`` sends is a notice of it.

    Raises:
        EventsNotPosted: a call of the API server failed, so Lambda's queue tries once more.
    """
    try:
        notice = Notice.read(event)
    except ValueError:
        log.warning("this is no notice of a review")
        return
    seconds = context.get_remaining_time_in_millis() / 1000 - _LAST_CALLS_SECONDS
    try:
        reporter = _reporter()
        reporter.take(notice)
        posted = reporter.finish(reporter.clock() + seconds)
    except Exception as failure:  # its text may quote a pod, and Lambda logs what is raised
        log.error("events: %s", type(failure).__name__)
        posted = False
    if not posted:
        _reporter.cache_clear()  # it would leave out a refusal that it has seen
        raise EventsNotPosted from None


class EventsNotPosted(Exception):
    """Some Events of a review were not posted; has no text."""


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
    environment = _environment()
    return service.decision(environment, _EVENTS.keep if environment.events else None)


def _decide(body: object, deadline: float) -> dict[str, Any]:
    # The environment is read inside the call: a wrong one is an answered error like any other.
    return _decision()(body, deadline)


@cache
def _notices() -> Any:
    return service.client("lambda", _HASTY)


def _queue(notice: Mapping[str, Any]) -> None:
    invoke_later(_notices(), _environment().events, notice)


_EVENTS = EventRequest(_queue)


@cache
def _reporter() -> Reporter:
    variables, session = os.environ, boto3.Session()
    token = partial(
        cluster_token,
        variables["MIRROR_CLUSTER"],
        variables["AWS_REGION"],
        variables["MIRROR_STS_HOST"],
        session.get_credentials(),
    )
    api = ClusterApi.of_endpoint(
        variables["MIRROR_API_SERVER"], variables["MIRROR_API_AUTHORITY"], ClusterToken(token)
    )
    # A container waits in between, while its monotonic clock may stand still.
    return Reporter(api, variables.get("AWS_LAMBDA_FUNCTION_NAME", ""), _LIMITS, time.time)


def _builds() -> Any:
    environment = _environment()
    keys: dict[str, str] = {}
    if environment.credentials_secret:
        secrets = service.client("secretsmanager", _PATIENT)
        keys = copy_job.stored_credentials(secrets, environment.credentials_secret)
    return service.client("codebuild", _PATIENT, region_name=environment.build_region, **keys)
