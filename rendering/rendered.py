"""Built objects as a render: rewritten to the registry, checked for leaks, in order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from rendering import availability, await_annotations, images, inventory, leaks, normalise, order
from rendering.images import ImageUse, Registries
from rendering.objects import Object, ObjectKey, is_builtin_group
from rendering.release import Release


@dataclass(frozen=True)
class Rendered:
    """A release as objects.

    Attributes:
        objects: in the order of creation, without CRDs.
        crds: the CustomResourceDefinitions; of ``render`` a ``CrdBundle``, read when needed.
        prerequisites: direct prerequisites of each object that has any.
        images: every image that the release can pull.
        digest: of the inputs: equal digests, equal objects.
        chart: the folder of its Helm chart, below the project; empty without one.
    """

    objects: tuple[Object, ...]
    crds: Sequence[Object]
    prerequisites: Mapping[ObjectKey, tuple[ObjectKey, ...]]
    images: tuple[ImageUse, ...]
    digest: str
    chart: str = ""

    @cached_property
    def needs_crds(self) -> frozenset[ObjectKey]:
        """Custom resources: the API server must have their CRDs first."""
        keys = map(ObjectKey.of, self.objects)
        return frozenset(key for key in keys if not is_builtin_group(key.group))


def rendered(
    built: list[Object],
    *,
    digest: str,
    partition: str,
    dns_suffix: str,
    registries: Registries,
    releases: Sequence[Release] = (),
    replicated: Collection[str] | None = None,
) -> Rendered:
    """The render of objects, as kustomize prints them.

    Args:
        built: changed in place.
        digest: of everything that they come from.
        partition: decides what counts as a leak.
        dns_suffix: of that partition's service hosts.
        registries: where images come from.
        releases: the release and those it includes, with the images that only they name.
        replicated: Deployments with two pods beside those that ``availability`` finds; None: every
            Deployment is as it was built.

    Raises:
        RenderError: one of DuplicateObject, OrderCycle, LeakError.
    """
    objects, crds = normalise.normalise(built)
    if replicated is not None:
        objects += availability.replicate(objects, crds, set(replicated))
    # Before rewriting, because the name of a copy does not always contain its source.
    pulled = inventory.complete(objects, releases, registries)
    if registries.own is not None:
        for obj in objects:
            images.rewrite(obj, registries)
    ordered = order.derive(objects, crds)
    await_annotations.annotate_needed(ordered.objects, ordered.prerequisites)
    leaked = leaks.find_leaks(
        ordered.objects,
        partition=partition,
        dns_suffix=dns_suffix,
        registry=registries.own,
        in_region_registries=registries.in_region,
        cached_registries=registries.cached,
    )
    if leaked:
        raise leaks.LeakError(leaked)
    prerequisites = MappingProxyType(dict(ordered.prerequisites))
    return Rendered(ordered.objects, tuple(crds), prerequisites, pulled, digest)
