"""What the cluster runs on, and in which order it comes to life."""

from __future__ import annotations

import json

import pytest

from regions.region import Feature, Region
from tests.components.cluster.simulated_cluster import (
    ADDON,
    ATTACHMENT,
    CLUSTER,
    GROUP,
    ROLE,
    STORAGE_CLASS,
    TAGS,
    TEMPLATE,
    cluster,
    names,
    policy,
)
from tests.harness import Recorded


def test_nodes_have_the_three_policies_of_their_partition(made: tuple[Region, Recorded]) -> None:
    region, recorded = made
    role = recorded.only(ROLE, "kf-nodes-role")
    attached = [a for a in recorded.of(ATTACHMENT) if a.name.startswith("kf-nodes-")]
    china = ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]
    trusted = china if region.partition == "aws-cn" else "ec2.amazonaws.com"
    assert policy(role)[0]["Principal"] == {"Service": trusted}
    assert {a.inputs["policyArn"] for a in attached} == {
        f"arn:{region.partition}:iam::aws:policy/{name}"
        for name in (
            "AmazonEC2ContainerRegistryPullOnly",
            "AmazonEKSWorkerNodePolicy",
            "AmazonEKS_CNI_Policy",
        )
    }


def test_the_node_group_has_the_references_size_and_is_left_alone_by_updates(
    beijing: Recorded,
) -> None:
    group = beijing.only(GROUP)
    assert group.inputs["nodeGroupName"] == "kf"
    assert group.inputs["amiType"] == "AL2023_x86_64_STANDARD"
    assert group.inputs["version"] == "1.36"
    assert group.inputs["scalingConfig"] == {"desiredSize": 4, "minSize": 4, "maxSize": 8}
    assert group.ignore_changes == ("scalingConfig.desiredSize",)
    assert group.inputs["subnetIds"] == beijing.exports["subnets"]


def test_another_instance_type_rolls_the_nodes_instead_of_replacing_the_group(
    beijing: Recorded,
) -> None:
    made = cluster(nodeGroup={"instanceType": "m5.2xlarge"})
    before, after = (r.only(GROUP).inputs["launchTemplate"]["version"] for r in (beijing, made))
    assert made.only(TEMPLATE).inputs["instanceType"] == "m5.2xlarge"
    assert "instanceTypes" not in made.only(GROUP).inputs
    assert before.isdigit()
    assert after.isdigit()
    assert before != after


def test_disks_are_encrypted_gp3(beijing: Recorded) -> None:
    (disk,) = beijing.only(TEMPLATE).inputs["blockDeviceMappings"]
    assert disk["deviceName"] == "/dev/xvda"
    assert disk["ebs"] == {
        "volumeType": "gp3",
        "volumeSize": 100,
        "encrypted": "true",
        "deleteOnTermination": "true",
    }


