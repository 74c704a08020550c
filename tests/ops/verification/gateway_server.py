"""What stands behind the gateway: oauth2-proxy, Dex and the dashboard, as their sources say.

oauth2-proxy/oauth2-proxy v7.15.2 oauthproxy.go (``Proxy``, ``SignInPage``, ``doOAuthStart``,
``OAuthCallback``) with the rendered configuration (a page before the login, API paths answered 401,
PKCE, relative redirects); dexidp/dex v2.45.1 server/handlers.go and web/templates/password.html;
kubeflow/dashboard v2.0.0 components/centraldashboard/app/api_workgroup.ts.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.services.tunnels import served

SESSION, CSRF = "oauth2_proxy_kubeflow", "oauth2_proxy_kubeflow_csrf"
REDIRECT = "/oauth2/callback"
_SIGN_IN = """<!DOCTYPE html><html><head><title>Sign In</title><style>body {{}}</style></head><body>
<form method="GET" action="/oauth2/start"><input type="hidden" name="rd" value="{rd}">
<button type="submit" class="button">Sign in with Dex</button></form>
<script>if (window.location.hash) {{}}</script></body></html>"""
_PASSWORD = """<h2 class="theme-heading">Log in to Your Account</h2>
  <form method="post" action="{action}">
    <input tabindex="1" required id="login" name="login" type="text" value="{email}"/>
    <input tabindex="2" required id="password" name="password" type="password"/>
    {invalid}
    <button tabindex="3" id="submit-login" type="submit">Login</button>
  </form>"""


@dataclass
class Gateway:
    """The servers, and what is wrong with them.

    Attributes:
        passwords: e-mail address -> password.
        namespaces: e-mail address -> those the dashboard shows.
        provider: host of an identity provider that Dex sends to; empty: it has its own passwords.
        open: whether everything is answered without a login.
        keeps_cookies: whether sessions survive; without, oauth2-proxy asks again and again.
        takes_any: whether Dex takes any password.
        dex: status of Dex; 200: it works.
        callback: status of oauth2-proxy's callback; 302: it works.
        known_as: who the dashboard takes everybody for; empty: who they are.
        artifacts: key -> text of an artifact in the profile ``alice``.
        artifact_status: instead of an artifact.
        asked: method and path of each request, without its query.
    """

    passwords: dict[str, str]
    namespaces: dict[str, list[str]]
    provider: str = ""
    open: bool = False
    keeps_cookies: bool = True
    takes_any: bool = False
    dex: int = 200
    callback: int = 302
    known_as: str = ""
    artifacts: dict[str, str] = field(default_factory=dict[str, str])
    artifact_status: int = 200
    asked: list[str] = field(default_factory=list[str])
    states: dict[str, str] = field(default_factory=dict[str, str])
    """CSRF cookie -> state."""
    requests: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    """ID of a request to Dex -> its parameters."""
    codes: dict[str, str] = field(default_factory=dict[str, str])
    sessions: dict[str, str] = field(default_factory=dict[str, str])
    port: int = 0


@contextmanager
def serving(gateway: Gateway) -> Generator[Gateway]:
    """Serves on a free port until the end of the block."""

    class Handler(_Handler):
        state = gateway

    with served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        gateway.port = server.server_address[1]
        yield gateway


class _Handler(BaseHTTPRequestHandler):
    state: Gateway

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if self.headers.get("Content-Type") != "application/x-www-form-urlencoded":
            self._send(415, "unsupported media type")
            return
        self._answer(_single(self.rfile.read(length).decode()))

    def _answer(self, form: dict[str, str]) -> None:
        asked = urlsplit(self.path)
        query = _single(asked.query)
        self.state.asked.append(f"{self.command} {asked.path}")
        if asked.path.startswith("/dex/"):
            self._dex(asked.path, query, form)
        elif asked.path.startswith("/oauth2/"):
            self._oauth2(asked.path, query)
        else:
            self._protected(asked.path, query)

    # -- oauth2-proxy ---------------------------------------------------------------------------

    def _protected(self, path: str, query: dict[str, str]) -> None:
        email = self.state.sessions.get(self._cookies().get(SESSION, ""), "")
        if not email and not self.state.open:
            if path.startswith(("/api/", "/apis/")) or "/apis/" in path:
                self._send(401, "{}", "application/json")
            else:
                self._send(403, _SIGN_IN.format(rd=path), clear=True)
            return
        self._behind(path, query, email)

    def _oauth2(self, path: str, query: dict[str, str]) -> None:
        if path == "/oauth2/start":
            nonce, state = secrets.token_hex(8), secrets.token_hex(8)
            self.state.states[nonce] = state
            sent = {
                "client_id": "kubeflow-oidc-authservice",
                "redirect_uri": REDIRECT,
                "response_type": "code",
                "scope": "profile email groups openid",
                "state": f"{state}:{query.get('rd', '/')}",
                "code_challenge": secrets.token_urlsafe(32),
                "code_challenge_method": "S256",
            }
            self._redirect(302, f"/dex/auth?{urlencode(sent)}", {CSRF: nonce})
            return
        if path != REDIRECT:
            self._send(404, "not found")
            return
        state, _, there = query.get("state", "").partition(":")
        if self.state.states.get(self._cookies().get(CSRF, "")) != state:
            self._send(403, "Login Failed: Unable to find a valid CSRF token. Please try again.")
            return
        email = self.state.codes.pop(query.get("code", ""), "")
        if not email or self.state.callback != 302:
            # redeemCode: Dex does not take the secret of the client.
            status = 500 if self.state.callback == 302 else self.state.callback
            self._send(status, "<h1>Internal Server Error</h1><p>Oops!</p>")
            return
        session = secrets.token_urlsafe(32)
        self.state.sessions[session] = email
        cookies = {SESSION: session} if self.state.keeps_cookies else {}
        if not self.state.keeps_cookies:
            there = f"/oauth2/start?{urlencode({'rd': there})}"
        self._redirect(302, there, cookies)

    # -- Dex ------------------------------------------------------------------------------------

    def _dex(self, path: str, query: dict[str, str], form: dict[str, str]) -> None:
        state = self.state
        if state.dex != 200:
            self._send(state.dex, "no healthy upstream")
        elif path == "/dex/auth":
            self._redirect(302, f"/dex/auth/local?{urlencode(query)}", {})
        elif path == "/dex/auth/local":
            if query.get("redirect_uri") != REDIRECT or not query.get("client_id"):
                self._send(400, "Bad Request: Unregistered redirect_uri")
                return
            if state.provider:
                self._redirect(302, f"https://{state.provider}/authorize?client_id=x", {})
                return
            known = next(iter(self._kept()), "")
            if known:
                # A session of Dex, which finishes without a form.
                self._finish(query, known)
                return
            request = secrets.token_hex(8)
            state.requests[request] = query
            self._redirect(
                302, f"/dex/auth/local/login?{urlencode({'back': '', 'state': request})}", {}
            )
        elif path == "/dex/auth/local/login":
            self._login(query, form)
        else:
            self._send(404, "404 page not found")

    def _kept(self) -> list[str]:
        return list(self.state.sessions.values()) if not self.state.keeps_cookies else []

    def _login(self, query: dict[str, str], form: dict[str, str]) -> None:
        sent = self.state.requests.get(query.get("state", ""))
        if sent is None:
            self._send(400, "Bad Request: Requested resource does not exist.")
            return
        action = self.path.replace("&", "&amp;")
        if self.command == "GET":
            self._send(200, _PASSWORD.format(action=action, email="", invalid=""))
            return
        email = form.get("login", "")
        known = self.state.passwords.get(email)
        if known is None or (form.get("password") != known and not self.state.takes_any):
            invalid = '<div id="login-error">Invalid Email Address and password.</div>'
            self._send(401, _PASSWORD.format(action=action, email=email, invalid=invalid))
            return
        del self.state.requests[query["state"]]
        self._finish(sent, email)

    def _finish(self, sent: dict[str, str], email: str) -> None:
        code = secrets.token_hex(12)
        self.state.codes[code] = email
        self._redirect(303, f"{REDIRECT}?{urlencode({'code': code, 'state': sent['state']})}", {})

    # -- what is behind -------------------------------------------------------------------------

    def _behind(self, path: str, query: dict[str, str], email: str) -> None:
        if path == "/api/workgroup/env-info":
            user = self.state.known_as or email or "anonymous@kubeflow.org"
            bindings = [
                {"user": user, "namespace": each, "role": "owner"}
                for each in self.state.namespaces.get(email, [])
            ]
            told = {"user": user, "platform": {}, "namespaces": bindings, "isClusterAdmin": False}
            self._send(200, json.dumps(told), "application/json")
        elif path == "/":
            self._send(200, "<title>Kubeflow Central Dashboard</title>")
        elif path == "/pipeline/artifacts/get":
            self._artifact(query, email)
        else:
            self._send(404, "not found")

    def _artifact(self, query: dict[str, str], email: str) -> None:
        if self.state.artifact_status != 200:
            said = "RBAC: access denied" if self.state.artifact_status == 403 else "Access Denied"
            self._send(self.state.artifact_status, said)
            return
        if query.get("namespace") not in self.state.namespaces.get(email, []):
            self._send(403, "RBAC: access denied")
        elif query.get("source") != "s3" or query.get("key") not in self.state.artifacts:
            self._send(500, "Failed to get object in bucket: NoSuchKey")
        else:
            self._send(200, self.state.artifacts[query["key"]], "text/plain")

    # -- HTTP -----------------------------------------------------------------------------------

    def _cookies(self) -> dict[str, str]:
        given = self.headers.get("Cookie", "")
        pairs = (part.strip().partition("=") for part in given.split(";") if part.strip())
        return {name: value for name, _, value in pairs}

    def _redirect(self, status: int, location: str, cookies: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Location", location)
        for name, value in cookies.items():
            self.send_header("Set-Cookie", f"{name}={value}; Path=/; HttpOnly")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(
        self, status: int, text: str, kind: str = "text/html", *, clear: bool = False
    ) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if clear:
            self.send_header("Set-Cookie", f"{SESSION}=; Path=/; Max-Age=0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        del format, args


def _single(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
