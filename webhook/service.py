"""What both transports of the handler share: configuration, AWS clients, and reply to a body.

``lambda_handler`` (behind API Gateway) and ``server`` (HTTPS in a pod) only carry bytes; the
environment, the HTTP status of an answer and the log are decided here.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from webhook import admission, inventory
from webhook.budgets import DEFAULT, Budgets
from webhook.claims import Claims, error_code
from webhook.image_places import mapping
from webhook.mirror import EcrMirror, asynchronous_request
from webhook.outcomes import Report
from webhook.pull_through import PullThroughMirror
from webhook.rules import Rule, WhenAbsent
from webhook.rules import read as read_rules

log = logging.getLogger(__name__)

Decide = Callable[[object, float], dict[str, Any]]
"""The decoded JSON of a request, whatever it is, and the deadline of the review in monotonic
seconds -> the AdmissionReview that answers it."""

REVIEW_SECONDS = 1.2
"""From a request to its deadline. The call that is under way then, at worst both attempts of
``FAST``, mostly ends before the API server gives the review up (``timeoutSeconds`` of the webhook
configuration)."""

FAST = Config(
    # The API server waits at most five seconds; one slow call must leave time for an answer.
    connect_timeout=1,
    read_timeout=1,
    retries={"total_max_attempts": 2},
    # Threads of the in-cluster server share a client; with botocore's own ten connections, the
    # eleventh thread would make a TLS handshake each time.
    max_pool_connections=64,
)
"""Settings of the clients that an admission waits for."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The stack's configuration of the handler; each attribute is a variable ``MIRROR_...``.

    Attributes:
        registry: ``<ecr host>/<prefix>``.
        cached: registries with a pull-through cache, separated by spaces; with any there are no
            copies, so neither table nor copier.
        table: the table of copies.
        in_flight_seconds: how long a copy may take.
        follow_seconds: age at which the copy of a tag is compared with its source; 0: never. For
            admission only, like ``copier``, ``when_absent`` and ``rules``.
        copier: name of the ``start_copy`` function.
        when_absent: ``rewrite``, ``keep`` or ``deny``.
        rules: a JSON list, see ``webhook.rules.read``.
        logins: registries to which builds have a login, separated by spaces.
        public: public registries that nodes cannot reach, separated by spaces.
        enforce: not empty: refuse what is not known to be allowed.
        domestic: ``keep``: images of registries in China stay there.
        budgets: a JSON object of those that are not the default, see ``webhook.budgets``.
        events: name of the ``post_events`` function, which ``admit`` alone invokes.
        project: CodeBuild project; ``start_copy`` only, like all below.
        build_region: its region.
        credentials_secret: secret with keys for the project; empty inside one partition, where the
            function's own role is enough.
    """

    registry: str
    cached: tuple[str, ...] = ()
    table: str
    in_flight_seconds: int
    follow_seconds: int = 0
    copier: str = ""
    when_absent: WhenAbsent = WhenAbsent.REWRITE
    rules: tuple[Rule, ...] = ()
    logins: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    enforce: bool = False
    domestic: str = ""
    budgets: Budgets = DEFAULT
    events: str = ""
    project: str = ""
    build_region: str = ""
    credentials_secret: str = ""

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
            when_absent=WhenAbsent(variables.get("MIRROR_WHEN_ABSENT", "rewrite")),
            rules=read_rules(variables.get("MIRROR_RULES", "[]")),
            logins=tuple(variables.get("MIRROR_LOGINS", "").split()),
            public=tuple(variables.get("MIRROR_PUBLIC", "").split()),
            enforce=bool(variables.get("MIRROR_ENFORCE", "")),
            domestic=variables.get("MIRROR_DOMESTIC", ""),
            budgets=Budgets.read(variables.get("MIRROR_BUDGETS", "{}")),
            events=variables.get("MIRROR_EVENTS", ""),
            project=variables.get("MIRROR_PROJECT", ""),
            build_region=variables.get("MIRROR_BUILD_REGION", ""),
            credentials_secret=variables.get("MIRROR_CREDENTIALS_SECRET", ""),
        )


def decision(environment: Environment, tell: Callable[[Report], None] | None = None) -> Decide:
    """The decision of one stack, with its AWS clients; ``tell`` as of ``admission.review``.

    The result may be called from several threads at once; this function may not, as it makes
    clients of boto3's shared session (boto3 guide "Clients", section on multithreading).
    """
    policy = admission.Policy(
        registry=environment.registry,
        when_absent=environment.when_absent,
        rules=environment.rules,
        logins=frozenset(environment.logins),
        public=frozenset(environment.public),
        enforce=environment.enforce,
        keeps_domestic=environment.domestic == "keep",
        platform=inventory.sources(),
        budgets=environment.budgets,
    )
    mirror = _mirror(environment)
    return lambda body, deadline: admission.review(body, policy, mirror, deadline, tell)


def _mirror(environment: Environment) -> admission.Mirror:
    if environment.cached:
        return PullThroughMirror(environment.cached)
    return EcrMirror(
        client("ecr", FAST),
        claims(environment, FAST),
        asynchronous_request(client("lambda", FAST), environment.copier),
        prefix=environment.registry.partition("/")[2],
        follow_seconds=environment.follow_seconds,
        kept=inventory.load(),
    )


def failure_of_copy(environment: Environment) -> Callable[[str, str], str | None] | None:
    """Image and namespace -> the sentence about its copy that failed, empty while it is under way.

    The answer None: nothing is to be waited for. No function where ECR copies by itself.
    """
    if environment.cached:
        return None
    table = claims(environment, FAST)

    def failure(image: str, namespace: str) -> str | None:
        try:
            copy = table.look(image, namespace=namespace)
        except (ClientError, BotoCoreError) as error:
            log.warning("cannot tell how the copy of %s goes: %s", image, error_code(error))
            return ""
        if copy is None:
            return None
        failed = copy.presence is admission.Presence.FAILED
        return admission.warning_of(image, copy) if failed else ""

    return failure


def reply(
    body: bytes | str, decide: Decide, deadline: float = math.inf
) -> tuple[int, dict[str, Any]]:
    """Answers the body of one HTTP request with a status and an AdmissionReview; never raises.

    HTTP 400 for what is no admission review, and 500 for errors of the handler itself: the API
    server then applies the webhook's failurePolicy, where an answer would refuse the pod.
    """
    try:
        request: object = json.loads(body)
    except (ValueError, RecursionError):
        return 400, admission.refusal("", "the request body is not JSON")
    try:
        answer = decide(request, deadline)
    except Exception as failure:
        # The last line of defence. The text of an exception may quote the request, so only its
        # kind is logged.
        log.error("admission failed: %s", error_code(failure))
        return 500, admission.refusal("", "internal error", code=500)
    response: Mapping[str, Any] = answer["response"]
    log.info("%s", json.dumps(_summary(request, response)))
    malformed = response.get("status", {}).get("code") == 400
    return 400 if malformed else 200, answer


def claims(environment: Environment, config: Config) -> Claims:
    """The stack's table of copies."""
    return Claims(
        client("dynamodb", config),
        environment.table,
        environment.in_flight_seconds,
        budgets=environment.budgets,
    )


def client(service: str, config: Config, **arguments: str) -> Any:
    """A boto3 client; without arguments, with the region and credentials of the environment."""
    make: Any = boto3.client
    return make(service, config=config, **arguments)


def _summary(body: object, response: Mapping[str, Any]) -> dict[str, Any]:
    """The log line of an admission: of a pod's author's text, only names and images in warnings."""
    request = mapping(mapping(body).get("request"))
    names = ((key, request.get(key)) for key in ("namespace", "name", "operation"))
    return {
        "uid": response["uid"],
        # A pod's name is judged after this webhook, and may be anything until then.
        **{key: name[:253] if isinstance(name, str) else None for key, name in names},
        "allowed": response["allowed"],
        "patched": "patch" in response,
        "warnings": response.get("warnings", []),
    }
