"""The state of copies: asked of ECR, cached briefly; each missing copy is requested once.

A copy of a tag is requested again from time to time, for the tag may have moved at its source; the
build that is started compares both and copies only what differs.

Admission waits for this module, so all calls are inside its own region: ``describe_images`` for the
one image (never a list, which pages), for a missing one a conditional write to claim it and one to
count it (``budgets``), and one asynchronous invocation of the function that starts copies
(``copy_queue``). Nothing here waits for a copy or uses a credential of another partition.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from images.reference import Reference
from webhook.admission import Copy, Presence
from webhook.budgets import LookUps, NewImages, Review, compared_key
from webhook.claims import Claims, error_code, passing
from webhook.copy_reasons import CopyReason, words

log = logging.getLogger(__name__)

PRESENT_SECONDS = 300.0
"""How long a present copy is cached: a deleted image is noticed within five minutes."""
ABSENT_SECONDS = 15.0
"""How long an absent copy is cached: a finished copy is noticed within seconds."""
SILENT_SECONDS = 3.0
"""How long a registry that did not answer is not asked again: the API server waits five seconds for
a whole pod, and each of its images would wait for a time-out of its own."""
_MOST_CACHED = 4096
_NOT_REQUESTED = Copy(Presence.ABSENT)
_EVERYBODY = "*"
_Key = str | tuple[str, str]
"""An image, or a namespace and an image: budgets are the namespace's own."""


def target_tag(source: Reference) -> str:
    """The tag of the copy: the source's own, or one made of its digest.

    A digest always gets its own tag, even beside one: the tag may have moved since, and the
    repository's lifecycle rule would delete an untagged copy.
    """
    if source.digest:
        # Not "sha256-<hex>" alone: that name is taken by OCI 1.1 for an image's referrers.
        return f"digest-{source.digest.replace(':', '-')}"[:128]
    return source.tag or "latest"


def copy_name(source: Reference) -> str:
    """The copy below the account's prefix: all spellings of one image have one copy."""
    return f"{source.mirrored_repository}:{target_tag(source)}"


def described(ecr: Any, prefix: str, source: Reference) -> Mapping[str, Any] | None:
    """ECR's description of the copy of ``source`` below ``prefix``; None: there is none.

    Raises:
        ClientError, BotoCoreError: the registry gave no answer.
    """
    image_id = {"imageDigest": source.digest} if source.digest else {"imageTag": source.tag}
    try:
        answer = ecr.describe_images(
            repositoryName=f"{prefix}/{source.mirrored_repository}", imageIds=[image_id]
        )
    except ClientError as refused:
        if error_code(refused) in ("ImageNotFoundException", "RepositoryNotFoundException"):
            return None
        raise
    return next(iter(answer.get("imageDetails") or ()), {})


