"""The proxy that is the only way from a program to the hosts of a test, and servers in a block."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from socket import create_connection
from socketserver import BaseServer, StreamRequestHandler, ThreadingTCPServer
from typing import TypeVar, cast

from tests.services.disturbances import pump

_IDLE_SECONDS = 60.0
_Server = TypeVar("_Server", bound=BaseServer)


class TunnelProxy(ThreadingTCPServer):
    """Opens tunnels to the hosts of ``ports``, and refuses every other.

    Attributes:
        url: of the proxy.
        hosts: asked for, refused ones included.
        ports: pattern of host names -> the local port that serves them.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.hosts, self.ports = list[str](), dict[str, int]()
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Tunnel(StreamRequestHandler):
    """One connection of a client, and the one to the service that belongs to it."""

    timeout = _IDLE_SECONDS

    def handle(self) -> None:
        proxy = cast("TunnelProxy", self.server)
        method, address, _ = self.rfile.readline().decode().split()
        while self.rfile.readline().strip():
            pass
        host, _, asked_port = address.rpartition(":")
        proxy.hosts.append(host)
        port = next((proxy.ports[name] for name in proxy.ports if fnmatchcase(host, name)), None)
        if (method, asked_port) != ("CONNECT", "443") or port is None:
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        with create_connection(("127.0.0.1", port), _IDLE_SECONDS) as service:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(service, self.connection), daemon=True)
            back.start()
            pump(self.connection, service)
            back.join(_IDLE_SECONDS)


@contextmanager
def served(server: _Server) -> Generator[_Server]:
    """Serves in a thread until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
