"""No bytes, however odd, make the in-cluster server fail, hang, or forget the next request.

Lasts ``FUZZ_SECONDS`` like ``test_admission_fuzz``, in rounds of which each has its own seed.

    FUZZ_SECONDS=600 .venv/bin/python -m pytest -n 0 -o log_cli=true -o log_cli_level=INFO \\
        tests/webhook/test_server_fuzz.py
"""

from __future__ import annotations

import logging
import os
import random
import socket
import time
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.certificates import Certificate
from tests.webhook.serving import PATH, admit, answer, connected, decide, serving
from webhook.connection import Limits

log = logging.getLogger(__name__)
SECONDS = float(os.environ.get("FUZZ_SECONDS", "4"))
# Short times: many requests here never become whole.
LIMITS = Limits(stranger_seconds=0.05, request_seconds=0.05, idle_seconds=0.05)
PIECES = [
    *(b"POST ", b"GET ", b" HTTP/1.1", b" HTTP/1.0", b" HTTP/2", PATH.encode(), b"/livez", b"/"),
    *(
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b"\x00",
        b"\xff",
        b":",
        b"?",
        b"%2e",
        b"?timeout=5s",
    ),
    *(b"Content-Length: ", b"Transfer-Encoding: chunked", b"Connection: close", b"0", b"5", b"-1"),
    *(b"Expect: 100-continue", b"Host: a", b"99999999999", b"1048576", b"8388609", b"x" * 3000),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"\\u",
        b"\\ud800",
        b"{}," * 99,
        b"[" * 999,
        b"1" * 5000,
        b"NaN",
    ),
]


def odd(chance: random.Random) -> bytes:
    """A request with some bytes lost, doubled, or replaced by words of HTTP or JSON."""
    request = bytearray(admit(uid=str(chance.random())))
    for _ in range(chance.choice([0, 1, 1, 2, 5, 20])):
        at = chance.randrange(len(request) + 1)
        end = at + chance.choice([0, 0, 1, 3, chance.randrange(200)])
        piece = chance.choice(PIECES) if chance.random() < 0.8 else chance.randbytes(3)
        request[at:end] = piece * chance.choice([1, 1, 2])
    return bytes(request)


def given(port: int, authority: Path, request: bytes) -> str:
    """The status of the answer, or how the connection ended."""
    try:
        with connected(port, authority) as connection:
            connection.sendall(request)
            return str(answer(connection).status)
    except TimeoutError:
        raise AssertionError(f"no answer in ten seconds: {request!r}") from None
    except (OSError, ValueError) as failure:  # ssl's and http.client's own
        return type(failure).__name__


def answers(port: int, authority: Path) -> bool:
    """Whether the server still answers; a busy machine is too late for ``LIMITS`` many times."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if given(port, authority, admit()) == "200":
            return True
    return False


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_any_bytes_are_answered_or_the_connection_ends(
    pair: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "webhook")
    ended: Counter[str] = Counter()
    until = time.monotonic() + SECONDS
    chance = random.Random(0)  # noqa: S311 - a seed, so that a failure comes again
    with serving(pair, decide, LIMITS) as port:
        # A round in which no request was whole would test little.
        while (now := time.monotonic()) < until or (not ended["200"] and now < until + 120):
            ended[given(port, pair.certificate, odd(chance))] += 1
            if ended.total() % 100 == 0:
                assert answers(port, pair.certificate)
    log.info("%d requests: %s", ended.total(), dict(ended))
    assert ended["200"]
    assert not ended["500"]
    assert "Traceback" not in caplog.text


def test_noise_instead_of_a_handshake_ends_the_connection(pair: Certificate) -> None:
    chance = random.Random(1)  # noqa: S311
    with serving(pair, decide, LIMITS) as port:
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
                hello = b"\x16\x03\x01" if chance.random() < 0.5 else b""
                plain.sendall(hello + chance.randbytes(chance.randrange(1, 400)))
                try:
                    while plain.recv(4096):
                        pass
                except ConnectionError:
                    pass
        assert answers(port, pair.certificate)
