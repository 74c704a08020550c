"""STS, S3 and the API of ECR of one region, each at its own host names and nowhere else.

A program reaches them through ``HTTPS_PROXY``: a tunnel is opened to the hosts of the region and
refused to every other, and what is behind a host is one service of moto's, with TLS. So STS answers
no request for S3, nor S3 one for STS, as in AWS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any, cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from regions.region import Region
from tests.services.certificates import Authority
from tests.services.tunnels import TunnelProxy, served

ACCOUNT = "123456789012"
"""moto's."""
_CREDENTIAL = re.compile(r"Credential=([^/]+)/")


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
        proxy = running.enter_context(served(TunnelProxy()))
        aws = RegionalAws(region, proxy.url, authority.file, proxy.hosts)
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
            proxy.ports |= dict.fromkeys(names, running.enter_context(served(server)).port)
        yield aws


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
