"""The certificate of the in-cluster server: two files that are renewed at any time."""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path

log = logging.getLogger(__name__)

_Stamp = list[tuple[int, int, int]]
"""Per file: time of its last change, inode, size."""


class ServingCertificate:
    """A certificate and its key; a changed file is used from the next connection on.

    The kubelet replaces all files of a mounted Secret at once by a symbolic link (kubernetes.io
    docs, "Mounted Secrets are updated automatically"). Files that do not fit each other, or cannot
    be read, leave the last valid pair in use.

    Args:
        certificate: PEM, the server's own first.
        key: PEM, without a passphrase.

    Raises:
        OSError: a file cannot be read, or the two are no certificate and key (``ssl.SSLError``).
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._lock = threading.Lock()
        self._failure: tuple[str, _Stamp] | None = None
        self._stamp = self._stamped()
        self._context = self._loaded()

    def context(self) -> ssl.SSLContext:
        """The TLS context of a new connection."""
        with self._lock:
            stamp: _Stamp = []
            try:
                # Before loading: a change during the load is then seen at the next connection.
                stamp = self._stamped()
                if stamp != self._stamp:
                    self._context, self._stamp = self._loaded(), stamp
                    log.info("using the renewed certificate")
                self._failure = None
            except OSError as error:
                failure = type(error).__name__, stamp
                if self._failure != failure:  # once per state of the files, not per connection
                    self._failure = failure
                    log.error("the certificate cannot be renewed: %s", failure[0])
            return self._context

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        # An empty passphrase makes an encrypted key an error; without one OpenSSL asks a terminal.
        context.load_cert_chain(*self._files, password="")
        return context

    def _stamped(self) -> _Stamp:
        status = [path.stat() for path in self._files]
        return [(file.st_mtime_ns, file.st_ino, file.st_size) for file in status]
