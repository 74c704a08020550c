"""The cluster: who may reach it, what protects it, whom its pods are."""

from __future__ import annotations

import json

import pytest

from components.cluster.eks_cluster import server_of
from regions.region import Region
from tests.components.cluster.simulated_cluster import (
    ADDON,
    ATTACHMENT,
    CLUSTER,
    CLUSTER_ADMIN,
    ENTRY,
    KEY,
    OIDC,
    POLICY,
    PROVIDER,
    ROLE,
    RULE,
    cluster,
    names,
    policy,
)
from tests.harness import REGIONS, Recorded

# Reaching it


def test_the_api_server_is_private_unless_ranges_are_named(beijing: Recorded) -> None:
    inputs = beijing.only(CLUSTER).inputs
    assert inputs["endpointPrivateAccess"] is True
    assert inputs["endpointPublicAccess"] is False
    assert "publicAccessCidrs" not in inputs  # pulumi-eks refuses it, even empty


def test_only_the_settings_ranges_reach_the_public_endpoint() -> None:
    made = cluster(cluster={"publicAccessCidrs": ["203.0.113.0/24"]})
    inputs = made.only(CLUSTER).inputs
    assert inputs["endpointPrivateAccess"] is True
    assert inputs["endpointPublicAccess"] is True
    assert inputs["publicAccessCidrs"] == ["203.0.113.0/24"]


@pytest.mark.parametrize("region", REGIONS)
def test_administrators_get_an_access_entry_of_their_partition(region: str) -> None:
    partition = Region.of(region).partition
    arns = [f"arn:{partition}:iam::111122223333:{path}" for path in ("role/ops/a", "user/a")]
    made = cluster(region, cluster={"admins": arns})
    assert made.only(CLUSTER).inputs["authenticationMode"] == "API"
    entries, policies = made.of(ENTRY), made.of(POLICY)
    assert {entry.inputs["principalArn"] for entry in entries} == set(arns)
    assert {each.inputs["principalArn"] for each in policies} == set(arns)
    assert all(entry.inputs["type"] == "STANDARD" for entry in entries)
    for each in policies:
        assert each.inputs["clusterName"] == "kubeflow"
        assert each.inputs["accessScope"] == {"type": "cluster"}
        policy_arn = each.inputs["policyArn"]
        assert policy_arn == f"arn:{partition}:eks::aws:{CLUSTER_ADMIN}"


