"""vCPUs and GPUs of EC2's amd64 machines: those with NVIDIA GPUs, and the families c, m and r.

``machines.json`` has its source; ``python -m tests.regions.machines_of_moto`` writes it anew, and a
test compares it with the installed moto.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

TABLE = Path(__file__).with_suffix(".json")


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
