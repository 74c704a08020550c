"""Certificates of authorities in PEM form, as the database's clients get them.

No Pulumi: settings check a file, and a dynamic provider checks what it downloaded.
"""

from __future__ import annotations

import ssl

from settings.files import read_text
from settings.section import PROJECT

# A region's bundle has 5 KiB, that of all regions 165 KiB (truststore.pki.rds.amazonaws.com).
_MOST_BYTES = 1024 * 1024
_MOST_OWN_BYTES = 32 * 1024
"""Of a company's own: with the public ones they are one object of a profile. metacontroller keeps a
copy of it in an annotation (at most 256 KiB, k8s.io/apimachinery pkg/api/validation)."""
_OF_RDS = "use the region's bundle from the RDS user guide, UsingWithRDS.SSL"


def checked(text: str, way_out: str = _OF_RDS) -> str:
    """The text itself, if it contains certificates of an authority and no private key.

    Args:
        text: of a PEM file.
        way_out: what to do where it contains none.

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
        raise ValueError(f"it contains no certificate of an authority in PEM form: {way_out}")
    return text


def read(path: str) -> str:
    """The certificates in a file; ``path`` is relative to the project, or absolute.

    Raises:
        ValueError: as of :func:`checked`, also when there is no such text file.
    """
    return _read(path, _MOST_BYTES, _OF_RDS)


def read_own(path: str) -> str:
    """As :func:`read`, of a company's own authorities: fewer, and of no database."""
    return _read(path, _MOST_OWN_BYTES, "write the path of your authority's certificate")


def _read(path: str, most: int, way_out: str) -> str:
    try:
        return checked(read_text(PROJECT / path, most), way_out)
    except FileNotFoundError:
        raise ValueError(
            "there is no such file: write its path from the project's folder, or remove the line"
        ) from None
    except (OSError, UnicodeDecodeError):
        size = f" of at most {most // 1024} KiB" if most < _MOST_BYTES else ""
        reason = f"it cannot be read as a text file{size}: name a PEM file"
        raise ValueError(reason) from None
