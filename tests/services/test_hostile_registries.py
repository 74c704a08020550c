"""The real copy script and the real crane before a registry that means harm, or is not well.

Builds copy all cases; each has to end in its bounds, with its own code, and without a trace of what
the registry wrote. Every address and every text is tried on the guard alone (``test_guard``).
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.services.build_machine import PREFIX, BuildMachine
from tests.services.hostile_registry import (
    ADDRESSES,
    CANARY,
    CASES,
    ELSEWHERE,
    NAME,
    TEXTS,
    Asked,
    HostileRegistry,
    bearer,
    digest,
    honest,
    hostile_registry,
    http,
    image,
    part,
    redirect,
    repository_of,
)
from tests.services.registry import Registry, registry
from webhook.copy_reasons import CopyReason

REQUEST = json.dumps({"imageTagMutability": "MUTABLE"})
BOUNDS: dict[str, float] = {"wait": 60, "piece": 30, "manifests": 10, "tries": 1}
SHORT = {**BOUNDS, "wait": 1.5}
"""Of those that are too slow: on a busy machine, others would be, too."""


@dataclass(frozen=True)
class Done:
    """What the build of all cases left behind."""

    codes: dict[str, str]
    rows: list[dict[str, Any]]
    repositories: list[str]
    shown: str
    touched: list[str]


NEVER_ENDS = "never ends"
TABLE = {
    **{name: case for name, case in CASES.items() if name != NEVER_ENDS},
    **dict(itertools.islice(ADDRESSES.items(), 0, None, 30)),
    **dict(itertools.islice(TEXTS.items(), 0, None, 5)),
}
TOO_SLOW = [name for name, case in TABLE.items() if case.code == "too-slow"]
OTHERS = [name for name in TABLE if name not in TOO_SLOW]
BUILDS = [(SHORT, TOO_SLOW), *((BOUNDS, OTHERS[first::5]) for first in range(5))]
"""Bounds and names of each."""


@pytest.fixture(scope="module")
def done(tool: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Several builds at once, for they mostly wait."""
    folder = tmp_path_factory.mktemp("hostile")
    with registry(folder) as own, hostile_registry() as hostile:
        count = range(len(BUILDS))
        machines = [BuildMachine.set_up(folder / str(n), tool, own.host) for n in count]

        def copy(
            machine: BuildMachine, build: tuple[dict[str, float], list[str]]
        ) -> subprocess.CompletedProcess[str]:
            bounds, names = build
            machine.admit(hostile.hosts, **bounds)
            sources = [hostile.source(repository_of(name)) for name in names]
            pairs = [(source, machine.target("x:v1")) for source in sources]
            return machine.copy(*pairs, TABLE="copies", NEW_REPOSITORY=REQUEST)

        with ThreadPoolExecutor(len(BUILDS)) as executor:
            builds = list(executor.map(copy, machines, BUILDS))
    lines = [line for build in builds for line in build.stdout.splitlines()]
    found = [re.fullmatch(r"failed hostile.example:[0-9]+/(case-\S+):v1 (\S+)", x) for x in lines]
    codes = {each[1]: each[2] for each in found if each}
    assert len(codes) == len(lines) == len(TABLE), lines
    return Done(
        codes={name: codes[repository_of(name)] for name in TABLE},
        rows=[request for machine in machines for request, _ in machine.told],
        repositories=[each for machine in machines for each in machine.repositories],
        shown="".join(build.stdout + build.stderr for build in builds),
        touched=hostile.touched,
    )


@pytest.mark.parametrize("name", TABLE)
def test_a_copy_ends_in_its_bound_with_its_own_code(done: Done, name: str) -> None:
    assert done.codes[name] == TABLE[name].code
    rows = [row for row in done.rows if repository_of(name) in row["Key"]["image"]["S"]]
    reasons = [row["ExpressionAttributeValues"][":reason"]["S"] for row in rows]
    assert reasons == [TABLE[name].code]


def test_the_codes_are_of_the_table_of_words() -> None:
    assert {case.code for case in TABLE.values()} <= {*CopyReason}


def test_a_copy_that_does_not_end_is_ended(machine: BuildMachine, hostile: HostileRegistry) -> None:
    machine.admit(hostile.hosts, **BOUNDS)
    source = hostile.source(repository_of(NEVER_ENDS))
    built = machine.copy((source, machine.target("x:v1")), COPY_SECONDS="5")
    assert built.stdout == f"failed {source} overtime\n", built.stderr


def test_nothing_private_is_contacted(done: Done) -> None:
    assert done.touched == []


