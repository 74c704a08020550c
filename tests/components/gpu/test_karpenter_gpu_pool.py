"""Karpenter's side of the stack as it is registered, in every kind of region."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops.pending_pods import NO_REASON
from regions.region import Feature, Region
from rehearsal.clouds import ACCOUNT
from tests.components.gpu.simulated_karpenter import (
    ASSOCIATION,
    DAEMON_SET,
    NODE_CLASS,
    NODE_POOL,
    POOL,
    RELEASE,
    ROLE,
    SLICED,
    made_in,
    names,
)
from tests.configuration_readers import not_rolled
from tests.harness import REGIONS, Recorded, Registered


@pytest.fixture(scope="module", params=REGIONS)
def region(request: pytest.FixtureRequest) -> Region:
    return Region.of(request.param)


@pytest.fixture(scope="module")
def made(region: Region) -> Recorded:
    return made_in(region.name, mirrored=True)


def _trust(role: Registered) -> dict[str, Any]:
    (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    return statement


def test_nodes_are_ec2_machines_with_four_policies_of_aws(made: Recorded, region: Region) -> None:
    china = ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]
    trusted = china if region.partition == "aws-cn" else "ec2.amazonaws.com"
    assert _trust(made.only(ROLE, f"{POOL}-node"))["Principal"] == {"Service": trusted}
    attached = [
        one.inputs["policyArn"]
        for one in made.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        if one.name.startswith(f"{POOL}-node-Amazon")
    ]
    assert sorted(attached) == [
        f"arn:{region.partition}:iam::aws:policy/{name}"
        for name in (
            "AmazonEC2ContainerRegistryPullOnly",
            "AmazonEKSWorkerNodePolicy",
            "AmazonEKS_CNI_Policy",
            "AmazonSSMManagedInstanceCore",
        )
    ]


def test_nodes_may_join_the_cluster_as_linux_machines(made: Recorded) -> None:
    entry = made.only("aws:eks/accessEntry:AccessEntry")
    assert entry.inputs["type"] == "EC2_LINUX"
    assert entry.inputs["principalArn"] == made.only(ROLE, f"{POOL}-node").outputs["arn"]
    assert "kubernetesGroups" not in entry.inputs


def test_the_node_class_uses_the_profile_of_the_node_role(made: Recorded) -> None:
    profile = made.only("aws:iam/instanceProfile:InstanceProfile")
    assert (ROLE, f"{POOL}-node") in made.dependencies_of(profile)
    used = made.only(NODE_CLASS).inputs["spec"]["instanceProfile"]
    assert used.startswith(profile.name)


@pytest.mark.parametrize("name", ["cn-north-1", "cn-northwest-1"])
def test_in_china_only_karpenters_service_account_takes_the_controller_role(name: str) -> None:
    made, region = made_in(name), Region.of(name)
    trust = _trust(made.only(ROLE, f"{POOL}-controller"))
    issuer = f"oidc.eks.{region.name}.{region.dns_suffix}/id/ABC"
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trust["Principal"]["Federated"].startswith(f"arn:{region.partition}:iam::{ACCOUNT}:")
    assert trust["Condition"]["StringEquals"] == {
        f"{issuer}:aud": "sts.amazonaws.com",
        f"{issuer}:sub": "system:serviceaccount:kube-system:karpenter",
    }


@pytest.mark.parametrize("name", ["us-west-2", "us-gov-west-1"])
def test_where_there_is_pod_identity_only_this_clusters_karpenter_takes_the_role(name: str) -> None:
    made = made_in(name)
    trust = _trust(made.only(ROLE, f"{POOL}-controller"))
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert trust["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-name": "kubeflow",
        "aws:RequestTag/kubernetes-namespace": "kube-system",
        "aws:RequestTag/kubernetes-service-account": "karpenter",
    }
    association = made.only(ASSOCIATION).inputs
    assert (association["namespace"], association["serviceAccount"]) == ("kube-system", "karpenter")
    assert association["roleArn"] == made.only(ROLE, f"{POOL}-controller").outputs["arn"]


def test_the_controller_role_gets_its_five_policies(made: Recorded) -> None:
    assert names(made.of("aws:iam/policy:Policy")) == [
        "cluster-discovery",
        "interruption",
        "node-identity",
        "node-lifecycle",
        "resource-discovery",
    ]
    for policy in made.of("aws:iam/policy:Policy"):
        attached = made.only("aws:iam/rolePolicyAttachment:RolePolicyAttachment", policy.name)
        assert (ROLE, f"{POOL}-controller") in made.dependencies_of(attached)


def test_the_controller_may_pass_the_node_role_only(made: Recorded) -> None:
    policy = made.only("aws:iam/policy:Policy", f"{POOL}-node-identity")
    (passing,) = json.loads(policy.inputs["policy"])["Statement"]
    assert passing["Action"] == "iam:PassRole"
    assert passing["Resource"] == made.only(ROLE, f"{POOL}-node").outputs["arn"]


def test_warnings_are_kept_five_minutes_and_encrypted(made: Recorded) -> None:
    queue = made.only("aws:sqs/queue:Queue")
    assert queue.inputs["messageRetentionSeconds"] == 300
    assert queue.inputs["sqsManagedSseEnabled"] is True


def test_the_queue_refuses_plain_http(made: Recorded, region: Region) -> None:
    text = made.only("aws:sqs/queuePolicy:QueuePolicy").inputs["policy"]
    allow, deny = json.loads(text)["Statement"]
    assert deny["Effect"] == "Deny"
    arn = f"arn:{region.partition}:sqs:{region.name}:{ACCOUNT}:"
    assert allow["Resource"] == deny["Resource"]
    assert allow["Resource"].startswith(arn)


def test_five_rules_bring_every_kind_of_interruption_to_the_queue(made: Recorded) -> None:
    patterns = [
        json.loads(rule.inputs["eventPattern"])
        for rule in made.of("aws:cloudwatch/eventRule:EventRule")
    ]
    kinds = sorted((one["source"][0], one["detail-type"][0]) for one in patterns)
    assert kinds == [
        ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"),
        ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
        ("aws.ec2", "EC2 Instance State-change Notification"),
        ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
        ("aws.health", "AWS Health Event"),
    ]
    targets = made.of("aws:cloudwatch/eventTarget:EventTarget")
    assert len(targets) == 5
    queue = made.only("aws:sqs/queue:Queue").outputs["name"]
    assert {target.inputs["arn"].rsplit(":", 1)[1] for target in targets} == {queue}


def test_karpenter_is_installed_from_the_registry_of_the_account(
    made: Recorded, region: Region
) -> None:
    release = made.only(RELEASE)
    registry = f"{ACCOUNT}.dkr.ecr.{region.name}.{region.dns_suffix}/kubeflow"
    assert release.inputs["chart"] == "build/charts/karpenter-1.14.1"
    assert release.inputs["namespace"] == "kube-system"
    assert release.inputs["skipCrds"] is True
    image = release.inputs["values"]["controller"]["image"]
    assert image["repository"] == f"{registry}/public.ecr.aws/karpenter/controller"


def test_the_log_that_verify_names_is_of_the_installed_controller(made: Recorded) -> None:
    # The chart's Deployment has the name of the release (its template karpenter.fullname).
    release = made.only(RELEASE).inputs
    command = f"kubectl -n {release['namespace']} logs deployment/{release['name']}`"
    assert command in NO_REASON


def test_karpenters_values_have_its_role_and_its_queue(made: Recorded, region: Region) -> None:
    values = made.only(RELEASE).inputs["values"]
    by_irsa = {"eks.amazonaws.com/role-arn": made.only(ROLE, f"{POOL}-controller").outputs["arn"]}
    by_association = region.has(Feature.POD_IDENTITY)
    assert values["serviceAccount"]["annotations"] == ({} if by_association else by_irsa)
    assert made.none(ASSOCIATION) != by_association
    queue = made.only("aws:sqs/queue:Queue").outputs["name"]
    assert values["settings"]["interruptionQueue"] == queue


def test_the_crds_know_their_version_of_karpenter_and_what_is_confirmed(made: Recorded) -> None:
    inputs = made.only("pulumi-python:dynamic:CustomResourceDefinitions").inputs
    assert (inputs["release"], inputs["confirmed"]) == ("addons/karpenter-1.14.1", [])
    assert inputs["database"]["instance"] == "kubeflow-kubeflow"


def test_karpenter_starts_after_its_crds_its_permissions_and_nodes(
    made: Recorded,
) -> None:
    needs = made.dependencies_of(made.only(RELEASE))
    assert f"{POOL}-crds" in {name for _, name in needs}
    for part in ("node-lifecycle", "node-identity", "interruption"):
        assert ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", f"{POOL}-{part}") in needs
    assert ("test:index:Nodes", "nodes") in needs
    assert {name for type_, name in needs if type_ == ASSOCIATION} == {
        one.name for one in made.of(ASSOCIATION)
    }


def test_on_destroy_karpenter_outlives_its_nodes(made: Recorded) -> None:
    pool, node_class = made.only(NODE_POOL), made.only(NODE_CLASS)
    assert (NODE_CLASS, node_class.name) in made.dependencies_of(pool)
    needs = made.dependencies_of(node_class)
    assert (RELEASE, f"{POOL}-karpenter") in needs
    assert ("aws:eks/accessEntry:AccessEntry", f"{POOL}-node") in needs


def test_ending_the_pool_may_take_as_long_as_draining_its_nodes(made: Recorded) -> None:
    assert made.only(NODE_POOL).options.customTimeouts.delete == "45m"


def test_the_pool_has_the_defaults_of_its_region(made: Recorded, region: Region) -> None:
    spec = made.only(NODE_POOL).inputs["spec"]
    requirements = {one["key"]: one["values"] for one in spec["template"]["spec"]["requirements"]}
    assert requirements["karpenter.k8s.aws/instance-family"] == list(region.gpu_families)
    assert requirements["karpenter.sh/capacity-type"] == ["on-demand"]
    assert spec["limits"] == {"nvidia.com/gpu": "8"}


def test_the_device_plugin_is_pulled_from_the_registry_of_the_account(
    made: Recorded, region: Region
) -> None:
    plugin = made.only(DAEMON_SET)
    (container,) = plugin.inputs["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{region.ecr_registry(ACCOUNT)}/kubeflow/nvcr.io/plugin:1"
    assert plugin.inputs["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"


def test_a_sliced_plugin_starts_anew_with_its_configuration() -> None:
    sliced = made_in("cn-north-1", SLICED, mirrored=True)
    assert len(sliced.of(DAEMON_SET)) == 2
    assert not_rolled(sliced) == set()


def test_the_device_plugin_comes_after_its_namespace(made: Recorded) -> None:
    namespace = made.only("kubernetes:core/v1:Namespace")
    needs = made.dependencies_of(made.only(DAEMON_SET))
    assert ("kubernetes:core/v1:Namespace", namespace.name) in needs


def test_everything_taggable_carries_the_tags_of_the_stack(made: Recorded) -> None:
    untagged = {
        "aws:iam/rolePolicy:RolePolicy",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:sqs/queuePolicy:QueuePolicy",
        "aws:cloudwatch/eventTarget:EventTarget",
    }
    for one in made.all:
        if one.type.startswith("aws:") and one.type not in untagged:
            assert one.inputs["tags"]["project"] == "kubeflow", one.name
    assert made.only(NODE_CLASS).inputs["spec"]["tags"] == {"project": "kubeflow"}


def test_without_a_mirror_everything_comes_from_its_publisher() -> None:
    release = made_in("us-west-2").only(RELEASE)
    image = release.inputs["values"]["controller"]["image"]
    assert image["repository"] == "public.ecr.aws/karpenter/controller"
