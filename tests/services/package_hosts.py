"""Mirrors of packages under their own host names, and the proxy that is the only way to them."""

from __future__ import annotations

import hashlib
import io
import ssl
import tarfile
import zipfile
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

from tests.services.certificates import Authority
from tests.services.tunnels import TunnelProxy, served

# As the hub describes a large file; the token is for another host, with the file's content
# (huggingface/huggingface_hub 2.4.0 utils/_xet.py, parse_xet_file_data_from_response).
_MODEL_FILE = {
    "ETag": '"0123"',
    "X-Repo-Commit": "0" * 40,
    "X-Xet-Hash": "1" * 64,
    "Link": '<https://hub.example/api/models/a/b/xet-read-token/0>; rel="xet-auth"',
}
Files = Mapping[str, bytes]
"""Path with its query -> what is there."""


class _Host(ThreadingHTTPServer):
    """One host over TLS; ``asked`` has each path."""

    daemon_threads = True

    def __init__(self, files: Files, certificate: tuple[Path, Path]) -> None:
        self.files, self.asked = files, list[str]()
        super().__init__(("127.0.0.1", 0), _Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.wfile.write(self._head())

    def do_HEAD(self) -> None:
        self._head()

    def _head(self) -> bytes:
        """Sends status and headers; the content is what follows."""
        host = cast("_Host", self.server)
        host.asked.append(self.path)
        content = host.files.get(self.path, b"")
        self.send_response(200 if self.path in host.files else 404)
        kind = "text/html" if self.path.endswith("/") else "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if "/resolve/" in self.path:
            for name, value in _MODEL_FILE.items():
                self.send_header(name, value)
        self.end_headers()
        return content

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads an access log."""


class PackageHosts:
    """The hosts, and what was asked of them.

    Attributes:
        proxy: URL of the proxy.
        authority: PEM file of the authority of all hosts.
    """

    def __init__(self, proxy: TunnelProxy, hosts: Mapping[str, _Host], authority: Path) -> None:
        self._proxy, self._hosts = proxy, hosts
        self.proxy = proxy.url
        self.authority = authority

    @property
    def by_proxy(self) -> set[str]:
        """The hosts that the proxy was asked for."""
        return set(self._proxy.hosts)

    def paths(self, host: str) -> list[str]:
        """The paths that a host was asked for."""
        return self._hosts[host].asked

    def forget(self) -> None:
        """What was asked so far."""
        self._proxy.hosts.clear()
        for host in self._hosts.values():
            host.asked.clear()


@contextmanager
def package_hosts(files: Mapping[str, Files], folder: Path) -> Generator[PackageHosts]:
    """Serves each host's files until the end of the block."""
    authority = Authority(folder)
    with ExitStack() as running:
        proxy = running.enter_context(served(TunnelProxy()))
        hosts: dict[str, _Host] = {}
        for name, content in files.items():
            place = folder / name
            place.mkdir()
            host = _Host(content, authority.sign(name, place))
            hosts[name] = running.enter_context(served(host))
            proxy.ports[name] = host.server_port
        yield PackageHosts(proxy, hosts, authority.file)


def wheel(name: str, version: str) -> bytes:
    """A package of Python with one empty module."""
    written = io.BytesIO()
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        tags = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{about}/WHEEL", tags)
        archive.writestr(f"{about}/RECORD", "")
    return written.getvalue()


def index(prefix: str, **versions: str) -> Files:
    """A simple index (PEP 503) below a path: name of each package -> its version."""
    files: dict[str, bytes] = {}
    for name, version in versions.items():
        file, content = f"{name}-{version}-py3-none-any.whl", wheel(name, version)
        link = f'<a href="{file}#sha256={hashlib.sha256(content).hexdigest()}">{file}</a>'
        files |= {f"{prefix}/{name}/": link.encode(), f"{prefix}/{name}/{file}": content}
    return files


def node_archive(name: str) -> bytes:
    """A package of npm."""
    written = io.BytesIO()
    manifest = f'{{"name": "{name}", "version": "1.0.0"}}'.encode()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/package.json")
        entry.size = len(manifest)
        archive.addfile(entry, io.BytesIO(manifest))
    return written.getvalue()
