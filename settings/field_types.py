"""The value types of settings.

Each refuses a value with a reason that ends with the way out; ``errors`` adds key and value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, ValidatorFunctionWrapHandler, WrapValidator

from regions.region import Region
from settings import certificates
from settings.section import PROJECT

_FORMS: dict[str, dict[str, str]] = yaml.safe_load(
    Path(__file__).with_name("text_forms.yaml").read_text("utf-8")
)


def reason_against(form: str, text: str) -> str:
    """Why a text has not the form of that name in ``text_forms.yaml``; empty where it has."""
    rows = _FORMS[form].items()
    return next((reason for pattern, reason in rows if not re.fullmatch(pattern, text)), "")


def _form(name: str) -> AfterValidator:
    def check(value: str) -> None:
        if reason := reason_against(name, value):
            raise ValueError(reason)

    return _checked(check)


def _checked(check: Callable[[str], object]) -> AfterValidator:
    """For text that passes a check, whose ValueError is the reason."""

    def unchanged(value: str) -> str:
        check(value)
        return value

    return AfterValidator(unchanged)


def whole(low: int, high: int, unit: str) -> WrapValidator:
    """For an int from low to high, both included; a number written as text is one too."""

    def check(value: object, convert: ValidatorFunctionWrapHandler) -> int:
        if isinstance(value, bool):  # Python would take true for 1
            raise ValueError("it must be a whole number")
        number: int = convert(value)
        if not low <= number <= high:
            raise ValueError(f"use {low} to {high} {unit}")
        return number

    return WrapValidator(check)


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise ValueError("it contains the same entry twice: remove one")
    return values


Distinct = AfterValidator(_distinct)


def network_of(text: str) -> IPv4Network:
    """The IPv4 network of a CIDR.

    Raises:
        ValueError: the text is none; the message ends with the way out.
    """
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError("it is not an address range: write one like 10.64.0.0/16") from None
    if not isinstance(network, IPv4Network):
        raise ValueError("IPv6 ranges are not supported: write an IPv4 range")
    if text.partition("/")[0] != str(network.network_address):
        raise ValueError(f"its address has host bits: write {network}")
    return network


def _limited(text: str) -> None:
    if network_of(text).prefixlen == 0:
        raise ValueError(
            "it opens the API server to the whole internet: list the ranges you connect from"
        )


def _present(path: str) -> None:
    if not (PROJECT / path).exists():
        raise ValueError(
            "there is no such folder or bundle: write its path from the project's folder "
            "(`./kf bundle create` makes one), or remove the line"
        )


ARM_FAMILY = re.compile(r"[a-z]+\d+g[a-z-]*")
"""Instance families with Graviton processors (m6g, c7gn, g5g ...)."""


def _not_arm(instance_type: str) -> None:
    if ARM_FAMILY.fullmatch(instance_type.partition(".")[0]):
        raise ValueError(
            "it is an Arm type, and Kubeflow's images are for amd64 only: use m5.xlarge"
        )


RegionName = Annotated[str, _checked(Region.of)]
Cidr = Annotated[str, _checked(network_of)]
ClientCidr = Annotated[str, _checked(_limited)]
CertificateFile = Annotated[str, _checked(certificates.read)]
BundlesPath = Annotated[str, _checked(_present)]
ReleaseName = Annotated[str, _form("ReleaseName")]
BucketName = Annotated[str, _form("BucketName")]
AccountId = Annotated[str, _form("AccountId")]
PrincipalArn = Annotated[str, _form("PrincipalArn")]
RoleArn = Annotated[str, _form("RoleArn")]
SessionName = Annotated[str, _form("SessionName")]
SessionDuration = Annotated[str, _form("SessionDuration")]
PolicyArn = Annotated[str, _form("PolicyArn")]
PolicyArnOrNone = Annotated[str, _form("PolicyArnOrNone")]
IamPath = Annotated[str, _form("IamPath")]
MinorVersion = Annotated[str, _form("MinorVersion")]
ClusterName = Annotated[str, _form("ClusterName")]
NodeGroupName = Annotated[str, _form("NodeGroupName")]
VpcId = Annotated[str, _form("VpcId")]
SubnetId = Annotated[str, _form("SubnetId")]
SecurityGroupId = Annotated[str, _form("SecurityGroupId")]
Platform = Annotated[str, _form("Platform")]
InstanceType = Annotated[str, _form("InstanceType"), _checked(_not_arm), _form("PlatformSize")]
DatabaseClass = Annotated[str, _form("DatabaseClass")]
SnapshotName = Annotated[str, _form("SnapshotName")]
KeyArn = Annotated[str, _form("KeyArn")]
MysqlVersion = Annotated[str, _form("MysqlVersion")]
KeyPrefix = Annotated[str, _form("KeyPrefix")]
Duration = Annotated[str, _form("Duration")]
AmiAlias = Annotated[str, _form("AmiAlias")]
LabelName = Annotated[str, _form("LabelName")]
LabelValue = Annotated[str, _form("LabelValue")]
GpuName = Annotated[str, _form("GpuName")]
NodeShare = Annotated[str, _form("NodeShare")]
BudgetDuration = Annotated[str, _form("BudgetDuration")]
KarpenterVersion = Annotated[str, _form("KarpenterVersion")]
RepositoryPrefix = Annotated[str, _form("RepositoryPrefix")]
RegistryPattern = Annotated[str, _form("RegistryPattern")]
NamespacePattern = Annotated[str, _form("NamespacePattern")]
SecretName = Annotated[str, _form("SecretName")]
UpstreamSecretName = Annotated[str, _form("UpstreamSecretName")]
ProfileName = Annotated[str, _form("ProfileName")]
# Lower case, as in the tokens that Dex issues, whatever the user typed (dexidp/dex
# storage/static.go, WithStaticPasswords; server/server.go, passwordDB.Login); Kubeflow compares
# letter by letter.
Email = Annotated[str, _form("Email"), AfterValidator(str.lower)]
ProfileNamespace = Annotated[str, _form("ProfileNamespace")]
Url = Annotated[str, _form("Url")]
