"""A release folder becomes objects that can be created in their order, and is rendered once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rendering import (
    LeakError,
    ObjectKey,
    Rendered,
    RenderError,
    SourcesUnavailable,
    absent_sources_allowed,
    render,
    runtime_fields,
)
from tests.rendering.conftest import TinyProject

DIGEST = "sha256:" + "a" * 64


def by_name(rendered: Rendered) -> dict[str, dict[str, object]]:
    return {
        f"{obj['kind']} {ObjectKey.of(obj).namespace}/{ObjectKey.of(obj).name}": obj
        for obj in rendered.objects
    }


def short(key: ObjectKey) -> str:
    return f"{key.kind} {key.name}".replace("WebhookConfiguration", "")


@pytest.mark.parametrize(
    ("kind", "name", "needs"),
    [
        ("Deployment", "injector", {"Namespace mesh"}),
        ("MutatingWebhookConfiguration", "injector", {"Deployment injector", "Service injector"}),
        ("Issuer", "own", {"Namespace app"}),
        ("Certificate", "widgets", {"Issuer own"}),
        (
            "Deployment",
            "widgets",
            {
                "Mutating injector",
                "Certificate widgets",
                "Secret database",
                "ServiceAccount widgets",
                "ConfigMap widget-config",
            },
        ),
        ("ValidatingWebhookConfiguration", "widgets", {"Deployment widgets", "Service widgets"}),
        ("Widget", "first", {"Validating widgets"}),
        ("ClusterRole", "everything-of-tiny", set[str]()),
    ],
)
def test_direct_prerequisites(tiny: TinyProject, kind: str, name: str, needs: set[str]) -> None:
    rendered = tiny.render()
    (key,) = [
        ObjectKey.of(obj)
        for obj in rendered.objects
        if obj["kind"] == kind and obj["metadata"]["name"] == name
    ]
    found = {short(need) for need in rendered.prerequisites.get(key, ())}
    # kustomize gives generated ConfigMaps a hash in their name.
    assert {
        need.split("-config-")[0] + "-config" if "-config-" in need else need for need in found
    } == needs


def test_custom_resources_are_marked_as_needing_their_crds(tiny: TinyProject) -> None:
    rendered = tiny.render()
    assert {key.kind for key in rendered.needs_crds} == {"Widget", "Issuer", "Certificate"}
    assert [crd["metadata"]["name"] for crd in rendered.crds] == ["widgets.tiny.example"]


def test_inventory_names_source_target_and_places(tiny: TinyProject) -> None:
    uses = {use.source: use for use in tiny.render().images}
    assert set(uses) == {
        "docker.io/tiny/maker:v1",
        f"docker.io/tiny/square@{DIGEST}",
        "docker.io/tiny/widgets:latest",
        "ghcr.io/tiny/maker:v2",
        "quay.io/tiny/injector:v1",
        "quay.io/tiny/round:v1",
    }
    maker = uses["docker.io/tiny/maker:v1"]
    assert maker.target == "<<image.prefix>>/docker.io/tiny/maker:v1"
    assert maker.where == ("Widget first#spec.container.image",)


def test_without_a_registry_images_stay(tiny: TinyProject) -> None:
    assert all(use.source == use.target for use in tiny.render(registry=None).images)


def test_markers_survive_for_the_component_to_bind(tiny: TinyProject) -> None:
    secret = by_name(tiny.render())["Secret app/database"]
    assert secret["stringData"] == {
        "host": "<<database.host>>",
        "password": "<<database.password>>",
    }


def test_comments_in_copied_files_stay(tiny: TinyProject) -> None:
    (config,) = [obj for obj in tiny.render().objects if "widgets.yaml" in (obj.get("data") or {})]
    text = config["data"]["widgets.yaml"]
    assert "# Which image makes which widget." in text
    assert "image: <<image.prefix>>/quay.io/tiny/round:v1  # the usual one" in text


def test_unchanged_inputs_are_not_built_again(tiny: TinyProject, built: list[Path]) -> None:
    first = tiny.render()
    again = tiny.render()
    assert len(built) == 1
    assert again == first


def test_a_changed_overlay_is_built_again(tiny: TinyProject, built: list[Path]) -> None:
    first = tiny.render()
    overlay = tiny.release / "database.yaml"
    overlay.write_text(overlay.read_text().replace("database.host", "database.port"))
    assert tiny.render().digest != first.digest
    assert len(built) == 2


def test_each_partition_and_registry_is_a_render_of_its_own_and_built_once(
    tiny: TinyProject, built: list[Path]
) -> None:
    assert tiny.render().digest != tiny.render(registry=None).digest
    assert len(built) == 1


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "null": lambda _: b"null",
    "of another form": lambda _: b'{"objects": [], "crds": []}',
    "cut off": lambda stored: stored[:-100],
    "changed": lambda stored: stored.replace(b"widget-config", b"gadget-config"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_entry_is_made_again(
    damage: Callable[[bytes], bytes], tiny: TinyProject, own_cache: Path, built: list[Path]
) -> None:
    first = tiny.render()
    for part, builds in (("render", 1), ("build", 2)):
        for entry in (own_cache / "render").iterdir():
            entry.write_bytes(damage(entry.read_bytes()))
        for entry in (own_cache / part).iterdir():
            entry.write_bytes(damage(entry.read_bytes()))
            assert tiny.render() == first
        assert len(built) == builds


def test_a_leak_stops_the_render_and_is_not_cached(tiny: TinyProject, own_cache: Path) -> None:
    overlay = tiny.release / "database.yaml"
    overlay.write_text(overlay.read_text().replace("<<database.host>>", "s3.amazonaws.com"))
    with pytest.raises(LeakError, match=r"Secret app/database stringData.host: 's3.amazonaws.com'"):
        tiny.render()
    assert list(own_cache.glob("render/*")) == []


def test_only_rehearsal_may_go_on_without_sources(tiny: TinyProject) -> None:
    tiny.bundle.unlink()
    with pytest.raises(SourcesUnavailable):
        tiny.render()
    with absent_sources_allowed():
        assert tiny.render().objects == ()
    with pytest.raises(SourcesUnavailable):
        tiny.render()


def test_a_release_must_stand_below_manifests(tiny: TinyProject) -> None:
    elsewhere = tiny.release.rename(tiny.root / "tiny")
    with pytest.raises(RenderError, match="below a folder named manifests"):
        render(elsewhere, partition="aws", dns_suffix="amazonaws.com", registry=None)


@pytest.mark.parametrize(
    ("copied", "reason"),
    [
        ("{source: other, path: files, to: copied}", "none of its sources"),
        ("{source: tiny, path: missing, to: copied}", "does not have it"),
        ("{source: tiny, path: ../../../etc, to: copied}", "is outside tiny"),
        ("{source: tiny, path: files, to: ../../copied}", "is outside the release"),
    ],
)
def test_files_are_copied_only_from_sources_into_the_release(
    tiny: TinyProject, copied: str, reason: str
) -> None:
    described = tiny.release / "release.yaml"
    described.write_text(
        described.read_text().replace("{source: tiny, path: files, to: copied}", copied)
    )
    with pytest.raises(RenderError, match=reason):
        tiny.render()


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("Secret app/filled-in-later", ("data", "stringData")),
        ("Secret app/database", ()),
        ("ClusterRole /everything-of-tiny", ("rules",)),
        ("MutatingWebhookConfiguration /injector", ("webhooks[0].clientConfig.caBundle",)),
        ("ValidatingWebhookConfiguration /widgets", ("webhooks[0].clientConfig.caBundle",)),
        ("Deployment app/widgets", ()),
    ],
)
def test_what_controllers_fill_in_is_known(
    tiny: TinyProject, name: str, fields: tuple[str, ...]
) -> None:
    assert runtime_fields(by_name(tiny.render())[name]) == fields


@pytest.mark.parametrize("name", ["injector", "widgets"])
def test_judged_objects_wait_until_a_ca_is_injected(tiny: TinyProject, name: str) -> None:
    (configuration,) = [
        obj
        for obj in tiny.render().objects
        if obj["kind"].endswith("WebhookConfiguration") and obj["metadata"]["name"] == name
    ]
    wait = configuration["metadata"]["annotations"]["pulumi.com/waitFor"]
    assert wait == "jsonpath={.webhooks[0].clientConfig.caBundle}"
