"""What the guard of a source makes of a registry's answers, as pure functions.

Runs on the build machine, like ``guard``.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
IMAGES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
# go-containerregistry pkg/v1/types/types.go IsDistributable: what crane leaves where it is.
NOT_COPIED = (
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
)
# IANA's registries of special-purpose addresses; ``is_global`` of Python 3.9 is of another year.
# Of IPv6 only 2000::/3 is given out: the rest has what maps to IPv4 (::ffff:0:0/96, 64:ff9b::/96).
SPECIAL = [
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
        *("::/3", "4000::/2", "8000::/1"),
    )
]
SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
ADDRESS = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_CHALLENGE = re.compile(
    r'''\b(Bearer|Basic)(?=\s|$)|(?<!\w)(\w{1,32})="([^"]*)"|"[^"]*"''', re.IGNORECASE
)
LONGEST_PAUSE = 120


class Refused(Exception):
    """The source is not read any further.

    Args:
        code: of ``webhook.copy_reasons``.
        pause: seconds until another attempt may succeed; None: none will.
    """

    def __init__(self, code: str, pause: int | None = None) -> None:
        super().__init__(code)
        self.code, self.pause = code, pause


@dataclass(frozen=True)
class Bounds:
    """What one image may take.

    Attributes:
        seconds: in all.
        wait: seconds that the head of an answer, or a piece of a body, may be waited for.
        piece: bytes of a body, after which the waiting counts from zero again.
        small: bytes of a manifest, or of a configuration, which crane has in memory.
        held: bytes of all manifests.
        manifests: of an index, with those of its members.
        parts: layers of an image, or members of an index.
        size: bytes of an image with all its members.
        redirects: one after the other.
        tries: of one request, each of which failed for a reason that may pass.
    """

    seconds: float = 2400.0
    wait: float = 30.0
    piece: int = 1 << 20
    small: int = 4 << 20
    held: int = 32 << 20
    manifests: int = 300
    parts: int = 500
    size: int = 100 << 30
    redirects: int = 5
    tries: int = 10


@dataclass(frozen=True)
class Manifest:
    """A manifest as the registry gave it, and what it consists of: digest -> declared bytes.

    Attributes:
        subject: digest of the manifest that it is attached to; empty: of none.
    """

    body: bytes
    digest: str
    media_type: str
    members: dict[str, int]
    blobs: dict[str, int]
    subject: str


def is_public(address: str) -> bool:
    """Whether an address belongs to a host of the internet, of which anybody may ask anything."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not any(parsed in network for network in SPECIAL if network.version == parsed.version)


def origin(url: str, ports: tuple[int, ...] = (443,)) -> tuple[str, int]:
    """Host and port of a URL that may be asked: by HTTPS, without a login, at one of the ports.

    Raises:
        Refused: it is another URL.
    """
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme == "https" and ADDRESS.fullmatch(parts.netloc) and len(url) < 1 << 14:
            host, port = parts.hostname or "", parts.port or 443
            if port in ports and all("!" <= letter <= "~" for letter in url):
                return host, port
    raise Refused("unsafe-redirect")


def challenge(headers: list[str]) -> tuple[str, dict[str, str]]:
    """The scheme and the parameters of the challenge to answer (RFC 7235): Bearer before Basic."""
    # One header may have several; a scheme is a word before another, outside of quotes.
    found: dict[str, dict[str, str]] = {}
    for header in headers:
        parameters: dict[str, str] = {}
        for scheme, name, value in _CHALLENGE.findall(header):
            if scheme:
                parameters = found.setdefault(scheme.lower(), {})
            elif name:
                parameters.setdefault(name.lower(), value)
    for wanted in ("bearer", "basic"):
        if wanted in found:
            return wanted, found[wanted]
    raise Refused("needs-login")


