"""Whether registries answer: real sockets that answer, refuse, hang, or drop every packet."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack

import pytest

from ops import registry_reach
from ops.registry_reach import grouped, none_answers, proxies, unreachable
from tests.services.blackholes import blackhole
from tests.services.disturbances import way_to
from tests.services.registry import Registry


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_a_registry_that_answers_anything_is_reached(upstream: Registry) -> None:
    def forbidding(_method: str, _path: str) -> str:
        return "403 Forbidden"

    with way_to(upstream.host, forbidding) as way:
        assert unreachable([way.host, upstream.host], seconds=120) == {}


def test_dropped_packets_cost_the_seconds_once_for_all_registries() -> None:
    with ExitStack() as dropping:
        hosts = [dropping.enter_context(blackhole()) for _ in range(30)]
        begun = time.monotonic()
        down = unreachable([*hosts, hosts[0]], seconds=1.5)
        assert time.monotonic() - begun < 1.5 * len(hosts)
    assert down == dict.fromkeys(hosts, "gives no answer within 2 s")


def test_a_registry_that_takes_the_connection_and_is_silent_counts_as_down() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        down = unreachable([f"127.0.0.1:{silent.getsockname()[1]}"], seconds=1)
    assert list(down.values()) == ["gives no answer within 1 s"]


def test_a_registry_that_hangs_up_in_the_handshake_counts_as_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as rude:

        def hang_up() -> None:
            rude.accept()[0].close()

        ended = threading.Thread(target=hang_up)
        ended.start()
        down = unreachable([f"127.0.0.1:{rude.getsockname()[1]}"], seconds=120)
        ended.join()
    assert list(down.values()) == ["closes the connection"]


def test_reasons_are_told_apart() -> None:
    assert unreachable(["127.0.0.1:1"], seconds=120) == {"127.0.0.1:1": "refuses the connection"}
    down = unreachable(["no-such-host.invalid"], seconds=3)
    assert down["no-such-host.invalid"] in (
        "has a name that no name server knows",
        "gives no answer within 3 s",
    )


def test_a_proxy_that_refuses_is_told_and_its_login_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:hidden@127.0.0.1:1")
    down = unreachable(["quay.io"], seconds=120)
    sentence = none_answers(down, "run this elsewhere")
    assert sentence == (
        "no registry answers this machine (quay.io refuses the connection; HTTPS_PROXY is "
        "127.0.0.1:1): run this elsewhere."
    )
    assert "hidden" not in sentence


def test_a_name_server_that_hangs_holds_nothing_up() -> None:
    released = threading.Event()

    def hanging(_: str) -> str | None:
        released.wait()
        return None

    try:
        assert unreachable(["quay.io"], 0.2, hanging) == {"quay.io": "gives no answer within 0 s"}
    finally:
        released.set()


def test_one_cause_of_many_registries_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    down = dict.fromkeys(["docker.io", "gcr.io"], "is not reached") | {"quay.io": "is silent"}
    assert none_answers(down, "way out") == (
        "none of 3 registries answers this machine (docker.io, gcr.io is not reached; quay.io is "
        "silent; HTTPS_PROXY is not set): way out."
    )
    assert grouped(down, ["gcr.io", "gcr.io", "ghcr.io"]) == [
        "  2 images of gcr.io, which is not reached"
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [("http://proxy.example.com:3128", "proxy.example.com:3128"), ("proxy:1", "proxy:1")],
)
def test_the_proxy_of_this_machine_is_named(
    monkeypatch: pytest.MonkeyPatch, value: str, shown: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    assert proxies() == f"HTTPS_PROXY is {shown}"
    assert registry_reach.proxies().count(value.rpartition("/")[2]) == 1
