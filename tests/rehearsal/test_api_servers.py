"""A simulated API server is reached from where a real one is, and admits whom a real one does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
import pulumi_kubernetes as kubernetes
import pytest

from components.cluster import EksCluster
from rehearsal.account import Account
from rehearsal.api_servers import CREATOR, ENTRY, POLICY, RULE, Client, is_place, refusal
from rehearsal.clouds import SimulatedCloud
from rehearsal.engine import EngineFailure
from rehearsal.sample_outputs.eks import CLUSTER, security_group
from settings import from_mapping
from tests.components.cluster.simulated_cluster import cluster_args
from tests.rehearsal.conftest import Started

BEIJING, NAME = "cn-north-1", "kubeflow"
CLOUD = SimulatedCloud(BEIJING)
ANN, BEN, CI = (f"arn:aws-cn:iam::111122223333:{each}" for each in ("user/ann", "role/b", "role/c"))
BASTION, OTHER = "sg-0123456789abcdef0", "sg-0fedcba9876543210"
TIMEOUT, UNAUTHORIZED = r"dial tcp \S+:443: i/o timeout", "client to provide credentials"
GROUP = security_group(CLOUD.resource(CLUSTER, NAME, {"name": NAME}))


def account(
    vpc: dict[str, Any],
    *rules: dict[str, Any],
    entries: dict[str, bool] | None = None,
    bootstrap: bool = True,
) -> Account:
    """A cluster that Ann made, with rules of its group; principal -> whether it has a policy."""
    made = Account()

    def exists(type_: str, identifier: str, inputs: dict[str, Any]) -> None:
        made.create(type_, BEIJING, lambda _: (identifier, {}))
        made.remember(type_, BEIJING, identifier, inputs)

    access = {"bootstrapClusterCreatorAdminPermissions": bootstrap}
    exists(CLUSTER, NAME, {"vpcConfig": vpc, "accessConfig": access, CREATOR: ANN})
    tcp = {"securityGroupId": GROUP, "ipProtocol": "tcp", "fromPort": 443, "toPort": 443}
    for number, rule in enumerate(rules):
        exists(RULE, f"sgr-{number}", tcp | rule)
    for principal, allowed in (entries or {}).items():
        for type_ in (ENTRY, POLICY) if allowed else (ENTRY,):
            exists(type_, principal, {"clusterName": NAME, "principalArn": principal})
    return made


def refused(made: Account, place: str, principal: str = ANN) -> str:
    inputs = {"name": NAME}
    _, component = CLOUD.outputs("eks:index:Cluster", NAME, inputs)
    return refusal(made, CLOUD, component["kubeconfigJson"], Client(place, principal)) or ""


PRIVATE = {"endpointPrivateAccess": True, "endpointPublicAccess": False}
BOTH = {"endpointPrivateAccess": True, "publicAccessCidrs": ["203.0.113.0/24"]}


@pytest.mark.parametrize(
    ("vpc", "rules", "reaching", "too_far"),
    [
        ({}, [], ["", "8.8.8.8"], []),
        (BOTH, [], ["", "203.0.113.9"], ["8.8.8.8", "10.0.0.1", BASTION]),
        (PRIVATE, [], [], ["", "8.8.8.8", "10.64.0.9", BASTION]),
        (PRIVATE, [{"cidrIpv4": "10.0.0.0/16"}], ["", "10.0.3.4"], ["10.1.0.1", BASTION]),
        (PRIVATE, [{"referencedSecurityGroupId": BASTION}], ["", BASTION], [OTHER, "10.0.3.4"]),
        (PRIVATE, [{"cidrIpv4": "10.0.0.0/16", "fromPort": 444, "toPort": 444}], [], ["10.0.3.4"]),
        (PRIVATE, [{"cidrIpv4": "10.0.0.0/16", "ipProtocol": "udp"}], [], ["10.0.3.4"]),
        (PRIVATE, [{"cidrIpv4": "10.0.0.0/16", "securityGroupId": OTHER}], [], ["10.0.3.4"]),
        ({"endpointPublicAccess": False}, [{"cidrIpv4": "10.0.0.0/16"}], [], ["10.0.3.4"]),
    ],
)
def test_an_api_server_is_reached_by_an_endpoint_that_admits_the_place(
    vpc: dict[str, Any], rules: list[dict[str, Any]], reaching: list[str], too_far: list[str]
) -> None:
    made = account(vpc, *rules)
    assert [place for place in (*reaching, *too_far) if not refused(made, place)] == reaching
    assert all("i/o timeout" in refused(made, place) for place in too_far)


@pytest.mark.parametrize(
    ("bootstrap", "entries", "admitted"),
    [
        (True, {}, [ANN]),
        (False, {}, []),
        (False, {BEN: True, CI: False}, [BEN]),
        (True, {BEN: True}, [ANN, BEN]),
    ],
)
def test_an_api_server_admits_its_creator_and_entries_with_a_policy(
    bootstrap: bool, entries: dict[str, bool], admitted: list[str]
) -> None:
    made = account({}, entries=entries, bootstrap=bootstrap)
    assert [each for each in (ANN, BEN, CI) if not refused(made, "", each)] == admitted
    assert all(UNAUTHORIZED in refused(made, "", each) for each in {ANN, BEN, CI} - {*admitted})


def test_a_place_is_an_address_or_a_security_group() -> None:
    places = ("203.0.113.9", BASTION, "here", "203.0.113.0/24", "")
    assert [each for each in places if is_place(each)] == ["203.0.113.9", BASTION]


def stack(value: str = "", admins: tuple[str, ...] = (ANN, CI)) -> None:
    """A cluster in an existing VPC, reached from a bastion alone, and an object."""
    settings = from_mapping(
        {
            "region": BEIJING,
            "cluster": {"admins": [*admins], "apiAccess": {"securityGroups": [BASTION]}},
            "network": {
                "vpcId": "vpc-0123456789abcdef0",
                "privateSubnetIds": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
            },
        }
    )
    provider = aws.Provider("aws", region=BEIJING)
    cluster = EksCluster(
        "kf", cluster_args(settings, {}), pulumi.ResourceOptions(providers=[provider])
    )
    opts = pulumi.ResourceOptions(provider=cluster.kubernetes_provider)
    kubernetes.core.v1.ConfigMap("it", metadata={"name": "it"}, data={"a": value}, opts=opts)


def ends(started: Started, program: Callable[[], None], reason: str, **client: str) -> None:
    with started(program, **client) as rehearsal, pytest.raises(EngineFailure, match=reason):
        rehearsal.up()


@pytest.mark.engine
def test_a_cluster_is_deployed_from_where_it_is_reached_by_every_administrator(
    started: Started,
) -> None:
    ends(started, stack, TIMEOUT, place="8.8.8.8", principal=ANN)
    with started(stack, place=BASTION, principal=ANN) as rehearsal:
        rehearsal.up()
    # Nothing in the plan depends on who runs it.
    with started(stack, place=BASTION, principal=CI) as rehearsal:
        assert set(rehearsal.preview().changes) == {"same"}
    with started(partial(stack, "new"), place=BASTION, principal=CI) as rehearsal:
        assert rehearsal.up().changes["update"] == 1
    # The creator leaves the list, and has no other entry.
    with started(partial(stack, "new", (CI,)), place=BASTION, principal=CI) as rehearsal:
        assert rehearsal.up().changes["delete"] == 2
    ends(started, partial(stack, "newer", (CI,)), UNAUTHORIZED, place=BASTION, principal=ANN)


def entry_of_the_creator() -> None:
    """As pulumi-eks makes a cluster, with the creator among the administrators."""
    cluster = eks.Cluster(
        "eks",
        name=NAME,
        authentication_mode=eks.AuthenticationMode.API,
        subnet_ids=["subnet-1", "subnet-2"],
        skip_default_node_group=True,
        skip_default_security_groups=True,
        create_instance_role=False,
        use_default_vpc_cni=True,
        kube_proxy_addon_options=eks.KubeProxyAddonOptionsArgs(enabled=False),
        coredns_addon_options=eks.CoreDnsAddonOptionsArgs(enabled=False),
    )
    aws.eks.AccessEntry(
        "creator", cluster_name=cluster.urn.apply(lambda _: NAME), principal_arn=ANN
    )


@pytest.mark.engine
def test_eks_refuses_a_second_entry_of_the_creator(started: Started, tmp_path: Path) -> None:
    ends(started, entry_of_the_creator, "already in use on this cluster", principal=ANN)
