"""The simulated cloud: one source of invented values for unit-test mocks and for rehearsal.

Every ARN, endpoint and id that a simulated provider answers is computed here, from the region's own
facts and the resource's inputs, so that a unit test and a rehearsal of the whole stack see the same
values. Nothing is random: the same resource in the same region always gets the same answers.

A table file in ``rehearsal/sample_outputs/`` defines ``OUTPUTS`` (resource type -> function) and, where
it needs them, ``INVOKES`` (function token -> function). Each function takes an ``Invention`` and
returns the computed properties only; inputs are echoed back by ``SimulatedCloud``. A type no table
knows still works: its inputs, an id and nothing else.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from regions.region import Region

ACCOUNT = "111122223333"
"""The documentation account id AWS uses in its own examples."""


@dataclass(frozen=True)
class Invention:
    """What a table function may look at: one resource (or call) in one simulated region."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    region: Region
    account: str

    def hex(self, length: int = 17) -> str:
        """A stable hexadecimal id of ``length`` characters for this resource."""
        seed = f"{self.region.name}/{self.type}/{self.name}"
        return hashlib.sha256(seed.encode()).hexdigest()[:length]

    def physical_name(self, key: str = "name") -> str:
        """The name the provider would use: the input ``key``, its prefix, or Pulumi's autoname."""
        given, prefix = self.inputs.get(key), self.inputs.get(f"{key}Prefix")
        if isinstance(given, str) and given:
            return given
        if isinstance(prefix, str):
            return f"{prefix}{self.hex(26)}"
        return f"{self.name}-{self.hex(7)}"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a regional resource of this account."""
        return self.region.arn(service, resource, account=self.account)

    def global_arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of this account in a service without regions (IAM)."""
        return self.region.arn(service, resource, account=self.account, region="")


Outputs = Callable[[Invention], dict[str, Any]]


@cache
def _tables() -> tuple[dict[str, Outputs], dict[str, Outputs]]:
    import rehearsal.sample_outputs as package

    outputs: dict[str, Outputs] = {}
    invokes: dict[str, Outputs] = {}
    for module in pkgutil.iter_modules(package.__path__):
        table = importlib.import_module(f"{package.__name__}.{module.name}")
        outputs |= getattr(table, "OUTPUTS", {})
        invokes |= getattr(table, "INVOKES", {})
    return outputs, invokes


@dataclass(frozen=True)
class SimulatedCloud:
    """One region of one account of a cloud that does not exist."""

    region_name: str
    account: str = ACCOUNT

    @property
    def region(self) -> Region:
        return Region.of(self.region_name)

    def outputs(
        self, type_: str, name: str, inputs: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """The id and all properties of the created resource: its inputs and what is computed.

        A table function may set ``id``; otherwise the id is the physical name.
        """
        invention = Invention(type_, name, inputs, self._region_of(inputs), self.account)
        known = _tables()[0].get(type_)
        computed = known(invention) if known else {}
        identifier = str(computed.pop("id", None) or invention.physical_name())
        return identifier, {**inputs, **computed}

    def invoke(self, token: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a data-source call; LookupError names a token no table knows."""
        known = _tables()[1].get(token)
        if known is None:
            raise LookupError(f"no simulated answer for {token}: add it to rehearsal/sample_outputs")
        return known(Invention(token, token, args, self._region_of(args), self.account))

    def _region_of(self, inputs: Mapping[str, Any]) -> Region:
        # pulumi-aws 7 lets a resource name its own region; the provider's region is the default.
        own = inputs.get("region")
        try:
            return Region.of(own) if isinstance(own, str) and own else self.region
        except ValueError:
            return self.region
