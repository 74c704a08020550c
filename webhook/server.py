"""The in-cluster transport: ``python -m webhook.server`` answers AdmissionReviews over HTTPS.

``POST /admit`` takes an AdmissionReview, ``GET /livez`` and ``GET /readyz`` are for probes. One
thread per connection: the API server sends one request at a time over each (HTTP/1.1) and keeps
some open. SIGTERM stops accepting, answers what is under way and ends.

Besides ``service.Environment``: ``MIRROR_PORT`` (8443), ``MIRROR_CERTIFICATE`` and ``MIRROR_KEY``,
PEM files (``/tls/tls.crt`` and ``/tls/tls.key``, the names in a Secret of type kubernetes.io/tls).
"""

# ruff: noqa: ARG002  (arguments are the standard library's)

from __future__ import annotations

import logging
import os
import signal
import ssl
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from webhook import service
from webhook.connection import Connection, Ending, Limits
from webhook.serving_certificate import ServingCertificate

log = logging.getLogger(__name__)


class AdmissionServer(ThreadingMixIn, TCPServer):
    """Serves one decision: ``serve_forever`` until ``shutdown``, then ``server_close``.

    Args:
        address: host and port; port 0 takes a free one, see ``server_address``.
        certificate: what the server shows.
        decide: judges the decoded body of a request; called from several threads at once.
        limits: what one client may take.

    Raises:
        OSError: the address cannot be had.
    """

    allow_reuse_address = True
    # Of connections that wait to be accepted: the API server opens one for each pod that is made
    # at the same moment.
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        certificate: ServingCertificate,
        decide: service.Decide,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(address, Connection)
        self.decide = decide
        self.limits = limits or Limits()
        self.ending = Ending()
        self._certificate = certificate
        self._free = threading.BoundedSemaphore(self.limits.connections)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for each connection, as many as there may be; one more is closed."""
        if not self._free.acquire(blocking=False):
            log.warning("closed a connection: there are %d already", self.limits.connections)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads can be had
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The handshake is made here and not in ``accept``, where one client would hold up all."""
        try:
            request.settimeout(self.limits.request_seconds)
            secured = self._certificate.context().wrap_socket(request, server_side=True)
        except OSError:
            self.handle_error(request, client_address)
            self.shutdown_request(request)
        else:
            super().process_request_thread(secured, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs the kind: the text of an exception, or a traceback, may quote what was sent."""
        failure = sys.exc_info()[1]
        reason = f" {failure.reason}" if isinstance(failure, ssl.SSLError) else ""
        log.info("lost a connection: %s%s", type(failure).__name__, reason)

    def server_close(self) -> None:
        """Stops listening, ends idle connections, returns when all others have their answer."""
        # First, so that whoever sees a connection end can not open another one here.
        self.socket.close()
        self.ending.begin()
        super().server_close()
        self.ending.close()


def from_environment(variables: Mapping[str, str]) -> AdmissionServer:
    """The server of a pod, listening on all its addresses.

    Raises:
        KeyError, ValueError: as ``service.Environment.read``.
        OSError: certificate, key or port cannot be had.
    """
    certificate = ServingCertificate(
        Path(variables.get("MIRROR_CERTIFICATE", "/tls/tls.crt")),
        Path(variables.get("MIRROR_KEY", "/tls/tls.key")),
    )
    decide = service.decision(service.Environment.read(variables))
    port = int(variables.get("MIRROR_PORT", "8443"))
    return AdmissionServer(("", port), certificate, decide)


def serve_until_told(server: AdmissionServer) -> None:
    """Serves until SIGTERM or SIGINT; only in the main thread, as signals go there."""

    def stop(_number: int, _frame: object) -> None:
        # Not from here: shutdown waits for the loop that this handler interrupts.
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    log.info("listening on port %d", server.server_address[1])
    server.serve_forever()
    server.server_close()
    log.info("ended")


def main() -> None:
    """Runs the server that the environment describes; exits with 2 where it describes none."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    try:
        server = from_environment(os.environ)
    except (KeyError, ValueError, OSError) as wrong:
        log.error("cannot start: %s: %s", type(wrong).__name__, wrong)
        sys.exit(2)
    serve_until_told(server)


if __name__ == "__main__":
    main()
