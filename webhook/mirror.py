"""What is known about copies: asks ECR, remembers briefly, and requests each missing copy once.

A copy of a tag is requested again from time to time, for the tag may have moved on at its source;
the build that is started compares both and copies only what differs.

Admission waits for this module, so it only makes calls inside its own region: ``describe_images``
for the one image (never a list, which pages), one conditional write to claim a missing image, and
one asynchronous invocation of the function that starts the copy (``copy_job``). Nothing here waits
for a copy, and nothing here holds a credential of another partition.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from images.reference import Reference
from webhook.admission import Copy, Presence
from webhook.claims import Claims, error_code

log = logging.getLogger(__name__)

PRESENT_SECONDS = 300.0
"""How long a found copy is believed: a deleted image is noticed within five minutes."""
ABSENT_SECONDS = 15.0
"""How long a missing copy is believed: a finished copy is noticed within seconds."""
SILENT_SECONDS = 3.0
"""How long a registry that did not answer is not asked again: the API server waits five seconds for
a whole pod, and each of its images would wait for a time-out of its own."""
_MOST_REMEMBERED = 4096


class EcrClient(Protocol):
    """The part of boto3's ECR client that admission uses."""

    def describe_images(self, **request: Any) -> dict[str, Any]: ...


def target_tag(source: Reference) -> str:
    """The tag a copy gets: its own, or one made of its digest.

    A digest always gets its own tag, even beside one: the tag may have moved on since, and an
    untagged copy would be swept away by the repository's lifecycle rule.
    """
    if source.digest:
        # Not "sha256-<hex>" alone: that name is taken by OCI 1.1 for an image's referrers.
        return f"digest-{source.digest.replace(':', '-')}"[:128]
    return source.tag or "latest"


def is_there(ecr: EcrClient, prefix: str, source: Reference) -> bool:
    """Does the account's registry hold the copy of ``source`` below ``prefix``?

    Raises:
        ClientError, BotoCoreError: the registry does not tell.
    """
    return described(ecr, prefix, source) is not None


def described(ecr: EcrClient, prefix: str, source: Reference) -> Mapping[str, Any] | None:
    """What ECR says of the copy of ``source`` below ``prefix``; None: there is none.

    Raises:
        ClientError, BotoCoreError: the registry does not tell.
    """
    wanted = {"imageDigest": source.digest} if source.digest else {"imageTag": source.tag}
    try:
        answer = ecr.describe_images(
            repositoryName=f"{prefix}/{source.mirrored_repository}", imageIds=[wanted]
        )
    except ClientError as refused:
        if error_code(refused) in ("ImageNotFoundException", "RepositoryNotFoundException"):
            return None
        raise
    return next(iter(answer.get("imageDetails") or ()), {})


class EcrMirror:
    """Answers ``admission.Mirror`` from ECR, with a short memory; for any number of threads.

    Args:
        ecr: a boto3 ECR client of the registry's own region.
        claims: the in-flight table.
        request: hands one image to whatever starts its copy; must return at once.
        prefix: the account's own repository prefix.
        follow_seconds: how long the copy of a tag is taken for what its source has; 0: for ever.
        clock: seconds, for the memory; monotonic.
    """

    def __init__(
        self,
        ecr: EcrClient,
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
        self._remembered: dict[str, tuple[float, Copy]] = {}
        self._silent: tuple[float, Copy] = (0.0, Copy(Presence.UNKNOWN))
        self._remembering = threading.Lock()

    def ask(self, source: Reference, *, start: bool, follow: bool = False) -> Copy:
        """See ``admission.Mirror.ask``; a failing AWS call is logged and answered as unknown."""
        key = str(source)
        known = self._recall(key)
        if known and not (start and known.presence is Presence.ABSENT):
            return known
        until, silence = self._silent
        if self._clock() < until:
            return silence
        try:
            copy = described(self._ecr, self._prefix, source)
            if copy is not None:
                if start and follow and not source.digest:
                    self._follow(key, copy)
                return self._remember(key, Copy(Presence.PRESENT), PRESENT_SECONDS)
            if not start:
                return self._remember(key, Copy(Presence.ABSENT), ABSENT_SECONDS)
            return self._remember(key, self._start(key), ABSENT_SECONDS)
        except (ClientError, BotoCoreError) as failure:
            log.warning("cannot tell whether %s is mirrored: %s", key, error_code(failure))
            silence = Copy(Presence.UNKNOWN, error_code(failure))
            self._silent = (self._clock() + SILENT_SECONDS, silence)
            return silence

    def _follow(self, image: str, copy: Mapping[str, Any]) -> None:
        """Has an old copy of a tag compared with its source; whatever becomes of it, it is there.

        Who asks a registry that is out of reach what its tag is now is the build.
        """
        pushed: datetime | None = copy.get("imagePushedAt")
        age = self._claims.clock() - (pushed.timestamp() if pushed else 0)
        if not self._follow_seconds or age < self._follow_seconds:
            return
        try:
            if self._claims.take(image, there=True) is None:
                self._hand_on(image)
        except (ClientError, BotoCoreError) as failure:
            log.warning("cannot have %s compared with its source: %s", image, error_code(failure))

    def _start(self, image: str) -> Copy:
        standing = self._claims.take(image)
        if standing:
            return standing
        return self._hand_on(image)

    def _hand_on(self, image: str) -> Copy:
        """Requests the copy of a claimed image."""
        try:
            self._request(image)
        except (ClientError, BotoCoreError) as failure:
            reason = f"the copy could not be requested ({error_code(failure)})"
            log.warning("%s: %s", image, reason)
            self._claims.fail(image, reason)
            return Copy(Presence.FAILED, reason)
        log.info("requested a copy of %s", image)
        return Copy(Presence.COPYING)

    def _recall(self, key: str) -> Copy | None:
        until, copy = self._remembered.get(key, (0.0, Copy(Presence.UNKNOWN)))
        return copy if self._clock() < until else None

    def _remember(self, key: str, copy: Copy, seconds: float) -> Copy:
        # Threads of the in-cluster server share this memory: a look at the oldest entry raises when
        # another thread adds one meanwhile.
        with self._remembering:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.pop(next(iter(self._remembered)), None)
            self._remembered.pop(key, None)  # a renewed entry counts as young again
            self._remembered[key] = (self._clock() + seconds, copy)
        return copy


def asynchronous_request(client: Any, function: str) -> Callable[[str], None]:
    """A ``request`` that queues the image for the Lambda ``function`` (``copy_job``)."""

    def request(image: str) -> None:
        client.invoke(
            FunctionName=function,
            InvocationType="Event",
            Payload=json.dumps({"image": image}).encode(),
        )

    return request
