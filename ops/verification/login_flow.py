"""A login as a browser goes through it: the gateway, oauth2-proxy or authservice, Dex, and back.

oauth2-proxy/oauth2-proxy v7.15.2 oauthproxy.go: without a session 403 and a page whose form leads
to /oauth2/start, or 302 there at once (``skip_provider_button``). dexidp/dex v2.45.1
server/handlers.go: the form has the fields ``login`` and ``password``; a wrong password is answered
with the form and status 401 (server/templates.go).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from urllib.parse import urljoin, urlsplit

from ops.verification.forward import Forward
from ops.verification.web import Answer, Form

_START = "/oauth2/start"
_MOST_REDIRECTS = 20
_REDIRECTS = (301, 302, 303, 307, 308)
_FORM = re.compile(r'<form[^>]*method="post"[^>]*action="(?P<action>[^"]*)"', re.IGNORECASE)
_FIELDS = re.compile(r'name="(login|password)"')
_MARKUP = re.compile(r"<(script|style|head)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_LONGEST = 160


class LoginFailed(Exception):
    """The login ended elsewhere; the message is a sentence without the way out."""


class WithoutLogin(LoginFailed):
    """The dashboard answers anybody."""


class Elsewhere(LoginFailed):
    """The login goes on at another host, an identity provider, where only a person goes on.

    Attributes:
        host: of the identity provider.
    """

    def __init__(self, host: str) -> None:
        super().__init__(f"the login goes on at {host}")
        self.host = host


class WrongPassword(LoginFailed):
    """Dex does not take this password."""


@dataclass
class Session:
    """What a browser has of a person: cookies.

    Attributes:
        cookies: those of the gateway.
    """

    cookies: CookieJar = field(default_factory=CookieJar)

    def get(self, forward: Forward, path: str) -> Answer:
        """One page, without following a redirect. Raises Refused: no answer."""
        return forward.request(path, cookies=self.cookies)

    def follow(self, forward: Forward, path: str, form: Form | None = None) -> tuple[str, Answer]:
        """The page at the end of all redirects, and its path.

        Args:
            forward: to the gateway.
            path: of the first page.
            form: sent to it.

        Raises:
            Elsewhere: a redirect leads to another host.
            LoginFailed: the redirects do not end.
            Refused: no answer.
        """
        seen: list[str] = []
        method = "GET" if form is None else "POST"
        answer = forward.request(path, method=method, form=form, cookies=self.cookies)
        while answer.status in _REDIRECTS and answer.location:
            seen.append(path)
            there = urlsplit(urljoin(f"{forward.url}{path}", answer.location))
            if there.netloc != urlsplit(forward.url).netloc:
                raise Elsewhere(there.netloc)
            path = there.path + (f"?{there.query}" if there.query else "")
            if len(seen) >= _MOST_REDIRECTS:
                raise LoginFailed(f"the login goes in a circle ({_circle(seen)})")
            answer = forward.request(path, cookies=self.cookies)
        return path, answer


def login_page(session: Session, forward: Forward) -> tuple[str, Answer]:
    """Dex's form, and its path.

    Raises:
        WithoutLogin: the dashboard comes.
        LoginFailed: another page comes, or none; Elsewhere as ``Session.follow``.
    """
    path, answer = session.follow(forward, "/")
    if answer.status == 200 and not _is_form(answer):
        raise WithoutLogin("the dashboard answers without a login (200 to / without a cookie)")
    if answer.status == 403 and _START in answer.text:
        path, answer = session.follow(forward, f"{_START}?rd=%2F")
    if not _is_form(answer):
        raise LoginFailed(f"there is no form to log in: {said(path, answer)}")
    return path, answer


def log_in(forward: Forward, email: str, password: str) -> Session:
    """The session of a person.

    Raises:
        WrongPassword: Dex refuses it.
        LoginFailed: the login does not end at the dashboard; Elsewhere as ``Session.follow``.
    """
    session = Session()
    path, page = login_page(session, forward)
    found = _FORM.search(page.text)
    action = found["action"].replace("&amp;", "&") if found else ""
    action = urljoin(path, action) if action else path
    path, answer = session.follow(forward, action, {"login": email, "password": password})
    if answer.status == 401 and _is_form(answer):
        raise WrongPassword("Dex refuses it (401)")
    if answer.status != 200 or _is_form(answer):
        raise LoginFailed(f"after the password comes no dashboard: {said(path, answer)}")
    return session


def said(path: str, answer: Answer) -> str:
    """Status, path without its query, which has codes of the login, and the text of a page."""
    text = " ".join(_MARKUP.sub(" ", answer.text).split())[:_LONGEST]
    return f"{urlsplit(path).path} answers {answer.status}{text and f' ({text})'}"


def _circle(seen: list[str]) -> str:
    """The paths from the last one back to where it was before; all of them if it was nowhere."""
    ways = [urlsplit(each).path for each in seen]
    before = [number for number, way in enumerate(ways[:-1]) if way == ways[-1]]
    return " -> ".join(ways[before[-1] :] if before else ways)


def _is_form(answer: Answer) -> bool:
    return set(_FIELDS.findall(answer.text)) == {"login", "password"}
