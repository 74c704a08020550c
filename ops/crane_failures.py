"""What it means when crane fails: whether another attempt may help, and a sentence for people.

crane's last line, ``Error: ...``, carries the registry's error codes, or the status where there
were none (go-containerregistry pkg/v1/remote/transport/error.go), or what Go's network code says.
"""

from __future__ import annotations

import re

_QUERY = re.compile(r"(https?://[^\s?\"]+)\?[^\s\"]*")
_HOST = re.compile(r"https?://([^/\s]+)/")
_WRITING = re.compile(r"\b(?:POST|PUT|PATCH) https?://")
_STATUS = re.compile(r"unexpected status code (\d{3})")
_CODE = re.compile(r"(?<=: )[A-Z][A-Z_]{3,}(?=: )")

_ABSENT = {"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "404"}
_NO_RIGHT = {"UNAUTHORIZED", "DENIED", "401", "403"}
_BUSY = {"TOOMANYREQUESTS", "429"}
# Codes that say the same at every attempt (distribution-spec, "Error Codes"). What is not known
# passes for a disturbance: an attempt too many costs a minute, one too few a failed image.
_FINAL = {
    *("BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "NAME_INVALID", "TAG_INVALID"),
    *("UNSUPPORTED", "400", "405"),
}
_BROKEN = (
    ("connection reset", "the connection was reset"),
    ("broken pipe", "the connection broke"),
    ("connection refused", "the connection is refused"),
    ("no such host", "the host name is not known"),
    ("timeout", "there was no answer in time"),
    ("EOF", "the connection broke"),
    ("certificate", "its certificate is not trusted"),
)


class CraneFailed(Exception):
    """crane could not do it; the message is the end of a sentence about an image."""


class Absent(CraneFailed):
    """The registry has no such image."""


class Disturbed(CraneFailed):
    """It may work at the next attempt: asked too much (429), 5xx, or a connection that broke."""


class Stopped(Exception):
    """The whole run is being stopped; nothing is wrong with the image."""


def failure(said: str) -> CraneFailed:
    """What crane's last line means. Queries of URLs are cut: a signature may be in one."""
    text = _QUERY.sub(r"\1", said.removeprefix("Error: ").strip())
    told = {*_CODE.findall(text), *_STATUS.findall(text)}
    named = _HOST.search(text)
    host = named[1] if named else "the registry"
    if told & _ABSENT:
        if _WRITING.search(text):
            return CraneFailed(f"cannot be written: {host} has no such repository")
        return Absent("is not there")
    if told & _NO_RIGHT:
        # Of what does not exist, Docker Hub and Quay say that it is not for everybody.
        return CraneFailed(f"is refused by {host}: log in there with the right to it, if it exists")
    if "error getting credentials" in text:
        return CraneFailed("gets no login: the credential helper of your Docker config fails")
    if told & _FINAL or "could not parse reference" in text:
        return CraneFailed(f"is refused: {text}")
    return Disturbed(_passing(text, told))


def _passing(text: str, told: set[str]) -> str:
    if told & _BUSY:
        return "is asked for too often (429; a `docker login` may allow more)"
    for status in sorted(told):
        if status.isdigit():
            return f"gets the answer {status}"
    for sign, sentence in _BROKEN:
        if sign in text:
            return f"cannot be reached: {sentence}"
    return f"fails: {text}" if text else "fails: crane said nothing"
