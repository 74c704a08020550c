"""vCPUs and GPUs of EC2's amd64 machines: those with NVIDIA GPUs, and the families c, m and r.

``machines.json`` has its source; ``python -m tests.regions.machines_of_moto`` writes it anew, and a
test compares it with the installed moto.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from regions.gpu_families import FAMILIES

TABLE = Path(__file__).with_suffix(".json")
_LABEL = "karpenter.k8s.aws/instance-"


@dataclass(frozen=True)
class Machine:
    """One instance type.

    Attributes:
        name: ``g4dn.xlarge``.
        gpus: 0 in machines without.
    """

    name: str
    vcpus: int
    gpus: int

    @property
    def family(self) -> str:
        """``g4dn``."""
        return self.name.partition(".")[0]

    @property
    def category(self) -> str:
        """As in the label ``karpenter.k8s.aws/instance-category``: ``g``."""
        return self.family[0]

    @property
    def generation(self) -> int:
        """As in the label ``karpenter.k8s.aws/instance-generation``: 4."""
        found = re.search("[0-9]+", self.family)
        return int(found[0]) if found else 0

    def meets(self, requirements: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a NodePool with these requirements may choose it; other labels are left out."""
        of_family = FAMILIES.get(self.family) if self.gpus else None
        labels: dict[str, str | None] = {
            f"{_LABEL}family": self.family,
            f"{_LABEL}category": self.category,
            f"{_LABEL}generation": str(self.generation),
            f"{_LABEL}size": self.name.partition(".")[2],
            f"{_LABEL}cpu": str(self.vcpus),
            f"{_LABEL}gpu-count": str(self.gpus) if self.gpus else None,
            f"{_LABEL}gpu-manufacturer": "nvidia" if self.gpus else None,
            f"{_LABEL}gpu-name": of_family.name if of_family else None,
            f"{_LABEL}gpu-memory": str(of_family.memory) if of_family else None,
            "node.kubernetes.io/instance-type": self.name,
            "kubernetes.io/arch": "amd64",
        }
        return all(
            _holds(labels[each["key"]], each["operator"], each.get("values") or ())
            for each in requirements
            if each["key"] in labels
        )


def _holds(value: str | None, operator: str, values: Sequence[str]) -> bool:
    """As Karpenter evaluates it (kubernetes-sigs/karpenter pkg/scheduling/requirement.go)."""
    number = int(value) if value and value.isdecimal() else None
    match operator:
        case "In" | "NotIn":
            return (value in values) == (operator == "In")
        case "Exists" | "DoesNotExist":
            return (value is None) == (operator == "DoesNotExist")
        case "Gt" | "Gte":
            return number is not None and number >= int(values[0]) + (operator == "Gt")
        case "Lt" | "Lte":
            return number is not None and number <= int(values[0]) - (operator == "Lt")
        case _:
            raise ValueError(f"{operator} is no operator of a requirement")


@lru_cache(maxsize=1)
def machines() -> dict[str, Machine]:
    """Instance type -> its size."""
    table = json.loads(TABLE.read_text("utf-8"))["machines"]
    return {
        name: Machine(name, vcpus, gpus)
        for family, sizes in table.items()
        for size, (vcpus, gpus) in sizes.items()
        for name in [f"{family}.{size}"]
    }
