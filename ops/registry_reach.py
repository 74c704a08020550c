"""Whether registries answer this machine: one question each, all at once, within seconds.

crane repeats what fails for minutes, per image. Where no registry answers, as behind a firewall,
that is one cause and not a hundred.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from images.reference import DOCKER_HUB

ANSWER_SECONDS = 8.0
"""The kernel sends the packet that opens a connection again after 1, 3 and 7 seconds."""
_MOST_AT_ONCE = 32
_PROXIES = ("https_proxy", "HTTPS_PROXY")

_REASONS: Mapping[type[OSError], str] = {
    socket.gaierror: "has a name that no name server knows",
    ConnectionRefusedError: "refuses the connection",
    ConnectionError: "closes the connection",
}

Ask = Callable[[str], str | None]
"""A host -> why it does not answer, as the end of a sentence; None: it does."""


def unreachable(
    hosts: Iterable[str], seconds: float = ANSWER_SECONDS, ask: Ask | None = None
) -> dict[str, str]:
    """The registries that do not answer, each with the reason as the end of a sentence.

    Any answer counts, also a refusal: crane has the sentences for those.

    Args:
        hosts: of registries, each with its port if it has one.
        seconds: for all of them together.
        ask: in place of a request.
    """
    wanted = sorted(set(hosts))
    late = f"gives no answer within {seconds:.0f} s"
    reasons: dict[str, str | None] = dict.fromkeys(wanted, late)
    at_once = threading.Semaphore(_MOST_AT_ONCE)

    def one(host: str) -> None:
        with at_once:
            reasons[host] = ask(host) if ask else _reason(host, seconds)

    # Daemons: a name server that is silent holds its thread longer than a command may wait.
    threads = [threading.Thread(target=one, args=(host,), daemon=True) for host in wanted]
    end = time.monotonic() + seconds + 1
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return {host: reason for host, reason in list(reasons.items()) if reason}


def none_answers(down: Mapping[str, str], way_out: str) -> str:
    """The sentence for a machine that no registry answers.

    Args:
        down: host -> reason, as of ``unreachable``.
        way_out: the end of the sentence.
    """
    by_reason: dict[str, list[str]] = {}
    for host, reason in down.items():
        by_reason.setdefault(reason, []).append(host)
    reasons = "; ".join(f"{', '.join(hosts)} {reason}" for reason, hosts in by_reason.items())
    who = f"none of {len(down)} registries answers" if len(down) > 1 else "no registry answers"
    return f"{who} this machine ({reasons}; {proxies()}): {way_out}."


def proxies() -> str:
    """Which proxy this machine has for registries, without the login in its address."""
    proxy = _proxy()
    return f"HTTPS_PROXY is {proxy}" if proxy else "HTTPS_PROXY is not set"


def grouped(down: Mapping[str, str], hosts: Sequence[str]) -> list[str]:
    """A line per registry that does not answer.

    Args:
        down: host -> reason.
        hosts: of the images that need it, one each.
    """
    return [
        f"  {hosts.count(host)} images of {host}, which {reason}"
        for host, reason in sorted(down.items())
        if host in hosts
    ]


def _reason(host: str, seconds: float) -> str | None:
    # Go, and so crane, takes no proxy to this machine itself.
    through = urllib.request.ProxyHandler({} if _is_loopback(host) else None)
    opener = urllib.request.build_opener(through, _Unfollowed())
    request = urllib.request.Request(
        f"https://{'index.' if host == DOCKER_HUB else ''}{host}/v2/", method="GET"
    )
    try:
        opener.open(request, timeout=seconds).close()
    except urllib.error.HTTPError:
        return None
    except urllib.error.URLError as error:
        return _meaning(error.reason, seconds)
    except OSError as error:
        return _meaning(error, seconds)
    except ValueError:
        return "has no address that can be asked"
    return None


class _Unfollowed(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer."""

    def redirect_request(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        return None


def _meaning(error: object, seconds: float) -> str | None:
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return _REASONS[ConnectionError]
    if isinstance(error, ssl.SSLError):
        # A registry without TLS, or with a certificate that crane will judge.
        return None
    if isinstance(error, TimeoutError):
        return f"gives no answer within {seconds:.0f} s"
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return reason
    tunnel, _, answer = str(error).partition("Tunnel connection failed: ")
    if answer and not tunnel:
        return f"is not reached through the proxy ({answer})"
    number = error.errno if isinstance(error, OSError) else None
    return f"is not reached ({os.strerror(number)})" if number else "is not reached"


def _proxy() -> str:
    address = next((os.environ[name] for name in _PROXIES if os.environ.get(name)), "")
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "no address"
    return f"{host}:{port}" if port else host


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
