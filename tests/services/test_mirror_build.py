"""What a build copies, between two real registries and by the real crane.

The install phase only runs as far as its refusal: what it accepts is one archive from GitHub, and
no test has a network. So ``crane`` lies where that phase would have put it, in the version that
``ops.crane`` builds from source.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from components.mirror.buildspec import CRANE_SHA256
from tests.services.build_machine import PREFIX, BuildMachine, specification
from tests.services.copied_images import await_until
from tests.services.disturbances import HANG, Way, healthy, way_to
from tests.services.registry import INDEX, Registry


def arrived_whole(own: Registry, upstream: Registry, name: str, tag: str, digest: str) -> None:
    """The copy is the source, byte by byte, and so is everything that belongs to it."""
    found = own.manifest(f"{PREFIX}/{name}", tag)
    assert found == upstream.manifest(name, digest)
    assert found is not None
    assert found[0] == digest
    parts = [found[1]]
    if found[1]["mediaType"] == INDEX:
        parts = []
        for member in found[1]["manifests"]:
            part = own.manifest(f"{PREFIX}/{name}", member["digest"])
            assert part is not None, member
            parts.append(part[1])
    for part in parts:
        for blob in (part["config"], *part["layers"]):
            assert len(own.blob(f"{PREFIX}/{name}", blob["digest"])) == blob["size"]


def test_an_archive_of_another_sum_is_not_installed(machine: BuildMachine, tool: Path) -> None:
    archive = machine.folder / "crane.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tool, "crane")
    curl = machine.folder / "programs" / "curl"
    curl.write_text(
        '#!/bin/bash\nwhile [ "$1" != --output ]; do shift; done\ncp "$MACHINE/crane.tar.gz" "$2"\n'
    )
    curl.chmod(0o755)
    goal = machine.folder / "installed"
    goal.mkdir()
    done = machine.install(CRANE_DIR=str(goal))
    assert done.returncode != 0
    assert "computed checksum did NOT match" in done.stderr
    assert list(goal.iterdir()) == []
    assert specification()["env"]["variables"]["CRANE_SHA256"] == CRANE_SHA256


def test_an_index_and_a_chart_are_copied_whole_in_one_build(
    machine: BuildMachine, own: Registry, upstream: Registry
) -> None:
    index = upstream.push("whole/index", "v1", ("amd64", "arm64"), layers=2)
    chart = upstream.push_chart("whole/chart", "1.2.3")
    sources = [f"{upstream.host}/whole/index:v1", f"{upstream.host}/whole/chart:1.2.3"]
    done = machine.copy(
        (sources[0], machine.target("whole/index:v1")),
        (sources[1], machine.target("whole/chart:1.2.3")),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"ok {sources[0]} {index}", f"ok {sources[1]} {chart}"]
    arrived_whole(own, upstream, "whole/index", "v1", index)
    arrived_whole(own, upstream, "whole/chart", "1.2.3", chart)


def test_a_digest_is_copied_although_its_tag_has_moved_on(
    machine: BuildMachine, own: Registry, upstream: Registry
) -> None:
    asked = upstream.push("moved", "v1", ("amd64",), layers=1)
    later = upstream.push("moved", "v1", ("arm64",), layers=1)
    assert asked != later
    tag = f"digest-{asked.replace(':', '-')}"
    source = f"{upstream.host}/moved:v1@{asked}"
    done = machine.copy((source, machine.target(f"moved:{tag}")))
    assert done.stdout == f"ok {source} {asked}\n", done.stderr
    arrived_whole(own, upstream, "moved", tag, asked)


def test_what_is_there_already_is_neither_read_nor_written(
    machine: BuildMachine, tool: Path, own: Registry, upstream: Registry, tmp_path: Path
) -> None:
    digest = upstream.push("again", "v1", ("amd64", "arm64"), layers=1)
    first = machine.copy((f"{upstream.host}/again:v1", machine.target("again:v1")))
    assert first.returncode == 0, first.stderr
    with way_to(upstream.host) as source, way_to(own.host) as target:
        second = BuildMachine.set_up(tmp_path / "second", tool, target.host)
        done = second.copy((f"{source.host}/again:v1", second.target("again:v1")))
        assert done.stdout == f"ok {source.host}/again:v1 {digest}\n", done.stderr
        methods = {line.split()[0] for line in source.seen + target.seen}
        assert methods <= {"HEAD", "GET"}
        assert not [line for line in source.seen + target.seen if "/blobs/" in line]


def test_a_tag_that_moved_upstream_moves_here(
    machine: BuildMachine, own: Registry, upstream: Registry
) -> None:
    pair = (f"{upstream.host}/moving:v1", machine.target("moving:v1"))
    upstream.push("moving", "v1", ("amd64",))
    assert machine.copy(pair).returncode == 0
    digest = upstream.push("moving", "v1", ("arm64",))
    assert machine.copy(pair).stdout == f"ok {pair[0]} {digest}\n"
    arrived_whole(own, upstream, "moving", "v1", digest)


def test_a_build_that_is_ended_half_way_is_done_by_the_next_one(
    machine: BuildMachine, own: Registry, upstream: Registry
) -> None:
    names = ("ended/first", "ended/second")
    digests = [upstream.push(name, "v1", ("amd64", "arm64"), layers=2) for name in names]

    def fault(method: str, path: str) -> str | None:
        return HANG if method == "GET" and "/ended/second/blobs/" in path else None

    with way_to(upstream.host, fault) as way:
        pairs = [(f"{way.host}/{name}:v1", machine.target(f"{name}:v1")) for name in names]
        with machine.copying(*pairs) as end:
            await_until(lambda: hanging(way), "the second copy hangs")
            end()
        held = [own.digest(f"{PREFIX}/{name}", "v1") for name in names]
        assert held == [digests[0], None]
        way.fault, already = healthy, len(way.seen)
        done = machine.copy(*pairs)
        assert done.returncode == 0, done.stderr
        assert not [line for line in way.seen[already:] if "/ended/first/blobs/" in line]
    for name, digest in zip(names, digests, strict=True):
        arrived_whole(own, upstream, name, "v1", digest)


def test_one_platform_of_an_index_is_an_image_of_its_own(
    machine: BuildMachine, own: Registry, upstream: Registry
) -> None:
    upstream.push("platform/index", "v1", ("amd64", "arm64"), layers=1)
    chart = upstream.push_chart("platform/chart", "1.2.3")
    index = upstream.manifest("platform/index", "v1")
    assert index is not None
    amd64, arm64 = (member["digest"] for member in index[1]["manifests"])
    names = ("platform/index:v1", "platform/chart:1.2.3")
    sources = [f"{upstream.host}/{name}" for name in names]
    targets = [machine.target(name) for name in names]
    done = machine.copy(*zip(sources, targets, strict=True), PLATFORM="linux/arm64")
    assert done.stdout.splitlines() == [f"ok {sources[0]} {arm64}", f"ok {sources[1]} {chart}"]
    arrived_whole(own, upstream, "platform/index", "v1", arm64)
    assert own.digest(f"{PREFIX}/platform/index", amd64) is None
    arrived_whole(own, upstream, "platform/chart", "1.2.3", chart)


def test_an_index_that_is_asked_for_by_digest_stays_whole(
    machine: BuildMachine, own: Registry, upstream: Registry
) -> None:
    digest = upstream.push("pinned", "v1", ("amd64", "arm64"), layers=1)
    source = f"{upstream.host}/pinned@{digest}"
    done = machine.copy((source, machine.target("pinned:pin")), PLATFORM="linux/arm64")
    assert done.stdout == f"ok {source} {digest}\n", done.stderr
    arrived_whole(own, upstream, "pinned", "pin", digest)


def hanging(way: Way) -> bool:
    return any(line.startswith("GET /v2/ended/second/blobs/") for line in way.seen)
