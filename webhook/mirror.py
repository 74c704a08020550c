"""The state of copies: asked of ECR, cached briefly; each missing copy is requested once.

A copy of a tag is requested again from time to time, for the tag may have moved at its source; the
build that is started compares both and copies only what differs.

Admission waits for this module, so all calls are inside its own region: ``describe_images`` for the
one image (never a list, which pages), one conditional write to claim a missing image, and one
asynchronous invocation of the function that starts the copy (``copy_job``). Nothing here waits for
a copy or uses a credential of another partition.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from images.reference import Reference
from webhook.admission import Copy, Presence
from webhook.claims import Claims, error_code
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


def target_tag(source: Reference) -> str:
    """The tag of the copy: the source's own, or one made of its digest.

    A digest always gets its own tag, even beside one: the tag may have moved since, and the
    repository's lifecycle rule would delete an untagged copy.
    """
    if source.digest:
        # Not "sha256-<hex>" alone: that name is taken by OCI 1.1 for an image's referrers.
        return f"digest-{source.digest.replace(':', '-')}"[:128]
    return source.tag or "latest"


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ecr = ecr
        self._claims = claims
        self._request = request
        self._prefix = prefix
        self._follow_seconds = follow_seconds
        self._clock = clock
        self._cache: dict[str, tuple[float, Copy]] = {}
        self._silent: tuple[float, Copy] = (0.0, Copy(Presence.UNKNOWN))
        self._caching = threading.Lock()

    def ask(
        self,
        source: Reference,
        *,
        start: bool,
        follow: bool = False,
        deadline: float = math.inf,  # noqa: ARG002 - a call has a short end of its own
    ) -> Copy:
        """See ``admission.Mirror.ask``; a failing AWS call is logged and answered as unknown."""
        key, now = str(source), self._clock()
        until, copy = self._cache.get(key, self._silent)
        if now >= until or (start and copy.presence is Presence.ABSENT):
            until, copy = self._silent
        if now < until:
            return copy
        try:
            description = described(self._ecr, self._prefix, source)
            if description is not None:
                if start and follow and not source.digest:
                    self._follow(key, description)
                return self._cached(key, Copy(Presence.PRESENT), PRESENT_SECONDS)
            copy = (self._claims.take(key) or self._start(key)) if start else Copy(Presence.ABSENT)
            return self._cached(key, copy, ABSENT_SECONDS)
        except (ClientError, BotoCoreError) as failure:
            log.warning("cannot tell whether %s is mirrored: %s", key, error_code(failure))
            unknown = Copy(Presence.UNKNOWN, error_code(failure))
            self._silent = (self._clock() + SILENT_SECONDS, unknown)
            return unknown

    def _follow(self, image: str, description: Mapping[str, Any]) -> None:
        """Requests the comparison of an old copy with its source; a failure changes nothing.

        The build compares: only it can reach the registry of the source.
        """
        pushed: datetime | None = description.get("imagePushedAt")
        age = self._claims.clock() - (pushed.timestamp() if pushed else 0)
        if not self._follow_seconds or age < self._follow_seconds:
            return
        try:
            if self._claims.take(image, there=True) is None:
                self._start(image)
        except (ClientError, BotoCoreError) as failure:
            log.warning("cannot have %s compared with its source: %s", image, error_code(failure))

    def _start(self, image: str) -> Copy:
        """Requests the copy of a claimed image."""
        try:
            self._request(image)
        except (ClientError, BotoCoreError) as failure:
            log.warning("%s: %s (%s)", image, words(CopyReason.NOT_REQUESTED), error_code(failure))
            self._claims.fail(image, CopyReason.NOT_REQUESTED)
            return Copy(Presence.FAILED, words(CopyReason.NOT_REQUESTED))
        log.info("requested a copy of %s", image)
        return Copy(Presence.COPYING)

    def _cached(self, key: str, copy: Copy, seconds: float) -> Copy:
        # The threads of the in-cluster server share the cache: a look at the oldest entry raises
        # when another thread adds one meanwhile.
        with self._caching:
            if len(self._cache) >= _MOST_CACHED:
                self._cache.pop(next(iter(self._cache)), None)
            self._cache.pop(key, None)  # a renewed entry is the newest again
            self._cache[key] = (self._clock() + seconds, copy)
        return copy


def asynchronous_request(client: Any, function: str) -> Callable[[str], None]:
    """A ``request`` of ``EcrMirror`` that queues the image for the Lambda ``function``."""

    def request(image: str) -> None:
        client.invoke(
            FunctionName=function,
            InvocationType="Event",
            Payload=json.dumps({"image": image}).encode(),
        )

    return request
