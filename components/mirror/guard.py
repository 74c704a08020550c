"""The only way from a build to the registry of one source: crane reads the source through it.

A registry chooses its redirects, the realm of its tokens, its sizes and its texts, and crane would
follow and quote them. So crane is pointed at a port of the loopback interface, where this program
answers: it connects by HTTPS to public addresses alone (the address that is connected to is the one
that was judged), follows few redirects, has the tokens, gives a login to no other host, and bounds
sizes and times. Nothing a registry wrote reaches crane but manifests and blobs of the right digest,
and nothing at all reaches an output. Go never sends requests for loopback addresses to a proxy, so
``HTTPS_PROXY`` would guard less.

Runs on the build machine: Python's own library only, as of 3.9, which is the default there
(github.com/aws/aws-codebuild-docker-images al/x86_64/standard/5.0/Dockerfile).

Arguments: the source, a file of logins (JSON, ``{host: {"username": ..., "password": ...}}``), the
file that gets a code of ``webhook.copy_reasons`` and how many seconds to wait before another
attempt ("-": none would help), and the seconds until everything ends. Prints the name that crane
reads the source's repository by. Ends with its standard input.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from components.mirror.source_rules import (
    IMAGES,
    INDEXES,
    SHA256,
    Bounds,
    Manifest,
    Refused,
    challenge,
    is_public,
    origin,
    parsed,
    refusal,
    sha256,
)

_REQUEST = re.compile(r"/v2/.+/(manifests|blobs)/(\w[\w.-]{0,127}|sha256:[0-9a-f]{64})", re.ASCII)
LONGEST_HEAD = 1 << 15
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
HOSTS = {"docker.io": "registry-1.docker.io"}
"""Where the API of a registry is, if not at its own name."""
REALMS = {
    "docker.io": "auth.docker.io",
    "registry.gitlab.com": "gitlab.com",
    "registry.digitalocean.com": "api.digitalocean.com",
}
"""The other host that a registry documents for its tokens, and that a login may be given to."""


class Watch:
    """Ends every wait on a connection that lasts too long.

    A socket's own time-out is for its next byte.

    Attributes:
        end: of all waits, in monotonic seconds.
    """

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self._until: dict[socket.socket, float] = {}
        threading.Thread(target=self._run, daemon=True).start()

    @contextmanager
    def waiting(self, connection: socket.socket, seconds: float) -> Generator[None]:
        """A wait of so many seconds at most.

        Raises:
            Refused: it was too long.
        """
        until = time.monotonic() + seconds
        self._until[connection] = min(until, self.end)
        try:
            yield
        finally:
            del self._until[connection]
            if time.monotonic() >= min(until, self.end):
                raise Refused("too-slow" if until < self.end else "overtime")

    def _run(self) -> None:
        while True:
            time.sleep(0.05)
            now = time.monotonic()
            for connection, until in list(self._until.items()):
                if now >= until:
                    with suppress(OSError):
                        # Not SSLSocket's own, which would continue without encryption.
                        socket.socket.shutdown(connection, socket.SHUT_RDWR)


Connect = Callable[[str, int, Watch, float], socket.socket]
"""Host, port, watch and seconds to wait -> a connection for HTTP."""


def connected(host: str, port: int, watch: Watch, seconds: float) -> socket.socket:
    """A TLS connection to a public address of ``host``.

    Raises:
        Refused: it has none.
        OSError: none answers, or not as this host.
    """
    plain, end = None, time.monotonic() + seconds
    public = [address for address in _addresses(host, port, watch, end) if is_public(address)]
    if not public:
        raise Refused("private-address")
    for address in public:
        left = end - time.monotonic()
        if plain is None and left > 0:
            with suppress(OSError):
                plain = socket.create_connection((address, port), timeout=min(10.0, left))
    if plain is None:
        raise Refused("unreachable", 0)
    plain.settimeout(None)
    context = ssl.create_default_context()
    secured = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    with watch.waiting(secured, seconds):
        secured.do_handshake()
    return secured


def _addresses(host: str, port: int, watch: Watch, end: float) -> list[str]:
    """The addresses of a host; the resolver of the C library knows no time-out of ours.

    Raises:
        Refused: none until ``end``, in monotonic seconds.
        OSError: there are none.
    """
    answers: list[list[str]] = []
    failures: list[Exception] = []

    def resolve() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.append([str(address[4][0]) for address in found])
        except (OSError, UnicodeError) as failure:
            failures.append(failure)

    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(max(min(end, watch.end) - time.monotonic(), 0))
    if failures:
        raise failures[0]
    if not answers:
        raise Refused("too-slow" if end < watch.end else "overtime")
    return answers[0]


class Head:
    """A connection's answer, of which the lines before a body are ``LONGEST_HEAD`` at most.

    Python's parser of headers takes 6 MB of them, by steps that grow with the square.
    """

    def __init__(self, answer: Any) -> None:
        self._answer, self._left = answer, LONGEST_HEAD

    def __getattr__(self, name: str) -> Any:
        return getattr(self._answer, name)

    def readline(self, most: int) -> bytes:
        """The next line."""
        line: bytes = self._answer.readline(min(most, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise http.client.HTTPException
        return line


class Response(http.client.HTTPResponse):
    """An answer with a head of bounded length."""

    fp: Any

    def begin(self) -> None:
        """Reads the head."""
        answer = self.fp
        self.fp = Head(answer)
        super().begin()
        self.fp = answer


@dataclass
class Source:
    """The registry of one source, as crane gets to see it; for any number of threads.

    Attributes:
        host: of the source.
        repository: within it.
        login: for this host; empty: none.
        bounds: of the image.
        connect: makes connections.
        told: gets the failure that stands, as soon as it changes; None: there is none.
        read: bytes that the registry has sent, but for heads.
    """

    host: str
    repository: str
    login: dict[str, str]
    bounds: Bounds
    connect: Connect
    told: Callable[[Refused | None], None]
    read: int = field(default=0, init=False)
    _authorization: str = field(default="", init=False)
    _manifests: dict[str, Manifest] = field(default_factory=dict[str, Manifest], init=False)
    _failures: dict[str, Refused] = field(default_factory=dict[str, Refused], init=False)
    _tries: dict[str, int] = field(default_factory=dict[str, int], init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._watch = Watch(self.bounds.seconds)
        self._root = f"https://{HOSTS.get(self.host, self.host)}"
        port = urlsplit(self._root).port or 443
        self._ports = (443, port)
        self._home = origin(self._root, self._ports)
        if self.host == "docker.io" and "/" not in self.repository:
            self.repository = f"library/{self.repository}"

    @contextmanager
    def answering(self, request: str) -> Generator[None]:
        """Records whether a request failed; where it always will, it is not made again."""
        before = self._failures.get(request)
        try:
            if before and before.pause is None:
                raise before
            yield
        except Refused as failure:
            self._tell(request, failure)
            raise
        if request in self._failures:
            self._tell(request, None)

    def _tell(self, request: str, failure: Refused | None) -> None:
        with self._lock:
            self._failures.pop(request, None)
            if failure:
                self._tries[request] = self._tries.get(request, 0) + 1
                lasting = self._tries[request] >= self.bounds.tries
                self._failures[request] = Refused(failure.code) if lasting else failure
            # The last one, of those that stay if there are any.
            order = sorted(self._failures.values(), key=lambda each: each.pause is None)
            self.told(order[-1] if order else None)

    def manifest(self, reference: str) -> Manifest:
        """The manifest of a tag or digest; each is asked for once."""
        if reference in self._manifests:
            return self._manifests[reference]
        held = sum(len(each.body) for each in self._manifests.values())
        if held > self.bounds.held or len(self._manifests) >= self.bounds.manifests:
            raise Refused("too-large")
        connection, response = self._get("GET", f"manifests/{reference}")
        with response:
            pieces = self._pieces(connection, response, self.bounds.small + 1)
            body = b"".join(pieces)
        if len(body) > self.bounds.small:
            raise Refused("too-large")
        if SHA256.fullmatch(reference) and sha256(body) != reference:
            raise Refused("wrong-digest")
        manifest = parsed(body, _media_type(response), self.bounds)
        self._manifests[reference] = self._manifests[manifest.digest] = manifest
        return manifest

    def head(self, tag: str) -> tuple[str, str, int] | None:
        """Digest, media type and bytes of a manifest, without a pull that is counted.

        None where the registry does not answer that well enough; some take no HEAD.
        """
        try:
            _, response = self._get("HEAD", f"manifests/{tag}")
        except Refused as refused:
            if refused.code in ("refused", "no-image"):
                return None
            raise
        response.close()
        digest = response.headers.get("Docker-Content-Digest") or ""
        size = response.headers.get("Content-Length") or ""
        if not (SHA256.fullmatch(digest) and re.fullmatch("[0-9]{1,7}", size)):
            return None
        if SHA256.fullmatch(tag) and digest != tag:
            raise Refused("wrong-digest")
        media_type = _media_type(response)
        return (digest, media_type, int(size)) if media_type else None

    def size(self, digest: str) -> int:
        """The bytes of a manifest and of all that belongs to it; reads the manifests, no blob."""
        sizes: dict[str, int] = {}
        waiting = [digest]
        while waiting:
            manifest = self.manifest(waiting.pop())
            # Of one that is attached to another, crane writes a second tag, "sha256-...", which
            # nobody has asked for (go-containerregistry pkg/v1/remote/write.go,
            # commitSubjectReferrers). BuildKit attaches to members of the same index.
            if manifest.subject and manifest.subject not in sizes:
                raise Refused("no-image")
            waiting += [member for member in manifest.members if member not in sizes]
            sizes.update(manifest.blobs)
            sizes[manifest.digest] = len(manifest.body)
            sizes.update({member: 0 for member in manifest.members if member not in sizes})
            if sum(sizes.values()) > self.bounds.size:
                raise Refused("too-large")
        return sum(sizes.values())

    def blob_size(self, digest: str) -> int:
        """The bytes of a blob, as the manifest that was read declares them."""
        for manifest in list(self._manifests.values()):
            if digest in manifest.blobs:
                return manifest.blobs[digest]
        raise Refused("no-image")

    def blob(self, digest: str) -> Iterator[bytes]:
        """The bytes of a blob; the last of them only where its digest is right."""
        size = self.blob_size(digest)
        connection, response = self._get("GET", f"blobs/{digest}")
        with response:
            if response.length not in (None, size):
                raise Refused("wrong-digest")
            read, content = 0, hashlib.sha256()
            for piece in self._pieces(connection, response, size):
                read += len(piece)
                content.update(piece)
                if read == size and f"sha256:{content.hexdigest()}" != digest:
                    raise Refused("wrong-digest")
                yield piece
            if read < size:
                raise Refused("incomplete", 0)

    def _pieces(
        self, connection: socket.socket, response: http.client.HTTPResponse, most: int
    ) -> Iterator[bytes]:
        """A body up to so many bytes, or to its end."""
        waited, since = 0.0, 0
        while most:
            begun = time.monotonic()
            try:
                with self._watch.waiting(connection, self.bounds.wait - waited):
                    piece = response.read1(min(most, 1 << 16))[:most]
            except (OSError, http.client.HTTPException, ValueError):
                raise Refused("incomplete", 0) from None
            if not piece:
                break
            with self._lock:
                self.read += len(piece)
            waited, since = waited + time.monotonic() - begun, since + len(piece)
            if since >= self.bounds.piece:
                waited, since = 0.0, 0
            most -= len(piece)
            yield piece
        if most and response.length:
            raise Refused("incomplete", 0)

    def _get(self, method: str, path: str) -> tuple[socket.socket, http.client.HTTPResponse]:
        """The answer 200 to a request at the registry, at the second attempt with a new token."""
        url = f"{self._root}/v2/{self.repository}/{path}"
        accepted = ", ".join((*INDEXES, *IMAGES)) if path.startswith("manifests/") else "*/*"
        connection, response, host = self._follow(method, url, accepted, self._authorization)
        if response.status == 401 and host == self._home:
            response.close()
            challenges = response.headers.get_all("WWW-Authenticate") or []
            self._authorization = self._logged_in(*challenge(challenges))
            connection, response, host = self._follow(method, url, accepted, self._authorization)
        return connection, _successful(response)

    def _follow(
        self, method: str, url: str, accepted: str, authorization: str
    ) -> tuple[socket.socket, http.client.HTTPResponse, tuple[str, int]]:
        """The answer behind all redirects, and who gave it; the authorization is for the first."""
        first = origin(url, self._ports)
        for _ in range(self.bounds.redirects + 1):
            host = origin(url, self._ports)
            headers = {"Host": urlsplit(url).netloc, "Accept": accepted, "Connection": "close"}
            if host != first:
                authorization = ""  # for good: the other host chooses where it leads back to
            if authorization:
                headers["Authorization"] = authorization
            connection, response = self._exchange(method, host, url, headers)
            location = response.headers.get("Location")
            if response.status not in (301, 302, 303, 307, 308) or location is None:
                return connection, response, host
            response.close()
            try:
                url = urljoin(url, location)
            except ValueError:
                break
        raise Refused("unsafe-redirect")

    def _exchange(
        self, method: str, host: tuple[str, int], url: str, headers: dict[str, str]
    ) -> tuple[socket.socket, http.client.HTTPResponse]:
        """One request to one host, up to the head of its answer."""
        if time.monotonic() >= self._watch.end:
            raise Refused("overtime")
        parts = urlsplit(url)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        try:
            client = http.client.HTTPConnection(*host)
            client.response_class = Response
            client.sock = connection = self.connect(*host, self._watch, self.bounds.wait)
            with self._watch.waiting(connection, self.bounds.wait):
                client.request(method, target, headers=headers)
                response = client.getresponse()
        except (OSError, UnicodeError):
            raise Refused("unreachable", 0) from None
        except (http.client.HTTPException, ValueError):
            raise Refused("no-image") from None
        return connection, response

    def _logged_in(self, scheme: str, parameters: dict[str, str]) -> str:
        """The Authorization that a challenge asks for.

        A registry that tells another realm than its own or its documented host gets a token for
        anybody.
        """
        given = ":".join((self.login.get("username", ""), self.login.get("password", "")))
        basic = f"Basic {base64.b64encode(given.encode()).decode()}" if self.login else ""
        if scheme == "basic":
            if not basic:
                raise Refused("needs-login")
            return basic
        realm = parameters.get("realm", "")
        query = urlencode(
            {
                "service": parameters.get("service", ""),
                "scope": f"repository:{self.repository}:pull",
            }
        )
        url = f"{realm}{'&' if '?' in realm else '?'}{query}"
        host = origin(url, self._ports)
        known = host == self._home or host == (REALMS.get(self.host), 443)
        connection, response, _ = self._follow("GET", url, "*/*", basic if known else "")
        if response.status == 403:
            raise Refused("needs-login")
        with _successful(response):
            body = b"".join(self._pieces(connection, response, 1 << 17))
        try:
            answer = json.loads(body)
            token = answer.get("token") or answer["access_token"]
            if not _TOKEN.fullmatch(token):
                raise Refused("refused")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Refused("refused") from None
        return f"Bearer {token}"


def _successful(response: http.client.HTTPResponse) -> http.client.HTTPResponse:
    if response.status == 200:
        return response
    response.close()
    raise refusal(response.status, str(response.headers.get("Retry-After")))


def _media_type(response: http.client.HTTPResponse) -> str:
    """The declared type where it is one of a manifest; empty otherwise."""
    declared = str(response.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    return declared if declared in (*INDEXES, *IMAGES) else ""


class Handler(BaseHTTPRequestHandler):
    """Answers crane, and ``/size/<digest>`` and ``/read`` to the script around it."""

    source: Source

    def do_HEAD(self) -> None:
        """What ``do_GET`` would answer, without its body."""
        self.do_GET()

    def do_GET(self) -> None:
        """A manifest, a blob or a number; 403 or 404 where the source is not read any further."""
        with suppress(OSError):  # crane has hung up
            try:
                with self.source.answering(self.path):
                    self._answer()
            except Refused as refused:
                self._send(404 if refused.code == "not-found" else 403)

    def _answer(self) -> None:
        found = _REQUEST.fullmatch(self.path)
        if self.path == "/v2/":
            self._send(200)
        elif self.path.startswith("/size/"):
            self._send(200, str(self.source.size(self.path[6:])).encode())
        elif self.path == "/read":
            self._send(200, str(self.source.read).encode())
        elif not found:
            self._send(404)
        elif found[1] == "blobs":
            pieces = iter(()) if self.command == "HEAD" else self.source.blob(found[2])
            first = next(pieces, b"")
            self._head(200, self.source.blob_size(found[2]), "application/octet-stream", found[2])
            self.wfile.write(first)
            for piece in pieces:
                self.wfile.write(piece)
        else:
            head = self.source.head(found[2]) if self.command == "HEAD" else None
            if head:
                self._head(200, head[2], head[1], head[0])
            else:
                manifest = self.source.manifest(found[2])
                self._send(200, manifest.body, manifest.media_type, manifest.digest)

    def _send(self, status: int, body: bytes = b"", media_type: str = "", digest: str = "") -> None:
        self._head(status, len(body), media_type, digest)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, size: int, media_type: str = "", digest: str = "") -> None:
        if getattr(self, "_begun", False):
            raise BrokenPipeError  # in the middle of a body: ends the connection
        self._begun = True
        self.send_response_only(status)
        self.send_header("Content-Length", str(size))
        if digest:
            self.send_header("Content-Type", media_type)
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a path has text of others in it."""


def main(arguments: list[str], connect: Connect = connected, bounds: Bounds | None = None) -> None:
    """Answers until standard input ends."""
    reference, logins, reason, seconds = arguments
    host, _, rest = reference.partition("/")
    repository = re.split("[:@]", rest)[0]
    login = json.loads(Path(logins).read_text("utf-8")).get(host.lower(), {})

    def told(failure: Refused | None) -> None:
        pause = "-" if failure is None or failure.pause is None else failure.pause
        Path(reason).write_text(f"{failure.code} {pause}\n" if failure else "", "utf-8")

    within = replace(bounds or Bounds(), seconds=float(seconds))
    try:
        Handler.source = Source(host, repository, login, within, connect, told)
    except (Refused, ValueError):  # such as a port above 65535
        told(Refused("unreachable"))
        return
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # crane's names have neither capitals nor colons, and 255 characters at most.
        name = re.sub("[^a-z0-9._/-]", "-", f"{host}/{repository}".lower())[-200:].lstrip("/")
        sys.stdout.write(f"127.0.0.1:{server.server_address[1]}/{name}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
