"""Karpenter's side of the stack as it is registered, in every kind of region."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.karpenter_gpu_pool import KarpenterGpuPool, KarpenterGpuPoolArgs
from components.network import DISCOVERY_TAG
from components.region import Region
from components.settings import from_mapping
from rehearsal.clouds import ACCOUNT
from tests.harness import REGIONS, Recorded, Registered, run

POOL = "gpu-pool"
ROLE = "aws:iam/role:Role"
RELEASE = "kubernetes:helm.sh/v3:Release"
NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "nodepools.karpenter.sh"},
}
PLUGIN: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "nvidia-device-plugin", "namespace": "gpu"},
    "spec": {
        "template": {
            "spec": {"containers": [{"name": "p", "image": "<<registry.host>>/nvcr.io/plugin:1"}]}
        }
    },
}
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gpu"}}


def _program(region: Region, registry: str | None, pool: dict[str, object]) -> Callable[[], Any]:
    issuer = f"{region.oidc_issuer_host()}/id/ABC"

    def program() -> dict[str, Any]:
        made = KarpenterGpuPool(
            POOL,
            KarpenterGpuPoolArgs(
                settings=from_mapping({"region": region.name, "gpuPool": pool}),
                region=region,
                tags={"project": "kubeflow"},
                account_id=pulumi.Output.from_input(ACCOUNT),
                cluster_name=pulumi.Output.from_input("kubeflow"),
                cluster_arn=region.arn("eks", "cluster/kubeflow", account=ACCOUNT),
                cluster_endpoint="https://cluster.example",
                kubeconfig_json=pulumi.Output.secret("{}"),
                oidc_provider_arn=region.arn(
                    "iam", f"oidc-provider/{issuer}", account=ACCOUNT, region=""
                ),
                oidc_issuer=issuer,
                image_registry=registry,
                crds=[CRD],
                device_plugin=[PLUGIN, NAMESPACE] if registry else [],
                ready=[pulumi.CustomResource("test:index:Nodes", "nodes")],
            ),
        )
        return {
            "node": made.node_role_arn,
            "controller": made.controller_role_arn,
            "queue": made.queue_name,
        }

    return program


def _run(name: str, *, registry: str | None = None, **pool: object) -> Recorded:
    return run(_program(Region.of(name), registry, pool), region=name)


@pytest.fixture(scope="module", params=REGIONS)
def region(request: pytest.FixtureRequest) -> Region:
    return Region.of(request.param)


@pytest.fixture(scope="module")
def made(region: Region) -> Recorded:
    return _run(region.name, registry=f"{region.ecr_registry(ACCOUNT)}/kubeflow")


def _trust(role: Registered) -> dict[str, Any]:
    (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    return statement


def _names(found: list[Registered]) -> list[str]:
    return [one.name.removeprefix(f"{POOL}-") for one in found]


def test_nodes_are_ec2_machines_with_four_policies_of_aws(made: Recorded, region: Region) -> None:
    assert _trust(made.only(ROLE, f"{POOL}-node"))["Principal"] == {"Service": "ec2.amazonaws.com"}
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
    assert entry.inputs["principalArn"] == made.exports["node"]
    assert "kubernetesGroups" not in entry.inputs


def test_the_node_class_uses_the_profile_of_the_node_role(made: Recorded) -> None:
    profile = made.only("aws:iam/instanceProfile:InstanceProfile")
    assert (ROLE, f"{POOL}-node") in made.dependencies_of(profile)
    used = made.only(NODE_CLASS).inputs["spec"]["instanceProfile"]
    assert used.startswith(profile.name)


def test_only_karpenters_service_account_takes_the_controller_role(
    made: Recorded, region: Region
) -> None:
    trust = _trust(made.only(ROLE, f"{POOL}-controller"))
    issuer = f"{region.oidc_issuer_host()}/id/ABC"
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trust["Principal"]["Federated"].startswith(f"arn:{region.partition}:iam::{ACCOUNT}:")
    assert trust["Condition"]["StringEquals"] == {
        f"{issuer}:aud": "sts.amazonaws.com",
        f"{issuer}:sub": "system:serviceaccount:kube-system:karpenter",
    }


def test_the_controller_role_gets_its_five_policies(made: Recorded) -> None:
    assert _names(made.of("aws:iam/policy:Policy")) == [
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
    assert passing["Resource"] == made.exports["node"]


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
    assert {target.inputs["arn"].rsplit(":", 1)[1] for target in targets} == {made.exports["queue"]}


def test_karpenter_is_installed_from_the_registry_of_the_account(
    made: Recorded, region: Region
) -> None:
    release = made.only(RELEASE)
    registry = f"{ACCOUNT}.dkr.ecr.{region.name}.{region.dns_suffix}/kubeflow"
    assert release.inputs["chart"] == f"oci://{registry}/public.ecr.aws/karpenter/karpenter"
    assert release.inputs["version"] == "1.14.1"
    assert release.inputs["namespace"] == "kube-system"
    assert release.inputs["skipCrds"] is True
    image = release.inputs["values"]["controller"]["image"]
    assert image["repository"] == f"{registry}/public.ecr.aws/karpenter/controller"


def test_karpenter_is_told_its_role_and_its_queue(made: Recorded) -> None:
    values = made.only(RELEASE).inputs["values"]
    annotations = values["serviceAccount"]["annotations"]
    assert annotations == {"eks.amazonaws.com/role-arn": made.exports["controller"]}
    assert values["settings"]["interruptionQueue"] == made.exports["queue"]


def test_karpenter_starts_with_its_crds_its_permissions_and_a_place_to_run(made: Recorded) -> None:
    needs = made.dependencies_of(made.only(RELEASE))
    assert f"{POOL}-crds" in {name for _, name in needs}
    for part in ("node-lifecycle", "node-identity", "interruption"):
        assert ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", f"{POOL}-{part}") in needs
    assert ("test:index:Nodes", "nodes") in needs


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
    wanted = {one["key"]: one["values"] for one in spec["template"]["spec"]["requirements"]}
    assert wanted["karpenter.k8s.aws/instance-family"] == list(region.gpu_families)
    assert wanted["karpenter.sh/capacity-type"] == ["on-demand"]
    assert spec["limits"] == {"nvidia.com/gpu": "8"}


def test_the_device_plugin_is_pulled_from_the_registry_of_the_account(
    made: Recorded, region: Region
) -> None:
    plugin = made.only(DAEMON_SET)
    (container,) = plugin.inputs["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{region.ecr_registry(ACCOUNT)}/kubeflow/nvcr.io/plugin:1"
    assert plugin.inputs["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}


def test_the_device_plugin_comes_after_its_namespace(made: Recorded) -> None:
    namespace = made.only("kubernetes:core/v1:Namespace")
    needs = made.dependencies_of(made.only(DAEMON_SET))
    assert ("kubernetes:core/v1:Namespace", namespace.name) in needs


def test_everything_taggable_carries_the_tags_of_the_stack(made: Recorded) -> None:
    untagged = {
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:sqs/queuePolicy:QueuePolicy",
        "aws:cloudwatch/eventTarget:EventTarget",
    }
    for one in made.all:
        if one.type.startswith("aws:") and one.type not in untagged:
            assert one.inputs["tags"]["project"] == "kubeflow", one.name
    assert made.only(NODE_CLASS).inputs["spec"]["tags"] == {"project": "kubeflow"}


def test_everything_belongs_to_the_component(made: Recorded) -> None:
    others = [one for one in made.all if not one.type.startswith(("kubeflow:", "test:"))]
    assert others
    for one in others:
        assert one.options.parent.endswith(f"kubeflow:platform:KarpenterGpuPool::{POOL}"), one.name


def test_nothing_is_named_after_a_foreign_partition(made: Recorded, region: Region) -> None:
    foreign = {"aws", "aws-cn", "aws-us-gov"} - {region.partition}
    text = json.dumps([one.inputs for one in made.all], default=str)
    assert not [name for name in foreign if f"arn:{name}:" in text]


def test_without_a_mirror_everything_comes_from_its_publisher() -> None:
    release = _run("us-west-2").only(RELEASE)
    assert release.inputs["chart"] == "oci://public.ecr.aws/karpenter/karpenter"
    image = release.inputs["values"]["controller"]["image"]
    assert image["repository"] == "public.ecr.aws/karpenter/controller"


def test_the_settings_of_the_pool_reach_its_objects() -> None:
    changed = _run(
        "cn-north-1",
        instanceFamilies=["g5"],
        capacityTypes=["spot", "reserved"],
        maxGpus=32,
        consolidateAfter="1m",
        amiAlias="al2023@v20260801",
        karpenterVersion="1.14.0",
    )
    spec = changed.only(NODE_POOL).inputs["spec"]
    wanted = {one["key"]: one["values"] for one in spec["template"]["spec"]["requirements"]}
    assert wanted["karpenter.k8s.aws/instance-family"] == ["g5"]
    assert wanted["karpenter.sh/capacity-type"] == ["spot", "reserved"]
    assert spec["limits"] == {"nvidia.com/gpu": "32"}
    assert spec["disruption"]["consolidateAfter"] == "1m"
    node_class = changed.only(NODE_CLASS).inputs["spec"]
    assert node_class["amiSelectorTerms"] == [{"alias": "al2023@v20260801"}]
    assert "capacityReservationSelectorTerms" in node_class
    assert changed.only(RELEASE).inputs["version"] == "1.14.0"


def test_with_spot_the_controller_may_make_the_spot_role_once() -> None:
    policy = _run("cn-north-1", capacityTypes=["spot"]).only(
        "aws:iam/policy:Policy", f"{POOL}-node-identity"
    )
    sids = [one["Sid"] for one in json.loads(policy.inputs["policy"])["Statement"]]
    assert sids == ["AllowPassingInstanceRole", "AllowSpotServiceLinkedRole"]


def test_nodes_are_found_by_the_tag_the_network_sets() -> None:
    spec = _run("cn-north-1").only(NODE_CLASS).inputs["spec"]
    assert spec["subnetSelectorTerms"] == [{"tags": {DISCOVERY_TAG: "kubeflow"}}]