class EcrMirror:
    """Answers ``admission.Mirror`` from ECR, with a short-lived cache; for any number of threads.

    Args:
        ecr: a boto3 ECR client of the registry's own region.
        claims: the table of copies.
        request: queues the copy of one image; must return at once.
        prefix: the account's own repository prefix.
        follow_seconds: age at which the copy of a tag is compared with its source; 0: never.
        kept: copies (``copy_name``) that are never compared, whoever asks: the platform's own.
        clock: monotonic seconds, for the cache.
    """

    def __init__(
        self,
        ecr: Any,
        claims: Claims,
        request: Callable[[str], None],
        *,
        prefix: str,
        follow_seconds: int = 0,
        kept: Container[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ecr = ecr
        self._claims = claims
        self._request = request
        self._prefix = prefix
        self._follow_seconds = follow_seconds
        self._kept = kept
        self._clock = clock
        counted = (claims.client, claims.table, claims.budgets)
        self._new_images = NewImages(*counted)
        self._compared = NewImages(*counted, compared_key)
        self._look_ups = LookUps(claims.budgets)
        self._cache: dict[_Key, tuple[float, Copy]] = {}
        self._silent: dict[str, tuple[float, Copy]] = {}
        self._caching = threading.Lock()

    def ask(
        self,
        source: Reference,
        *,
        start: bool,
        follow: bool = False,
        deadline: float = math.inf,
        review: Review | None = None,
    ) -> Copy:
        """See ``admission.Mirror.ask``; a failing AWS call is logged and answered as unknown."""
        key, now = str(source), self._clock()
        asking = review or Review()
        known = self._known(key, asking.namespace, now, start=start)
        if known is not None:
            return known
        refusal = asking.refusal(now, deadline) or self._look_ups.refusal(asking.namespace, now)
        if refusal:
            _log_once(asking, refusal)
            return Copy(Presence.UNKNOWN, refusal)
        try:
            description = described(self._ecr, self._prefix, source)
            if description is None:
                return self._absent(key, asking, start=start)
            if start and follow and not source.digest:
                self._follow(key, source, asking, description)
            return self._cached(key, Copy(Presence.PRESENT), PRESENT_SECONDS)
        except (ClientError, BotoCoreError) as failure:
            log.warning("cannot tell whether %s is mirrored: %s", key, error_code(failure))
            unknown = Copy(Presence.UNKNOWN, error_code(failure))
            self._be_silent(asking.namespace if _throttled(failure) else _EVERYBODY, unknown)
            return unknown

    def _known(self, key: str, namespace: str, now: float, *, start: bool) -> Copy | None:
        for name in (key, (namespace, key)):
            cached = self._cache.get(name)
            if cached and now < cached[0] and not (start and cached[1] is _NOT_REQUESTED):
                return cached[1]
        for whose in (_EVERYBODY, namespace):
            silent = self._silent.get(whose)
            if silent and now < silent[0]:
                return silent[1]
        return None

    def _be_silent(self, whose: str, copy: Copy) -> None:
        """Has the registry left alone: by one namespace, where it has too many questions.

        Such an answer comes at once, and mostly to whom asks most.
        """
        now = self._clock()
        kept = {each: value for each, value in self._silent.items() if now < value[0]}
        self._silent = {**kept, whose: (now + SILENT_SECONDS, copy)}

    def _absent(self, key: str, review: Review, *, start: bool) -> Copy:
        """Requests the copy of an absent image, if nobody has and the namespace's budget lasts."""
        if not start:
            return self._cached(key, _NOT_REQUESTED, ABSENT_SECONDS)
        namespace, now = review.namespace, self._claims.clock()
        met = self._new_images.met(namespace, now)
        if met:
            # A copy that another namespace, or an earlier hour, has paid for.
            copy = self._claims.look(key, namespace=namespace)
            if copy is not None:
                return self._cached(_whose(copy, namespace, key), copy, ABSENT_SECONDS)
        else:
            taken = self._claims.take(key, namespace=namespace)
            if isinstance(taken, Copy):
                return self._cached(_whose(taken, namespace, key), taken, ABSENT_SECONDS)
            met = "" if taken.again else self._spend(self._new_images, key, namespace, now)
            if not met:
                requested = replace(self._start(key), code=taken.code)
                whose = _whose(requested, namespace, key)
                return self._cached(whose, requested, ABSENT_SECONDS)
        _log_once(review, met)
        return self._cached((namespace, key), Copy(Presence.ABSENT, met), ABSENT_SECONDS)

    def _spend(self, budget: NewImages, key: str, namespace: str, now: float) -> str:
        """Counts a claimed image; ends the claim where the budget is met, and returns why."""
        met = "the budget could not be counted"
        try:
            met = budget.spend(namespace, now)
        finally:
            if met:
                self._claims.release(key)
        return met

    def _follow(
        self, image: str, source: Reference, review: Review, description: Mapping[str, Any]
    ) -> None:
        """Requests the comparison of an old copy with its source; a failure changes nothing.

        The build compares: only it can reach the registry of the source.
        """
        pushed: datetime | None = description.get("imagePushedAt")
        age = self._claims.clock() - (pushed.timestamp() if pushed else 0)
        if not self._follow_seconds or age < self._follow_seconds:
            return
        namespace, now = review.namespace, self._claims.clock()
        if copy_name(source) in self._kept or self._compared.met(namespace, now):
            return
        try:
            # A read costs less than a write, and nearly always there is nothing to do.
            if self._claims.look(image, there=True, namespace=namespace) is not None:
                return
            taken = self._claims.take(image, namespace=namespace, there=True)
            if isinstance(taken, Copy):
                return
            if not self._spend(self._compared, image, namespace, now):
                self._start(image)
            else:
                most = self._claims.budgets.new_images_per_hour
                _log_once(review, f"it has had {most} copies compared with their sources this hour")
        except (ClientError, BotoCoreError) as failure:
            log.warning("cannot have %s compared with its source: %s", image, error_code(failure))

    def _start(self, image: str) -> Copy:
        """Requests the copy of a claimed image."""
        try:
            self._request(image)
        except (ClientError, BotoCoreError) as failure:
            log.warning("%s: %s (%s)", image, words(CopyReason.NOT_REQUESTED), error_code(failure))
            if passing(failure):
                self._claims.call_later()
                return Copy(Presence.COPYING)
            self._claims.fail(image, CopyReason.NOT_REQUESTED)
            return Copy(Presence.FAILED, words(CopyReason.NOT_REQUESTED))
        log.info("requested a copy of %s", image)
        return Copy(Presence.COPYING)

    def _cached(self, key: _Key, copy: Copy, seconds: float) -> Copy:
        # The threads of the in-cluster server share the cache: a look at the oldest entry raises
        # when another thread adds one meanwhile.
        with self._caching:
            if len(self._cache) >= _MOST_CACHED:
                self._cache.pop(next(iter(self._cache)), None)
            self._cache.pop(key, None)  # a renewed entry is the newest again
            self._cache[key] = (self._clock() + seconds, copy)
        return copy


def _throttled(failure: Exception) -> bool:
    """Whether the registry answered that it has no answer now, which took it no time."""
    return isinstance(failure, ClientError) and passing(failure)


def _whose(copy: Copy, namespace: str, image: str) -> _Key:
    """The key of a cached state: an image that waits waits for each namespace that asks."""
    return (namespace, image) if copy.presence is Presence.COPYING else image


def _log_once(review: Review, sentence: str) -> None:
    if sentence not in review.logged:
        review.logged.add(sentence)
        log.warning("namespace %s: %s", review.namespace, sentence)


def asynchronous_request(client: Any, function: str) -> Callable[[str], None]:
    """A ``request`` of ``EcrMirror`` that queues the image for the Lambda ``function``."""
    return lambda image: invoke_later(client, function, {"image": image})


def invoke_later(client: Any, function: str, event: Mapping[str, Any]) -> None:
    """Queues an event for a Lambda function.

    Raises:
        ClientError, BotoCoreError: Lambda does not take it.
    """
    client.invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event).encode())
