"""The order of creation, derived from the objects themselves.

Direct prerequisites of an object, and nothing else (edges are written into Pulumi's state):

1. its Namespace, when it is in the render;
2. for a workload: every ConfigMap, Secret, ServiceAccount, PersistentVolumeClaim, PriorityClass,
   CSIDriver and SecretProviderClass its pods name, and the bindings of its ServiceAccount; for a
   binding: its role; for an aggregated role: the roles that it consists of, or Kubernetes'
   controller would make a deleted one again at the deletion of its parts;
3. for a workload whose pods cannot start without a Secret: the Certificate, the ExternalSecret or
   the SecretProviderClass that writes it, the last with the workloads that mount it;
4. for a Certificate: its Issuer or ClusterIssuer; for an ExternalSecret: its stores; for a store:
   the ServiceAccount it logs in as;
5. for a webhook configuration and an APIService: the Services that the API server calls, the
   workloads behind them, and the Certificate whose CA is injected into the configuration;
6. for a custom resource: its controller, which is a workload whose ServiceAccount may write
   ``<plural>/status`` or ``<plural>/finalizers`` of exactly that resource;
7. for a workload: the Jobs that read credentials of a remote secret which its pods read too;
8. for every object that a webhook with failurePolicy Fail intercepts on CREATE: that webhook's
   configuration. Workloads are intercepted through the pods they create.

Deletion goes in the opposite order. So rules 2 and 6 also keep a controller, and its RBAC, until
the last finalizer that it must remove is gone.

Rules 6 to 8 leave out edges that would contradict the rules before them: a controller cannot wait
for an object that waits for it, a Job cannot precede its own prerequisites, and no object can be
intercepted by a webhook that cannot exist before it. cert-manager's own pods, for example, are
intercepted by no webhook whose CA cert-manager issues. Plain roles, mesh policies and autoscalers
have no prerequisites: the API server accepts them in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError
from typing import cast

from rendering.graphs import in_order, reachable
from rendering.objects import KUBERNETES, Object, ObjectKey, RenderError
from rendering.prerequisites import (
    Index,
    controllers_of,
    intercepting_configurations,
    jobs_before,
    needs_of,
)

FIRST_KINDS, LAST_KINDS = KUBERNETES["first"], KUBERNETES["last"]
"""kustomize's legacy order: only a tie-break."""


class OrderCycle(RenderError):
    """Objects that wait for each other.

    Attributes:
        members: each is needed by the next, and the last by the first.
    """

    def __init__(self, members: Sequence[ObjectKey]) -> None:
        self.members = tuple(members)
        chain = " -> ".join(str(key) for key in (*members, members[0]))
        super().__init__(f"these objects wait for each other, so none can be created: {chain}")


class DuplicateObject(RenderError):
    """Two objects of one name: the second would overwrite the first."""


@dataclass(frozen=True)
class Order:
    """Objects in the order of creation.

    Attributes:
        objects: each after its prerequisites.
        prerequisites: direct ones of each object that has any; sorted and transitively reduced.
    """

    objects: tuple[Object, ...]
    prerequisites: Mapping[ObjectKey, tuple[ObjectKey, ...]]


def derive(objects: Iterable[Object], crds: Iterable[Object] = ()) -> Order:
    """Orders objects so that each comes after its prerequisites.

    Raises:
        OrderCycle: with its members.
        DuplicateObject: one object is rendered twice.
    """
    by_key: dict[ObjectKey, Object] = {}
    for obj in objects:
        key = ObjectKey.of(obj)
        if key in by_key:
            raise DuplicateObject(f"{key} is rendered twice")
        by_key[key] = obj
    index = Index(by_key, list(crds))
    needs = {key: needs_of(key, index) - {key} for key in by_key}
    for rule in (controllers_of, jobs_before, intercepting_configurations):
        needs = _with_rule(rule, index, needs)
    keys = sequence(needs)
    return Order(tuple(by_key[key] for key in keys), _reduced(needs, keys))


def _with_rule(
    rule: Callable[[ObjectKey, Index], set[ObjectKey]],
    index: Index,
    needs: Mapping[ObjectKey, set[ObjectKey]],
) -> dict[ObjectKey, set[ObjectKey]]:
    """The prerequisites with those of a further rule that contradict none of them."""

    @cache
    def before(key: ObjectKey) -> set[ObjectKey]:
        return reachable([key], needs.__getitem__)

    return {
        key: needs[key] | {other for other in rule(key, index) if key not in before(other)}
        for key in needs
    }


def _rank(key: ObjectKey) -> int:
    if key.kind in FIRST_KINDS:
        return FIRST_KINDS.index(key.kind)
    if key.kind in LAST_KINDS:
        return len(FIRST_KINDS) + 1 + LAST_KINDS.index(key.kind)
    return len(FIRST_KINDS)


def sequence(needs: Mapping[ObjectKey, set[ObjectKey]]) -> list[ObjectKey]:
    """Each object after those it needs; among free ones, kustomize's legacy order.

    Raises:
        OrderCycle: with its members.
    """
    # Sorted, because sets would make the reported cycle another one in each process.
    by_name = {key: sorted(needs[key]) for key in sorted(needs)}
    try:
        return in_order(by_name, _rank)
    except CycleError as error:
        *members, _ = reversed(cast("list[ObjectKey]", error.args[1]))
        start = members.index(min(members))
        raise OrderCycle(members[start:] + members[:start]) from None


def _reduced(
    needs: Mapping[ObjectKey, set[ObjectKey]], sequence: Sequence[ObjectKey]
) -> dict[ObjectKey, tuple[ObjectKey, ...]]:
    """Drops a prerequisite that another prerequisite already has."""
    bit = {key: 1 << place for place, key in enumerate(sequence)}
    before: dict[ObjectKey, int] = {}
    reduced: dict[ObjectKey, tuple[ObjectKey, ...]] = {}
    for key in sequence:
        implied = 0
        for need in needs[key]:
            implied |= before[need]
        kept = tuple(sorted(need for need in needs[key] if not bit[need] & implied))
        before[key] = implied | sum(bit[need] for need in kept)
        if kept:
            reduced[key] = kept
    return reduced
