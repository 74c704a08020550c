"""Whether a NodePool could make a node for a pod: taints, labels and numbers of GPUs.

The rules are those of Kubernetes (tolerations, node affinity) and, for labels that no node has yet,
Karpenter's: what a pool does not mention a machine may still have when Karpenter knows the label by
itself, and else not (kubernetes-sigs/karpenter v1.14.1, pkg/scheduling/requirements.go, and
pkg/apis/v1/labels.go for the labels it knows). Objects are JSON as the API server gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from regions.gpu_families import FAMILIES, per_machine

Object = Mapping[str, Any]

GPU_DOMAIN = "nvidia.com/"
"""Every resource of the device plugin is below it: ``gpu``, ``gpu.shared``, ``mig-...``."""
GPU = "nvidia.com/gpu"
FAMILY = "karpenter.k8s.aws/instance-family"
GPU_NAME = "karpenter.k8s.aws/instance-gpu-name"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
POOL_LABEL = "karpenter.sh/nodepool"

_KNOWN_LABELS = frozenset(
    {
        INSTANCE_TYPE,
        "karpenter.sh/capacity-type",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "topology.k8s.aws/zone-id",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
_KNOWN_PREFIX = "karpenter.k8s.aws/instance-"
_BLOCKING = ("NoSchedule", "NoExecute")


@dataclass(frozen=True)
class Requirement:
    """One condition on a label, of a pod or of a pool."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def admits(self, value: str) -> bool:
        """Whether a node with this value of the label meets it."""
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "DoesNotExist":
                return False
            case "Gt" | "Lt" | "Gte" | "Lte":
                return _compares(self.operator, value, self.values)
            case _:
                return True

    def __str__(self) -> str:
        words = {"In": "of", "NotIn": "not of", "Gt": "above", "Lt": "below"}
        wanted = f"{words.get(self.operator, self.operator)} {', '.join(self.values)}".strip()
        return f"{self.key} {wanted}"


def _compares(operator: str, value: str, bounds: Sequence[str]) -> bool:
    if not value.isdigit() or not bounds or not bounds[0].isdigit():
        return False
    number, bound = int(value), int(bounds[0])
    return {
        "Gt": number > bound,
        "Gte": number >= bound,
        "Lt": number < bound,
        "Lte": number <= bound,
    }[operator]


def gpus_asked(pod: Object) -> dict[str, int]:
    """Resource -> how many of it one node must have free; without those of nobody's GPUs."""
    spec = pod["spec"]
    asked: dict[str, int] = {}
    for container in spec.get("containers", []):
        for name, amount in _gpu_limits(container):
            asked[name] = asked.get(name, 0) + amount
    # They run before the others, one after the other.
    for container in spec.get("initContainers", []):
        for name, amount in _gpu_limits(container):
            asked[name] = max(asked.get(name, 0), amount)
    return {name: amount for name, amount in asked.items() if amount}


def _gpu_limits(container: Object) -> Iterator[tuple[str, int]]:
    # An extended resource's limit is its request, and always a whole number.
    for name, amount in container.get("resources", {}).get("limits", {}).items():
        if name.startswith(GPU_DOMAIN):
            yield name, int(amount)


def untolerated(pod: Object, pool: Object) -> list[Object]:
    """The taints of the pool that keep the pod off its nodes."""
    tolerations = pod["spec"].get("tolerations") or []
    taints = _template_spec(pool).get("taints") or []
    return [
        taint
        for taint in taints
        if taint["effect"] in _BLOCKING and not any(_tolerates(each, taint) for each in tolerations)
    ]


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    key = toleration.get("key") or ""
    operator = toleration.get("operator") or "Equal"
    if not key:
        return operator == "Exists"
    if key != taint["key"]:
        return False
    return operator == "Exists" or (toleration.get("value") or "") == (taint.get("value") or "")


def wanted(pod: Object) -> list[list[Requirement]]:
    """The pod's conditions on its node: it takes one that meets all of any list."""
    spec = pod["spec"]
    always = [
        Requirement(key, "In", (value,)) for key, value in (spec.get("nodeSelector") or {}).items()
    ]
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = required.get("nodeSelectorTerms") or [{}]
    return [
        _with_families([*always, *_requirements(term.get("matchExpressions") or [])])
        for term in terms
    ]


