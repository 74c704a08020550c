"""Certificates for servers on this machine, made by OpenSSL's own program."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """Two PEM files of a server; a client trusts ``certificate``."""

    certificate: Path
    key: Path


def self_signed(folder: Path) -> Certificate:
    """``tls.crt`` and ``tls.key`` in ``folder``, new each time, for 127.0.0.1 and for two days.

    Raises:
        OSError: there is no ``openssl``.
        subprocess.CalledProcessError: it failed.
    """
    made = Certificate(folder / "tls.crt", folder / "tls.key")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=admission"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(made.key), "-out", str(made.certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return made
