"""The guard between a build and the registry of a source, without crane."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.mirror import guard
from components.mirror.source_rules import Bounds, Refused, is_public, origin, refusal
from tests.services.certificates import Authority
from tests.services.hostile_registry import (
    ADDRESSES,
    CASES,
    ELSEWHERE,
    NAME,
    PRIVATE,
    TEXTS,
    Asked,
    HostileRegistry,
    bearer,
    digest,
    honest,
    hostile_registry,
    http,
    image,
    index,
    part,
    redirect,
    repository_of,
)
from tests.services.registry import MANIFEST
from webhook.copy_reasons import CopyReason

BOUNDS = Bounds(seconds=300.0, wait=120.0, piece=30, manifests=10)
"""More than a busy machine takes; those of codes that tell of time are ``SHORT``."""
SHORT = {"too-slow": replace(BOUNDS, wait=0.5), "overtime": replace(BOUNDS, seconds=3.0)}
MOST_CPU_SECONDS = 6
LOGIN = {"username": "reader", "password": "secret-of-the-reader"}
BASIC = "Basic cmVhZGVyOnNlY3JldC1vZi10aGUtcmVhZGVy"


@pytest.fixture(scope="module")
def hostile() -> Generator[HostileRegistry]:
    with hostile_registry() as running:
        yield running


def source_of(
    hostile: HostileRegistry,
    repository: str,
    login: dict[str, str] | None = None,
    bounds: Bounds = BOUNDS,
) -> guard.Source:
    def connect(host: str, port: int, watch: guard.Watch, seconds: float) -> socket.socket:
        if f"{host}:{port}" not in hostile.hosts:
            return guard.connected(host, port, watch, seconds)
        return socket.create_connection(("127.0.0.1", hostile.port), timeout=seconds)

    host = f"{NAME}:{hostile.port}"
    return guard.Source(host, repository, login or {}, bounds, connect, lambda _: None)


def read(source: guard.Source) -> str:
    """Reads a source as crane does; the code by which it ends."""
    try:
        head = source.head("v1")
        digest = head[0] if head else source.manifest("v1").digest
        source.size(digest)
        for blob in source.manifest(digest).blobs:
            for _ in source.blob(blob):
                pass
    except Refused as refused:
        return refused.code
    return "ok"


@pytest.mark.parametrize("name", [*ADDRESSES, *TEXTS, *CASES])
def test_reading_ends_with_the_code_of_the_case(hostile: HostileRegistry, name: str) -> None:
    wanted = {**ADDRESSES, **TEXTS, **CASES}[name].code
    begun = time.process_time()
    bounds = SHORT.get(wanted, BOUNDS)
    assert read(source_of(hostile, repository_of(name), bounds=bounds)) == wanted
    assert time.process_time() - begun < MOST_CPU_SECONDS
    assert hostile.touched == []
    assert CopyReason(wanted)


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "8.8.8.8", "52.94.0.1", "101.6.15.130", "172.15.0.1", "172.32.0.1"),
        *("100.63.255.255", "100.128.0.1", "169.253.0.1", "192.167.0.1", "223.255.255.254"),
        *("2606:4700::6810:84e5", "2400:da00::dbf:0:100", "2600:1f18::1"),
    ],
)
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", [*PRIVATE, "fe80::1%eth0", "", "x", "1.1.1.1/8", "1.1.1"])
def test_no_other_address_is(address: str) -> None:
    assert not is_public(address.strip("[]"))


def test_a_name_of_several_addresses_is_connected_to_by_a_public_one_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A resolver that is asked again may answer otherwise: the judged address itself is used."""
    asked: list[Any] = []
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("10.0.0.1", "1.1.1.1")
    ]

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(address)
        raise ConnectionRefusedError

    def resolve(_host: str, _port: int, **_: Any) -> list[Any]:
        return found

    monkeypatch.setattr(guard.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(guard.socket, "create_connection", connect)
    with pytest.raises(Refused, match="unreachable"):
        guard.connected("rebound.example", 443, guard.Watch(1.0), 1.0)
    assert asked == [("1.1.1.1", 443)]


@pytest.mark.parametrize(
    ("seconds", "left", "code"), [(0.2, 600.0, "too-slow"), (600.0, 0.2, "overtime")]
)
def test_a_resolver_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, seconds: float, left: float, code: str
) -> None:
    ended = threading.Event()

    def resolve(*_: Any, **__: Any) -> None:
        ended.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "too late")

    monkeypatch.setattr(guard.socket, "getaddrinfo", resolve)
    try:
        with pytest.raises(Refused, match=code):
            guard.connected("slow.example", 443, guard.Watch(left), seconds)
    finally:
        ended.set()


