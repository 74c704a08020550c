"""Who reaches the API server of a simulated EKS cluster, and whom it admits.

The public endpoint admits ranges, the private one what the cluster security group admits (EKS user
guide, cluster-endpoint.html); behind both, a principal needs an access entry with a policy
(access-entries.html).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from rehearsal.account import Account, RefusedByAws
from rehearsal.clouds import SimulatedCloud
from rehearsal.sample_outputs.eks import CLUSTER, security_group
from settings.principals import is_listed

RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
ENTRY = "aws:eks/accessEntry:AccessEntry"
POLICY = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
CREATOR = "creator"
"""The key, beside a cluster's inputs, of the principal that made it."""

# docs.aws.amazon.com eks/latest/userguide/create-k8s-group-access-entry.html
_RESERVED = ("system:", "eks:", "aws:", "amazon:", "iam:")
_ADDRESS = "10.64.12.34"
_UNREACHABLE = (
    "configured Kubernetes cluster is unreachable: unable to load schema information from the API "
    "server: "
)
"""pulumi-kubernetes provider/pkg/provider/provider.go."""


@dataclass(frozen=True)
class Client:
    """A machine that calls API servers.

    Args:
        place: its IPv4 address, or the ID of its security group; empty: a place that is admitted,
            if there is one.
        principal: the ARN of its caller identity.
    """

    place: str
    principal: str


def is_place(text: str) -> bool:
    """Whether a text has the form of ``Client.place``."""
    try:
        return text.startswith("sg-") or bool(IPv4Address(text))
    except ValueError:
        return False


def refusal(account: Account, cloud: SimulatedCloud, kubeconfig: str, client: Client) -> str | None:
    """The error of pulumi-kubernetes for a client that has no access; None where it has.

    Args:
        account: where the cluster was made; one that is not there refuses nobody.
        cloud: of the account.
        kubeconfig: as JSON, of the cluster.
        client: the machine.
    """
    config: dict[str, Any] = json.loads(kubeconfig)
    if "clusters" not in config:
        return None
    arguments: list[str] = config["users"][0]["user"]["exec"]["args"]
    name, region = (arguments[arguments.index(key) + 1] for key in ("--cluster-name", "--region"))
    made = account.inputs_of(CLUSTER, region).get(name)
    if made is None:
        return None
    server = f"{config['clusters'][0]['cluster']['server']}/openapi/v2?timeout=32s"
    group = security_group(SimulatedCloud(region, cloud.account).resource(CLUSTER, name, made))
    if not _reaches(client.place, made.get("vpcConfig") or {}, _rules(account, region, group)):
        return f'{_UNREACHABLE}Get "{server}": dial tcp {_ADDRESS}:443: i/o timeout'
    if not is_listed(client.principal, _administrators(account, region, name, made)):
        return f"{_UNREACHABLE}the server has asked for the client to provide credentials"
    return None


def check_entry(account: Account, region: str, entry: Mapping[str, Any]) -> None:
    """Checks a new access entry.

    Raises:
        RefusedByAws: its principal is the creator of the cluster, who has an entry from EKS; the
            cluster has no entries at all; or a group has a name of Kubernetes' or AWS's own.
    """
    made = account.inputs_of(CLUSTER, region).get(entry["clusterName"], {})
    mode = (made.get("accessConfig") or {}).get("authenticationMode")
    if mode == "CONFIG_MAP":
        raise RefusedByAws(
            "InvalidRequestException: The cluster's authentication mode must be set to one of "
            "[API, API_AND_CONFIG_MAP] to perform this operation."
        )
    for group in entry.get("kubernetesGroups") or ():
        if group.startswith(_RESERVED):
            raise RefusedByAws(
                f"InvalidParameterException: The kubernetes group name {group} is invalid, it "
                f"cannot start with {', '.join(_RESERVED)}"
            )
    if _has_hidden_entry(made) and is_listed(made[CREATOR], [entry["principalArn"]]):
        raise RefusedByAws(
            "ResourceInUseException: The specified access entry resource is already in use on this "
            "cluster."
        )


def _has_hidden_entry(made: Mapping[str, Any]) -> bool:
    access = made.get("accessConfig") or {}
    return bool(made) and bool(access.get("bootstrapClusterCreatorAdminPermissions", True))


def _reaches(place: str, vpc: Mapping[str, Any], rules: list[Mapping[str, Any]]) -> bool:
    admitted: list[str] = []
    if vpc.get("endpointPublicAccess", True):
        admitted += vpc.get("publicAccessCidrs") or ["0.0.0.0/0"]
    if vpc.get("endpointPrivateAccess"):
        for rule in rules:
            admitted += filter(None, (rule.get("cidrIpv4"), rule.get("referencedSecurityGroupId")))
    if not place or place.startswith("sg-"):
        return bool(admitted) if not place else place in admitted
    ranges = (IPv4Network(each) for each in admitted if not each.startswith("sg-"))
    return any(IPv4Address(place) in each for each in ranges)


def _rules(account: Account, region: str, group: str) -> list[Mapping[str, Any]]:
    return [
        rule
        for rule in account.inputs_of(RULE, region).values()
        if rule["securityGroupId"] == group
        and rule["ipProtocol"] in ("tcp", "-1")
        and int(rule.get("fromPort") or 0) <= 443 <= int(rule.get("toPort") or 65535)
    ]


def _administrators(
    account: Account, region: str, name: str, made: Mapping[str, Any]
) -> Iterator[str]:
    if _has_hidden_entry(made):
        yield made[CREATOR]
    entries, policies = (
        {
            each["principalArn"]
            for each in account.inputs_of(type_, region).values()
            if each["clusterName"] == name
        }
        for type_ in (ENTRY, POLICY)
    )
    yield from entries & policies
