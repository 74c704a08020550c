"""./kf bundle: every source of a release in one file, and no other file taken for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rendering import bundle
from rendering.needs import sources_of_stack
from rendering.sources import obtain
from terminal import output
from tests.ops.command import kf
from tests.releases import RELEASES
from tests.rendering.beijing import MANIFESTS
from tests.rendering.conftest import own_cache

__all__ = ["own_cache"]


@pytest.fixture(scope="module", params=RELEASES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / f"{request.param}.bundle.tar"
    done = kf("bundle", "create", "--release", request.param, "--out", str(out))
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(out)
    return out


def test_a_bundle_holds_every_source_with_its_origin(made: Path) -> None:
    contents = bundle.read(made)
    wanted = sources_of_stack(MANIFESTS / contents.release, MANIFESTS)
    assert {packed.name for packed in contents.sources} == set(wanted)
    for packed in contents.sources:
        assert packed.commit == wanted[packed.name].commit
        assert packed.ref == wanted[packed.name].ref


def test_a_bundle_is_all_that_a_render_needs(made: Path, own_cache: Path, tmp_path: Path) -> None:
    """Its sources reach a machine that has nothing else, in a project that nothing lies beside."""
    wanted = sources_of_stack(MANIFESTS / bundle.read(made).release, MANIFESTS)
    for source in wanted.values():
        unpacked = obtain(source, tmp_path, made)
        assert unpacked.digest == source.digest
        assert unpacked.folder.is_relative_to(own_cache)


def test_a_bundle_says_that_it_is_whole(made: Path) -> None:
    done = kf("bundle", "verify", str(made))
    assert done.exit_code == 0, done.output
    assert f"release {bundle.read(made).release}" in done.stderr


def test_a_table_has_a_line_for_each_repository_that_was_made_local(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.results, "_width", 300)
    shown = kf("bundle", "verify", str(made), "--format", "table").stdout
    lines = [re.split(r"\s{2,}", line.rstrip())[-1] for line in shown.splitlines()]
    local = [each for packed in bundle.read(made).sources for each in packed.made_local]
    assert [line for line in lines if line in local] == local


def test_one_changed_byte_is_found(made: Path, tmp_path: Path) -> None:
    content = bytearray(made.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = tmp_path / made.name
    damaged.write_bytes(content)
    done = kf("bundle", "verify", str(damaged))
    assert done.exit_code == 2
    assert "sha256" in done.stderr
    assert "Traceback" not in done.output


def test_the_bundle_of_another_release_is_refused(made: Path) -> None:
    other = next(name for name in RELEASES if name != bundle.read(made).release)
    done = kf("bundle", "verify", str(made), "--release", other)
    assert done.exit_code == 2
    assert f"is a bundle of release {bundle.read(made).release}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create", "--release", "27.01"], "there is no release '27.01'"),
        (
            ["create", "--release", "26.03", "--out", "x.zip"],
            "name a file that ends in .bundle.tar",
        ),
        (["create", "--out", "26.03.1.tar"], "name a file that ends in .bundle.tar"),
        (["verify", "absent.bundle.tar"], "absent.bundle.tar"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: list[str], sentence: str) -> None:
    done = kf("bundle", *arguments)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.output
