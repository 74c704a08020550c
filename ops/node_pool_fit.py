"""Whether a NodePool could create a node for a pod: taints, labels and numbers of GPUs.

The rules are those of Kubernetes (tolerations, node affinity) and, for labels that no node has yet,
Karpenter's: a label that the pool does not mention may be on a machine if it is well-known to
Karpenter, and otherwise is not (kubernetes-sigs/karpenter v1.14.1, pkg/scheduling/requirements.go,
and pkg/apis/v1/labels.go for the well-known labels).
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ops.karpenter_status import POOL_LABEL, Object
from regions.gpu_families import FAMILIES, per_machine

GPU_DOMAIN = "nvidia.com/"
"""Of every resource of the device plugin: ``gpu``, ``gpu.shared``, ``mig-...``."""
GPU = "nvidia.com/gpu"
FAMILY = "karpenter.k8s.aws/instance-family"
GPU_NAME = "karpenter.k8s.aws/instance-gpu-name"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"

_INSTANCE = "karpenter.k8s.aws/instance-"
_WELL_KNOWN = (
    INSTANCE_TYPE,
    "karpenter.sh/capacity-type",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "topology.k8s.aws/zone-id",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
)
_NUMERIC = {"Gt": operator.gt, "Gte": operator.ge, "Lt": operator.lt, "Lte": operator.le}
_WORDS = {"In": "of", "NotIn": "not of", "Gt": "above", "Lt": "below"}


@dataclass(frozen=True)
class Requirement:
    """One condition on a label, of a pod or of a pool."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def admits(self, value: str) -> bool:
        """Whether a node with this value of the label meets it."""
        compare = _NUMERIC.get(self.operator)
        if compare:
            numbers = [int(text) for text in (value, *self.values[:1]) if text.isdigit()]
            return len(numbers) == 2 and compare(*numbers)
        if self.operator in ("In", "NotIn"):
            return (value in self.values) == (self.operator == "In")
        return self.operator != "DoesNotExist"

    def __str__(self) -> str:
        word = _WORDS.get(self.operator, self.operator)
        return f"{self.key} {word} {', '.join(self.values)}".strip()


class NodePool:
    """A NodePool, with what scheduling reads of it.

    Args:
        obj: of karpenter.sh/v1.

    Attributes:
        name: of the object.
        taints: of its nodes.
        limits: resource -> quantity.
        requirements: what is known of the labels of its nodes.
        families: the instance families it is limited to; empty: it is not limited.
        sizes: numbers of GPUs its machines can have, ascending; empty: not known.
        has_gpus: whether anything in it is about GPUs.
    """

    def __init__(self, obj: Object) -> None:
        self.obj = obj
        self.name: str = obj["metadata"]["name"]
        template = obj["spec"]["template"]
        labels: dict[str, str] = (template.get("metadata") or {}).get("labels") or {}
        self.taints: list[Object] = template["spec"].get("taints") or []
        self.limits: dict[str, str] = obj["spec"].get("limits") or {}
        self.requirements = _with_families(
            _equal({**labels, POOL_LABEL: self.name})
            + _requirements(template["spec"].get("requirements") or [])
        )
        families = [set(item.values) for item in self._of(FAMILY) if item.operator == "In"]
        self.families = tuple(sorted(set.intersection(*families))) if families else ()
        known = [FAMILIES[family].name for family in self.families if family in FAMILIES]
        counts = self._of("karpenter.k8s.aws/instance-gpu-count")
        self.sizes = tuple(
            size
            for size in per_machine(self.families)
            if all(count.admits(str(size)) for count in counts)
        )
        names = (*self.limits, *labels, *(taint["key"] for taint in self.taints))
        self.has_gpus = (
            bool(known)
            or any(name.startswith(GPU_DOMAIN) for name in names)
            or any(r.key.startswith("karpenter.k8s.aws/instance-gpu-") for r in self.requirements)
        )
        if known and len(known) == len(self.families):
            self.requirements.append(Requirement(GPU_NAME, "In", tuple(sorted({*known}))))

    def untolerated(self, pod: Object) -> list[Object]:
        """The taints that keep a pod off the nodes."""
        tolerations = pod["spec"].get("tolerations") or []
        return [
            taint
            for taint in self.taints
            if taint["effect"] in ("NoSchedule", "NoExecute")
            and not any(_tolerates(toleration, taint) for toleration in tolerations)
        ]

    def conflicts(self, wanted: Iterable[Requirement]) -> list[tuple[Requirement, str]]:
        """The conditions no node can meet, each with what is known of the label instead."""
        return [
            (condition, self._description(condition.key))
            for condition in wanted
            if self._conflicts(condition)
        ]

    def _of(self, key: str) -> list[Requirement]:
        return [requirement for requirement in self.requirements if requirement.key == key]

    def _description(self, key: str) -> str:
        return " and ".join(
            f"{'' if item.operator == 'In' else item.operator + ' '}{', '.join(item.values)}"
            for item in self._of(key)
        )

    def _conflicts(self, condition: Requirement) -> bool:
        own = self._of(condition.key)
        if not own:
            optional = condition.operator in ("NotIn", "DoesNotExist")
            well_known = condition.key in _WELL_KNOWN or condition.key.startswith(_INSTANCE)
            return not (optional or well_known)
        both = [*own, condition]
        values = next((item.values for item in both if item.operator == "In"), None)
        if values is None:
            return len({item.operator == "DoesNotExist" for item in both}) == 2
        return not any(all(item.admits(value) for item in both) for value in values)


def gpus_requested(pod: Object) -> dict[str, int]:
    """Resource of GPUs -> how many of it one node must have free."""
    spec, requested = pod["spec"], Counter[str]()
    for container in spec.get("containers", []):
        requested += _gpu_limits(container)
    # They run before the others, one after the other.
    for container in spec.get("initContainers", []):
        requested |= _gpu_limits(container)
    return dict(requested)


def _gpu_limits(container: Object) -> Counter[str]:
    # The limit of an extended resource is its request, and always a whole number.
    limits = container.get("resources", {}).get("limits", {})
    return Counter({key: int(limits[key]) for key in limits if key.startswith(GPU_DOMAIN)})


def node_requirements(pod: Object) -> list[list[Requirement]]:
    """The pod's conditions on its node, which must meet all of at least one list."""
    spec = pod["spec"]
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    selector = _equal(spec.get("nodeSelector") or {})
    return [
        _with_families([*selector, *_requirements(term.get("matchExpressions") or [])])
        for term in required.get("nodeSelectorTerms") or [{}]
    ]


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    exists = toleration.get("operator") == "Exists"
    if not toleration.get("key"):
        return exists
    same_value = (toleration.get("value") or "") == (taint.get("value") or "")
    return toleration["key"] == taint["key"] and (exists or same_value)


def _equal(labels: dict[str, str]) -> list[Requirement]:
    return [Requirement(key, "In", (value,)) for key, value in labels.items()]


def _requirements(items: Iterable[Object]) -> list[Requirement]:
    return [
        Requirement(item["key"], item["operator"], tuple(item.get("values") or ()))
        for item in items
    ]


def _with_families(requirements: list[Requirement]) -> list[Requirement]:
    """Add the families that a list of instance types implies."""
    return requirements + [
        Requirement(FAMILY, "In", tuple(sorted({value.split(".")[0] for value in item.values})))
        for item in requirements
        if item.key == INSTANCE_TYPE and item.operator == "In"
    ]
