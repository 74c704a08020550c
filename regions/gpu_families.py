"""Number and kind of the GPUs in machines of each EC2 family, from Karpenter's own tables.

aws/karpenter-provider-aws, ``website/content/en/docs/reference/instance-types.md``: 1d92708 for
its present families, v0.37.0 for g3, g3s, p2 and p3. ``g6f`` and ``gr6f`` are left out: their
parts of a GPU count as none in EC2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Gpus:
    """The GPUs of a family.

    Attributes:
        name: as in the label ``karpenter.k8s.aws/instance-gpu-name``.
        per_machine: GPUs of one machine, smallest number first.
    """

    name: str
    per_machine: tuple[int, ...]


FAMILIES = {
    "g3": Gpus("m60", (1, 2, 4)),
    "g3s": Gpus("m60", (1,)),
    "g4dn": Gpus("t4", (1, 4, 8)),
    "g5": Gpus("a10g", (1, 4, 8)),
    "g5g": Gpus("t4g", (1, 2)),
    "g6": Gpus("l4", (1, 4, 8)),
    "g6e": Gpus("l40s", (1, 4, 8)),
    "g7": Gpus("rtx-pro-4500", (1, 2, 4, 8)),
    "g7e": Gpus("rtx-pro-server-6000", (1, 2, 4, 8)),
    "gr6": Gpus("l4", (1,)),
    "p2": Gpus("k80", (1, 8, 16)),
    "p3": Gpus("v100", (1, 4, 8)),
    "p3dn": Gpus("v100", (8,)),
    "p4d": Gpus("a100", (8,)),
    "p4de": Gpus("a100", (8,)),
    "p5": Gpus("h100", (1, 8)),
    "p5e": Gpus("h200", (8,)),
    "p5en": Gpus("h200", (8,)),
    "p6-b200": Gpus("b200", (8,)),
    "p6-b300": Gpus("b300", (8,)),
}


def per_machine(families: Iterable[str]) -> tuple[int, ...]:
    """The numbers of GPUs a machine of these families can have, smallest first.

    Empty if one of the families is not in the table.
    """
    names = list(families)
    if not all(family in FAMILIES for family in names):
        return ()
    return tuple(sorted({count for family in names for count in FAMILIES[family].per_machine}))
