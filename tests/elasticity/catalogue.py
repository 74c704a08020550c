"""The region's GPU machines, as Karpenter's kwok provider reads them."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from components.gpu.karpenter_objects import GPU_RESOURCE
from regions.instance_prices import prices_in

_FILE = Path(__file__).with_suffix(".yaml")
# What the kwok provider keeps back on each machine (kwok/cloudprovider/helpers.go, KubeReserved).
_KEPT_MILLICORES, _KEPT_MIB = 100, 10


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class InstanceType(_Strict):
    """One machine; ``cpu`` and ``memory`` are what pods may have of it."""

    gpus: int
    cpu: str
    memory: str
    pods: int

    @property
    def millicores(self) -> int:
        return int(self.cpu.removesuffix("m"))

    @property
    def mebibytes(self) -> int:
        return int(self.memory.removesuffix("Mi"))


class Catalogue(_Strict):
    """What a region sells, where, and for how much."""

    region: str
    spot_share: float
    zones: tuple[str, ...]
    types: dict[str, InstanceType]

    def price(self, instance_type: str, capacity_type: str = "on-demand") -> float:
        """CNY per hour."""
        whole = self._on_demand[instance_type]
        return whole * self.spot_share if capacity_type == "spot" else whole

    @cached_property
    def _on_demand(self) -> dict[str, float]:
        prices = prices_in(self.region)
        assert prices is not None, self.region
        families = {name.partition(".")[0] for name in self.types}
        return {name: float(price) for name, price in prices.of(families).items()}

    def cheapest(self, *, gpus: int, millicores: int, mebibytes: int) -> str:
        """The cheapest type on which such a pod fits alone."""
        fitting = [
            name
            for name, machine in self.types.items()
            if machine.gpus >= gpus
            and machine.millicores >= millicores
            and machine.mebibytes >= mebibytes
        ]
        return min(fitting, key=self.price)

    def for_kwok(self) -> list[dict[str, Any]]:
        """The document that INSTANCE_TYPES_FILE_PATH names.

        The labels that the AWS provider derives from EC2 are requirements of the offerings here,
        where the kwok provider takes any key: so our NodePool's requirements need no translation.
        """
        return [
            {
                "name": name,
                "architecture": "amd64",
                "operatingSystems": ["linux"],
                "resources": {
                    "cpu": f"{machine.millicores + _KEPT_MILLICORES}m",
                    "memory": f"{machine.mebibytes + _KEPT_MIB}Mi",
                    "pods": str(machine.pods),
                    GPU_RESOURCE: str(machine.gpus),
                },
                "offerings": [
                    {
                        "Price": self.price(name, capacity_type),
                        "Available": True,
                        "Requirements": [
                            _is("karpenter.sh/capacity-type", capacity_type),
                            _is("topology.kubernetes.io/zone", zone),
                            _is("karpenter.k8s.aws/instance-family", name.partition(".")[0]),
                            _is("karpenter.k8s.aws/instance-gpu-manufacturer", "nvidia"),
                            _is("karpenter.k8s.aws/instance-gpu-count", str(machine.gpus)),
                        ],
                    }
                    for zone in self.zones
                    for capacity_type in ("on-demand", "spot")
                ],
            }
            for name, machine in self.types.items()
        ]


def _is(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": [value]}


@cache
def catalogue() -> Catalogue:
    """Beijing's, from ``catalogue.yaml``."""
    return Catalogue.model_validate(yaml.safe_load(_FILE.read_text()))
