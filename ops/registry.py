"""What a registry says of an image: the digest of its manifest, by the client library ``oras``.

``oras`` (oras-project/oras-py, the OCI registry client of the ORAS project) does the token exchange
of every registry and reads Docker's own logins and credential helpers. It is Python, so ``./kf``
needs no skopeo or crane on the machine, and a status code stays a number instead of a line of text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from oras.client import OrasClient
from oras.logger import setup_logger
from requests.adapters import HTTPAdapter
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from images.reference import DOCKER_HUB, Reference

ANSWER_SECONDS = 30
ATTEMPTS = 6
LONGEST_WAIT_SECONDS = 60

# Where Docker Hub serves the registry API (distribution/reference normalises to docker.io;
# moby/moby registry/config.go).
_API_HOSTS = {DOCKER_HUB: "registry-1.docker.io"}
# OCI image-spec media types and Docker's own; without them a registry answers with schema 1, or
# with the digest of one platform instead of the index.
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
setup_logger(quiet=True)


class DigestUnknown(Exception):
    """The registry does not tell; the message is the end of a sentence."""


class _Busy(Exception):
    """Asked too much (429) or broken for now (5xx); ``seconds`` is how long to wait, if it said."""

    def __init__(self, status: int, seconds: float | None) -> None:
        super().__init__(f"answers {status}")
        self.seconds = seconds


def digest_of(image: Reference, mirror: str | None = None) -> str:
    """The digest a pull of the image would get; one that the reference names is not asked for.

    Args:
        mirror: ``host[/prefix]`` that holds copies as our own mirror lays them out.

    Raises:
        DigestUnknown: no such image, no right to it, or no answer after several attempts.
    """
    if image.digest:
        return image.digest
    where = image.mirrored(mirror) if mirror else str(image)
    attempts = Retrying(
        retry=retry_if_exception_type((_Busy, requests.ConnectionError, requests.Timeout)),
        stop=stop_after_attempt(ATTEMPTS),
        wait=_wait,
        reraise=True,
    )
    try:
        return attempts(_ask, where)
    except _Busy as busy:
        raise DigestUnknown(f"{busy}, also after {ATTEMPTS} attempts") from None
    except requests.RequestException as error:
        raise DigestUnknown(f"cannot be reached: {_reason(error)}") from None


def _ask(image: str) -> str:
    host, _, path = image.partition("/")
    plain = host.partition(":")[0] in ("localhost", "127.0.0.1")
    client: Any = OrasClient(hostname=host, insecure=plain)
    client.session.mount("https://", _Patient())
    client.session.mount("http://", _Patient())
    # Also what the token service answers passes here.
    client.session.hooks["response"].append(_refuse_busy)
    container = client.get_container(f"{_API_HOSTS.get(host, host)}/{path}")
    client.auth.load_configs(container)
    url = f"{client.prefix}://{container.manifest_url()}"
    # Without oras' own retries (decorator.retry): they take any failure for a passing one, know
    # no Retry-After, and would multiply with ours.
    request: Callable[..., requests.Response] = OrasClient.do_request.__wrapped__  # pyright: ignore[reportFunctionMemberAccess]
    for method in ("HEAD", "GET"):
        try:
            answer = request(client, url, method, headers={"Accept": _MANIFESTS})
        except ValueError:  # oras: nobody gives a token
            raise DigestUnknown("wants a login: `docker login` first") from None
        if answer.status_code == 404:
            raise DigestUnknown("is not there")
        if answer.status_code in (401, 403):
            raise DigestUnknown("wants a login: `docker login` first")
        if not answer.ok:
            raise DigestUnknown(f"gets the answer {answer.status_code}")
        told = answer.headers.get("Docker-Content-Digest")
        if told:
            return told
    return f"sha256:{hashlib.sha256(answer.content).hexdigest()}"


class _Patient(HTTPAdapter):
    """oras waits for ever; this does not."""

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = kwargs.get("timeout") or ANSWER_SECONDS
        return super().send(request, *args, **kwargs)


def _refuse_busy(answer: requests.Response, *_: Any, **__: Any) -> None:
    if answer.status_code == 429 or answer.status_code >= 500:
        raise _Busy(answer.status_code, _retry_after(answer.headers.get("Retry-After")))


def _retry_after(told: str | None) -> float | None:
    """Seconds until a Retry-After (RFC 9110 10.2.3): a number, or a date."""
    if not told:
        return None
    if told.isdigit():
        return float(told)
    try:
        at = parsedate_to_datetime(told)
    except ValueError:
        return None
    from datetime import UTC, datetime

    return max(0.0, (at - datetime.now(UTC)).total_seconds())


_backoff = wait_random_exponential(multiplier=1, max=LONGEST_WAIT_SECONDS)


def _wait(state: RetryCallState) -> float:
    failed = state.outcome.exception() if state.outcome else None
    if isinstance(failed, _Busy) and failed.seconds is not None:
        return min(failed.seconds, LONGEST_WAIT_SECONDS)
    return _backoff(state)


def _reason(error: requests.RequestException) -> str:
    """The last cause: requests wraps a refused connection three times."""
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    return str(cause) or type(cause).__name__
