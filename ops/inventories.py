"""The images that a stack or a release can pull, from its render: no account, no cluster."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from program import render_stack
from regions.region import EXAMPLE_REGION, Region
from rendering import ImageUse, KustomizeMissing, kustomize, render
from rendering.inventory import merged
from rendering.release import GoneImage, VersionRange, load
from settings import MANIFESTS, Settings
from settings.context import StackContext
from terminal.output import messages
from toolchain import tools

ACCOUNT = "<account>"
"""In targets of images, where the stack file has no account ID."""


def of_release(folder: Path) -> tuple[ImageUse, ...]:
    """Every image of a release folder; the sources are the same in every region."""
    _provide_kustomize()
    region = Region.of(EXAMPLE_REGION)
    # With the arguments of a stack there, so that both commands share one render in the cache.
    rendered = render(
        folder,
        partition=region.partition,
        dns_suffix=region.dns_suffix,
        registry="<<image.prefix>>",
        in_region_registries=[region.ecr_registry(region.eks_addon_account)],
        high_availability=True,
    )
    return rendered.images


def of_stack(settings: Settings) -> list[ImageUse]:
    """Every image and chart of a stack, with the target it is pulled from there; by source."""
    _provide_kustomize()
    context = StackContext.of(settings, settings.account_id or ACCOUNT, {})
    renders = render_stack(settings, context.region)
    uses: dict[str, ImageUse] = {}
    for part in renders.all():
        for use in part.images:
            uses = merged(uses, use)
    pulled = renders.inventory(context.image_registry, context.mirror.cached)
    return [
        ImageUse(source, target, uses[source].where, uses[source].needed)
        for source, target in pulled.items()
    ]


def known_gone(folder: Path, images: Iterable[str]) -> dict[str, GoneImage]:
    """Each of these images that is reported gone from its registry -> the entry in release.yaml.

    Args:
        folder: of the release; its entries and those of the folders it includes are read.
        images: as upstream names them.
    """
    release = load(folder)
    included = [load(MANIFESTS / name) for name in release.includes]
    entries = [gone for part in (release, *included) for gone in part.gone]
    covering = {image: next((e for e in entries if e.covers(image)), None) for image in images}
    return {image: entry for image, entry in covering.items() if entry}


def _provide_kustomize() -> None:
    try:
        kustomize.find(VersionRange())
    except KustomizeMissing:
        tools.kustomize(messages.print)
