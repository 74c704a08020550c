"""How a VPC's range is divided."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations

import pytest

from components.cluster.address_plan import carve


def test_a_zone_gets_four_times_as_many_private_as_public_addresses() -> None:
    plan = carve("10.64.0.0/16", 3)
    assert plan.private == ("10.64.0.0/18", "10.64.64.0/18", "10.64.128.0/18")
    assert plan.public == ("10.64.192.0/20", "10.64.208.0/20", "10.64.224.0/20")
    assert plan.control_plane == ("10.64.255.208/28", "10.64.255.224/28", "10.64.255.240/28")


@pytest.mark.parametrize("zones", range(1, 8))
@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "172.16.64.0/18", "192.168.0.0/20"])
def test_subnets_lie_in_the_vpc_and_never_overlap(cidr: str, zones: int) -> None:
    plan = carve(cidr, zones)
    networks = [IPv4Network(block) for block in (*plan.private, *plan.public, *plan.control_plane)]
    assert len(plan.private) == len(plan.public) == zones
    assert len(plan.control_plane) in (0, zones)
    assert all(network.subnet_of(IPv4Network(cidr)) for network in networks)
    assert not any(one.overlaps(other) for one, other in combinations(networks, 2))


@pytest.mark.parametrize(
    ("cidr", "zones", "room"),
    [
        ("10.0.0.0/16", 2, True),
        ("10.0.0.0/22", 3, True),
        ("10.0.0.0/23", 3, False),
        ("10.0.0.0/25", 2, True),
        ("10.0.0.0/16", 1, False),
        ("10.0.0.0/16", 7, True),
    ],
)
def test_eks_has_subnets_of_its_own_where_the_range_has_room(
    cidr: str, zones: int, room: bool
) -> None:
    own = carve(cidr, zones).control_plane
    assert len(own) == (zones if room else 0)
    assert all(IPv4Network(each).prefixlen == 28 for each in own)


def test_going_from_two_zones_to_three_moves_no_private_subnet() -> None:
    assert carve("10.0.0.0/16", 3).private[:2] == carve("10.0.0.0/16", 2).private


@pytest.mark.parametrize(
    ("cidr", "zones", "sentence"),
    [
        ("10.64.0.1/16", 3, "10.64.0.1/16 is not an IPv4 network"),
        ("somewhere", 3, "somewhere is not an IPv4 network"),
        ("10.0.0.0/8", 3, "at most a /16"),
        ("10.0.0.0/25", 3, "here a /29"),
        ("10.0.0.0/16", 0, "use at least one"),
    ],
)
def test_a_range_that_cannot_be_divided_is_refused(cidr: str, zones: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        carve(cidr, zones)
