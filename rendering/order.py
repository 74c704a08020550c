"""The order of creation, derived from the objects themselves.

Direct prerequisites of an object, and nothing else (edges are written into Pulumi's state):

1. its Namespace, when the render brings it;
2. for a workload: every ConfigMap, Secret, ServiceAccount, PersistentVolumeClaim, PriorityClass,
   CSIDriver and SecretProviderClass its pods name, and the bindings of its ServiceAccount; for a
   binding: its role, and what an aggregated role is made of;
3. for a workload whose pods cannot start without a Secret: the Certificate, the ExternalSecret or
   the SecretProviderClass that writes it, the last with the workloads that mount it;
4. for a Certificate: its Issuer or ClusterIssuer; for an ExternalSecret: its stores; for a store:
   the ServiceAccount it logs in as;
5. for a webhook configuration: the Services it calls, the workloads behind them, and the
   Certificate whose CA is injected into it;
6. for a custom resource: its controller, which is a workload whose ServiceAccount may write
   ``<plural>/status`` or ``<plural>/finalizers`` of exactly that resource;
7. for a workload: the Jobs that read credentials of a remote secret which its pods read too;
8. for everything that a webhook with failurePolicy Fail would judge on CREATE: that webhook's
   configuration. Workloads are judged through the pods they make.

Everything is deleted in the opposite order. So rules 2 and 6 also keep a controller, and its
rights, until the last finalizer it must take away is gone.

Rules 6 to 8 leave out what the rules before them already put the other way round: a controller
cannot wait for what waits for it, a Job cannot precede what it needs itself, and nothing can be
judged by a webhook that cannot exist before it. cert-manager's own pods, for example, are judged by
no webhook whose CA cert-manager issues. Roles, mesh policies and autoscalers need nothing: the API
server accepts them in any order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeVar, cast

from rendering.objects import Object, ObjectKey, RenderError, is_builtin_group
from rendering.prerequisites import (
    Index,
    controllers_of,
    jobs_before,
    judging_configurations,
    needs_of,
)

_K = TypeVar("_K")

FIRST_KINDS = (
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
)
LAST_KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
"""kustomize's legacy order (api/internal/builtins/SortOrderTransformer.go): only a tie-break."""


class OrderCycle(RenderError):
    """Objects that wait for each other; ``members`` in order, the first is needed by the last."""

    def __init__(self, members: Sequence[ObjectKey]) -> None:
        self.members = tuple(members)
        chain = " -> ".join(str(key) for key in (*members, members[0]))
        super().__init__(f"these objects wait for each other, so none can be created: {chain}")


@dataclass(frozen=True)
class Order:
    objects: tuple[Object, ...]
    prerequisites: Mapping[ObjectKey, tuple[ObjectKey, ...]]
    """Only objects that have any; sorted; transitively reduced."""
    needs_crds: frozenset[ObjectKey]


class DuplicateObject(RenderError):
    """Two objects of one name: the second would overwrite the first."""


def derive(objects: Iterable[Object], crds: Iterable[Object] = ()) -> Order:
    """Orders objects so that each comes after everything it needs.

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
    for rule in (controllers_of, jobs_before, judging_configurations):
        before = _Closure(needs)
        for key in by_key:
            found = rule(key, index) - {key}
            needs[key] |= {other for other in found if key not in before.of(other)}
    keys = sequence(needs)
    return Order(
        objects=tuple(by_key[key] for key in keys),
        prerequisites=_reduced(needs, keys),
        needs_crds=frozenset(key for key in by_key if not is_builtin_group(key.group)),
    )


def in_order(needs: Mapping[_K, Iterable[_K]], rank: Callable[[_K], Any]) -> list[_K]:
    """Each key after those it needs; of the keys that are free, the lowest rank comes next.

    Raises:
        graphlib.CycleError: its second argument is a cycle in which each key is needed by the next.
    """
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    free: list[tuple[Any, _K]] = []
    sequence: list[_K] = []
    while sorter.is_active():
        for key in sorter.get_ready():
            heapq.heappush(free, (rank(key), key))
        sequence.append(heapq.heappop(free)[1])
        sorter.done(sequence[-1])
    return sequence


class _Closure:
    """Everything an object needs, directly or not."""

    def __init__(self, needs: Mapping[ObjectKey, set[ObjectKey]]) -> None:
        self._needs = {key: set(direct) for key, direct in needs.items()}
        self._known: dict[ObjectKey, frozenset[ObjectKey]] = {}

    def of(self, key: ObjectKey) -> frozenset[ObjectKey]:
        if key not in self._known:
            seen: set[ObjectKey] = set()
            waiting = [key]
            while waiting:
                for need in self._needs[waiting.pop()]:
                    if need not in seen:
                        seen.add(need)
                        waiting.append(need)
            self._known[key] = frozenset(seen)
        return self._known[key]


def _rank(key: ObjectKey) -> int:
    if key.kind in FIRST_KINDS:
        return FIRST_KINDS.index(key.kind)
    if key.kind in LAST_KINDS:
        return len(FIRST_KINDS) + 1 + LAST_KINDS.index(key.kind)
    return len(FIRST_KINDS)


def sequence(needs: Mapping[ObjectKey, set[ObjectKey]]) -> list[ObjectKey]:
    """Each object after those it needs; where that is free, in kustomize's legacy order.

    Raises:
        OrderCycle: with its members.
    """
    # Names before ranks: with sets, the cycle that is found would be another in each process.
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
        direct = 0
        for need in needs[key]:
            direct |= bit[need]
        before[key] = implied | direct
        kept = sorted(need for need in needs[key] if not bit[need] & implied)
        if kept:
            reduced[key] = tuple(kept)
    return reduced