def refusal(status: int, retry_after: str) -> Refused:
    """What another status than 200 amounts to."""
    if status == 429 or status >= 500:
        seconds = int(retry_after) if re.fullmatch("[0-9]{1,9}", retry_after) else 0
        code = "rate-limited" if status == 429 else "unavailable"
        return Refused(code, seconds if seconds <= LONGEST_PAUSE else None)
    codes = {401: "needs-login", 403: "refused", 404: "not-found", 410: "not-found"}
    return Refused(codes.get(status, "refused" if status >= 400 else "no-image"))


def parsed(body: bytes, declared_type: str, bounds: Bounds) -> Manifest:
    """A manifest, read as strictly as Go reads it loosely: of keys it ignores the case.

    Raises:
        Refused: it is no image or index, too large, or has layers at URLs of their own, which crane
            would follow (go-containerregistry pkg/v1/remote/image.go, ``Compressed``).
    """
    try:
        document = json.loads(body.decode(), object_pairs_hook=_folded, parse_constant=_no_constant)
        media_type = declared_type or document.get("mediatype")
        lists = [document.get(key) or [] for key in ("manifests", "layers")]
        config = document.get("config")
        parts = [part for each in lists for part in each] + ([config] if config else [])
        if media_type not in (*INDEXES, *IMAGES):
            raise Refused("no-image")
        # What may be read as either is neither (CVE-2021-41190).
        index = media_type in INDEXES
        if lists[index] or bool(lists[0]) is not index or bool(config) is index:
            raise Refused("no-image")
        if max(map(len, lists)) > bounds.parts:
            raise Refused("too-large")
        _typed(document)
        subject = document.get("subject") or {}
        _typed(subject)
        attached_to = str(subject["digest"]) if subject else ""
        members: dict[str, int] = {}
        blobs: dict[str, int] = {}
        for part in parts:
            digest, size, kind = part["digest"], part["size"], part.get("mediatype")
            _typed(part)
            _typed(part.get("platform") or {})
            if not SHA256.fullmatch(digest) or type(size) is not int or size < 0:
                raise Refused("no-image")
            if size == 0 and digest != sha256(b""):
                raise Refused("wrong-digest")
            data = part.get("data")
            if data is not None and sha256(base64.b64decode(data, validate=True)) != digest:
                raise Refused("wrong-digest")
            if kind in NOT_COPIED:
                continue
            if part.get("urls"):
                raise Refused("unsafe-redirect")
            held = members if kind in (*INDEXES, *IMAGES) else blobs
            if held.setdefault(digest, size) != size:
                raise Refused("wrong-digest")
            if size > (bounds.small if held is members or part is config else bounds.size):
                raise Refused("too-large")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Refused("no-image") from None
    return Manifest(body, sha256(body), media_type, members, blobs, attached_to)


def _no_constant(_: str) -> None:
    raise Refused("no-image")  # NaN, which is no JSON


# go-containerregistry pkg/v1/manifest.go and platform.go, in lower case.
_TYPES: dict[str, type] = {
    **dict.fromkeys(("mediatype", "artifacttype", "architecture", "os", "os.version"), str),
    "variant": str,
    "schemaversion": int,
    **dict.fromkeys(("layers", "manifests", "urls", "features", "os.features"), list),
    **dict.fromkeys(("config", "subject", "platform", "annotations"), dict),
}


def _typed(part: dict[str, Any]) -> None:
    """Refuses what Go's parser refuses, which would look like a fault of the target."""
    for name, kind in _TYPES.items():
        value = part.get(name)
        if value is not None and type(value) is not kind:
            raise Refused("no-image")
    texts = [each for name in ("urls", "features", "os.features") for each in part.get(name) or ()]
    texts += (part.get("annotations") or {}).values()
    if not all(isinstance(each, (str, type(None))) for each in texts):
        raise Refused("no-image")
    if abs(part.get("schemaversion") or 0) >= 1 << 63:
        raise Refused("no-image")


def _folded(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    folded = {name.casefold(): value for name, value in pairs}
    if len(folded) != len(pairs):
        raise Refused("no-image")
    return folded


def sha256(content: bytes) -> str:
    """The digest of a content, as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
