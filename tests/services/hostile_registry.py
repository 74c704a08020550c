"""A registry that does to whoever copies from it whatever a registry can do.

Each repository is a case of ``CASES``: one behaviour, and the code by which a copy of it has to
end. An answer is bytes to send and pauses in seconds; it may have no end. What a case leaves out is
answered as for an honest image, by the right digests and without a login.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, cast

from tests.services.registry import CONFIG, INDEX, LAYER, MANIFEST

NAME, ELSEWHERE = "hostile.example", "elsewhere.example"
CANARY = "WRITTEN-BY-THE-REGISTRY\x1b[31m\r\nok docker.io/a/b:1 sha256:0\n"
"""Foreign text: no copy of it may be anywhere."""
BIG = 1 << 20

Answer = Iterable[bytes | float]


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        method: of HTTP.
        kind: ``manifests``, ``blobs`` or ``token``.
        reference: a tag or a digest.
        host: of the header.
        authorization: likewise; empty: none.
        repository: of the registry.
    """

    method: str
    kind: str
    reference: str
    host: str
    authorization: str
    repository: str


Behaviour = Callable[[Asked], Answer | None]
"""None: as for an honest image."""


@dataclass(frozen=True)
class Case:
    """One behaviour, and the code by which a copy has to end."""

    code: str
    behaviour: Behaviour


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def http(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """An answer of HTTP; without ``length`` with the right one, with -1 without any."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {size}"] if size >= 0 else [])]
    return "\r\n".join([*lines, "", ""]).encode() + body


def part(content: bytes, kind: str = LAYER, **more: Any) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest(content), "size": len(content), **more}


def image(*layers: dict[str, Any], config: dict[str, Any] | None = None, **more: Any) -> bytes:
    given = {"config": config or part(CONTENT["config"], CONFIG), "layers": layers or [HONEST]}
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, **given, **more}).encode()


def index(*members: dict[str, Any], **more: Any) -> bytes:
    given = {"schemaVersion": 2, "mediaType": INDEX, "manifests": members, **more}
    return json.dumps(given).encode()


CONTENT = {"config": b'{"os": "linux"}', "layer": b"a layer ".ljust(5000, b".")}
HONEST = part(CONTENT["layer"])


def honest(asked: Asked, manifest: bytes | None = None) -> Answer:
    """The answer that belongs to a manifest; to the one of ``image`` without."""
    text = manifest or image()
    if asked.kind == "manifests" and asked.reference in ("v1", digest(text)):
        kind = f"Content-Type: {json.loads(text)['mediaType']}"
        head = http("200 OK", b"", kind, f"Docker-Content-Digest: {digest(text)}", length=len(text))
        return [head, b"" if asked.method == "HEAD" else text]
    held = {digest(content): content for content in CONTENT.values()}
    if asked.kind == "blobs" and asked.reference in held:
        return [http("200 OK", held[asked.reference])]
    return [http("404 Not Found", CANARY.encode())]


def drip(*pieces: bytes, every: float = 0.1) -> Iterator[bytes | float]:
    """The pieces, and then the last of them again for ever, with pauses."""
    yield from pieces
    while True:
        yield every
        yield pieces[-1]


def always(*answer: bytes | float) -> Behaviour:
    return lambda _: answer


def endless(make: Callable[[], Answer]) -> Behaviour:
    return lambda _: make()


def manifests(answer: Callable[[Asked], Answer | None]) -> Behaviour:
    return lambda asked: answer(asked) if asked.kind == "manifests" else None


def layers(answer: Callable[[Asked], Answer | None]) -> Behaviour:
    return lambda asked: answer(asked) if asked.reference == HONEST["digest"] else None


def raw(text: bytes, kind: str = MANIFEST) -> Behaviour:
    """A manifest that is not parsed to be answered."""
    return manifests(
        lambda asked: [
            http(
                "200 OK",
                text if asked.method == "GET" else b"",
                f"Content-Type: {kind}",
                f"Docker-Content-Digest: {digest(text)}",
                length=len(text),
            )
        ]
    )


def redirect(to: str) -> bytes:
    return http("307 Temporary Redirect", CANARY.encode(), f"Location: {to}")


def bearer(realm: str) -> bytes:
    challenge = f'WWW-Authenticate: Bearer realm="{realm}",service="s"'
    return http("401 Unauthorized", CANARY.encode(), challenge)


def tokens(answer: bytes) -> Behaviour:
    """A realm of its own that answers so, for a registry that wants a token."""
    return lambda asked: [
        answer if asked.kind == "token" else bearer(f"https://{NAME}:PORT/token/{asked.repository}")
    ]


def _slow_token(asked: Asked) -> Answer | None:
    return drip(http("200 OK", length=500), b"x") if asked.kind == "token" else _BY_TOKEN(asked)


def _nested(asked: Asked) -> Answer:
    """An index in an index, and so on: each of the right digest, for the names are made first."""
    texts = [image()]
    for _ in range(40):
        texts.append(index(part(texts[-1], json.loads(texts[-1])["mediaType"])))
    found = {digest(text): text for text in texts}
    return honest(asked, found.get(asked.reference, texts[-1]))


def _itself(asked: Asked) -> Answer:
    """An index with one member, as which it gives itself."""
    return honest(_by_tag(asked), index(part(image(), INDEX)))


def _by_tag(asked: Asked) -> Asked:
    return Asked(asked.method, asked.kind, "v1", asked.host, "", asked.repository)


def _lying_head(asked: Asked) -> Answer | None:
    other = image(annotations={"another": "image"})
    return honest(_by_tag(asked), other if asked.method == "HEAD" else image())


def at_a_url(key: str) -> Behaviour:
    """A layer that is here only by its URL, which is of the builder's own network."""

    def behaviour(asked: Asked) -> Answer:
        where = f"http://127.0.0.1:{asked.host.partition(':')[2]}/latest/meta-data"
        return honest(asked, image({**part(b"elsewhere"), key: [where]}))

    return behaviour


def _elsewhere(asked: Asked) -> Answer:
    """Sends to another host, whose answer is a realm in the builder's own network."""
    if asked.host.startswith(ELSEWHERE):
        return [bearer("https://127.0.0.1:PORT/")]
    return [redirect(f"https://{ELSEWHERE}:PORT/v2/{asked.repository}/manifests/v1")]


def _trailers() -> Answer:
    """A first byte of a layer, and then lines behind the last chunk without an end."""
    return itertools.chain([CHUNKED, b"1\r\nx\r\n0\r\n"], itertools.repeat(b"X: y\r\n" * 100))


PRIVATE = (
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "0", "0.0.0.0"),  # noqa: S104
    *("localhost", "169.254.169.254", "169.254.170.2", "10.0.0.1", "172.31.255.254"),
    *("192.168.0.1", "100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "192.0.0.192"),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]"),
    *("[64:ff9b:1::1]", "[fd00:ec2::254]", "[fe80::1]", "[fec0::1]", "[ff02::1]"),
    *("[2002:7f00:1::]", "[2001:0:7f00:1::]"),
)
UNSAFE = (
    *(
        "http://127.0.0.1:PORT/",
        f"http://{NAME}:PORT/x",
        "file:///etc/passwd",
        "gopher://127.0.0.1",
    ),
    *("ftp://127.0.0.1/", "data:,x", "https://127.0.0.1:22/"),
    *(f"https://{NAME}:PORT@127.0.0.1/", f"https://u:p@{NAME}:PORT/", f"https://{NAME}:PORT\\@x/"),
    *("https://[::1%25lo]:PORT/", "https://[::1/", f"https://{NAME}:99999/", "https://a b/"),
    *("https://" + "a" * 20000, "https://\u0661\u0662\u0667.0.0.1/"),
)
CHUNKED = http("200 OK", b"", "Transfer-Encoding: chunked", length=-1)
_NO_END = endless(lambda: drip(CHUNKED, b"1\r\nx\r\n"))
_FAST = endless(
    lambda: itertools.chain(
        [CHUNKED],
        itertools.repeat(b"10000\r\n" + b"x" * 0x10000 + b"\r\n"),
    )
)
_BOMB = gzip.compress(bytes(30 * BIG))

