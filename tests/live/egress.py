"""The network of the control plane: one proxy, through which kube-apiserver reaches Services.

It is configured by ``--egress-selector-config-file`` (HTTPConnect: kubernetes/enhancements KEP
1281), terminates TLS by the name in the request (SNI), and hands the request to the answerer of
that name. A Service answers while it has a ready endpoint; any other name is a connection that
breaks, as on a network.
"""

from __future__ import annotations

import base64
import json
import socketserver
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.cluster.admission_server import allowed
from tests.services.certificates import Authority

Response = tuple[int, str, bytes]
"""Status, content type, body."""
Answerer = Callable[[str, str, bytes], Response]
"""(method, path, body) -> response."""
Lookup = Callable[[str], "Answerer | None"]
"""Host name -> who answers there now; None: nobody."""
Pair = tuple[Path, Path]
"""Files of a certificate and of its private key."""


@dataclass
class Egress:
    """The proxy.

    Attributes:
        socket: of the proxy; by TCP kube-apiserver requires TLS to it.
        authority: signs the certificates, except where a Service has one of its own.
        lookup: host name -> its answerer; may be replaced while the proxy runs.
        pair_of: host name -> a certificate of the Service's own; None: one of ``authority``.
        answered: requests by ``host/path``.
        unanswered: connections that broke, by host.
    """

    folder: Path
    authority: Authority
    lookup: Lookup = lambda _host: None
    pair_of: Callable[[str], Pair | None] = lambda _host: None
    answered: Counter[str] = field(default_factory=Counter[str])
    unanswered: Counter[str] = field(default_factory=Counter[str])
    _pairs: dict[str, Pair] = field(default_factory=dict[str, Pair])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def socket(self) -> Path:
        return self.folder / "proxy.sock"

    def context(self, host: str) -> ssl.SSLContext:
        """The TLS context of a server called ``host``."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*(self.pair_of(host) or self._signed(host)))
        return tls

    def _signed(self, host: str) -> Pair:
        with self._lock:
            if host not in self._pairs:
                folder = self.folder / host
                folder.mkdir()
                self._pairs[host] = self.authority.sign(host, folder)
            return self._pairs[host]


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    # The kernel refuses who is beyond it at once (EAGAIN), and of webhooks there are bursts.
    request_queue_size = 1024


@contextmanager
def egress(folder: Path) -> Generator[Egress]:
    """Serves until the end of the block; certificates and the socket are in ``folder``."""
    proxy = Egress(folder, Authority(folder, "authority of a simulated cluster"))
    server = _Server(str(proxy.socket), _handler(proxy))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(proxy: Egress) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet
        host = ""
        answers: Answerer | None = None

        def do_CONNECT(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.flush()
            names: list[str] = []
            front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

            def named(connection: Any, name: str | None, _: ssl.SSLContext) -> None:
                names.append(name or "")
                connection.context = proxy.context(name or "unnamed")

            front.sni_callback = named
            try:
                self.connection = front.wrap_socket(self.connection, server_side=True)
            except OSError:
                self.close_connection = True
                return
            self.host = names[0] if names else ""
            self.rfile = self.connection.makefile("rb", self.rbufsize)
            self.wfile = self.connection.makefile("wb")
            self.close_connection = False

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answers = proxy.lookup(self.host)
            if answers is None:
                proxy.unanswered[self.host] += 1
                self.close_connection = True
                return
            proxy.answered[f"{self.host}{self.path.partition('?')[0]}"] += 1
            status, kind, answer = answers(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)
            self.wfile.flush()

        do_GET = _answer  # noqa: N815 - names of http.server
        do_HEAD = _answer  # noqa: N815
        do_POST = _answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads an access log."""

    return Handler


_NO_RESOURCES = json.dumps(
    {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "metrics.k8s.io/v1beta1",
        "resources": [],
    }
).encode()
"""What metrics-server serves, without its metrics."""


SIDECAR = {
    "name": "istio-proxy",
    "image": "registry.test/istio/proxyv2:of-the-tests",
    # As with istio-cni (istio/istio manifests/charts/istio-control/istio-discovery/files/
    # injection-template.yaml) and the values of release 26.03: namespaces of Kubeflow enforce the
    # Pod Security Standard restricted.
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsGroup": 1337,
        "runAsNonRoot": True,
        "runAsUser": 1337,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}


def admitting(_method: str, path: str, body: bytes) -> Response:
    """A webhook server that allows everything and converts by name only, or an empty API.

    Below ``/inject`` it is istiod's injector: every pod gets a second container
    (istio/istio pkg/kube/inject/webhook.go).
    """
    if not body:
        return 200, "application/json", _NO_RESOURCES
    answer = allowed(json.loads(body))
    if path.startswith("/inject"):
        patch = [{"op": "add", "path": "/spec/containers/-", "value": SIDECAR}]
        encoded = base64.b64encode(json.dumps(patch).encode()).decode()
        answer["response"] |= {"patchType": "JSONPatch", "patch": encoded}
    return 200, "application/json", json.dumps(answer).encode()
