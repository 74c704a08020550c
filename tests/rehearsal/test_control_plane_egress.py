"""cluster.controlPlaneEgress on the real engine: it reaches the cluster that pulumi-eks makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components.control_plane import ControlPlane, ControlPlaneArgs
from components.region import Region
from components.settings_sections import ClusterSettings
from rehearsal.clouds import ACCOUNT
from tests.rehearsal.conftest import Started

pytestmark = pytest.mark.engine


def control_plane(**settings: Any) -> Callable[[], Any]:
    def program() -> None:
        ControlPlane(
            "control-plane",
            ControlPlaneArgs(
                cluster=ClusterSettings.model_validate(settings),
                region=Region.of("cn-north-1"),
                account_id=pulumi.Output.from_input(ACCOUNT),
                vpc_id="vpc-1",
                subnet_ids=["subnet-1", "subnet-2"],
                tags={},
            ),
            pulumi.ResourceOptions(providers=[aws.Provider("aws", region="cn-north-1")]),
        )

    return program


def network_of_the_cluster(rehearsal: Any) -> dict[str, Any]:
    # No API of the SDK's own tells the inputs of a remote component's children.
    state = rehearsal._handle.export_stack().deployment["resources"]
    (found,) = (r for r in state if r["type"] == "aws:eks/cluster:Cluster")
    return found["inputs"]["vpcConfig"]


@pytest.mark.parametrize(
    ("settings", "mode"),
    [({}, None), ({"controlPlaneEgress": "customer-routed"}, "CUSTOMER_ROUTED")],
)
def test_the_setting_is_what_the_cluster_is_asked_for(
    settings: dict[str, str], mode: str | None, started: Started
) -> None:
    with started(control_plane(**settings)) as rehearsal:
        rehearsal.up()
        assert set(rehearsal.up().changes) == {"same"}
        network = network_of_the_cluster(rehearsal)
    assert network.get("controlPlaneEgressMode") == mode
    assert network["subnetIds"] == ["subnet-1", "subnet-2"]


def test_it_can_be_previewed_before_anything_is_known(started: Started) -> None:
    program = control_plane(controlPlaneEgress="customer-routed")
    with started(program, unknowns=True) as rehearsal:
        planned = rehearsal.preview()
    kinds = [urn.split("$")[-1].split("::")[0] for urn in planned.operations]
    assert "aws:eks/cluster:Cluster" in kinds
    assert set(planned.changes) == {"create"}