_BY_TOKEN = tokens(http("200 OK", b'{"token": "t"}'))
_CANARY = CANARY.encode()
_FOR_A_DAY = "Retry-After: 86400"
_FOR_EVER = "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"
_GZIP = "Content-Encoding: gzip"
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"

ADDRESSES: dict[str, Case] = {
    **{
        f"redirect to {each}": Case("private-address", always(redirect(f"https://{each}:PORT/")))
        for each in PRIVATE
    },
    **{
        f"realm at {each}": Case("private-address", always(bearer(f"https://{each}:PORT/")))
        for each in PRIVATE
    },
    **{
        f"redirect to {each[:40]}": Case("unsafe-redirect", always(redirect(each)))
        for each in UNSAFE
    },
    **{f"realm at {each[:40]}": Case("unsafe-redirect", always(bearer(each))) for each in UNSAFE},
}
"""Redirects and realms to where nobody may be sent."""
TEXTS: dict[str, Case] = {
    "100,000 layers": Case("too-large", raw(image(*[HONEST] * 100_000))),
    "600 layers": Case("too-large", raw(image(*[HONEST] * 600))),
    "600 members": Case("too-large", raw(index(*[part(image(), MANIFEST)] * 600), INDEX)),
    "a layer of a petabyte": Case("too-large", raw(image({**HONEST, "size": 1 << 50}))),
    "many large layers": Case(
        "too-large", raw(image(*[part(bytes([n]), size=60 << 30) for n in range(2)]))
    ),
    "a configuration of a gigabyte": Case(
        "too-large", raw(image(config=part(b"x", CONFIG, size=1 << 30)))
    ),
    "two sizes of one layer": Case("wrong-digest", raw(image(HONEST, {**HONEST, "size": 1}))),
    "a size below zero": Case("no-image", raw(image({**HONEST, "size": -1}))),
    "a size in words": Case("no-image", raw(image({**HONEST, "size": "many"}))),
    "no digest": Case("no-image", raw(image({**HONEST, "digest": "../../../token"}))),
    "deep JSON": Case("no-image", raw(b"[" * 100_000)),
    "a number of 5,000 digits": Case("no-image", raw(b'{"schemaVersion": ' + b"9" * 5000 + b"}")),
    "a key twice": Case("no-image", raw(image()[:-1] + b', "Layers": []}')),
    "schema 1": Case("no-image", raw(b'{"schemaVersion": 1, "fsLayers": []}', _SCHEMA_1)),
    "a number that is none": Case("no-image", raw(image(annotations={"a": float("nan")}))),
    "annotations of numbers": Case("no-image", raw(image(annotations={"a": 1}))),
    "annotations of a layer": Case("no-image", raw(image({**HONEST, "annotations": [1]}))),
    "an image called an index": Case("no-image", raw(image(), INDEX)),
    "an index called an image": Case("no-image", raw(index(part(image(), MANIFEST)))),
    "an image that is an index": Case("no-image", raw(image(manifests=[part(image(), MANIFEST)]))),
    "an index with layers": Case(
        "no-image", raw(index(part(image(), MANIFEST))[:-1] + b', "layers": [{}]}', INDEX)
    ),
    "a layer with other content inside": Case(
        "wrong-digest", raw(image({**HONEST, "data": "AAAA"}))
    ),
    "a layer with no content inside": Case("no-image", raw(image({**HONEST, "data": "A"}))),
    "a version in words": Case("no-image", raw(image(schemaVersion="2"))),
    "half a version": Case("no-image", raw(image(schemaVersion=2.5))),
    "a version of 20 digits": Case("no-image", raw(image(schemaVersion=10**20))),
    "a subject that is a number": Case("no-image", raw(image(subject=7))),
    "a type that is a number": Case("no-image", raw(image({**HONEST, "mediaType": 5}))),
    "an artifact that is a number": Case("no-image", raw(image({**HONEST, "artifactType": 5}))),
    "URLs that are a text": Case("no-image", raw(image({**HONEST, "urls": ""}))),
    "layers that are a text": Case(
        "no-image", raw(index(part(image(), MANIFEST), layers=""), INDEX)
    ),
    "a platform that is a text": Case(
        "no-image", raw(index(part(image(), MANIFEST, platform="linux/amd64")), INDEX)
    ),
    "a system that is a number": Case(
        "no-image", raw(index(part(image(), MANIFEST, platform={"os": 5})), INDEX)
    ),
    "a byte order mark": Case("no-image", raw(b"\xef\xbb\xbf" + image())),
    "UTF-16": Case("no-image", raw(image().decode().encode("utf-16"))),
}
"""Manifests that are none, or too much."""
CASES: dict[str, Case] = {
    "layer redirected to loopback": Case(
        "private-address", layers(always(redirect("https://127.0.0.1:PORT/")))
    ),
    "endless redirects": Case("unsafe-redirect", always(redirect("next"))),
    "redirect without a place": Case("no-image", always(http("302 Found"))),
    "layer at a url": Case("unsafe-redirect", at_a_url("urls")),
    "layer at a url in capitals": Case("unsafe-redirect", at_a_url("URLs")),
    "layer at a url of odd letters": Case("unsafe-redirect", at_a_url("url\u017f")),
    "silence": Case("too-slow", endless(lambda: itertools.repeat(0.2))),
    "slow head": Case("too-slow", endless(lambda: drip(b"HTTP/1.1 200 OK\r\nX: ", b"x"))),
    "endless continue": Case(
        "no-image", endless(lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"))
    ),
    "redirect without a scheme": Case(
        "private-address", always(redirect("//127.0.0.1:PORT/latest/meta-data"))
    ),
    "a realm of another host, at a private address": Case("needs-login", _elsewhere),
    "endless trailers": Case("too-slow", layers(endless(_trailers))),
    "two lengths": Case(
        "wrong-digest", layers(always(http("200 OK", CONTENT["layer"], "Content-Length: 1")))
    ),
    "a version of Go's in words": Case("no-image", raw(image(schemaVersion="2"))),
    "attached to another image": Case(
        "no-image", raw(image(subject=part(b"another image", MANIFEST)))
    ),
    "slow continue": Case("too-slow", endless(lambda: drip(b"HTTP/1.1 100 Continue\r\n\r\n"))),
    "slow manifest": Case("too-slow", manifests(_NO_END)),
    "slow chunk": Case("too-slow", manifests(endless(lambda: drip(CHUNKED, b"1;", b"x")))),
    "slow layer": Case(
        "too-slow", layers(endless(lambda: drip(http("200 OK", length=5000), b"x")))
    ),
    "slow token": Case("too-slow", _slow_token),
    "never ends": Case(
        "overtime", layers(endless(lambda: drip(http("200 OK", length=5000), b"x" * 40)))
    ),
    "endless manifest": Case("too-large", manifests(_FAST)),
    "endless layer": Case("wrong-digest", layers(_FAST)),
    "giant manifest": Case(
        "too-large",
        manifests(
            endless(
                lambda: itertools.chain(
                    [http("200 OK", length=1 << 40)], itertools.repeat(b" " * 65536)
                )
            )
        ),
    ),
    "an index in an index": Case("too-large", _nested),
    "an index in itself": Case("wrong-digest", _itself),
    "HTML": Case(
        "no-image", always(http("200 OK", b"<html>" + _CANARY, "Content-Type: text/html"))
    ),
    "nothing": Case("no-image", manifests(always(http("200 OK")))),
    "another protocol": Case("no-image", always(b"SSH-2.0-OpenSSH_9.2\r\n")),
    "other protocols": Case(
        "no-image", always(http("101 Switching Protocols", b"", "Upgrade: h2c"))
    ),
    "a part of it": Case("no-image", always(http("206 Partial Content", _CANARY))),
    "a huge header": Case("no-image", always(http("200 OK", b"", "X: " + "x" * BIG))),
    "10,000 headers": Case("no-image", always(http("200 OK", b"", *["X: x"] * 10_000))),
    "a gzipped manifest": Case(
        "no-image", manifests(always(http("200 OK", _BOMB, _GZIP, f"Content-Type: {MANIFEST}")))
    ),
    "a gzipped layer": Case("wrong-digest", layers(always(http("200 OK", _BOMB, _GZIP)))),
    "an endless head": Case(
        "no-image", always(b"HTTP/1.1 200 OK\r\nX: x", *[b"\r\n " + b"x" * 9000] * 90)
    ),
    "a type that takes minutes to read": Case(
        "no-image",
        always(http("200 OK", b"", "Content-Type: multipart/x" + "\r\n ".join([';"' * 30000] * 9))),
    ),
    "another manifest": Case("wrong-digest", _lying_head),
    "another layer": Case("wrong-digest", layers(always(http("200 OK", b"x" * 5000)))),
    "a longer layer": Case("wrong-digest", layers(always(http("200 OK", b"x" * 5001)))),
    "a shorter layer": Case("wrong-digest", layers(always(http("200 OK", b"x" * 4999)))),
    "a layer cut off": Case("incomplete", layers(always(http("200 OK", b"x" * 100, length=5000)))),
    "a layer cut off without a length": Case(
        "incomplete", layers(always(http("200 OK", b"x" * 100, length=-1)))
    ),
    "a layer cut off in chunks": Case("incomplete", layers(always(CHUNKED, b"5\r\nabcde\r\n"))),
    "chunks of no length": Case("incomplete", layers(always(CHUNKED, b"-5\r\nzz\r\n"))),
    "a manifest cut off": Case("incomplete", manifests(always(http("200 OK", b"{", length=500)))),
    "no layer": Case("not-found", layers(always(http("404 Not Found", _CANARY)))),
    "no such image": Case("not-found", always(http("404 Not Found", _CANARY))),
    "401 for ever": Case("needs-login", _BY_TOKEN),
    "401 without a challenge": Case("needs-login", always(http("401 Unauthorized", _CANARY))),
    "a login that nobody has": Case(
        "needs-login", always(http("401 Unauthorized", b"", 'WWW-Authenticate: Basic realm="x"'))
    ),
    "a challenge that takes hours to read": Case(
        "unsafe-redirect",
        always(http("401 Unauthorized", b"", "WWW-Authenticate: Bearer " + "a" * 30000)),
    ),
    "a token refused": Case("needs-login", tokens(http("403 Forbidden", _CANARY))),
    "a token of two lines": Case(
        "refused", tokens(http("200 OK", b'{"token": "a\\r\\nX-Evil: 1"}'))
    ),
    "a token of a megabyte": Case(
        "refused", tokens(http("200 OK", json.dumps({"token": "t" * BIG}).encode()))
    ),
    "no token": Case("refused", tokens(http("200 OK", _CANARY))),
    "forbidden": Case("refused", always(http("403 Forbidden", _CANARY))),
    "teapot": Case(
        "refused", always(http("418 I am a teapot " + CANARY.split(maxsplit=1)[0], _CANARY))
    ),
    "429": Case("rate-limited", always(http("429 Too Many Requests", _CANARY))),
    "429 for a day": Case(
        "rate-limited", always(http("429 Too Many Requests", _CANARY, _FOR_A_DAY))
    ),
    "429 until a date": Case("rate-limited", always(http("429 Too Many Requests", b"", _FOR_EVER))),
    "502": Case("unavailable", always(http("502 Bad Gateway", _CANARY))),
    "hangs up": Case("unreachable", always()),
}


def repository_of(name: str) -> str:
    """The repository of a case."""
    return f"case-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


@dataclass
class HostileRegistry:
    """A running registry.

    Attributes:
        port: on 127.0.0.1.
        asked: every request.
        touched: what came by another name than its own ones, or not by HTTP: whoever came that way
            was sent to 127.0.0.1.
        cases: repository -> behaviour.
    """

    port: int = 0
    asked: list[Asked] = field(default_factory=list[Asked])
    touched: list[str] = field(default_factory=list[str])
    cases: dict[str, Behaviour] = field(default_factory=dict[str, Behaviour])
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def hosts(self) -> dict[str, int]:
        """Host and port of its names -> the port of both."""
        return {f"{name}:{self.port}": self.port for name in (NAME, ELSEWHERE)}

    def source(self, repository: str) -> str:
        return f"{NAME}:{self.port}/{repository}:v1"

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        behaviour = self.cases.get(asked.repository, lambda _: None)
        answer = behaviour(asked)
        return honest(asked) if answer is None else answer


class _Connection(StreamRequestHandler):
    def handle(self) -> None:
        registry = cast("_Server", self.server).registry
        first = self.rfile.readline(65536).decode("latin-1")
        headers: dict[str, str] = {}
        for line in iter(lambda: self.rfile.readline(65536).decode("latin-1").strip(), ""):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        found = re.match(r"(GET|HEAD) /(?:v2|(token))/([^/? ]+)(?:/(\w+)/([^? ]+))?", first)
        if not found or headers.get("host") not in registry.hosts:
            registry.touched.append(f"{first[:40]!r} {headers.get('host')}")
            return
        asked = Asked(
            method=found[1],
            kind=found[2] or found[4] or "",
            reference=found[5] or "",
            host=headers["host"],
            authorization=headers.get("authorization", ""),
            repository=found[3],
        )
        port = str(registry.port).encode()
        with suppress(OSError):
            for piece in registry.answer(asked):
                if registry.ended.is_set():
                    break
                if isinstance(piece, bytes):
                    self.wfile.write(piece.replace(b"PORT", port))
                else:
                    time.sleep(piece)


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    registry: HostileRegistry


@contextmanager
def hostile_registry() -> Generator[HostileRegistry]:
    """Serves all cases, each in the repository ``repository_of`` its name, to the block's end."""
    registry = HostileRegistry()
    every = {**ADDRESSES, **TEXTS, **CASES}
    registry.cases |= {repository_of(name): case.behaviour for name, case in every.items()}
    with _Server(("127.0.0.1", 0), _Connection) as server:
        server.registry, registry.port = registry, server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield registry
        finally:
            registry.ended.set()
            server.shutdown()
            thread.join(10)
