"""The simulated cloud: one source of sample outputs for unit tests and for rehearsals.

Every ARN, endpoint and id that a simulated provider returns is computed in
``rehearsal/sample_outputs/`` and ``rehearsal/resource_types.yaml``, from the region's own facts and
the resource's inputs. A type without a row there still works: its inputs, an id and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from regions.region import Region, known_regions
from rehearsal.sample_outputs import aws, dynamic, eks, existing_network, node_images
from rehearsal.sample_outputs.resource import SimulatedResource, name_property

ACCOUNT = "111122223333"
"""The documentation account id AWS uses in its own examples."""

_OUTPUTS = dynamic.OUTPUTS | eks.OUTPUTS
_INVOKES = aws.INVOKES | eks.INVOKES | node_images.INVOKES


@dataclass(frozen=True)
class SimulatedCloud:
    """One region of one account of a cloud that does not exist.

    Attributes:
        network: the VPC and subnets that exist beside the stack.
    """

    region_name: str
    account: str = ACCOUNT
    network: existing_network.Network = field(default_factory=dict[str, Any], hash=False)

    def resource(
        self, type_: str, name: str, inputs: Mapping[str, Any], attempt: int = 0
    ) -> SimulatedResource:
        """A resource in the region that its inputs name (pulumi-aws 7), else in this one."""
        own = inputs.get("region")
        region = Region.of(own if own in known_regions() else self.region_name)
        return SimulatedResource(type_, name, inputs, region, self.account, attempt)

    def outputs(
        self, type_: str, name: str, inputs: Mapping[str, Any], attempt: int = 0
    ) -> tuple[str, dict[str, Any]]:
        """The id and all properties of the created resource: its inputs and what is computed."""
        resource = self.resource(type_, name, inputs, attempt)
        computed = _OUTPUTS.get(type_, aws.outputs)(resource)
        key = name_property(type_)
        named = {key: resource.physical_name} if key else {}
        identifier = str(computed.pop("id", None) or resource.physical_name)
        return identifier, {**inputs, **named, **computed}

    def invoke(self, token: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a data source.

        Raises:
            LookupError: a token without a table, or something that is not there.
        """
        if token in existing_network.INVOKES:
            call = self.resource(token, token, args)
            return existing_network.INVOKES[token](call, self.network)
        if token not in _INVOKES:
            raise LookupError(f"no sample output of {token}: add it to rehearsal/sample_outputs")
        return _INVOKES[token](self.resource(token, token, args))
