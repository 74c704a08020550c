"""The meaning of crane's failures: whether another attempt may help, and a sentence for people.

crane's last line, ``Error: ...``, has the registry's error codes, or the HTTP status where there
are none (go-containerregistry pkg/v1/remote/transport/error.go), or an error of Go's net package.
"""

from __future__ import annotations

import re

_QUERY = re.compile(r"(https?://[^\s?\"]+)\?[^\s\"]*")
_HOST = re.compile(r"https?://([^/\s]+)/")
_WRITING = re.compile(r"\b(?:POST|PUT|PATCH) https?://")
_STATUS = re.compile(r"unexpected status code (\d{3})")
_CODE = re.compile(r"(?<=: )[A-Z][A-Z_]{3,}(?=: )")

_ABSENT = {"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "404"}
_DENIED = {"UNAUTHORIZED", "DENIED", "401", "403"}
_BUSY = {"TOOMANYREQUESTS", "429"}
# Codes that every attempt gets again (distribution-spec, "Error Codes"). An unknown code counts as
# a disturbance: a needless attempt costs a minute, a missing one a failed image.
_FINAL = {
    *("BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "NAME_INVALID", "TAG_INVALID"),
    *("UNSUPPORTED", "400", "405"),
}
_NETWORK = {
    "connection reset": "the connection was reset",
    "broken pipe": "the connection broke",
    "connection refused": "the connection is refused",
    "no such host": "the host name is not known",
    "timeout": "there was no answer in time",
    "EOF": "the connection broke",
    "certificate": "its certificate is not trusted",
}


class CraneFailed(Exception):
    """A failure of crane; the message is the end of a sentence about an image."""


class Absent(CraneFailed):
    """The registry has no such image."""


class Disturbed(CraneFailed):
    """Another attempt may succeed: rate limit (429), 5xx, or a broken connection."""


class Stopped(Exception):
    """The whole run is being stopped; the image did not fail."""


def failure(last_line: str) -> CraneFailed:
    """The meaning of crane's last line, without queries of URLs, which may contain signatures."""
    text = _QUERY.sub(r"\1", last_line.removeprefix("Error: ").strip())
    codes = {*_CODE.findall(text), *_STATUS.findall(text)}
    match = _HOST.search(text)
    host = match[1] if match else "the registry"
    if codes & _ABSENT:
        if _WRITING.search(text):
            return CraneFailed(f"cannot be written: {host} has no such repository")
        return Absent("is not there")
    if codes & _DENIED:
        # Docker Hub and Quay give this answer also for images that do not exist.
        return CraneFailed(f"is refused by {host}: log in there with the right to it, if it exists")
    if "error getting credentials" in text:
        return CraneFailed("gets no login: the credential helper of your Docker config fails")
    if codes & _FINAL or "could not parse reference" in text:
        return CraneFailed(f"is refused: {text}")
    return Disturbed(_disturbance(text, codes))


def _disturbance(text: str, codes: set[str]) -> str:
    if codes & _BUSY:
        return "is asked for too often (429; a `docker login` may allow more)"
    for status in sorted(filter(str.isdigit, codes)):
        return f"gets the answer {status}"
    for part, sentence in _NETWORK.items():
        if part in text:
            return f"cannot be reached: {sentence}"
    return f"fails: {text or 'crane printed nothing'}"
