"""The certificate of the in-cluster server: two files that somebody else renews at any time."""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path

log = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


class ServingCertificate:
    """A certificate and its key; a changed file is used from the next connection on.

    The kubelet swaps all files of a mounted Secret at once by a symbolic link (kubernetes.io docs,
    "Mounted Secrets are updated automatically"), so that names stay and what they lead to changes.
    Files that do not fit each other, or cannot be read, leave the last good pair in use.

    Args:
        certificate: PEM, the server's own first.
        key: PEM, without a passphrase.

    Raises:
        OSError: a file cannot be read, or the two are no certificate and key (``ssl.SSLError``).
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._lock = threading.Lock()
        self._stamp = self._stamped()
        self._refused: _Stamp | None = None
        self._context = self._loaded()

    def context(self) -> ssl.SSLContext:
        """What a new connection is wrapped with."""
        with self._lock:
            try:
                # Before loading: files that change meanwhile are then looked at once more.
                stamp = self._stamped()
                if stamp != self._stamp:
                    self._context, self._stamp = self._loaded(), stamp
                    log.info("using the renewed certificate")
            except OSError as failure:
                self._complain(failure)
            return self._context

    def _complain(self, failure: OSError) -> None:
        """Once per state of the files, not once per connection."""
        try:
            stamp = self._stamped()
        except OSError:
            stamp = ()
        if stamp != self._refused:
            self._refused = stamp
            log.error("the certificate cannot be renewed: %s", type(failure).__name__)

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        # An empty passphrase makes an encrypted key an error; without one OpenSSL asks a terminal.
        context.load_cert_chain(*self._files, password="")
        return context

    def _stamped(self) -> _Stamp:
        found = [path.stat() for path in self._files]
        return tuple((each.st_mtime_ns, each.st_ino, each.st_size) for each in found)
