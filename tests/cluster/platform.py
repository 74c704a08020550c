"""The platform as the program itself registers it: every Kubernetes object of a stack, with edges.

Runs ``__main__.py`` under mocks, so late values, generated secrets, users' Profiles, the GPU pool
and all add-ons are in it as a deployment would apply them; only AWS's answers are invented.
Karpenter's controller is missing: it is a Helm release and its chart is not among the sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from rendering import Object, ObjectKey
from rendering.crd_bundle import read_crd_bundle
from rendering.graphs import in_order, reachable
from rendering.order import FIRST_KINDS
from rendering.release import load
from settings import MANIFESTS, from_stack_file
from tests.harness import Registered
from tests.test_program import ROOT, stack

BEIJING = ("cn-north-1", "cn-north-1-kf151")
OPTIONAL: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "cn-north-1": {"modelCatalog": {"enabled": True}, "pipelines": {"v1": True}}
}
"""By stack, sections of parts that are off by default, on here so that API servers judge them."""

CRDS = "pulumi-python:dynamic:CustomResourceDefinitions"
Rank = Callable[[ObjectKey], tuple[int, ObjectKey]]


@dataclass(frozen=True)
class Platform:
    """What one stack puts into a cluster.

    Attributes:
        crds: CustomResourceDefinitions of all parts.
        objects: everything else, by key.
        needs: direct prerequisites among ``objects``, also those that lead over AWS resources.
    """

    crds: tuple[Object, ...]
    objects: Mapping[ObjectKey, Object]
    needs: Mapping[ObjectKey, frozenset[ObjectKey]]

    def in_order(self, rank: Rank) -> list[Object]:
        """One of the orders the edges allow: of what is free, the lowest rank comes first."""
        return [self.objects[key] for key in in_order(self.needs, rank)]

    def with_needs(self, *keys: ObjectKey) -> set[ObjectKey]:
        """The keys and everything that must come before them."""
        return reachable(keys, self.needs.__getitem__)

    def key(self, kind: str, name: str) -> ObjectKey:
        """The one object of this kind and name."""
        (found,) = [key for key in self.objects if (key.kind, key.name) == (kind, name)]
        return found


def usual(key: ObjectKey) -> tuple[int, ObjectKey]:
    """kustomize's order of kinds, the one the rendering prefers where it is free to choose."""
    position = FIRST_KINDS.index(key.kind) if key.kind in FIRST_KINDS else len(FIRST_KINDS)
    return position, key


def contrary(key: ObjectKey) -> tuple[int, ObjectKey]:
    """The other way round: a missing edge that the usual order hides comes to light."""
    return -usual(key)[0], key


def stack_on(minor: str) -> str:
    """The Beijing stack whose release runs on this version of Kubernetes."""
    (found,) = (
        stack
        for stack in BEIJING
        for release in [from_stack_file(ROOT / f"Pulumi.{stack}.yaml").release]
        if load(MANIFESTS / release).kubernetes.holds(minor)
    )
    return found


@cache
def platform(stack_name: str) -> Platform:
    """The stack's whole platform with its optional parts; the program runs once, some 6 s."""
    registered = stack(stack_name, **OPTIONAL.get(stack_name, {})).all
    made = {r.urn: ObjectKey.of(r.inputs) for r in registered if _is_object(r)}
    edges = {r.urn: (*r.dependencies, r.parent) for r in registered}
    bundles = [r.inputs["bundle"] for r in registered if r.type == CRDS]
    return Platform(
        crds=tuple(crd for bundle in bundles for crd in read_crd_bundle(bundle)),
        objects={made[r.urn]: _whole(r.inputs) for r in registered if r.urn in made},
        needs={key: _behind(urn, edges, made) for urn, key in made.items()},
    )


def _is_object(resource: Registered) -> bool:
    return resource.package == "kubernetes" and "apiVersion" in resource.inputs


def _whole(value: Any) -> Any:
    """Numbers as they were written: on their way to Pulumi's engine all become doubles."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in cast("Object", value).items()}
    if isinstance(value, list):
        return [_whole(item) for item in cast("list[Any]", value)]
    return value


def _behind(
    urn: str, edges: Mapping[str, tuple[str, ...]], made: Mapping[str, ObjectKey]
) -> frozenset[ObjectKey]:
    """The nearest objects along the edges, past resources that are none."""
    found: set[ObjectKey] = set()
    seen: set[str] = set()
    waiting = list(edges[urn])
    while waiting:
        other = waiting.pop()
        if other in made:
            found.add(made[other])
        elif other not in seen:
            seen.add(other)
            waiting.extend(edges.get(other, ()))
    return frozenset(found)