def test_the_private_endpoint_admits_whom_the_settings_name_and_nobody_else() -> None:
    access = {"cidrs": ["10.0.0.0/16"], "securityGroups": ["sg-0123456789abcdef0"]}
    made = cluster(cluster={"apiAccess": access})
    group = made.exports["node_group"]
    rules = [one.inputs for one in made.of(RULE) if one.inputs["securityGroupId"] == group]
    assert [rule.get("cidrIpv4") or rule["referencedSecurityGroupId"] for rule in rules] == [
        *access["cidrs"],
        *access["securityGroups"],
    ]
    for rule in rules:
        assert (rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("tcp", 443, 443)
    nobody = cluster()
    assert group not in [one.inputs["securityGroupId"] for one in nobody.of(RULE)]


def test_the_first_object_waits_for_whoever_makes_it() -> None:
    arn = "arn:aws-cn:iam::111122223333:role/ops"
    made = cluster(cluster={"admins": [arn], "apiAccess": {"cidrs": ["10.0.0.0/16"]}})
    before = made.dependencies_of(made.only(PROVIDER))
    assert names(before, POLICY) == {one.name for one in made.of(POLICY)}
    assert names(before, RULE) == {one.name for one in made.of(RULE) if "-api-" in one.name}
    assert names(made.dependencies_of(made.only(POLICY)), ENTRY) == {made.only(ENTRY).name}


def test_the_kubeconfig_is_a_secret_and_names_the_region(made: tuple[Region, Recorded]) -> None:
    region, recorded = made
    provider = recorded.only(PROVIDER)
    assert recorded.exports["kubeconfig_is_secret"] is True
    assert "kubeconfig" in provider.secrets
    assert f'"--region", "{region.name}"' in provider.inputs["kubeconfig"]
    assert server_of(provider.inputs["kubeconfig"]) == recorded.exports["endpoint"]


def test_objects_are_applied_server_side_and_survive_a_new_kubeconfig(beijing: Recorded) -> None:
    inputs = beijing.only(PROVIDER).inputs
    assert inputs["enableServerSideApply"] in (True, "true")
    assert inputs["enableConfigMapMutable"] in (True, "true")
    assert inputs["enableSecretMutable"] in (True, "true")
    assert inputs["clusterIdentifier"] == beijing.exports["endpoint"]
    assert "deleteUnreachable" not in inputs


# What protects it


def test_secrets_are_encrypted_by_a_key_that_rotates(made: tuple[Region, Recorded]) -> None:
    region, recorded = made
    key = recorded.only(KEY)
    used = recorded.only(CLUSTER).inputs["encryptionConfigKeyArn"]
    assert used.startswith(f"arn:{region.partition}:kms:{region.name}:111122223333:key/")
    assert key.inputs["enableKeyRotation"] is True
    assert key.inputs["deletionWindowInDays"] == 30


def test_only_the_account_itself_holds_the_key(made: tuple[Region, Recorded]) -> None:
    region, recorded = made
    statements = policy(recorded.only(KEY), "policy")
    account = f"arn:{region.partition}:iam::111122223333:root"
    actions = [action for statement in statements for action in statement["Action"]]
    assert all(statement["Principal"] == {"AWS": account} for statement in statements)
    assert not any("*" in action for action in actions)
    assert {"kms:PutKeyPolicy", "kms:CreateGrant", "kms:DescribeKey"} <= set(actions)


@pytest.mark.parametrize("protected", [True, False])
def test_control_plane_and_key_are_protected_by_one_setting(protected: bool) -> None:
    recorded = cluster("us-west-2", deletionProtection=protected)
    assert recorded.only(CLUSTER).inputs["deletionProtection"] is protected
    assert bool(recorded.only(KEY).protect) is protected


def test_eks_has_no_flag_of_its_own_where_it_was_not_announced(beijing: Recorded) -> None:
    assert "deletionProtection" not in beijing.only(CLUSTER).inputs


def test_every_log_of_the_control_plane_is_kept_for_a_while(beijing: Recorded) -> None:
    group = beijing.only("aws:cloudwatch/logGroup:LogGroup")
    control_plane = beijing.only(CLUSTER)
    assert set(control_plane.inputs["enabledClusterLogTypes"]) == {
        "api",
        "audit",
        "authenticator",
        "controllerManager",
        "scheduler",
    }
    assert group.inputs["name"] == "/aws/eks/kubeflow/cluster"
    assert group.inputs["retentionInDays"] == 90
    assert (group.type, group.name) in beijing.dependencies_of(control_plane)


def test_pulumi_eks_makes_nothing_that_is_made_here(beijing: Recorded) -> None:
    inputs = beijing.only(CLUSTER).inputs
    assert inputs["skipDefaultNodeGroup"]
    assert inputs["skipDefaultSecurityGroups"]
    assert inputs["useDefaultVpcCni"] is True
    assert inputs["createOidcProvider"] is False  # it would read a certificate during preview
    assert inputs["bootstrapSelfManagedAddons"] is False
    assert inputs["kubeProxyAddonOptions"]["enabled"] is False
    assert inputs["corednsAddonOptions"]["enabled"] is False
    assert inputs["providerCredentialOpts"] == {}


def test_the_remote_component_has_the_components_provider(beijing: Recorded) -> None:
    assert "::account::" in beijing.only(CLUSTER).options.providers["aws"]


# Identity of pods


def test_service_accounts_are_trusted_through_the_clusters_issuer(
    made: tuple[Region, Recorded],
) -> None:
    region, recorded = made
    inputs = recorded.only(OIDC).inputs
    issuer = recorded.exports["issuer"]
    assert inputs["url"] == f"https://{issuer}"
    assert issuer.startswith(f"oidc.eks.{region.name}.{region.dns_suffix}/id/")
    assert inputs["clientIdLists"] == ["sts.amazonaws.com"]
    assert "thumbprintLists" not in inputs
    arn = f"arn:{region.partition}:iam::111122223333:oidc-provider/{issuer}"
    assert recorded.exports["oidc"] == arn


def test_volumes_are_made_by_a_role_of_their_own(made: tuple[Region, Recorded]) -> None:
    region, recorded = made
    role = recorded.only(ROLE, "kf-storage-role")
    (statement,) = policy(role)
    issuer = recorded.exports["issuer"]
    assert statement["Principal"] == {"Federated": recorded.exports["oidc"]}
    assert statement["Condition"]["StringEquals"] == {
        f"{issuer}:aud": "sts.amazonaws.com",
        f"{issuer}:sub": "system:serviceaccount:kube-system:ebs-csi-controller-sa",
    }
    attached = recorded.only(ATTACHMENT, "kf-storage-policy").inputs["policyArn"]
    name = "service-role/AmazonEBSCSIDriverPolicy"
    assert attached == f"arn:{region.partition}:iam::aws:policy/{name}"
    driver = recorded.only(ADDON, "kf-storage-driver").inputs
    assert driver["serviceAccountRoleArn"].startswith(f"arn:{region.partition}:iam::111122223333:")
    # By which they are found when they outlive the cluster.
    tags = json.loads(driver["configurationValues"])["controller"]["extraVolumeTags"]
    assert tags == {"stack": "test"}


def test_the_clusters_arn_is_of_its_partition(made: tuple[Region, Recorded]) -> None:
    region, recorded = made
    arn = f"arn:{region.partition}:eks:{region.name}:111122223333:cluster/kubeflow"
    assert recorded.exports["arn"] == arn
    assert recorded.exports["name"] == "kubeflow"


def test_an_existing_vpc_is_used_as_it_is() -> None:
    subnets = ["subnet-00000000000000001", "subnet-00000000000000002"]
    network = {"vpcId": "vpc-0123456789abcdef0", "privateSubnetIds": subnets}
    made = cluster(network=network)
    assert made.none("aws:ec2/vpc:Vpc")
    assert made.only(CLUSTER).inputs["privateSubnetIds"] == subnets
    assert made.only(CLUSTER).inputs["vpcId"] == "vpc-0123456789abcdef0"
