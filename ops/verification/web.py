"""Requests over HTTP to a port of this machine, as a browser and as a program send them."""

from __future__ import annotations

import json as json_of
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlencode
from urllib.request import (
    HTTPCookieProcessor,
    HTTPErrorProcessor,
    ProxyHandler,
    Request,
    build_opener,
)

Form = Mapping[str, str]
_SECONDS = 30


class NoConnection(Exception):
    """Nothing answers; the message is the reason.

    Attributes:
        refused: nothing was sent.
    """

    def __init__(self, reason: str, *, refused: bool) -> None:
        super().__init__(reason)
        self.refused = refused


@dataclass(frozen=True)
class Answer:
    """An answer, whatever its status."""

    status: int
    text: str
    location: str = ""

    @property
    def json(self) -> Any:
        """The body; None where it is no JSON."""
        try:
            return json_of.loads(self.text)
        except ValueError:
            return None


class _AnyStatus(HTTPErrorProcessor):
    """Redirects and errors are answers like others."""

    def http_response(self, request: Request, response: Any) -> Any:
        del request
        return response


def request(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    json: object = None,
    form: Form | None = None,
    cookies: CookieJar | None = None,
) -> Answer:
    """One request; a redirect is an answer, and no proxy of the environment is used.

    Args:
        url: of a port of this machine.
        method: of HTTP.
        headers: beside those of the body.
        json: the body, as JSON.
        form: the body, as a form of HTML.
        cookies: sent, and taken from the answer.

    Raises:
        NoConnection
    """
    sent = dict(headers or {})
    body: bytes | None = None
    if form is not None:
        body, sent["Content-Type"] = (
            urlencode(form).encode(),
            "application/x-www-form-urlencoded",
        )
    elif json is not None:
        body, sent["Content-Type"] = json_of.dumps(json).encode(), "application/json"
    jar = CookieJar() if cookies is None else cookies
    opener = build_opener(ProxyHandler({}), _AnyStatus(), HTTPCookieProcessor(jar))
    asked = Request(url, body, sent, method=method)  # noqa: S310 - of this machine
    try:
        with opener.open(asked, timeout=_SECONDS) as answer:
            text: str = answer.read().decode(errors="replace")
            return Answer(answer.status, text, answer.headers.get("Location") or "")
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        refused = isinstance(reason, ConnectionRefusedError)
        raise NoConnection(str(reason) or type(error).__name__, refused=refused) from None
