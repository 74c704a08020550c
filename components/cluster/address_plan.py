"""The division of a VPC's range into subnets: arithmetic only."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

LARGEST, SMALLEST = 16, 28
"""Prefix lengths a VPC and its subnets may have (Amazon VPC user guide, vpc-cidr-blocks.html)."""


@dataclass(frozen=True)
class AddressPlan:
    """CIDR blocks by zone: those of one number belong to the same zone.

    Attributes:
        private: of nodes and pods.
        public: of load balancers.
        control_plane: of the network interfaces of EKS; none in a range without room for them.
    """

    private: tuple[str, ...]
    public: tuple[str, ...]
    control_plane: tuple[str, ...]


def carve(cidr: str, zones: int) -> AddressPlan:
    """Divides a VPC's range: most of it for nodes and pods, the rest for load balancers and EKS.

    The range has equal blocks, one per zone and at least one more: the first are the private
    subnets (with the VPC CNI every pod has an address there), the last is divided again into the
    public ones. ``10.64.0.0/16`` over three zones gives private /18 and public /20 blocks. The end
    of what no zone has is for the control plane, a /28 per zone: EKS needs six addresses in each
    (EKS user guide, network-reqs.html), and AWS advises subnets of that size for it alone (EKS best
    practices guide, "VPC and Subnet Considerations").

    Args:
        cidr: an IPv4 network of prefix length 16 to 28, without host bits.
        zones: how many zones, at least one.

    Raises:
        ValueError: one sentence, when the range is no network or too small for so many zones.
    """
    try:
        network = IPv4Network(cidr)
    except ValueError as error:
        raise ValueError(f"{cidr} is not an IPv4 network: {error}.") from error
    if zones < 1:
        raise ValueError(f"{zones} zones cannot hold a subnet: use at least one.")

    private_length = network.prefixlen + zones.bit_length()  # room for zones + 1 blocks
    public_length = private_length + (zones - 1).bit_length()  # the last block, over all zones
    if network.prefixlen < LARGEST or public_length > SMALLEST:
        raise ValueError(
            f"{cidr} does not fit {zones} zones: a VPC is at most a /{LARGEST} and its smallest "
            f"subnet, here a /{public_length}, at least a /{SMALLEST}."
        )
    blocks = list(network.subnets(new_prefix=private_length))
    public = list(blocks[-1].subnets(new_prefix=public_length))
    unused = [*public[zones:], *blocks[zones:-1]]
    ends = list(unused[0].subnets(new_prefix=SMALLEST))[-zones:] if unused else []
    return AddressPlan(
        private=tuple(str(block) for block in blocks[:zones]),
        public=tuple(str(block) for block in public[:zones]),
        control_plane=tuple(str(block) for block in ends) if len(ends) == zones else (),
    )
