"""Filling a lock with digests from a real registry: right, resumable, patient, and not for ever."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from images.reference import Reference, parse
from ops import crane as crane_module
from ops.crane import Crane, CraneFailed
from ops.lock_digests import add_digests, digest_of
from rendering import ImageUse
from rendering import lock as locks
from tests.services.registry import Registry, registry

SOURCES = ("docker.io/library/busybox:1.36", "quay.io/a/b:v1", "ghcr.io/c/d:v2")
# Of no bytes, which is what the server below sends.
DIGEST = f"sha256:{hashlib.sha256().hexdigest()}"


@pytest.fixture
def crane(tool: Path) -> Crane:
    return Crane(tool)


@pytest.fixture
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crane_module, "LONGEST_WAIT_SECONDS", 0)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Generator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def digests(mirror: Registry) -> dict[str, str]:
    """What the mirror holds, laid out as ours is: source -> digest."""
    found: dict[str, str] = {}
    for source in SOURCES:
        reference = parse(source)
        repository = f"kubeflow/{reference.mirrored_repository}"
        assert reference.tag is not None
        found[source] = mirror.push(repository, reference.tag, ("amd64", "arm64"))
    return found


def lock_of(*sources: str) -> locks.Lock:
    uses = [ImageUse(source, source, ("here",), "install") for source in sources]
    return locks.Lock(release="tiny", images=()).updated(uses)


def written(folder: Path) -> dict[str, str | None]:
    return {image.source: image.digest for image in locks.load(folder, "tiny").images}


def test_a_lock_gets_the_digest_of_the_whole_index(
    mirror: Registry, crane: Crane, digests: dict[str, str], tmp_path: Path
) -> None:
    ask = partial(digest_of, crane=crane, mirror=f"{mirror.host}/kubeflow")
    assert add_digests(tmp_path, lock_of(*SOURCES), ask) == {}
    assert written(tmp_path) == digests


def test_an_image_of_one_platform_has_the_digest_of_its_manifest(
    mirror: Registry, crane: Crane
) -> None:
    digest = mirror.push("kubeflow/quay.io/single", "v1")
    assert digest_of(parse("quay.io/single:v1"), crane, f"{mirror.host}/kubeflow") == digest


def test_the_registry_itself_is_asked_where_no_mirror_is_named(
    mirror: Registry, crane: Crane
) -> None:
    digest = mirror.push("direct", "v1")
    assert digest_of(parse(f"{mirror.host}/direct:v1"), crane) == digest


def test_what_is_not_there_is_told_and_the_rest_is_kept(
    mirror: Registry, crane: Crane, digests: dict[str, str], tmp_path: Path
) -> None:
    ask = partial(digest_of, crane=crane, mirror=f"{mirror.host}/kubeflow")
    failed = add_digests(tmp_path, lock_of(*SOURCES, "quay.io/absent:v1"), ask)
    assert failed == {"quay.io/absent:v1": "is not there"}
    assert written(tmp_path) == {**digests, "quay.io/absent:v1": None}


class Stopped(Exception):
    """The person at the terminal had enough."""


def test_a_run_that_is_stopped_goes_on_where_it_stopped(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(image: Reference) -> str:
        asked.append(str(image))
        if len(asked) == 2:
            raise Stopped
        return DIGEST

    with pytest.raises(Stopped):
        add_digests(tmp_path, lock_of(*SOURCES), ask, parallel=1)
    first = written(tmp_path)
    assert sorted(first.values(), key=str) == [None, None, DIGEST]
    add_digests(tmp_path, locks.load(tmp_path, "tiny"), ask, parallel=1)
    assert set(written(tmp_path).values()) == {DIGEST}
    done = next(source for source, digest in first.items() if digest)
    assert asked.count(done) == 1


def test_a_digest_in_the_reference_is_not_asked_for(crane: Crane) -> None:
    assert digest_of(parse(f"quay.io/a/b@{DIGEST}"), crane) == DIGEST


@contextmanager
def answering(*statuses: int) -> Generator[tuple[str, list[str]]]:
    """A registry that gives these answers in turn, the last one for ever; it waits for nobody."""
    left, seen = list(statuses), list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            status = 200
            if self.path != "/v2/":  # where a client asks how to log in
                seen.append(self.path)
                status = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            if status == 200:
                self.send_header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
                self.send_header("Docker-Content-Digest", DIGEST)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("busy", [(429,) * 2, (503, 429, 429), (500, 502, 503) * 2])
def test_a_busy_registry_is_queried_again(busy: tuple[int, ...], tool: Path, no_wait: None) -> None:
    with answering(*busy, 200) as (host, seen):
        assert digest_of(parse(f"{host}/app:v1"), Crane(tool)) == DIGEST
    assert len(seen) == len(busy) + 1


def test_the_queries_of_a_busy_registry_end(
    crane: Crane, no_wait: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crane_module, "ATTEMPTS", 3)
    with (
        answering(429) as (host, _),
        pytest.raises(CraneFailed, match=r"asked for too often .* also after 3 attempts"),
    ):
        digest_of(parse(f"{host}/app:v1"), crane)


def test_a_login_is_asked_for_and_not_tried_for_ever(crane: Crane) -> None:
    with answering(403) as (host, seen), pytest.raises(CraneFailed, match="log in there"):
        digest_of(parse(f"{host}/app:v1"), crane)
    assert seen == ["/v2/app/manifests/v1"] * 2  # crane asks with HEAD, then with GET
