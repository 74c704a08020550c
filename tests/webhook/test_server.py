"""The in-cluster transport over real TLS sockets: answers, and what a client cannot do to it."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.certificates import Certificate, self_signed
from components.mirror.api import TIMEOUT_SECONDS
from tests.webhook.hostile_clients import bomb, large
from tests.webhook.reviews import OWN, patched, review_of
from tests.webhook.serving import (
    PATH,
    POD,
    admit,
    answer,
    ask,
    connected,
    decide,
    is_closed,
    post,
    serving,
)
from webhook.connection import Limits

SECRET = "AKIASECRET"
BODY = json.dumps(review_of(POD)).encode()
# This machine may be busy: short is what a test is about, and nothing else.
PATIENT = Limits(request_seconds=300, review_seconds=300, answer_seconds=300, stranger_seconds=300)


def response(body: bytes) -> dict[str, Any]:
    return json.loads(body)["response"]


@pytest.fixture
def connection(pair: Certificate) -> Generator[ssl.SSLSocket]:
    with serving(pair, decide) as port, connected(port, pair.certificate) as secured:
        yield secured


# -- answers --------------------------------------------------------------------------------------


def test_a_review_is_answered_with_a_patch(connection: ssl.SSLSocket) -> None:
    given = ask(connection, admit())
    answered = response(given.body)
    assert (given.status, answered["uid"], answered["allowed"]) == (200, "u-1", True)
    assert list(patched(answered).values()) == [f"{OWN}/docker.io/library/python:3.9"]


def test_a_connection_stays_open_for_more_requests(connection: ssl.SSLSocket) -> None:
    uids = [f"u-{number}" for number in range(5)]
    assert [response(ask(connection, admit(uid=uid)).body)["uid"] for uid in uids] == uids


def in_turn(connection: ssl.SSLSocket, *parts: bytes) -> bool:
    """Whether two requests, sent in parts without waiting, are answered one after the other."""
    for part in parts:
        connection.sendall(part)
    received = b""
    while received.count(b'"uid"') < 2:
        received += connection.recv(1 << 16)
    return received.index(b"first") < received.index(b"second")


def test_requests_sent_without_waiting_are_answered_in_turn(connection: ssl.SSLSocket) -> None:
    assert in_turn(connection, admit(uid="first") + admit(uid="second"))


def test_a_request_whose_end_waits_within_the_tls_layer_is_read(connection: ssl.SSLSocket) -> None:
    # The server reads 64 KiB at a time and a TLS record holds 16: a short one before the others
    # makes the last one be read in part, with nothing left at the socket to wait for.
    first, second = admit(uid="first"), admit(uid="second")
    first = post(first.partition(b"\r\n\r\n")[2].ljust(50_000))
    second = post(second.partition(b"\r\n\r\n")[2].ljust(15_500))
    head = first.index(b"\r\n\r\n") + 4
    records = (first[:head], first[head : head + 100], first[head + 100 :] + second)
    assert in_turn(connection, *records)


def test_many_clients_at_once_each_get_their_own_answer(pair: Certificate) -> None:
    together = threading.Barrier(8)

    def at_once(body: object, deadline: float) -> dict[str, Any]:
        together.wait(timeout=300)
        return decide(body, deadline)

    def client(number: int) -> str:
        with connected(port, pair.certificate) as own:
            own.settimeout(300)
            return response(ask(own, admit(uid=f"u-{number}")).body)["uid"]

    with serving(pair, at_once, PATIENT) as port, ThreadPoolExecutor(8) as clients:
        assert list(clients.map(client, range(8))) == [f"u-{number}" for number in range(8)]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/readyz?verbose"])
def test_probes_are_answered(connection: ssl.SSLSocket, path: str) -> None:
    given = ask(connection, f"GET {path} HTTP/1.1\r\nHost: webhook\r\n\r\n".encode())
    assert (given.status, given.body) == (200, b"ok\n")


# -- what is no review ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[]", b"{}", b'{"apiVersion": "x", "request": {"uid": "u"}}']
)
def test_what_is_no_review_is_http_400_and_the_next_request_is_answered(
    connection: ssl.SSLSocket, body: bytes
) -> None:
    given = ask(connection, post(body))
    assert given.status == 400
    assert json.loads(given.body)["kind"] == "AdmissionReview"
    assert response(given.body)["allowed"] is False
    assert ask(connection, admit()).status == 200


def test_an_error_of_ours_is_http_500_and_tells_nothing(
    pair: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object, _deadline: float) -> dict[str, Any]:
        raise RuntimeError(SECRET)

    caplog.set_level(logging.DEBUG)
    with serving(pair, broken) as port, connected(port, pair.certificate) as connection:
        given = ask(connection, admit())
    assert given.status == 500
    assert SECRET not in given.body.decode() + caplog.text
    assert "RuntimeError" in caplog.text


POST = f"POST {PATH}?key={SECRET} HTTP/1.1\r\nHost: webhook\r\n"
REFUSED = {
    "another path": (post(b"{}", f"{PATH}/"), 404),
    "another method": (f"PUT {PATH} HTTP/1.1\r\nX: {SECRET}\r\n\r\n".encode(), 405),
    "a review that is read": (f"GET {PATH} HTTP/1.1\r\n\r\n".encode(), 405),
    "a probe that is written": (post(b"{}", "/readyz"), 405),
    "another page": (b"GET /metrics HTTP/1.1\r\n\r\n", 404),
    "a probe with a body": (b"GET /livez HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET ", 400),
    "no length": (f"{POST}\r\n".encode(), 411),
    "chunks": (f"{POST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode(), 411),
    "chunks besides a length": (
        f"{POST}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
        411,
    ),
    "a length that is no number": (f"{POST}Content-Length: -1\r\n\r\n".encode(), 400),
    "two lengths": (f"{POST}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}".encode(), 400),
    "a length beyond all numbers": (f"{POST}Content-Length: {'9' * 5000}\r\n\r\n".encode(), 413),
    "no HTTP": (f"{SECRET} {SECRET} {SECRET}\r\n\r\n".encode(), 400),
    "a header without end": (f"{POST}X: {'x' * 70000}\r\n\r\n".encode(), 431),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_of_another_kind_is_refused_in_the_same_form_and_nothing_of_it_logged(
    connection: ssl.SSLSocket, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    request, status = REFUSED[case]
    given = ask(connection, request)
    assert given.status == status
    assert response(given.body)["status"]["code"] == status
    assert given.headers["Connection"] == "close"
    assert is_closed(connection)
    assert str(status) in caplog.text
    assert SECRET not in given.body.decode() + caplog.text


# -- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("body", "room", "status"), [(b" " * (8 << 20), -1, 413), (BODY, 0, 200)])
def test_a_body_of_just_the_limit_is_read_and_a_larger_one_refused_while_it_is_sent(
    pair: Certificate, body: bytes, room: int, status: int
) -> None:
    with (
        serving(pair, decide, Limits(body=len(body) + room)) as port,
        connected(port, pair.certificate) as connection,
    ):
        assert ask(connection, post(body)).status == status


def test_a_client_that_does_not_greet_holds_up_nobody_and_is_closed(pair: Certificate) -> None:
    with (
        serving(pair, decide, Limits(stranger_seconds=3)) as port,
        socket.create_connection(("127.0.0.1", port), timeout=60) as silent,
    ):
        with connected(port, pair.certificate) as connection:
            assert ask(connection, admit()).status == 200
        assert silent.recv(1) == b""


def drip(connection: ssl.SSLSocket, text: bytes) -> None:
    """Each byte in good time; all of them take several times what a request may."""
    for byte in text:
        time.sleep(0.05)
        connection.sendall(bytes([byte]))


@pytest.mark.parametrize(
    ("part", "limits"),
    [("head", Limits(stranger_seconds=2)), ("body", Limits(request_seconds=0.3))],
    ids=["head", "body"],
)
def test_a_request_that_drips_in_is_given_up(
    pair: Certificate, part: str, limits: Limits, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    request = post(BODY + b" " * 100, f"{PATH}?{'x' * 100}")
    sent = 1 if part == "head" else request.index(b"\r\n\r\n") + 5
    with serving(pair, decide, limits) as port, connected(port, pair.certificate) as connection:
        connection.sendall(request[:sent])
        with pytest.raises((ConnectionError, ssl.SSLEOFError)):
            drip(connection, request[sent : sent + 100])
    assert "took too long" in caplog.text


def test_a_connection_nobody_uses_is_closed(pair: Certificate) -> None:
    limits = Limits(idle_seconds=0.3)
    with serving(pair, decide, limits) as port, connected(port, pair.certificate) as connection:
        assert ask(connection, admit()).status == 200
        assert is_closed(connection)


def test_the_time_of_a_request_begins_with_its_first_byte(pair: Certificate) -> None:
    limits = Limits(request_seconds=2)
    with serving(pair, decide, limits) as port, connected(port, pair.certificate) as connection:
        assert ask(connection, admit()).status == 200
        time.sleep(2.2)
        assert ask(connection, admit()).status == 200


def test_a_client_that_leaves_amid_a_request_is_forgotten(
    pair: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(pair, decide) as port:
        with connected(port, pair.certificate) as connection:
            connection.sendall(admit()[:-1])
        with connected(port, pair.certificate) as connection:
            assert ask(connection, admit()).status == 200
    assert "Traceback" not in caplog.text


def test_a_request_that_is_cut_off_is_judged_by_nobody(pair: Certificate) -> None:
    judged: list[object] = []

    def remember(body: object, deadline: float) -> dict[str, Any]:
        judged.append(body)
        return decide(body, deadline)

    with serving(pair, remember) as port, connected(port, pair.certificate) as connection:
        whole = post(BODY + b" ")
        connection.sendall(whole[:-1])
        socket.socket.shutdown(connection, socket.SHUT_WR)
        assert is_closed(connection)
    assert judged == []


def test_of_a_client_that_fails_only_the_kind_of_failure_is_logged(
    pair: Certificate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stranger = self_signed(tmp_path)
    with (
        serving(pair, decide) as port,
        pytest.raises(ssl.SSLCertVerificationError),
        connected(port, stranger.certificate),
    ):
        pass
    assert caplog.messages == ["lost a connection: SSLError TLSV1_ALERT_UNKNOWN_CA"]


def test_more_connections_than_allowed_are_refused_until_one_ends(pair: Certificate) -> None:
    with serving(pair, decide, Limits(connections=2)) as port:
        with ExitStack() as open_ones:
            for _ in range(2):
                own = open_ones.enter_context(connected(port, pair.certificate))
                assert ask(own, admit()).status == 200
            with connected(port, pair.certificate) as third:
                assert ask(third, admit()).status == 503
        assert eventually_answered(port, pair)


def eventually_answered(port: int, pair: Certificate) -> bool:
    for _ in range(100):
        with connected(port, pair.certificate) as connection:
            if ask(connection, admit()).status == 200:
                return True
        time.sleep(0.05)
    return False


# -- strangers ------------------------------------------------------------------------------------


def stranger(path: bytes = b"/admit") -> bytes:
    """The beginning of a large request for a path that is not secret."""
    return b"POST %s HTTP/1.1\r\nContent-Length: 8000000\r\n\r\n" % path


@pytest.mark.parametrize("path", [b"/admit", b"/", PATH[:-1].encode(), f"{PATH}1".encode()])
def test_a_stranger_is_refused_before_the_body_is_sent_and_judged_by_nobody(
    pair: Certificate, path: bytes
) -> None:
    with serving(pair, nobody) as port, connected(port, pair.certificate) as connection:
        threads = threading.active_count()
        given = ask(connection, stranger(path))
        assert (given.status, given.headers["Connection"]) == (404, "close")
        assert threading.active_count() <= threads
        assert is_closed(connection)


def nobody(_body: object, _deadline: float) -> dict[str, Any]:
    raise AssertionError("judged")


def test_a_request_line_is_enough_to_be_refused(pair: Certificate) -> None:
    with serving(pair, nobody) as port, connected(port, pair.certificate) as connection:
        assert ask(connection, b"POST /admit HTTP/1.1\r\n").status == 404
    with serving(pair, nobody) as port, connected(port, pair.certificate) as connection:
        assert ask(connection, b"POST /" + b"a" * 3000).status == 414


def test_idle_strangers_take_no_place_from_the_api_server(pair: Certificate) -> None:
    limits = Limits(strangers=4, connections=2, stranger_seconds=300)
    with serving(pair, decide, limits) as port, ExitStack() as idle:
        for _ in range(20):
            idle.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        greeted = [idle.enter_context(connected(port, pair.certificate)) for _ in range(20)]
        with connected(port, pair.certificate) as connection:
            assert ask(connection, admit()).status == 200
            # The oldest are gone, and the newest are still there.
            assert all(is_closed(each) for each in greeted[:16])
            assert ask(connection, admit()).status == 200
        assert ask(greeted[-1], admit()).status == 200


def test_the_address_with_most_connections_loses_one_first(pair: Certificate) -> None:
    limits = Limits(strangers=3, stranger_seconds=300)
    with serving(pair, decide, limits) as port, ExitStack() as opened:
        quiet = opened.enter_context(connected(port, pair.certificate, "127.0.0.2"))
        many = [opened.enter_context(connected(port, pair.certificate)) for _ in range(9)]
        assert is_closed(many[0])
        assert ask(quiet, admit()).status == 200


def test_a_stranger_that_drips_is_gone_in_its_time(pair: Certificate) -> None:
    """Each byte in good time, and all of them in half a minute."""
    limits = Limits(stranger_seconds=2)
    with (
        serving(pair, nobody, limits) as port,
        connected(port, pair.certificate) as connection,
        pytest.raises((ConnectionError, ssl.SSLEOFError)),
    ):
        drip(connection, b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 100)


def test_strangers_do_not_fill_the_log(
    pair: Certificate, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("webhook.server._TOLD_EVERY_SECONDS", 300.0)
    with serving(pair, nobody) as port:
        for _ in range(10):
            with connected(port, pair.certificate) as connection:
                assert ask(connection, stranger()).status == 404
    assert caplog.messages == ["refused a request: 404 Not Found"]


def test_a_handshake_that_stops_holds_up_nobody(pair: Certificate) -> None:
    with serving(pair, decide, PATIENT) as port, ExitStack() as half:
        for _ in range(8):
            plain = half.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            plain.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a ClientHello
        with connected(port, pair.certificate) as connection:
            assert ask(connection, admit()).status == 200


# -- time and memory ------------------------------------------------------------------------------


def test_a_review_has_a_deadline_before_the_api_server_gives_up(pair: Certificate) -> None:
    deadlines: list[float] = []

    def remember(body: object, deadline: float) -> dict[str, Any]:
        deadlines.append(deadline - time.monotonic())
        return decide(body, deadline)

    with serving(pair, remember) as port, connected(port, pair.certificate) as connection:
        assert ask(connection, admit()).status == 200
    assert 0 < deadlines[0] <= Limits().review_seconds < Limits().answer_seconds < TIMEOUT_SECONDS


def test_a_review_that_does_not_end_is_answered_in_time(
    pair: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    released = threading.Event()

    def silent(body: object, deadline: float) -> dict[str, Any]:
        released.wait(300)
        return decide(body, deadline)

    limits = Limits(answer_seconds=0.3)
    with serving(pair, silent, limits) as port, connected(port, pair.certificate) as connection:
        given = ask(connection, admit())
        released.set()
        assert (given.status, given.headers["Connection"]) == (504, "close")
        message = response(given.body)["status"]["message"]
        assert message == "image-mirror: the review took too long"
        assert is_closed(connection)
    assert "gave up a review that took too long" in caplog.text


def test_a_review_that_ends_in_time_is_not_given_up(pair: Certificate) -> None:
    def slow(body: object, deadline: float) -> dict[str, Any]:
        time.sleep(0.6)  # longer than the server looks for reviews that are overdue
        return decide(body, deadline)

    with serving(pair, slow, PATIENT) as port, connected(port, pair.certificate) as connection:
        assert ask(connection, admit()).status == 200


@pytest.mark.parametrize("size", [100_000, 200_000, 6 << 20])
def test_a_large_object_is_judged_like_a_small_one(pair: Certificate, size: int) -> None:
    with serving(pair, decide, PATIENT) as port, connected(port, pair.certificate) as connection:
        connection.settimeout(300)
        given = ask(connection, post(large(size)))
        images = list(patched(response(given.body)).values())
        assert images == [f"{OWN}/docker.io/library/python:3.9"]
        assert ask(connection, admit()).status == 200


BOMB = bomb(8 << 20)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (BOMB, 413, "the object is too large to be judged"),
        (b"[" * (1 << 20), 400, "the request body is not JSON"),
        (b"[" * 500 + b"]" * 500, 413, "the object is too large to be judged"),
        (b'{"a": ' * 900 + b"1" + b"}" * 900, 413, "the object is too large to be judged"),
        (b" " * (1 << 20), 400, "the request body is not JSON"),
        (b'"\xff' + b" " * (1 << 20) + b'"', 400, "the request body is not JSON"),
    ],
    ids=["bomb", "open", "deep list", "deep object", "nothing", "bytes"],
)
def test_what_would_take_too_much_memory_or_stack_is_refused_in_words(
    pair: Certificate, body: bytes, status: int, message: str
) -> None:
    with serving(pair, nobody, PATIENT) as port, connected(port, pair.certificate) as connection:
        connection.settimeout(300)
        given = ask(connection, post(body))
    assert given.status == status
    assert response(given.body)["status"]["message"] == f"image-mirror: {message}"


def test_requests_beyond_the_bound_of_memory_wait_and_are_refused_at_their_deadline(
    pair: Certificate,
) -> None:
    begun, released = threading.Event(), threading.Event()

    def slow(body: object, deadline: float) -> dict[str, Any]:
        begun.set()
        released.wait(300)
        return decide(body, deadline)

    limits = replace(PATIENT, memory=60 * (len(BODY) + 10), review_seconds=0.5)
    with (
        serving(pair, slow, limits) as port,
        connected(port, pair.certificate) as first,
        connected(port, pair.certificate) as second,
    ):
        first.sendall(admit())
        assert begun.wait(300)
        given = ask(second, admit())
        assert given.status == 503
        assert response(given.body)["status"]["message"].endswith("too many requests at once")
        released.set()
        assert answer(first).status == 200


def test_a_request_that_waits_for_memory_goes_on_as_soon_as_there_is_some(
    pair: Certificate,
) -> None:
    """Long before its deadline."""

    def slow(body: object, deadline: float) -> dict[str, Any]:
        time.sleep(0.4)
        return decide(body, deadline)

    limits = replace(PATIENT, memory=60 * (len(BODY) + 10))
    with (
        serving(pair, slow, limits) as port,
        connected(port, pair.certificate) as first,
        connected(port, pair.certificate) as second,
    ):
        first.sendall(admit())
        second.sendall(admit())
        for connection in (first, second):
            connection.settimeout(120)
            assert answer(connection).status == 200


def test_what_is_left_out_may_not_take_more_memory_either(pair: Certificate) -> None:
    body = b'{"status": ' + BOMB[: (6 << 20) // 3 * 3 + 1] + b"{}]}"
    with serving(pair, nobody, PATIENT) as port, connected(port, pair.certificate) as connection:
        connection.settimeout(300)
        assert ask(connection, post(body)).status == 413


def test_a_large_body_whose_client_stops_frees_its_turn(pair: Certificate) -> None:
    body = large(1 << 20)
    with serving(pair, decide, Limits(request_seconds=0.3)) as port:
        with connected(port, pair.certificate) as connection:
            with suppress(OSError):  # a busy machine has not sent it in this time
                connection.sendall(post(body)[:500_000])
            assert is_closed(connection)
        with connected(port, pair.certificate) as connection, suppress(OSError):
            connection.sendall(post(body)[:500_000])
    with serving(pair, decide, PATIENT) as port, connected(port, pair.certificate) as connection:
        assert ask(connection, post(body)).status == 200
