"""The two Lambda functions: ``admit`` behind API Gateway, ``start_copy`` behind ``admit``.

Configuration comes from the environment the stack sets (``Settings.from_environment``). Clients are
made once per container on first use, so that a cold start imports boto3 and nothing more.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from webhook import admission, copy_job, mirror

log = logging.getLogger(__name__)
logging.getLogger().setLevel(logging.INFO)
logging.getLogger("botocore").setLevel(logging.WARNING)

# The API server waits five seconds at most; one slow call must leave time for an answer.
_FAST = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 2})
_PATIENT = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 4})


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What the stack tells the functions.

    Attributes:
        registry: ``<ecr host>/<prefix>`` (``MIRROR_REGISTRY``).
        table: in-flight table (``MIRROR_TABLE``).
        in_flight_seconds: how long a copy may take (``MIRROR_IN_FLIGHT_SECONDS``).
        copier: name of the ``start_copy`` function (``MIRROR_COPIER``); ``admit`` only.
        passed: registries left alone (``MIRROR_PASSED``, separated by spaces).
        when_absent: ``rewrite``, ``keep`` or ``deny`` (``MIRROR_WHEN_ABSENT``).
        project: CodeBuild project (``MIRROR_PROJECT``); ``start_copy`` only, like all below.
        build_region: its region (``MIRROR_BUILD_REGION``).
        credentials_secret: secret with keys for it (``MIRROR_CREDENTIALS_SECRET``); empty inside
            one partition, where the function's own role is enough.
        lifecycle: lifecycle policy of new repositories, JSON (``MIRROR_LIFECYCLE``).
        tags: of new repositories, a JSON object (``MIRROR_TAGS``).
    """

    registry: str
    table: str
    in_flight_seconds: int
    copier: str = ""
    passed: tuple[str, ...] = ()
    when_absent: admission.WhenAbsent = admission.WhenAbsent.REWRITE
    project: str = ""
    build_region: str = ""
    credentials_secret: str = ""
    lifecycle: str = ""
    tags: Mapping[str, str]

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Environment:
        """Reads the variables; KeyError names one that is missing."""
        return cls(
            registry=variables["MIRROR_REGISTRY"],
            table=variables["MIRROR_TABLE"],
            in_flight_seconds=int(variables["MIRROR_IN_FLIGHT_SECONDS"]),
            copier=variables.get("MIRROR_COPIER", ""),
            passed=tuple(variables.get("MIRROR_PASSED", "").split()),
            when_absent=admission.WhenAbsent(variables.get("MIRROR_WHEN_ABSENT", "rewrite")),
            project=variables.get("MIRROR_PROJECT", ""),
            build_region=variables.get("MIRROR_BUILD_REGION", ""),
            credentials_secret=variables.get("MIRROR_CREDENTIALS_SECRET", ""),
            lifecycle=variables.get("MIRROR_LIFECYCLE", ""),
            tags=json.loads(variables.get("MIRROR_TAGS", "{}")),
        )


def admit(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Answers one API Gateway HTTP API request (payload format 2.0) with an AdmissionReview.

    HTTP 400 for what is no admission review, so that the API server applies the webhook's
    failurePolicy instead of refusing the pod in our name; HTTP 500 likewise for our own errors.
    """
    try:
        body = _decoded(event)
    except (ValueError, binascii.Error):
        return _http(400, admission.refusal("", "the request body is not JSON"))
    try:
        policy, known = _admission()
        answer = admission.review(body, policy, known)
    except Exception as failure:
        # The last line of defence: a pod must not fail because of us. The text of an exception may
        # quote what it was given, so only its kind is logged.
        log.error("admission failed: %s", mirror.error_code(failure))
        return _http(500, admission.refusal("", "internal error", code=500))
    response = answer["response"]
    log.info("%s", json.dumps(_summary(body, response)))
    malformed = response.get("status", {}).get("code") == 400
    return _http(400 if malformed else 200, answer)


def start_copy(event: Mapping[str, Any], _context: object) -> dict[str, str]:
    """Starts the copy of ``event["image"]``; raising lets Lambda's queue try again."""
    return {"build": _copy_job().start(str(event["image"]))}


def _decoded(event: Mapping[str, Any]) -> object:
    text = event.get("body") or ""
    if event.get("isBase64Encoded"):
        text = base64.b64decode(text, validate=True)
    return json.loads(text)


def _http(status: int, answer: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(answer),
    }


def _summary(body: object, response: Mapping[str, Any]) -> dict[str, Any]:
    """One log line per admission, without anything a pod's author wrote but its name."""
    request: Any = body.get("request") if isinstance(body, Mapping) else None
    known: Mapping[str, Any] = request if isinstance(request, Mapping) else {}
    return {
        "uid": response["uid"],
        "namespace": known.get("namespace"),
        "name": known.get("name"),
        "operation": known.get("operation"),
        "allowed": response["allowed"],
        "patched": "patch" in response,
        "warnings": response.get("warnings", []),
    }


@cache
def _environment() -> Environment:
    return Environment.read(os.environ)


def _claims(config: Config) -> mirror.Claims:
    environment = _environment()
    return mirror.Claims(
        _client("dynamodb", config), environment.table, environment.in_flight_seconds
    )


@cache
def _admission() -> tuple[admission.Policy, mirror.EcrMirror]:
    environment = _environment()
    policy = admission.Policy(
        registry=environment.registry,
        passed=environment.passed,
        when_absent=environment.when_absent,
    )
    known = mirror.EcrMirror(
        _client("ecr", _FAST),
        _claims(_FAST),
        mirror.asynchronous_request(_client("lambda", _FAST), environment.copier),
        prefix=environment.registry.partition("/")[2],
    )
    return policy, known


def _copy_job() -> copy_job.CopyJob:
    environment = _environment()
    return copy_job.CopyJob(
        ecr=_client("ecr", _PATIENT),
        builds=_builds,
        claims=_claims(_PATIENT),
        project=environment.project,
        registry=environment.registry,
        lifecycle=environment.lifecycle,
        tags=environment.tags,
    )


def _builds() -> Any:
    environment = _environment()
    keys: dict[str, str] = {}
    if environment.credentials_secret:
        secrets = _client("secretsmanager", _PATIENT)
        keys = copy_job.stored_credentials(secrets, environment.credentials_secret)
    return _client("codebuild", _PATIENT, region_name=environment.build_region, **keys)


def _client(service: str, config: Config, **arguments: str) -> Any:
    make: Any = boto3.client
    return make(service, config=config, **arguments)
