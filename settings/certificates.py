"""Certificates of authorities in PEM form, as the database's clients get them.

No Pulumi: settings check a file, and a dynamic provider checks what it downloaded.
"""

from __future__ import annotations

import ssl

from settings.files import read_text
from settings.section import PROJECT

# A region's bundle has 5 KiB, that of all regions 165 KiB (truststore.pki.rds.amazonaws.com).
_MOST_BYTES = 1024 * 1024


def checked(text: str) -> str:
    """The text itself, if it contains certificates of an authority and no private key.

    Raises:
        ValueError: with the reason and the way out.
    """
    if "PRIVATE KEY-----" in text:
        raise ValueError(
            "it contains a private key, and everybody in the cluster can read this file: "
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
            "it contains no certificate of an authority in PEM form: "
            "use the region's bundle from the RDS user guide, UsingWithRDS.SSL"
        )
    return text


def read(path: str) -> str:
    """The certificates in a file; ``path`` is relative to the project, or absolute.

    Raises:
        ValueError: as of :func:`checked`, also when there is no such text file.
    """
    try:
        return checked(read_text(PROJECT / path, _MOST_BYTES))
    except FileNotFoundError:
        raise ValueError(
            "there is no such file: write its path from the project's folder, or remove the line"
        ) from None
    except (OSError, UnicodeDecodeError):
        raise ValueError("it cannot be read as a text file: name a PEM file") from None
