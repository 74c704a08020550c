"""Rows as plan.json has them, of the plans that ``tests/judges/plans.py`` lists."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any

from rehearsal.clouds import SimulatedCloud
from rehearsal.sample_outputs.eks_children import children
from tests.judges.plans import made

TODAY = date(2026, 11, 29)

_EKS = "eks:index:Cluster"


@cache
def rows_of(plan: str) -> tuple[dict[str, Any], ...]:
    """Its rows without most of Kubeflow's objects, and with what pulumi-eks makes."""
    found = made(plan)
    region = found.only("pulumi:providers:aws", "aws").inputs["region"]
    rows = [
        {
            "urn": each.urn,
            "type": each.type,
            "name": each.name,
            "provider": each.provider.rpartition("::")[0],
            "dependencies": list(each.dependencies),
            "inputs": each.visible,
        }
        for each in found.all
    ]
    for each in found.of(_EKS):
        component = SimulatedCloud(region).resource(_EKS, each.name, each.inputs)
        rows += [
            {
                "urn": f"{each.urn}::{child.name}",
                "type": child.type,
                "name": child.name,
                "provider": "",
                "dependencies": [],
                "inputs": dict(child.inputs),
            }
            for child in children(component)
            if child.type.startswith("aws:")
        ]
    return tuple(rows)


def region_of(plan: str) -> str:
    """Its region."""
    providers = {row["name"]: row for row in rows_of(plan) if row["type"] == "pulumi:providers:aws"}
    return str(providers["aws"]["inputs"]["region"])