def test_a_name_that_nobody_knows_is_an_error_of_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def resolve(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(guard.socket, "getaddrinfo", resolve)
    with pytest.raises(socket.gaierror):
        guard.connected("unknown.example", 443, guard.Watch(9.0), 9.0)


def test_the_bytes_that_were_read_are_counted(hostile: HostileRegistry) -> None:
    source = source_of(hostile, "honest")
    assert read(source) == "ok"
    whole = source.read
    manifest = source.manifest("v1")
    assert whole == len(manifest.body) + sum(manifest.blobs.values())
    assert source.read == whole + len(manifest.body)


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("https://registry-1.docker.io/v2/library/python/manifests/3.9", 443),
        (
            "https://cdn01.quay.io/quayio-production-s3/sha256/ab?X-Amz-Date=2&Signature=a%2Bb~c|d",
            443,
        ),
        ("https://us-west1-docker.pkg.dev/v2/k8s-artifacts-prod/images/pause/manifests/3.10", 443),
        ("https://prod-registry-k8s-io-us-east-1.s3.dualstack.us-east-1.amazonaws.com/x", 443),
        ("https://registry.example:5000/v2/", 5000),
    ],
)
def test_what_registries_send_to_is_followed(url: str, port: int) -> None:
    assert origin(url, (443, 5000))[1] == port


@pytest.mark.parametrize(
    ("status", "header", "code", "pause"),
    [
        (429, "None", "rate-limited", 0),
        (429, "30", "rate-limited", 30),
        (429, "121", "rate-limited", None),
        (503, "5", "unavailable", 5),
        (401, "None", "needs-login", None),
        (404, "None", "not-found", None),
        (304, "None", "no-image", None),
    ],
)
def test_a_status_says_whether_another_attempt_may_help(
    status: int, header: str, code: str, pause: int | None
) -> None:
    refused = refusal(status, header)
    assert (refused.code, refused.pause) == (code, pause)


def with_login(realm: str) -> Any:
    def behaviour(asked: Asked) -> Any:
        if asked.kind == "token":
            return [http("200 OK", b'{"token": "t"}')]
        if asked.kind == "blobs" and asked.host.startswith(NAME):
            return [redirect(f"https://{ELSEWHERE}:PORT/v2/x/blobs/{asked.reference}")]
        if asked.host.startswith(NAME) and asked.authorization not in ("Bearer t", BASIC):
            return [bearer(realm)] if realm else [http("401 No", b"", "WWW-Authenticate: Basic")]
        return honest(asked)

    return behaviour


@pytest.mark.parametrize(
    ("realm", "given"),
    [
        (f"https://{NAME}:PORT/token/x", {NAME: {BASIC, "Bearer t"}}),
        (f"https://{ELSEWHERE}:PORT/token/x", {NAME: {"Bearer t"}}),
        ("", {NAME: {BASIC}}),
    ],
)
def test_a_login_is_given_to_its_own_host_alone(
    hostile: HostileRegistry, realm: str, given: dict[str, set[str]]
) -> None:
    hostile.cases["x"] = with_login(realm)
    before = len(hostile.asked)
    assert read(source_of(hostile, "x", LOGIN)) == "ok"
    seen: dict[str, set[str]] = {}
    for asked in hostile.asked[before:]:
        if asked.authorization:
            seen.setdefault(asked.host.partition(":")[0], set()).add(asked.authorization)
    assert seen == given


