"""The paths that admit a caller: a file that is renewed at any time.

EKS gives the API server no client certificate for webhooks: its credentials are in a file that
``--admission-control-config-file`` names (kubernetes.io
docs/reference/access-authn-authz/extensible-admission-controllers, "Authenticate API servers"), an
option that EKS does not have. A path in the webhook configuration is what the API server alone
knows.
"""

from __future__ import annotations

import hmac
import logging
import re
import threading
import time
from pathlib import Path

log = logging.getLogger(__name__)

_SECRET = re.compile(rb"/[a-z]+/[A-Za-z0-9]{32,}")
_LOOK_SECONDS = 1.0


class SecretPaths:
    """The paths in a file, one a line; a changed file is used within a second.

    After a rotation the file has the new path and the one before: replicas and webhook
    configuration change one after the other, and each pair of them has one path in common. A file
    that cannot be read leaves the last paths in use.

    Args:
        file: with one path or more.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is no path of ``/``, a word and 32 letters and digits at least.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._paths = self._read()
        self._next = time.monotonic() + _LOOK_SECONDS

    def admit(self, path: bytes) -> bool:
        """Whether a request for this path is answered, in a time that tells nothing of a path."""
        now = time.monotonic()
        if now >= self._next:
            with self._lock:
                self._next = now + _LOOK_SECONDS
                self._renew()
        # Each comparison takes place, whatever the ones before found.
        return sum(hmac.compare_digest(path, each) for each in self._paths) > 0

    def _renew(self) -> None:
        try:
            paths = self._read()
        except (OSError, ValueError) as failure:
            log.error("the paths cannot be renewed: %s", type(failure).__name__)
            return
        if paths != self._paths:
            self._paths = paths
            log.info("using the renewed paths")

    def _read(self) -> list[bytes]:
        paths = self._file.read_bytes().split()
        if not paths or not all(_SECRET.fullmatch(path) for path in paths):
            # Without the line: it is secret.
            raise ValueError(f"{self._file} has a line that is no secret path")
        return paths
