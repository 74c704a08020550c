"""STS, S3 and the API of ECR of one region, each at its own host names and nowhere else.

A program reaches them through ``HTTPS_PROXY``: a tunnel is opened to the hosts of the region and
refused to every other, and what is behind a host is one service of moto's, with TLS. So STS answers
no request for S3, nor S3 one for STS, as in AWS.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from socket import create_connection
from socketserver import BaseServer, StreamRequestHandler, ThreadingTCPServer
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any, TypeVar, cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from regions.region import Region
from tests.services.certificates import Authority
from tests.services.disturbances import pump

ACCOUNT = "123456789012"
"""moto's."""
_CREDENTIAL = re.compile(r"Credential=([^/]+)/")
_IDLE_SECONDS = 60.0


@dataclass(frozen=True)
class Asked:
    """One request: the service it reached, and the access key that signed it, if one did."""

    service: str
    method: str
    path: str
    key: str | None


@dataclass
class RegionalAws:
    """The running services.

    Attributes:
        region: of all.
        proxy: URL for ``HTTPS_PROXY``.
        authority: the PEM file that its clients must trust.
        hosts: to which a tunnel was asked for, refused ones included.
        requests: that reached a service.
    """

    region: Region
    proxy: str
    authority: Path
    hosts: list[str]
    requests: list[Asked] = field(default_factory=list[Asked])

    def client(self, service: str, key: str = "administrator") -> Any:
        """A client of botocore's own choice of host, signing with an access key."""
        return boto3.client(
            cast("Any", service),
            region_name=self.region.name,
            aws_access_key_id=key,
            aws_secret_access_key="test",
            verify=str(self.authority),
            config=Config(proxies={"https": self.proxy}, ignore_configured_endpoint_urls=True),
        )

    def forget(self) -> None:
        """Nothing has been asked so far."""
        self.hosts.clear()
        self.requests.clear()


Around = Callable[[str, WSGIApplication], WSGIApplication]
"""A service and its application -> what answers in its place."""


@contextmanager
def regional_aws(
    region: Region, folder: Path, around: Around = lambda _, app: app
) -> Generator[RegionalAws]:
    """Runs STS, S3 and ECR of ``region`` in this process until the end of the block.

    Args:
        region: of all three.
        folder: for certificates.
        around: what stands between the recorder and each service.
    """
    authority = Authority(folder)
    sts, s3, ecr = (region.service_host(service) for service in ("sts", "s3", "api.ecr"))
    dual_stack = s3.replace("s3.", "s3.dualstack.", 1)
    with ExitStack() as running:
        proxy = running.enter_context(_running(_Proxy()))
        url = f"http://127.0.0.1:{proxy.server_address[1]}"
        aws = RegionalAws(region, url, authority.file, proxy.hosts)
        hosts = {"sts": (sts,), "s3": (s3, f"*.{s3}", f"*.{dual_stack}"), "ecr": (ecr,)}
        for service, names in hosts.items():
            context = SSLContext(PROTOCOL_TLS_SERVER)
            place = folder / service
            place.mkdir()
            context.load_cert_chain(*authority.sign(names[0], place, *names[1:]))
            moto = cast("WSGIApplication", create_backend_app(cast("Any", service)))
            app = _recorded(service, around(service, moto), aws.requests)
            server = make_server(
                "127.0.0.1", 0, app, threaded=True, request_handler=_Quiet, ssl_context=context
            )
            proxy.ports |= dict.fromkeys(names, running.enter_context(_running(server)).port)
        yield aws


_Server = TypeVar("_Server", bound=BaseServer)


@contextmanager
def _running(server: _Server) -> Generator[_Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


class _Proxy(ThreadingTCPServer):
    """Opens tunnels.

    Attributes:
        hosts: asked for.
        ports: pattern of host names -> the local port that serves them.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.ports: dict[str, int] = {}
        super().__init__(("127.0.0.1", 0), _Tunnel)


class _Tunnel(StreamRequestHandler):
    """One connection of a client, and the one to the service that belongs to it."""

    timeout = _IDLE_SECONDS

    def handle(self) -> None:
        proxy = cast("_Proxy", self.server)
        host = self._asked()
        proxy.hosts.append(host)
        port = next((proxy.ports[name] for name in proxy.ports if fnmatchcase(host, name)), None)
        if port is None:
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        with create_connection(("127.0.0.1", port), _IDLE_SECONDS) as service:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(service, self.connection), daemon=True)
            back.start()
            pump(self.connection, service)
            back.join(_IDLE_SECONDS)

    def _asked(self) -> str:
        """The host of the CONNECT; its headers are read and thrown away."""
        method, address, _ = self.rfile.readline().decode().split()
        assert (method, address.rpartition(":")[2]) == ("CONNECT", "443")
        while self.rfile.readline().strip():
            pass
        return address.rpartition(":")[0]


class _Quiet(MotoRequestHandler):
    """Says nothing about each request."""

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


def _recorded(service: str, app: WSGIApplication, requests: list[Asked]) -> WSGIApplication:
    def record(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        requests.append(Asked(service, method, path, key_of(environ)))
        return app(environ, start)

    return record


def key_of(environ: WSGIEnvironment) -> str | None:
    """The access key that signed a request, if one did."""
    signed = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    return signed[1] if signed else None