@pytest.mark.parametrize(
    "challenge",
    [
        'Bearer realm="https://{}/token/x",service="s", Basic realm="x"',
        'Basic realm="Bearer y", Bearer realm="https://{}/token/x",service="a, Basic b"',
        'bearer  service=s, realm="https://{}/token/x"',
        'Bearer realm="https://{}/token/x",error="Basic of realm=x"',
    ],
)
def test_one_header_may_have_several_challenges(hostile: HostileRegistry, challenge: str) -> None:
    header = f"WWW-Authenticate: {challenge.format(f'{NAME}:PORT')}"

    def behaviour(asked: Asked) -> Any:
        if asked.kind == "token":
            return [http("200 OK", b'{"token": "t"}')]
        return None if asked.authorization == "Bearer t" else [http("401 No", b"", header)]

    hostile.cases["x"] = behaviour
    assert read(source_of(hostile, "x")) == "ok"


@pytest.mark.parametrize("status", ["400 Bad Request", "403 Forbidden", "405 No"])
def test_a_registry_that_takes_no_head_is_read_all_the_same(
    hostile: HostileRegistry, status: str
) -> None:
    hostile.cases["x"] = lambda asked: [http(status)] if asked.method == "HEAD" else None
    assert read(source_of(hostile, "x")) == "ok"


def test_a_head_of_another_digest_than_asked_for_is_wrong(hostile: HostileRegistry) -> None:
    hostile.cases["x"] = lambda asked: honest(replace(asked, reference="v1"))
    with pytest.raises(Refused, match="wrong-digest"):
        source_of(hostile, "x").head(f"sha256:{'0' * 64}")


def test_what_the_manifest_has_inside_is_read(hostile: HostileRegistry) -> None:
    """As that of an artifact: OCI's empty configuration."""
    empty = part(b"{}", "application/vnd.oci.empty.v1+json", data="e30=")
    text = image(config=empty, annotations={"a": "b", "none": None})

    def behaviour(asked: Asked) -> Any:
        blob = asked.reference == empty["digest"]
        return [http("200 OK", b"{}")] if blob else honest(asked, text)

    hostile.cases["x"] = behaviour
    assert read(source_of(hostile, "x")) == "ok"


def test_a_login_does_not_come_back_from_another_host(hostile: HostileRegistry) -> None:
    """Whoever is redirected to would choose what is asked of the registry with it."""

    def behaviour(asked: Asked) -> Any:
        if asked.kind != "blobs":
            return None if asked.authorization == BASIC else with_login("")(asked)
        there = f"{ELSEWHERE}:PORT/v2/x" if asked.host.startswith(NAME) else f"{NAME}:PORT/v2/back"
        return [redirect(f"https://{there}/blobs/{asked.reference}")]

    hostile.cases["x"] = behaviour
    before = len(hostile.asked)
    assert read(source_of(hostile, "x", LOGIN)) == "ok"
    back = [asked for asked in hostile.asked[before:] if asked.repository == "back"]
    assert {asked.authorization for asked in back} == {""}


def test_the_login_of_docker_hub_is_given_to_its_documented_realm() -> None:
    asked: list[tuple[str, str]] = []

    class Hub(guard.Source):
        def _follow(self, method: str, url: str, accepted: str, authorization: str) -> Any:
            asked.append((url, authorization))
            raise Refused("unknown")

    hub = Hub("docker.io", "python", LOGIN, BOUNDS, guard.connected, lambda _: None)
    for realm in ("https://auth.docker.io/token", "https://auth.docker.io.evil.example/token"):
        with pytest.raises(Refused):
            hub._logged_in("bearer", {"realm": realm, "service": "registry.docker.io"})  # pyright: ignore[reportPrivateUsage]
    query = "?service=registry.docker.io&scope=repository%3Alibrary%2Fpython%3Apull"
    assert asked == [
        (f"https://auth.docker.io/token{query}", BASIC),
        (f"https://auth.docker.io.evil.example/token{query}", ""),
    ]


