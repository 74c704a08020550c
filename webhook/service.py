"""What both transports of the handler share: configuration, AWS clients, and reply to a body.

``lambda_handler`` (behind API Gateway) and ``server`` (HTTPS in a pod) only carry bytes; what is
read from the environment, which HTTP status an answer has and what is logged is decided here.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from webhook import admission, mirror
from webhook.claims import Claims, error_code
from webhook.pull_through import PullThroughMirror
from webhook.rules import Rule, WhenAbsent
from webhook.rules import read as read_rules

log = logging.getLogger(__name__)

Decide = Callable[[object], dict[str, Any]]
"""The decoded JSON of a request, whatever it is -> the AdmissionReview that answers it."""

FAST = Config(
    # The API server waits five seconds at most; one slow call must leave time for an answer.
    connect_timeout=1,
    read_timeout=1,
    retries={"total_max_attempts": 2},
    # Threads of the in-cluster server share a client; botocore's own ten connections would make
    # the eleventh thread pay for a TLS handshake each time.
    max_pool_connections=64,
)
"""Of clients that an admission waits for."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What the stack tells the handler.

    Attributes:
        registry: ``<ecr host>/<prefix>`` (``MIRROR_REGISTRY``).
        cached: registries with a pull-through cache (``MIRROR_CACHED``, separated by spaces); with
            any there are no copies, so neither table nor copier.
        table: in-flight table (``MIRROR_TABLE``).
        in_flight_seconds: how long a copy may take (``MIRROR_IN_FLIGHT_SECONDS``).
        follow_seconds: after how long the source of a copied tag is looked at again; 0: never
            (``MIRROR_FOLLOW_SECONDS``); for admission only.
        copier: name of the ``start_copy`` function (``MIRROR_COPIER``); for admission only.
        passed: registries left alone (``MIRROR_PASSED``, separated by spaces).
        when_absent: ``rewrite``, ``keep`` or ``deny`` (``MIRROR_WHEN_ABSENT``).
        rules: a JSON list, see ``webhook.rules.read`` (``MIRROR_RULES``).
        project: CodeBuild project (``MIRROR_PROJECT``); ``start_copy`` only, like all below.
        build_region: its region (``MIRROR_BUILD_REGION``).
        credentials_secret: secret with keys for it (``MIRROR_CREDENTIALS_SECRET``); empty inside
            one partition, where the function's own role is enough.
        lifecycle: lifecycle policy of new repositories, JSON (``MIRROR_LIFECYCLE``).
        tags: of new repositories, a JSON object (``MIRROR_TAGS``).
    """

    registry: str
    cached: tuple[str, ...] = ()
    table: str
    in_flight_seconds: int
    follow_seconds: int = 0
    copier: str = ""
    passed: tuple[str, ...] = ()
    when_absent: WhenAbsent = WhenAbsent.REWRITE
    rules: tuple[Rule, ...] = ()
    project: str = ""
    build_region: str = ""
    credentials_secret: str = ""
    lifecycle: str = ""
    tags: Mapping[str, str]

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Environment:
        """Reads the variables.

        Raises:
            KeyError: names a variable that is missing.
            ValueError: a value is of the wrong kind.
        """
        cached = tuple(variables.get("MIRROR_CACHED", "").split())
        return cls(
            registry=variables["MIRROR_REGISTRY"],
            cached=cached,
            table="" if cached else variables["MIRROR_TABLE"],
            in_flight_seconds=0 if cached else int(variables["MIRROR_IN_FLIGHT_SECONDS"]),
            follow_seconds=int(variables.get("MIRROR_FOLLOW_SECONDS", "0")),
            copier=variables.get("MIRROR_COPIER", ""),
            passed=tuple(variables.get("MIRROR_PASSED", "").split()),
            when_absent=WhenAbsent(variables.get("MIRROR_WHEN_ABSENT", "rewrite")),
            rules=read_rules(variables.get("MIRROR_RULES", "[]")),
            project=variables.get("MIRROR_PROJECT", ""),
            build_region=variables.get("MIRROR_BUILD_REGION", ""),
            credentials_secret=variables.get("MIRROR_CREDENTIALS_SECRET", ""),
            lifecycle=variables.get("MIRROR_LIFECYCLE", ""),
            tags=json.loads(variables.get("MIRROR_TAGS", "{}")),
        )


@dataclass(frozen=True)
class Reply:
    """An HTTP status and the AdmissionReview that goes with it."""

    status: int
    review: Mapping[str, Any]


def decision(environment: Environment) -> Decide:
    """The decision of one stack, with AWS clients that are made here, once.

    The result may be called from several threads at once; this function may not, as it makes
    clients of boto3's shared session (boto3 guide "Clients", section on multithreading).
    """
    policy = admission.Policy(
        registry=environment.registry,
        passed=environment.passed,
        when_absent=environment.when_absent,
        rules=environment.rules,
    )
    known = _mirror(environment)
    return lambda body: admission.review(body, policy, known)


def _mirror(environment: Environment) -> admission.Mirror:
    if environment.cached:
        return PullThroughMirror(environment.cached)
    return mirror.EcrMirror(
        client("ecr", FAST),
        claims(environment, FAST),
        mirror.asynchronous_request(client("lambda", FAST), environment.copier),
        prefix=environment.registry.partition("/")[2],
        follow_seconds=environment.follow_seconds,
    )


def reply(body: bytes | str, decide: Decide) -> Reply:
    """Answers the body of one HTTP request; never raises.

    HTTP 400 for what is no admission review, so that the API server applies the webhook's
    failurePolicy instead of refusing the pod in our name; HTTP 500 likewise for our own errors.
    """
    try:
        asked: object = json.loads(body)
    except (ValueError, RecursionError):
        return Reply(400, admission.refusal("", "the request body is not JSON"))
    try:
        answer = decide(asked)
    except Exception as failure:
        # The last line of defence: a pod must not fail because of us. The text of an exception may
        # quote what it was given, so only its kind is logged.
        log.error("admission failed: %s", error_code(failure))
        return Reply(500, admission.refusal("", "internal error", code=500))
    response: Mapping[str, Any] = answer["response"]
    log.info("%s", json.dumps(_summary(asked, response)))
    malformed = response.get("status", {}).get("code") == 400
    return Reply(400 if malformed else 200, answer)


def claims(environment: Environment, config: Config) -> Claims:
    """The stack's in-flight table."""
    return Claims(client("dynamodb", config), environment.table, environment.in_flight_seconds)


def client(service: str, config: Config, **arguments: str) -> Any:
    """A boto3 client; of the region and with the credentials of the environment unless told."""
    make: Any = boto3.client
    return make(service, config=config, **arguments)


def _summary(asked: object, response: Mapping[str, Any]) -> dict[str, Any]:
    """One log line per admission: of what a pod's author wrote, its name and images in warnings."""
    request = admission.mapping(admission.mapping(asked).get("request"))
    return {
        "uid": response["uid"],
        **{name: _word(request.get(name)) for name in ("namespace", "name", "operation")},
        "allowed": response["allowed"],
        "patched": "patch" in response,
        "warnings": response.get("warnings", []),
    }


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None
