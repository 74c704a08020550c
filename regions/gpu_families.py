"""Number, kind and memory of the GPUs in machines of each EC2 family (``gpu_families.yaml``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Gpus:
    """The GPUs of a family.

    Attributes:
        name: as in the label ``karpenter.k8s.aws/instance-gpu-name``.
        per_machine: GPUs of one machine, smallest number first.
        memory: of one GPU, in MiB.
    """

    name: str
    per_machine: tuple[int, ...]
    memory: int

    @property
    def memory_gb(self) -> int:
        """The memory of one GPU in whole GB (10^9 bytes), as data sheets give it."""
        return ((self.memory + 1) * 2**20 - 1) // 10**9  # 24 GB of an A10G are 22888 MiB and a part


_TABLE: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_suffix(".yaml").read_text("utf-8")
)
FAMILIES = {
    family: Gpus(row["name"], tuple(row["per_machine"]), row["memory"])
    for family, row in _TABLE.items()
}


def per_machine(families: Iterable[str]) -> tuple[int, ...]:
    """The numbers of GPUs a machine of these families can have, smallest first.

    Empty if one of the families is not in the table.
    """
    names = list(families)
    if not all(family in FAMILIES for family in names):
        return ()
    return tuple(sorted({count for family in names for count in FAMILIES[family].per_machine}))