def test_pods_cannot_take_the_nodes_credentials(beijing: Recorded) -> None:
    assert beijing.only(TEMPLATE).inputs["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }


def test_machines_disks_and_interfaces_carry_the_stacks_tags(beijing: Recorded) -> None:
    specifications = beijing.only(TEMPLATE).inputs["tagSpecifications"]
    assert {s["resourceType"] for s in specifications} == {
        "instance",
        "volume",
        "network-interface",
    }
    assert all(s["tags"] == {**TAGS, "Name": "kf-nodes"} for s in specifications)


def test_everything_that_takes_tags_has_the_stacks(beijing: Recorded) -> None:
    untagged = {ATTACHMENT, "aws:kms/alias:Alias", "aws:ec2/tag:Tag", "aws:ec2/route:Route"}
    untagged.add("aws:ec2/routeTableAssociation:RouteTableAssociation")
    for resource in beijing.all:
        if resource.type.startswith(("aws:", "eks:")) and resource.type not in untagged:
            assert resource.inputs["tags"]["platform"] == "kubeflow", resource.name


def test_karpenter_gets_the_group_that_every_node_is_in(beijing: Recorded) -> None:
    (cluster,) = beijing.of(CLUSTER)
    given = (cluster.outputs["clusterSecurityGroupId"], cluster.outputs["nodeSecurityGroupId"])
    assert {*given} == {beijing.exports["node_group"]}
    assert beijing.none("aws:ec2/tag:Tag")


# Add-ons and order


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_addons_have_the_version_that_belongs_to_the_kubernetes_version(region: str) -> None:
    versions = {
        r.inputs["addonName"]: r.inputs["addonVersion"]
        for r in cluster(region, cluster={"version": "1.34"}).of(ADDON)
    }
    assert {"vpc-cni", "kube-proxy", "coredns", "aws-ebs-csi-driver"} <= set(versions)
    assert versions["kube-proxy"].startswith("v1.34.")


def test_the_pod_identity_agent_runs_exactly_where_the_region_has_pod_identity(
    made: tuple[Region, Recorded],
) -> None:
    region, recorded = made
    addons = {r.inputs["addonName"] for r in recorded.of(ADDON)}
    assert ("eks-pod-identity-agent" in addons) == region.has(Feature.POD_IDENTITY)
    assert region.has(Feature.POD_IDENTITY) == (region.partition != "aws-cn")


def test_pods_with_a_pod_identity_wait_for_its_agent() -> None:
    oregon = cluster("us-west-2")
    agent = oregon.only(ADDON, "kf-eks-pod-identity-agent")
    assert names(oregon.dependencies_of(agent), GROUP)
    assert agent.urn in oregon.exports["ready"]


def test_network_policies_are_enforced(beijing: Recorded) -> None:
    values = beijing.only(ADDON, "kf-vpc-cni").inputs["configurationValues"]
    assert json.loads(values) == {"enableNetworkPolicy": "true"}


def test_nodes_wait_for_the_pod_network_and_the_ways_out(beijing: Recorded) -> None:
    before = beijing.dependencies_of(beijing.only(GROUP))
    assert {"kf-vpc-cni", "kf-kube-proxy"} <= names(before, ADDON)
    assert len(names(before, "aws:ec2/route:Route")) == 3
    assert "kf-network-endpoints-ec2" in names(before, "aws:ec2/vpcEndpoint:VpcEndpoint")
    assert len(names(before, ATTACHMENT)) == 3


@pytest.mark.parametrize("addon", ["kf-coredns", "kf-storage-driver"])
def test_addons_that_run_as_pods_wait_for_nodes(beijing: Recorded, addon: str) -> None:
    assert names(beijing.dependencies_of(beijing.only(ADDON, addon)), GROUP)


@pytest.mark.parametrize("addon", ["kf-vpc-cni", "kf-kube-proxy"])
def test_addons_that_make_nodes_ready_do_not(beijing: Recorded, addon: str) -> None:
    before = beijing.dependencies_of(beijing.only(ADDON, addon))
    assert names(before, CLUSTER)
    assert not names(before, GROUP)


def test_using_the_clusters_name_means_waiting_for_the_cluster(beijing: Recorded) -> None:
    assert names(beijing.dependencies_of(beijing.only(GROUP)), CLUSTER)


def test_the_default_volume_is_encrypted_gp3_where_the_pod_runs(beijing: Recorded) -> None:
    storage = beijing.only(STORAGE_CLASS)
    annotation = {"storageclass.kubernetes.io/is-default-class": "true"}
    assert storage.inputs["metadata"]["name"] == "gp3"
    assert annotation.items() <= storage.inputs["metadata"]["annotations"].items()
    assert storage.inputs["provisioner"] == "ebs.csi.aws.com"
    assert storage.inputs["parameters"] == {"type": "gp3", "encrypted": "true"}
    assert storage.inputs["volumeBindingMode"] == "WaitForFirstConsumer"
    assert "::kf-kubernetes::" in storage.provider


def test_ready_is_all_that_pods_need(beijing: Recorded) -> None:
    assert {urn.split("::")[-1] for urn in beijing.exports["ready"]} == {
        "kf-nodes-group",
        "kf-vpc-cni",
        "kf-kube-proxy",
        "kf-coredns",
        "kf-storage-driver",
        "kf-storage-gp3",
    }
