"""What a stack or a release can pull, by rendering it: no account, no cluster, no Pulumi CLI."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ops.cli_errors import messages
from program import render_stack
from regions.region import EXAMPLE_REGION, Region
from rendering import ImageUse, KustomizeMissing, kustomize, render
from rendering.inventory import merged
from rendering.release import GoneImage, VersionRange, load
from settings import MANIFESTS, Settings
from settings.context import StackContext
from toolchain import tools

ACCOUNT = "<account>"
"""Stands for the account's number where the stack file does not say it."""


def of_release(folder: Path) -> tuple[ImageUse, ...]:
    """Every image of a release folder; the sources are the same in every region."""
    _need_kustomize()
    region = Region.of(EXAMPLE_REGION)
    # As a stack there renders it, so that one render in the cache serves both commands.
    rendered = render(
        folder,
        partition=region.partition,
        dns_suffix=region.dns_suffix,
        registry="<<image.prefix>>",
        in_region_registries=[region.ecr_registry(region.eks_addon_account)],
    )
    return rendered.images


def of_stack(settings: Settings) -> list[ImageUse]:
    """Every image and chart of a stack, with the place it is pulled from there; by source."""
    _need_kustomize()
    context = StackContext.of(settings, settings.account_id or ACCOUNT, {})
    renders = render_stack(settings, context.region)
    known: dict[str, ImageUse] = {}
    for part in renders.all():
        for use in part.images:
            known = merged(known, use)
    return [
        ImageUse(source, target, use.where, use.needed)
        for source, target in renders.inventory(
            context.image_registry, context.mirror.cached
        ).items()
        for use in [known.get(source) or _of_a_chart(source)]
    ]


def known_gone(folder: Path, images: Iterable[str]) -> dict[str, GoneImage]:
    """Each of these images that is reported gone from its registry -> what is known of it.

    Args:
        folder: of the release; what it includes may know some too.
        images: as upstream names them.
    """
    release = load(folder)
    included = [load(MANIFESTS / name) for name in release.includes]
    known = [gone for part in (release, *included) for gone in part.gone]
    found = {image: [each for each in known if each.covers(image)] for image in images}
    return {source: each[0] for source, each in found.items() if each}


def _of_a_chart(source: str) -> ImageUse:
    return ImageUse.known(source, "a Helm release of this stack (components/)", "install")


def _need_kustomize() -> None:
    try:
        kustomize.find(VersionRange())
    except KustomizeMissing:
        tools.kustomize(messages.print)
