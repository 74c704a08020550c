"""GitHub's and GitLab's APIs as far as docs/ci/comment.py uses them, and refuses what they refuse.

GitHub: docs.github.com, REST API 2022-11-28, "Issue comments", "Issues", "Pull requests",
"Artifacts", "Rate limits", "Troubleshooting" (User-Agent). Bodies come back with CRLF. GitLab:
docs.gitlab.com, "Notes API", "Issues API", "Users API".
"""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "token-of-the-job"
SHA = "0123456789abcdef0123456789abcdef01234567"
RUN = 77
OURS = "github-actions[bot]"


class Answer(Exception):
    def __init__(self, status: int, body: Any, **headers: str) -> None:
        self.status, self.body, self.headers = status, body, headers


def archive(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return stream.getvalue()


@dataclass
class State:
    """What the forge has, and how it answers.

    Args:
        root: URL of the API.
        pulls: open pull requests: number -> ``owner:branch``, SHA.
        comments: in order, of every pull request or merge request; ``number`` says of which.
        issues: in order.
        artifact: the zip of the run; None: there is none.
        expired: whether the run is so old that the zip is listed only.
        readonly: whether the token may only read, as that of a fork's run.
        refusals: answers that come before any other, one per call.
        calls: method and path of each call.
    """

    root: str = ""
    pulls: dict[int, tuple[str, str]] = field(default_factory=lambda: {7: ("zhang:topic", SHA)})
    comments: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    issues: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    artifact: bytes | None = None
    expired: bool = False
    readonly: bool = False
    refusals: list[Answer] = field(default_factory=list[Answer])
    calls: list[str] = field(default_factory=list[str])

    def changed(self) -> list[str]:
        return [call for call in self.calls if not call.startswith("GET")]


class _Handler(BaseHTTPRequestHandler):
    state: State

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _handle(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        data = self.rfile.read(length)
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.state.calls.append(f"{self.command} {url.path}")
        try:
            if url.path == "/storage":
                # Azure's storage refuses a signed URL that comes with another authorization.
                if self.headers.get("authorization"):
                    raise Answer(400, {"message": "InvalidAuthenticationInfo"})
                self._send(200, self.state.artifact or b"")
                return
            if self.state.refusals:
                raise self.state.refusals.pop(0)
            body = json.loads(data) if data else {}
            self._send(*self.answer(self.command, url.path, query, body))
        except Answer as answer:
            self._send(answer.status, answer.body, **answer.headers)

    do_GET = do_POST = do_PATCH = do_PUT = _handle  # noqa: N815 - the server's names

    def answer(
        self, method: str, path: str, query: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, Any]:
        raise NotImplementedError

    def page(self, rows: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
        size, number = min(int(query.get("per_page", 30)), 100), int(query.get("page", 1))
        return rows[(number - 1) * size : number * size]

    def _send(self, status: int, body: Any, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _GitHub(_Handler):
    def answer(  # noqa: PLR0911, PLR0912, PLR0915 - one branch per call
        self, method: str, path: str, query: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, Any]:
        state = self.state
        if not self.headers.get("user-agent"):
            raise Answer(403, {"message": "Request forbidden by administrative rules."})
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            raise Answer(401, {"message": "Bad credentials"})
        if method != "GET" and state.readonly:
            raise Answer(403, {"message": "Resource not accessible by integration"})
        if method != "GET" and len(str(body.get("body", ""))) > 65_536:
            error = {"field": "data", "message": "Body is too long (maximum is 65536 characters)"}
            raise Answer(422, {"message": "Validation Failed", "errors": [error]})
        if not path.startswith("/repos/acme/platform/"):
            raise Answer(404, {"message": "Not Found"})
        rest = path.removeprefix("/repos/acme/platform/")
        if method == "GET" and rest == "pulls":
            # A head without an owner is ignored by GitHub: every pull request comes.
            wanted = query.get("head", "")
            rows = [
                {"number": number, "head": {"sha": sha, "label": label}}
                for number, (label, sha) in state.pulls.items()
                if ":" not in wanted or wanted == label
            ]
            return 200, self.page(rows, query)
        if method == "GET" and rest == f"actions/runs/{RUN}/artifacts":
            url = f"{state.root}/repos/acme/platform/actions/artifacts/1/zip"
            rows = [{"name": "kf-plan", "archive_download_url": url, "expired": state.expired}]
            found = rows if state.artifact is not None else []
            return 200, {"total_count": len(found), "artifacts": found}
        if method == "GET" and rest == "actions/artifacts/1/zip":
            if state.expired:
                raise Answer(410, {"message": "Artifact has expired"})
            raise Answer(302, b"", location=f"{state.root}/storage?signature=1")
        if comments := re.fullmatch(r"issues/(\d+)/comments", rest):
            number = int(comments[1])
            if number not in state.pulls:
                raise Answer(404, {"message": "Not Found"})
            if method == "GET":
                rows = [each for each in state.comments if each["number"] == number]
                return 200, self.page(rows, query)
            made = {"id": len(state.comments) + 1, "number": number, "user": {"login": OURS}}
            state.comments.append({**made, "body": self._stored(body)})
            return 201, made
        if method == "PATCH" and (comment := re.fullmatch(r"issues/comments/(\d+)", rest)):
            found = [each for each in state.comments if each["id"] == int(comment[1])]
            if not found:
                raise Answer(404, {"message": "Not Found"})
            found[0]["body"] = self._stored(body)
            return 200, found[0]
        if rest == "issues" and method == "GET":
            rows = [each for each in state.issues if each["state"] == query["state"]]
            return 200, self.page(rows, query)
        if rest == "issues" and method == "POST":
            if not body.get("title"):
                raise Answer(422, {"message": "Validation Failed"})
            made = {"number": 100 + len(state.issues), "user": {"login": OURS}, "state": "open"}
            state.issues.append({**made, "title": body["title"], "body": self._stored(body)})
            return 201, made
        if method == "PATCH" and (issue := re.fullmatch(r"issues/(\d+)", rest)):
            found = [each for each in state.issues if each["number"] == int(issue[1])]
            if not found:
                raise Answer(404, {"message": "Not Found"})
            found[0].update({name: value for name, value in body.items() if name != "body"})
            if "body" in body:
                found[0]["body"] = self._stored(body)
            return 200, found[0]
        raise Answer(404, {"message": "Not Found"})

    def _stored(self, body: dict[str, Any]) -> str:
        if not str(body.get("body", "")).strip():
            raise Answer(422, {"message": "Validation Failed"})
        return str(body["body"]).replace("\n", "\r\n")


class _GitLab(_Handler):
    def answer(  # noqa: PLR0911, PLR0912 - one branch per call
        self, method: str, path: str, query: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, Any]:
        state = self.state
        if self.headers.get("private-token") != TOKEN:
            raise Answer(401, {"message": "401 Unauthorized"})
        if method != "GET" and state.readonly:
            raise Answer(403, {"message": "403 Forbidden"})
        if (method, path) == ("GET", "/user"):
            return 200, {"id": 5, "username": "project_42_bot"}
        if not path.startswith("/projects/42/"):
            raise Answer(404, {"message": "404 Project Not Found"})
        rest = path.removeprefix("/projects/42/")
        if rest == "merge_requests/7/notes":
            if method == "GET":
                return 200, self.page(state.comments, query)
            if not str(body.get("body", "")).strip():
                raise Answer(400, {"message": "400 Bad request - Note {:note=>[can't be blank]}"})
            made = {"id": len(state.comments) + 1, "author": {"id": 5}, "body": body["body"]}
            state.comments.append(made)
            return 201, made
        if method == "PUT" and (note := re.fullmatch(r"merge_requests/7/notes/(\d+)", rest)):
            found = [each for each in state.comments if each["id"] == int(note[1])]
            if not found or found[0]["author"]["id"] != 5:
                raise Answer(404 if not found else 403, {"message": "no"})
            found[0]["body"] = body["body"]
            return 200, found[0]
        if rest == "issues" and method == "GET":
            rows = [each for each in state.issues if each["state"] == query["state"]]
            return 200, self.page(rows, query)
        if rest == "issues" and method == "POST":
            if not body.get("title"):
                raise Answer(400, {"message": "title is missing"})
            made = {"iid": 1 + len(state.issues), "author": {"id": 5}, "state": "opened", **body}
            state.issues.append(made)
            return 201, made
        if method == "PUT" and (issue := re.fullmatch(r"issues/(\d+)", rest)):
            found = [each for each in state.issues if each["iid"] == int(issue[1])]
            if not found:
                raise Answer(404, {"message": "404 Not found"})
            found[0].update(body)
            if body.get("state_event") == "close":
                found[0]["state"] = "closed"
            return 200, found[0]
        raise Answer(404, {"message": "404 Not Found"})


@contextmanager
def _served(handler: type[_Handler]) -> Generator[State]:
    state = State()
    bound = type("Bound", (handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), bound)
    state.root = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def github() -> Any:
    """A server of the repository acme/platform."""
    return _served(_GitHub)


def gitlab() -> Any:
    """A server of the project 42 with the merge request 7."""
    return _served(_GitLab)
