"""The CRDs of a render are a file of the cache; a run that changes none reads no body."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from rendering import Object, RenderError, crd_bundle
from rendering.crd_bundle import CrdBundle, crd_documents, digest_of, read_crd_bundle
from rendering.machine_faults import MachineFault
from tests.rendering.conftest import TinyProject


def crd(name: str, **spec: Any) -> dict[str, Any]:
    return {"kind": "CustomResourceDefinition", "metadata": {"name": name}, "spec": spec}


WIDGETS, GADGETS = crd("widgets.tiny.example"), crd("gadgets.tiny.example", scope="Cluster")
DAMAGES = [b"", b"[]", b'[{"metadata": {"na']


@pytest.fixture
def no_body_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: Path) -> list[Object]:
        raise AssertionError(f"{file} was read")

    monkeypatch.setattr(crd_bundle, "_read", refuse)


@pytest.mark.usefixtures("no_body_is_read")
def test_a_second_render_has_the_digests_of_crds_and_reads_none(tiny: TinyProject) -> None:
    first, second = CrdBundle.of(tiny.render().crds), CrdBundle.of(tiny.render().crds)
    assert first == second
    assert list(second.digests) == ["widgets.tiny.example"]


def test_crds_of_the_cache_are_those_that_were_built(tiny: TinyProject) -> None:
    built, cached = tiny.render(), tiny.render()
    assert list(built.crds) == list(cached.crds)
    assert CrdBundle.of(cached.crds).digests == {
        each["metadata"]["name"]: digest_of(each) for each in built.crds
    }


@pytest.mark.parametrize("given", [[WIDGETS, GADGETS], [GADGETS, WIDGETS]])
def test_a_bundle_is_a_file_named_by_its_content_whatever_the_order(
    given: Sequence[Object], own_cache: Path
) -> None:
    bundle = CrdBundle.of(given)
    (file,) = (own_cache / "crds").iterdir()
    assert (file, bundle.digest) == (bundle.file, hashlib.sha256(file.read_bytes()).hexdigest())
    assert json.loads(file.read_text()) == list(bundle) == [GADGETS, WIDGETS]
    assert len(bundle) == 2


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_bundle_is_refused_and_written_again(damage: bytes, own_cache: Path) -> None:
    bundle = CrdBundle.of([WIDGETS])
    bundle.file.write_bytes(damage)
    with pytest.raises(RenderError, match=f"{bundle.file} is damaged: run the command"):
        read_crd_bundle(bundle.digest)
    assert CrdBundle.stored(bundle.digest, bundle.digests) is None
    assert CrdBundle.of([WIDGETS]) == bundle
    assert read_crd_bundle(bundle.digest) == [WIDGETS]


@pytest.mark.parametrize("damage", [*DAMAGES, None])
def test_a_render_whose_crds_are_damaged_or_gone_is_made_again(
    damage: bytes | None, tiny: TinyProject, own_cache: Path
) -> None:
    first = tiny.render()
    (file,) = (own_cache / "crds").iterdir()
    before = file.read_bytes()
    file.unlink() if damage is None else file.write_bytes(damage)
    assert tiny.render() == first
    assert file.read_bytes() == before


def test_a_bundle_whose_file_has_gone_meanwhile_is_written_from_what_was_read() -> None:
    bundle = CrdBundle.of([WIDGETS, GADGETS])
    assert len(list(bundle)) == 2
    bundle.file.unlink()
    assert CrdBundle.of(bundle) == bundle
    assert bundle.file.exists()


def test_a_file_that_becomes_unreadable_after_a_render_is_one_sentence_and_made_again(
    tiny: TinyProject,
) -> None:
    first = tiny.render()
    crds = CrdBundle.of(tiny.render().crds)
    crds.file.unlink()
    # No user reads a link to itself, root neither.
    crds.file.symlink_to(crds.file)
    with pytest.raises(RenderError) as refused:
        list(crds)
    assert str(refused.value) == (
        f"{crds.file} is unreadable (Too many levels of symbolic links): run the command again, "
        "which writes that file anew."
    )
    again = tiny.render()
    assert list(again.crds) == list(first.crds)
    assert list(crds) == list(first.crds)


# -- as documents ---------------------------------------------------------------------------------


def test_documents_are_the_crds_by_name(own_cache: Path) -> None:
    text = crd_documents(CrdBundle.of([WIDGETS, GADGETS]).digest)
    assert list(yaml.safe_load_all(text)) == [GADGETS, WIDGETS]
    assert list(yaml.safe_load_all(crd_documents(CrdBundle.of([GADGETS]).digest))) == [GADGETS]


def test_documents_are_written_once(own_cache: Path, request: pytest.FixtureRequest) -> None:
    digest = CrdBundle.of([WIDGETS, GADGETS]).digest
    first = crd_documents(digest)
    request.getfixturevalue("no_body_is_read")
    assert crd_documents(digest) == first


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_documents_are_written_again(damage: bytes, own_cache: Path) -> None:
    digest = CrdBundle.of([WIDGETS]).digest
    first = crd_documents(digest)
    (file,) = (own_cache / "documents").iterdir()
    file.write_bytes(damage)
    assert crd_documents(digest) == first


def test_documents_of_another_writer_are_written_again(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = CrdBundle.of([WIDGETS]).digest
    crd_documents(digest)
    monkeypatch.setattr(crd_bundle.cache, "code_digest", "{}".format)
    crd_documents(digest)
    assert len(list((own_cache / "documents").iterdir())) == 2


def test_documents_of_a_bundle_that_is_damaged_are_refused(own_cache: Path) -> None:
    bundle = CrdBundle.of([WIDGETS])
    bundle.file.write_bytes(b"[]")
    with pytest.raises(RenderError, match="is damaged: run the command again"):
        crd_documents(bundle.digest)


@pytest.mark.parametrize("place", ["crds", "documents"])
def test_a_cache_that_cannot_be_written_is_one_sentence(place: str, own_cache: Path) -> None:
    (own_cache / place).write_text("a file where a folder must be")
    with pytest.raises(MachineFault, match=f"{own_cache}/{place} cannot be used"):
        crd_documents(CrdBundle.of([WIDGETS]).digest)
