"""A build that is told the digest of a source: two real registries, and the real crane."""

from __future__ import annotations

from tests.services.build_machine import PREFIX, BuildMachine
from tests.services.registry import Registry
from webhook import inventory

GONE = f"sha256:{'e' * 64}"


def test_a_tag_that_moved_is_copied_by_the_known_digest(
    upstream: Registry, own: Registry, machine: BuildMachine
) -> None:
    digest = upstream.push("known/moved", "v1", ("amd64", "arm64"), layers=1)
    upstream.push("known/moved", "v1", ("amd64",))
    source, target = f"{upstream.host}/known/moved:v1", f"{machine.target('known/moved')}:v1"
    done = machine.copy((source, f"{target}@{digest}"))
    assert (done.returncode, done.stdout) == (0, f"ok {source} {digest}\n"), done.stderr
    assert own.digest(f"{PREFIX}/known/moved", "v1") == digest
    # A copy of all platforms stays where one is copied by now.
    again = machine.copy((source, f"{target}@{digest}"), PLATFORM="linux/amd64")
    assert again.stdout == f"ok {source} {digest}\n"


def test_one_platform_is_picked_from_the_known_index(
    upstream: Registry, own: Registry, machine: BuildMachine
) -> None:
    digest = upstream.push("known/one", "v1", ("arm64", "amd64"), layers=1)
    index = upstream.manifest("known/one", digest)
    assert index is not None
    amd64 = index[1]["manifests"][1]["digest"]
    source, target = f"{upstream.host}/known/one:v1", f"{machine.target('known/one')}:v1@{digest}"
    done = machine.copy((source, target), PLATFORM="linux/amd64")
    assert (done.returncode, done.stdout) == (0, f"ok {source} {amd64}\n"), done.stderr
    assert own.digest(f"{PREFIX}/known/one", "v1") == amd64


def test_a_digest_that_only_the_tag_has_left_is_a_reason_of_its_own(
    upstream: Registry, own: Registry, machine: BuildMachine
) -> None:
    upstream.push("known/gone", "v1")
    source = f"{upstream.host}/known/gone:v1"
    done = machine.copy((source, f"{machine.target('known/gone')}:v1@{GONE}"), RETRY_SECONDS="0")
    assert (done.returncode, done.stdout) == (1, f"failed {source} wrong-digest\n"), done.stderr
    assert own.digest(f"{PREFIX}/known/gone", "v1") is None


def test_a_copy_of_the_platform_stays_whatever_its_tag_is_upstream(
    upstream: Registry, own: Registry, machine: BuildMachine
) -> None:
    upstream.push("known/kept", "v1", ("amd64",))
    before = own.push(f"{PREFIX}/known/kept", "v1")
    source, target = f"{upstream.host}/known/kept:v1", f"{machine.target('known/kept')}:v1"
    # The build knows copies by the names that they have below the prefix.
    kept = inventory.mark("known/kept:v1")
    done = machine.copy((source, target), KEPT=kept)
    assert (done.returncode, done.stdout) == (1, f"failed {source} kept-tag\n"), done.stderr
    assert own.digest(f"{PREFIX}/known/kept", "v1") == before
