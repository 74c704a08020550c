"""Certificates of authorities in PEM form, as clients of the database are given them.

No Pulumi: settings check a file with it, and the dynamic provider what it downloaded.
"""

from __future__ import annotations

import ssl
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
"""The project's folder; paths in a stack file are relative to it."""


def checked(text: str) -> str:
    """The text itself, if it holds certificates of at least one authority and no private key.

    Raises ValueError with the second half of a sentence: what is wrong, then the way out.
    """
    if "PRIVATE KEY-----" in text:
        raise ValueError(
            "it holds a private key, and the cluster shows this file to everybody: "
            "leave only the certificates in it"
        )
    store = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # Bundles may have comments in any language; the parser takes ASCII only.
        store.load_verify_locations(cadata=text.encode("ascii", "ignore").decode())
    except (ssl.SSLError, ValueError):
        store = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not store.cert_store_stats()["x509_ca"]:
        raise ValueError(
            "it holds no certificate of an authority in PEM form: "
            "take the bundle of the region from the RDS user guide, UsingWithRDS.SSL"
        )
    return text


def read(path: str) -> str:
    """The certificates in a file; ``path`` is relative to the project, or absolute.

    Raises ValueError as :func:`checked` does, also when there is no such text file.
    """
    try:
        return checked((PROJECT / path).read_text("utf-8"))
    except FileNotFoundError:
        raise ValueError(
            "there is no such file: write its path from the project's folder, or remove the line"
        ) from None
    except (OSError, UnicodeDecodeError):
        raise ValueError("it cannot be read as a text file: name a PEM file") from None
