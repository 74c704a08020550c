"""A small HTTP server that answers like a Kubernetes API server: lists, by field selector."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

TOKEN = "of-the-test"
Lists = dict[str, list[Mapping[str, Any]]]
_Api = TypeVar("_Api", bound="ApiOfLists")


@dataclass
class ApiOfLists:
    """What is served, by path; what is not here is 404.

    Attributes:
        lists: path -> the items of the list.
        refusals: path -> the status it answers with instead.
        asked: paths with their queries, in order.
        texts: path -> what a pod answers through the server's proxy.
        objects: path -> one object; without its content where only its metadata is accepted.
        accepted: paths with what a client accepts, in order.
        adds: tolerations it gives to a new pod; nothing new is kept.
        methods: of HTTP that were used.
    """

    lists: Lists
    refusals: dict[str, int] = field(default_factory=dict[str, int])
    asked: list[tuple[str, dict[str, str]]] = field(
        default_factory=list[tuple[str, dict[str, str]]]
    )
    texts: dict[str, str] = field(default_factory=dict[str, str])
    adds: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    objects: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    accepted: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    methods: set[str] = field(default_factory=set[str])
    url: str = ""

    def answer(
        self, path: str, query: dict[str, str], token: str, body: dict[str, Any] | None = None
    ) -> tuple[int, Any]:
        self.asked.append((path, query))
        if token != f"Bearer {TOKEN}":
            return 401, {"kind": "Status"}
        if path in self.refusals:
            return self.refusals[path], {"kind": "Status"}
        if body is not None:
            assert query == {"dryRun": "All"}
            return 201, {**body, "spec": {**body["spec"], "tolerations": self.adds}}
        if path == "/version":
            return 200, {"gitVersion": "v1.35.2-eks-1234567"}
        return self.stored(path, query.get("fieldSelector"))

    def changed(
        self, method: str, path: str, query: dict[str, str], body: dict[str, Any], kind: str
    ) -> tuple[int, Any]:
        """A request that would change something."""
        del query, body, kind
        raise AssertionError(f"{method} {path}")

    def stored(self, path: str, selector: str | None) -> tuple[int, Any]:
        if path in self.texts:
            return 200, self.texts[path]
        if path in self.objects:
            metadata_alone = "as=PartialObjectMetadata" in self.accepted[-1][1]
            whole = self.objects[path]
            return 200, {"metadata": whole["metadata"]} if metadata_alone else whole
        if path not in self.lists:
            return 404, {"kind": "Status"}
        return 200, {"items": [item for item in self.lists[path] if selects(selector, item)]}


def selects(selector: str | None, obj: Mapping[str, Any]) -> bool:
    """A field selector of one ``path=value`` or ``path!=value``."""
    if selector is None:
        return True
    path, _, value = selector.partition("=")
    found: Any = obj
    for part in path.removesuffix("!").split("."):
        found = found.get(part, "")
    return (found == value) != path.endswith("!")


@contextmanager
def serving(api: _Api) -> Generator[_Api]:
    """Serves on a free port of this machine until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.do_GET(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def do_PATCH(self) -> None:
            self.do_POST()

        def do_DELETE(self) -> None:
            self.do_GET({})

        def do_GET(self, sent: dict[str, Any] | None = None) -> None:
            api.methods.add(self.command)
            asked = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(asked.query).items()}
            token = self.headers.get("Authorization", "")
            api.accepted.append((asked.path, self.headers.get("Accept", "")))
            if sent is None or query.get("dryRun"):
                status, body = api.answer(asked.path, query, token, sent)
            else:
                kind = self.headers.get("Content-Type", "")
                status, body = api.changed(self.command, asked.path, query, sent, kind)
            content = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def kubeconfig(folder: Path, server: str, token: str = TOKEN) -> Path:
    """A kubeconfig file for a server."""
    path = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": {"token": token}}],
    }
    path.write_text(json.dumps(content))
    return path