def offered(pool: Object) -> list[Requirement]:
    """What is known of the labels of the nodes a pool makes."""
    labels = (pool["spec"]["template"].get("metadata") or {}).get("labels") or {}
    made = [Requirement(key, "In", (value,)) for key, value in labels.items()]
    made.append(Requirement(POOL_LABEL, "In", (pool["metadata"]["name"],)))
    made += _requirements(_template_spec(pool).get("requirements") or [])
    made = _with_families(made)
    families = families_of(pool)
    if families and all(family in FAMILIES for family in families):
        kinds = sorted({FAMILIES[family].name for family in families})
        made.append(Requirement(GPU_NAME, "In", tuple(kinds)))
    return made


def conflicts(wants: Iterable[Requirement], pool: Object) -> list[tuple[Requirement, str]]:
    """The conditions no node of the pool can meet, each with what the pool's nodes have instead."""
    has = offered(pool)
    return [(each, has_of(has, each.key)) for each in wants if _conflict(each, has)]


def has_of(has: Sequence[Requirement], key: str) -> str:
    """What is known of one label, for people."""
    return " and ".join(
        f"{'' if each.operator == 'In' else each.operator + ' '}{', '.join(each.values)}"
        for each in has
        if each.key == key
    )


def _conflict(wants: Requirement, has: Sequence[Requirement]) -> bool:
    there = [each for each in has if each.key == wants.key]
    if not there:
        known = wants.key in _KNOWN_LABELS or wants.key.startswith(_KNOWN_PREFIX)
        return not known and wants.operator not in ("NotIn", "DoesNotExist")
    every = [wants, *there]
    listed = next((each.values for each in (*there, wants) if each.operator == "In"), None)
    if listed is not None:
        return not any(all(each.admits(value) for each in every) for value in listed)
    return len({each.operator == "DoesNotExist" for each in every}) == 2


def families_of(pool: Object) -> tuple[str, ...]:
    """The instance families a pool is limited to; empty where it isn't."""
    listed = _with_families(_requirements(_template_spec(pool).get("requirements") or []))
    sets = [set(each.values) for each in listed if each.key == FAMILY and each.operator == "In"]
    return tuple(sorted(set.intersection(*sets))) if sets else ()


def machine_sizes(pool: Object) -> tuple[int, ...]:
    """How many GPUs a machine of the pool can have, smallest first; empty when it's not known."""
    count = "karpenter.k8s.aws/instance-gpu-count"
    limits = [
        each
        for each in _requirements(_template_spec(pool).get("requirements") or [])
        if each.key == count
    ]
    return tuple(
        size
        for size in per_machine(families_of(pool))
        if all(each.admits(str(size)) for each in limits)
    )


def has_gpus(pool: Object) -> bool:
    """Whether a pool is there for GPUs, by any of the ways to say so."""
    template = _template_spec(pool)
    said = [
        *(pool["spec"].get("limits") or {}),
        *((pool["spec"]["template"].get("metadata") or {}).get("labels") or {}),
        *(taint["key"] for taint in template.get("taints") or []),
    ]
    keys = {each["key"] for each in template.get("requirements") or []}
    return (
        any(name.startswith(GPU_DOMAIN) for name in said)
        or any(key.startswith("karpenter.k8s.aws/instance-gpu-") for key in keys)
        or any(family in FAMILIES for family in families_of(pool))
    )


def _requirements(listed: Iterable[Object]) -> list[Requirement]:
    return [
        Requirement(each["key"], each["operator"], tuple(each.get("values") or ()))
        for each in listed
    ]


def _with_families(requirements: list[Requirement]) -> list[Requirement]:
    """With what a list of instance types says of their families."""
    implied = [
        Requirement(FAMILY, "In", tuple(sorted({value.split(".")[0] for value in each.values})))
        for each in requirements
        if each.key == INSTANCE_TYPE and each.operator == "In"
    ]
    return [*requirements, *implied]


def _template_spec(pool: Object) -> dict[str, Any]:
    return cast("dict[str, Any]", pool["spec"]["template"]["spec"])
