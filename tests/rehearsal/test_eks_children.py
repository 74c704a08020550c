"""What a rehearsal registers under ``eks.Cluster``, against what pulumi-eks does."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components.cluster import EksCluster
from ops.current_cluster import CurrentCluster
from regions.region import Region
from rehearsal.clouds import SimulatedCloud
from rehearsal.sample_outputs.eks_children import Child, children
from settings import from_mapping
from tests.components.cluster.simulated_cluster import cluster_args
from tests.harness import REGIONS, run


def inputs_of(region: str) -> dict[str, Any]:
    """What the real component gives to ``eks.Cluster``, as the engine receives it."""
    settings = from_mapping({"region": region})

    def program() -> None:
        EksCluster(
            "kf",
            cluster_args(settings, {"a": "b"}),
            opts=pulumi.ResourceOptions(providers=[aws.Provider("aws", region=region)]),
        )

    return run(program, region).only("eks:index:Cluster").inputs


def children_of(region: str, **changes: Any) -> list[Child]:
    inputs = inputs_of(region) | changes
    return children(SimulatedCloud(region).resource("eks:index:Cluster", "c", inputs))


@pytest.fixture(scope="module", params=REGIONS)
def stack(request: pytest.FixtureRequest) -> tuple[Region, dict[str, Child]]:
    by_type = {child.type: child for child in children_of(request.param)}
    return Region.of(request.param), by_type


def test_the_children_are_those_of_pulumi_eks(stack: tuple[Region, dict[str, Child]]) -> None:
    names = {type_: child.name for type_, child in stack[1].items()}
    assert names == {
        "eks:index:ServiceRole": "c-eksRole",
        "aws:iam/role:Role": "c-eksRole-role",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "c-eksRole-4b490823",
        "aws:eks/cluster:Cluster": "c-eksCluster",
        "pulumi:providers:kubernetes": "c-eks-k8s",
    }


def test_the_control_plane_gets_what_the_component_was_given(
    stack: tuple[Region, dict[str, Child]],
) -> None:
    region, by_type = stack
    inputs = by_type["aws:eks/cluster:Cluster"].inputs
    assert (inputs["name"], inputs["version"]) == (
        "kubeflow",
        from_mapping({"region": region.name}).cluster.version,
    )
    assert inputs["roleArn"].startswith(f"arn:{region.partition}:iam::111122223333:role/c-eksRole")
    assert inputs["accessConfig"]["authenticationMode"] == "API"
    assert inputs["vpcConfig"]["endpointPublicAccess"] is False
    assert len(inputs["vpcConfig"]["subnetIds"]) == 3
    key = inputs["encryptionConfig"]["provider"]["keyArn"]
    assert key.startswith(f"arn:{region.partition}:kms:{region.name}:")


def test_component_and_its_kubernetes_provider_have_one_kubeconfig(
    stack: tuple[Region, dict[str, Child]],
) -> None:
    region, by_type = stack
    cloud, inputs = SimulatedCloud(region.name), inputs_of(region.name)
    _, component = cloud.outputs("eks:index:Cluster", "c", inputs)
    assert (
        by_type["pulumi:providers:kubernetes"].inputs["kubeconfig"] == component["kubeconfigJson"]
    )
    kubeconfig = json.loads(component["kubeconfigJson"])
    server = kubeconfig["clusters"][0]["cluster"]["server"]
    assert server.endswith(f".{region.name}.eks.{region.dns_suffix}")
    current = CurrentCluster.of(kubeconfig)
    assert (current.server, current.name, current.region) == (server, "kubeflow", region.name)
    assert component["oidcProviderUrl"] == f"https://{component['oidcIssuer']}"


def test_a_child_comes_after_everything_it_names() -> None:
    seen: set[str] = set()
    for child in children_of("cn-north-1"):
        assert {*child.dependencies, *filter(None, [child.parent])} <= seen
        seen.add(child.name)


@pytest.mark.parametrize(
    "change",
    [
        {"skipDefaultNodeGroup": False},
        {"createOidcProvider": True},
        {"authenticationMode": None},
        {"accessEntries": {"ops": {}}},
    ],
)
def test_arguments_with_other_children_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError, match=next(iter(change))):
        children_of("cn-north-1", **change)