def test_nothing_that_a_registry_wrote_is_anywhere(done: Done) -> None:
    everything = done.shown + json.dumps(done.rows)
    assert not [word for word in (*CANARY.split(), "\x1b", "meta-data") if word in everything]


def test_a_repository_is_made_only_after_the_manifest_was_read(done: Done) -> None:
    """The case of each repository had a manifest, and failed by a layer."""
    assert 0 < len(done.repositories) <= len([name for name in TABLE if "layer" in name]) + 1


@pytest.fixture
def hostile() -> Generator[HostileRegistry]:
    with hostile_registry() as running:
        yield running


def test_a_registry_with_tokens_and_storage_elsewhere_is_copied(
    machine: BuildMachine, own: Registry, hostile: HostileRegistry
) -> None:
    """As Docker Hub, quay.io and others are: a realm, and redirects to storage that wants none."""
    signature = "?X-Amz-Signature=a%2Fb&se=2030-01-01T00%3A00%3A00Z"

    def behaviour(asked: Asked) -> Any:
        if asked.kind == "token":
            return [http("200 OK", b'{"access_token": "of-this-registry"}')]
        if asked.host.startswith(ELSEWHERE):
            return honest(asked)
        if asked.authorization != "Bearer of-this-registry":
            return [bearer(f"https://{ELSEWHERE}:PORT/token/good?x=y")]
        if asked.kind == "blobs":
            return [
                redirect(f"https://{ELSEWHERE}:PORT/v2/good/blobs/{asked.reference}{signature}")
            ]
        return honest(asked)

    hostile.cases["good"] = behaviour
    machine.admit(hostile.hosts)
    built = machine.copy((hostile.source("good"), machine.target("good:v1")))
    assert built.returncode == 0, built.stderr
    assert own.manifest(f"{PREFIX}/good", "v1") is not None
    given = {asked.host.partition(":")[0] for asked in hostile.asked if asked.authorization}
    assert given == {NAME}


def test_a_layer_is_never_unpacked(
    machine: BuildMachine, own: Registry, hostile: HostileRegistry
) -> None:
    """Of 10 GiB in 10 MiB, that end in the middle, nobody sees more than the 10 MiB."""
    bomb = gzip.compress(bytes(10 << 20))[:-9] * 1000
    text = image(part(bomb))

    def behaviour(asked: Asked) -> Any:
        return [http("200 OK", bomb)] if asked.reference == digest(bomb) else honest(asked, text)

    hostile.cases["bomb"] = behaviour
    machine.admit(hostile.hosts)
    built = machine.copy((hostile.source("bomb"), machine.target("bomb:v1")))
    assert built.stdout == f"ok {hostile.source('bomb')} {digest(text)}\n", built.stderr
    assert len(own.blob(f"{PREFIX}/bomb", digest(bomb))) == len(bomb)


def test_a_layer_that_stays_elsewhere_by_its_type_is_no_obstacle(
    machine: BuildMachine, hostile: HostileRegistry
) -> None:
    kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    text = image(
        part(b"base", kind, urls=["https://127.0.0.1/"]), part(b"a layer ".ljust(5000, b"."))
    )
    hostile.cases["windows"] = lambda asked: honest(asked, text)
    machine.admit(hostile.hosts)
    built = machine.copy((hostile.source("windows"), machine.target("windows:v1")))
    assert "target-refused" in built.stdout or built.returncode == 0, built.stderr
    assert hostile.touched == []


def test_the_guard_as_it_is_shipped_asks_nothing_private(
    machine: BuildMachine, hostile: HostileRegistry
) -> None:
    """Without this test's way in, and from a folder that has modules of the same names."""
    python = machine.folder / "programs" / "python3"
    python.write_text(f'#!/bin/bash\nexec {sys.executable} "$@"\n')
    source = f"127.0.0.1:{hostile.port}/v2/x:v1"
    built = machine.copy((source, machine.target("x:v1")), NEW_REPOSITORY=REQUEST)
    assert built.stdout == f"failed {source} private-address\n", built.stderr
    assert (hostile.touched, machine.repositories) == ([], [])


def test_a_source_in_the_builders_own_network_is_not_asked(
    machine: BuildMachine, hostile: HostileRegistry
) -> None:
    places = (f"localhost:{hostile.port}", "169.254.170.2")
    pairs = [(f"{place}/v2/x:v1", machine.target(f"x:{n}")) for n, place in enumerate(places)]
    built = machine.copy(*pairs, NEW_REPOSITORY=REQUEST)
    codes = [line.rsplit(" ", 1)[1] for line in built.stdout.splitlines()]
    assert codes == ["private-address"] * 2, built.stderr
    assert (hostile.touched, machine.repositories) == ([], [])
