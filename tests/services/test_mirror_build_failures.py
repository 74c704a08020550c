"""A build on bad days: patient with what passes, exact about what does not, silent about secrets.

Two real registries, and the real crane; see ``test_mirror_build``.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.services.build_machine import PREFIX, PUSH_KEY, ROLE_KEY, BuildMachine
from tests.services.disturbances import RESET, failing_at_first, way_to
from tests.services.registry import Registry, registry

# "AWS" with the passwords that the stand-in of aws makes of the two keys, by bcrypt.
USERS = {
    PUSH_KEY: "AWS:$2b$04$i9STpUjMN3L9pMoAJG3wBujmyKyVVBUQpptEvaUNIyXYlVETDzWrS",
    ROLE_KEY: "AWS:$2b$04$5tdhl9wf7GXO2i0QNOIpneQv3lRyZvO7QwMzFEanRfAoEv7mdtrNS",
}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("429 Too Many Requests", "rate-limited"),
        ("503 Service Unavailable", "unavailable"),
        (RESET, "unreachable"),
    ],
)
@pytest.mark.parametrize("path", ["(HEAD|GET) .*/manifests/", "GET .*/blobs/"])
def test_what_passes_is_tried_again(
    machine: BuildMachine, own: Registry, upstream: Registry, *, fault: str, code: str, path: str
) -> None:
    name = "patient/" + re.sub(r"[^a-z0-9]+", "-", f"{fault}{path}".lower()).strip("-")
    digest = upstream.push(name, "v1", ("amd64",))
    with way_to(upstream.host, failing_at_first(fault, 3, path)) as way:
        source = f"{way.host}/{name}:v1"
        done = machine.copy((source, machine.target(f"{name}:v1")))
    assert done.stdout == f"ok {source} {digest}\n", done.stderr
    assert f"attempt 1 of 5 failed: {code}" in done.stderr
    assert own.digest(f"{PREFIX}/{name}", "v1") == digest


def test_a_target_that_is_busy_is_tried_again(
    tool: Path, own: Registry, upstream: Registry, tmp_path: Path
) -> None:
    digest = upstream.push("busy", "v1", layers=1)
    # crane begins each of two uploads up to three times.
    with way_to(own.host, failing_at_first("429 Too Many Requests", 5, "PUT|POST|PATCH")) as way:
        machine = BuildMachine.set_up(tmp_path / "machine", tool, way.host)
        done = machine.copy((f"{upstream.host}/busy:v1", machine.target("busy:v1")))
    assert done.returncode == 0, done.stderr
    assert "attempt 1 of 5 failed: target-refused, status code 429" in done.stderr
    assert own.digest(f"{PREFIX}/busy", "v1") == digest


def test_each_failure_has_its_reason_and_the_other_images_arrive(
    machine: BuildMachine, own: Registry, upstream: Registry
) -> None:
    def fault(method: str, path: str) -> str | None:
        return "403 Forbidden" if "/mixed/forbidden/" in path else None

    digest = upstream.push("mixed/good", "v1", ("amd64", "arm64"), layers=1)
    upstream.push("mixed/forbidden", "v1")
    names = ("mixed/absent", "mixed/forbidden", "mixed/good")
    with way_to(upstream.host, fault) as way:
        pairs = [(f"{way.host}/{name}:v1", machine.target(f"{name}:v1")) for name in names]
        done = machine.copy(*pairs)
        absent, forbidden, good = done.stdout.splitlines()
        assert done.returncode == 1
        assert absent == f"failed {way.host}/mixed/absent:v1 not-found"
        assert forbidden == f"failed {way.host}/mixed/forbidden:v1 refused"
        assert good == f"ok {way.host}/mixed/good:v1 {digest}"
        # What is absent at first is absent at last.
        assert len([line for line in way.seen if "/mixed/absent/" in line]) == 1
    assert own.digest(f"{PREFIX}/mixed/good", "v1") == digest


def test_a_platform_that_is_not_offered_fails_at_once(
    machine: BuildMachine, own: Registry, upstream: Registry
) -> None:
    upstream.push("offered", "v1", ("amd64", "arm64"))
    pair = (f"{upstream.host}/offered:v1", machine.target("offered:v1"))
    done = machine.copy(pair, PLATFORM="linux/s390x")
    assert done.returncode == 1
    assert done.stdout == f"failed {pair[0]} no-such-platform\n"
    assert "attempt 2" not in done.stderr
    assert own.digest(f"{PREFIX}/offered", "v1") is None


def test_a_target_that_ends_with_another_digest_is_a_failure(
    tool: Path, own: Registry, upstream: Registry, tmp_path: Path
) -> None:
    digest = upstream.push("raced", "v1", layers=1)
    others: list[str] = []

    def another_writer(method: str, path: str) -> str | None:
        written = f"PUT /v2/{PREFIX}/raced/manifests/v1" in way.seen
        if written and method == "HEAD" and path.endswith("/manifests/v1") and not others:
            others.append(own.push(f"{PREFIX}/raced", "v1", ("arm64",)))
        return None

    with way_to(own.host, another_writer) as way:
        machine = BuildMachine.set_up(tmp_path / "machine", tool, way.host)
        target = machine.target("raced:v1")
        done = machine.copy((f"{upstream.host}/raced:v1", target))
    assert done.returncode == 1
    assert others
    assert done.stdout == f"failed {upstream.host}/raced:v1 target-refused\n"
    assert f"{target} is another image than {digest}" in done.stderr


@pytest.mark.parametrize("outside", ["other/x:v1", f"{PREFIX}/../other/x:v1", f"{PREFIX}-2/x:v1"])
def test_a_target_outside_the_registry_is_refused_and_nothing_is_copied(
    machine: BuildMachine, own: Registry, upstream: Registry, outside: str
) -> None:
    upstream.push("refused", "v1")
    source = f"{upstream.host}/refused:v1"
    inside = machine.target("refused:v1")
    done = machine.copy((source, inside), (source, f"{machine.registry}/{outside}"))
    assert (done.returncode, done.stdout) == (2, "")
    assert own.digest(f"{PREFIX}/refused", "v1") is None
    assert own.digest("other/x", "v1") is None


@pytest.fixture
def closed(request: pytest.FixtureRequest, tool: Path, tmp_path: Path) -> Generator[BuildMachine]:
    """A machine whose registry lets in who has the password made of the parameter."""
    folder = tmp_path / "closed"
    folder.mkdir()
    with registry(folder, users=USERS[request.param]) as running:
        yield BuildMachine.set_up(tmp_path / "machine", tool, running.host)


@pytest.mark.parametrize(
    ("closed", "secret"), [(ROLE_KEY, ""), (PUSH_KEY, "push")], indirect=["closed"]
)
def test_the_right_key_logs_in_and_is_not_shown(
    closed: BuildMachine, upstream: Registry, secret: str
) -> None:
    digest = upstream.push("closed", "v1", ("amd64",), layers=1)
    source = f"{upstream.host}/closed:v1"
    done = closed.copy((source, closed.target("closed:v1")), CREDENTIALS_SECRET=secret)
    assert done.stdout == f"ok {source} {digest}\n", done.stderr
    assert not secrets_in(done.stdout + done.stderr)


@pytest.mark.parametrize("closed", [PUSH_KEY], indirect=True)
def test_a_refused_login_is_told_without_the_key(closed: BuildMachine, upstream: Registry) -> None:
    upstream.push("locked", "v1")
    done = closed.copy((f"{upstream.host}/locked:v1", closed.target("locked:v1")))
    assert done.returncode == 1
    assert done.stdout == f"failed {upstream.host}/locked:v1 target-refused\n"
    assert "status code 401" in done.stderr
    assert not secrets_in(done.stdout + done.stderr)


def secrets_in(text: str) -> list[str]:
    return re.findall("secret-key-\\S*|secret-of-\\S*|password-of-\\S*", text)
