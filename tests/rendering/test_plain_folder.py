"""A plain kustomization read without kustomize, compared with kustomize itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from regions.region import Region
from rendering import RenderError, render
from rendering.images import Registries
from rendering.plain_folder import objects_of
from rendering.rendered import rendered
from settings import MANIFESTS

FOLDER = MANIFESTS / "addons" / "image-mirror"
REGISTRY = "<<image.prefix>>"


@pytest.mark.parametrize("name", ["cn-north-1", "us-west-2", "us-gov-west-1"])
@pytest.mark.parametrize("cached", [None, ("public.ecr.aws",), ("quay.io",)])
def test_the_mirrors_objects_are_those_that_kustomize_renders(
    name: str, cached: tuple[str, ...] | None
) -> None:
    region = Region.of(name)
    by_kustomize = render(
        FOLDER,
        partition=region.partition,
        dns_suffix=region.dns_suffix,
        registry=REGISTRY,
        cached_registries=cached,
    )
    plain = rendered(
        objects_of(FOLDER),
        digest="",
        partition=region.partition,
        dns_suffix=region.dns_suffix,
        registries=Registries(REGISTRY, (), cached),
    )
    assert plain.objects == by_kustomize.objects
    assert plain.prerequisites == by_kustomize.prerequisites
    assert plain.images == by_kustomize.images


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("patches: []", "has patches, for which it takes kustomize"),
        ("resources: [../base]", "builds on ../base, for which it takes kustomize"),
    ],
)
def test_a_kustomization_that_does_more_is_refused(tmp_path: Path, more: str, reason: str) -> None:
    file = tmp_path / "kustomization.yaml"
    file.write_text(f"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n{more}\n")
    with pytest.raises(RenderError, match=reason):
        objects_of(tmp_path)
