"""Whether the machine that runs doctor reaches the API server, before and after it exists."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address
from typing import Any

import pytest

from ops import reach_checks
from ops.findings import Level
from ops.reach_checks import own_address, reach_findings
from tests.ops.account import GROUP, VPC, session, subject

pytestmark = pytest.mark.usefixtures("aws")

INSIDE = {
    "vpcId": VPC,
    "privateSubnetIds": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
}
PUBLIC = {"publicAccessCidrs": ["8.8.8.0/24"]}


def finding(address: str, answers: Any = None, **sections: Any) -> tuple[Level, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reach_checks, "own_address", lambda: IPv4Address(address))
        (found,) = reach_findings(subject(**sections), session(answers))
    return found.level, found.sentence


@pytest.mark.parametrize(
    ("address", "cluster", "level", "sentence"),
    [
        ("8.8.8.8", PUBLIC, Level.GOOD, "publicAccessCidrs admits this machine, 8.8.8.8, by 8.8."),
        ("8.8.9.8", PUBLIC, Level.PROBLEM, "neither kubeflow:cluster.publicAccessCidrs nor"),
        ("10.0.0.9", PUBLIC, Level.NOTE, "10.0.0.9 in its own network, cannot be seen from it"),
        ("10.0.0.9", {"apiAccess": {"cidrs": ["10.0.0.0/16"]}}, Level.GOOD, "by 10.0.0.0/16"),
        ("10.1.0.9", {"apiAccess": {"cidrs": ["10.0.0.0/16"]}}, Level.PROBLEM, "10.1.0.9, so"),
    ],
)
def test_before_the_cluster_exists_the_machine_is_compared_with_the_settings(
    address: str, cluster: dict[str, Any], level: Level, sentence: str
) -> None:
    found = finding(address, cluster=cluster)
    assert found[0] is level
    assert sentence in found[1]


@pytest.mark.parametrize(
    ("groups", "level"), [([GROUP], Level.GOOD), (["sg-0fedcba9876543210"], Level.PROBLEM)]
)
def test_a_machine_in_the_vpc_is_admitted_by_its_group(groups: list[str], level: Level) -> None:
    interface = {"Groups": [{"GroupId": group} for group in groups]}
    answers = {"ec2.DescribeNetworkInterfaces": {"NetworkInterfaces": [interface]}}
    access = {"apiAccess": {"securityGroups": [GROUP]}}
    assert finding("10.0.0.9", answers, cluster=access, network=INSIDE)[0] is level


def test_a_vpc_that_does_not_exist_yet_has_no_machine() -> None:
    access = {"apiAccess": {"securityGroups": [GROUP]}}
    denied = {"ec2.DescribeNetworkInterfaces": "UnauthorizedOperation"}
    assert finding("10.0.0.9", denied, cluster=access)[0] is Level.PROBLEM


@pytest.mark.parametrize(("reached", "level"), [(True, Level.GOOD), (False, Level.PROBLEM)])
def test_an_api_server_that_exists_is_connected_to(
    reached: bool, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, asked = socket.create_connection, list[Any]()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def local(address: tuple[str, int], **more: Any) -> socket.socket:
            asked.append(address)
            return connect(("127.0.0.1", port if reached else 1), **more)

        monkeypatch.setattr(socket, "create_connection", local)
        cluster = {"cluster": {"endpoint": "https://ABC.gr7.us-west-2.eks.example.com"}}
        found = finding("10.0.0.9", {"eks.DescribeCluster": cluster})
    assert found[0] is level
    assert asked == [("abc.gr7.us-west-2.eks.example.com", 443)]
    assert ("(ConnectionRefusedError): docs/reach-the-api-server.md" in found[1]) is not reached


def test_the_own_address_is_one_of_this_machine() -> None:
    address = own_address()
    if address is not None:
        with socket.create_server((str(address), 0)):
            pass