def test_a_handshake_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_public_here(address: str) -> bool:
        return address == "127.0.0.1"

    monkeypatch.setattr(guard, "is_public", is_public_here)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(Refused, match="too-slow"):
            guard.connected("127.0.0.1", port, guard.Watch(600.0), 0.3)


def test_a_certificate_that_nobody_trusts_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def is_public_here(address: str) -> bool:
        return address == "127.0.0.1"

    monkeypatch.setattr(guard, "is_public", is_public_here)
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.sign("registry.example", tmp_path))
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    def resolve(host: str, *more: Any, **named: Any) -> list[Any]:
        return found if host.endswith(".example") else resolve_really(host, *more, **named)

    resolve_really = socket.getaddrinfo
    monkeypatch.setattr(guard.socket, "getaddrinfo", resolve)
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]

        def serve() -> None:
            for _ in range(3):
                with suppress(OSError), context.wrap_socket(plain.accept()[0], server_side=True):
                    pass

        threading.Thread(target=serve, daemon=True).start()
        watch = guard.Watch(600.0)
        with pytest.raises(ssl.SSLCertVerificationError):
            guard.connected("registry.example", port, watch, 5.0)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        guard.connected("registry.example", port, watch, 5.0).close()
        with pytest.raises(ssl.SSLCertVerificationError):
            guard.connected("another.example", port, watch, 5.0)


def test_what_failed_for_good_is_not_asked_again_and_the_rest_is(hostile: HostileRegistry) -> None:
    """Whoever finds no image by its digest may still ask by tag."""
    told: list[str] = []
    source = source_of(hostile, "honest")
    source.told = lambda failure: told.append(failure.code if failure else "")
    absent = f"/v2/good/manifests/sha256:{'0' * 64}"
    before = len(hostile.asked)
    for _ in range(3):
        with pytest.raises(Refused, match="not-found"), source.answering(absent):
            source.manifest(absent.rpartition("/")[2])
    with source.answering("/v2/good/manifests/v1"):
        source.manifest("v1")
    assert len(hostile.asked) == before + 2
    with pytest.raises(Refused), source.answering("/v2/good/blobs/x"):
        raise Refused("too-slow")
    assert told == ["not-found"] * 3 + ["too-slow"]


def test_a_failure_that_passes_is_forgotten_when_it_has(hostile: HostileRegistry) -> None:
    told: list[str] = []
    source = source_of(hostile, "honest")
    source.told = lambda failure: told.append(failure.code if failure else "")
    for _ in range(2):
        with pytest.raises(Refused), source.answering("/v2/good/manifests/v1"):
            raise Refused("unavailable", 0)
    with source.answering("/v2/good/manifests/v1"):
        source.manifest("v1")
    assert told == ["unavailable", "unavailable", ""]


def test_what_is_attached_to_a_member_of_the_same_index_is_read(hostile: HostileRegistry) -> None:
    """As BuildKit attaches the attestations of an image."""
    plain = image()
    attested = image(subject=part(plain, MANIFEST))
    whole = index(part(plain, MANIFEST), part(attested, MANIFEST))
    texts = {digest(text): text for text in (plain, attested)}
    hostile.cases["attested"] = lambda asked: honest(asked, texts.get(asked.reference, whole))
    source = source_of(hostile, "attested")
    assert source.size(digest(whole)) > len(whole)
    with pytest.raises(Refused, match="no-image"):
        source.size(digest(attested))
