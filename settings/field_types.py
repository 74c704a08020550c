"""The value types of settings.

Each refuses a value with a reason that ends with the way out; ``errors`` adds key and value.
"""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Address, IPv4Network, ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, ValidatorFunctionWrapHandler, WrapValidator

from regions.region import Region
from settings import catalog_files, certificates, cron
from settings.durations import seconds
from settings.errors import not_ascii
from settings.section import PROJECT

_FORMS: dict[str, dict[str, str]] = yaml.safe_load(
    Path(__file__).with_name("text_forms.yaml").read_text("utf-8")
)


def reason_against(form: str, text: str) -> str:
    """Why a text has not the form of that name in ``text_forms.yaml``; empty where it has."""
    rows = _FORMS[form].items()
    reason = next((why for pattern, why in rows if not re.fullmatch(pattern, text, re.ASCII)), "")
    return reason and f"{_foreign(text)}{reason}"


def _foreign(text: str) -> str:
    found = not_ascii(text)
    return found and f"{found}: "


def _region(name: str) -> None:
    try:
        Region.of(name)
    except ValueError as error:
        raise ValueError(f"{_foreign(name)}{error}") from None


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


@dataclass(frozen=True)
class Whole:
    """A check of an int from low to high, both included; a number written as text is one too."""

    low: int
    high: int
    unit: str

    def __call__(self, value: object, convert: ValidatorFunctionWrapHandler) -> int:
        """The number.

        Raises:
            ValueError: it is none, or outside of the range.
        """
        if isinstance(value, bool):  # Python would take true for 1
            raise ValueError("it must be a whole number")
        if isinstance(value, str) and not re.fullmatch(r"-?(0|[1-9][0-9]*)", value):
            raise ValueError(f"{_foreign(value)}it must be a whole number")
        number: int = convert(value)
        if not self.low <= number <= self.high:
            raise ValueError(f"use {self.low} to {self.high} {self.unit}")
        return number


def whole(low: int, high: int, unit: str) -> WrapValidator:
    """For an int from low to high, both included."""
    return WrapValidator(Whole(low, high, unit))


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise ValueError("it contains the same entry twice: remove one")
    return values


Distinct = AfterValidator(_distinct)


def at_most(number: int, reason: str) -> AfterValidator:
    """For a list with no more entries than that."""

    def check(values: list[Any]) -> list[Any]:
        if len(values) > number:
            raise ValueError(f"{reason}: use at most {number}")
        return values

    return AfterValidator(check)


def network_of(text: str) -> IPv4Network:
    """The IPv4 network of a CIDR.

    Raises:
        ValueError: the text is none; the message ends with the way out.
    """
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        reason = "it is not an address range: write one like 10.64.0.0/16"
        raise ValueError(f"{_foreign(text)}{reason}") from None
    if not isinstance(network, IPv4Network):
        raise ValueError("IPv6 ranges are not supported: write an IPv4 range")
    # Python also takes a mask, an inverted mask, and no mask at all.
    if "/" not in text:
        raise ValueError(f"it has no length: write {network} for one address, or 10.64.0.0/16")
    if text.partition("/")[2] != str(network.prefixlen):
        raise ValueError(f"its mask must be the number of bits: write {network}")
    if text.partition("/")[0] != str(network.network_address):
        raise ValueError(f"its address has host bits: write {network}")
    return network


_WIDEST_PREFIX = 8
"""Of a range of clients: the widest that one organization has (IANA's list of IPv4 /8 blocks)."""
# https://www.iana.org/assignments/iana-ipv4-special-registry, without the ranges for examples.
_WITHOUT_CLIENTS = tuple(
    IPv4Network(each)
    for each in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")
)
PRIVATE_RANGES: tuple[str, ...] = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
_PRIVATE = tuple(IPv4Network(each) for each in PRIVATE_RANGES)


def _is_within(text: str, networks: Iterable[IPv4Network]) -> bool:
    return any(network_of(text).subnet_of(each) for each in networks)


def _limited(text: str) -> None:
    network = network_of(text)
    if network.prefixlen < _WIDEST_PREFIX:
        share = f"{network.num_addresses} addresses" if network.prefixlen else "the whole internet"
        raise ValueError(f"it opens the API server to {share}: list the ranges you connect from")


def _client(text: str) -> None:
    _limited(text)
    if _is_within(text, _WITHOUT_CLIENTS):
        raise ValueError("no other machine has such an address: list the ranges you connect from")


def _public(text: str) -> None:
    _limited(text)
    if _is_within(text, (*_WITHOUT_CLIENTS, *_PRIVATE)):
        raise ValueError(
            "nobody arrives over the internet from there: list public ranges here, and private "
            "ones in kubeflow:cluster.apiAccess"
        )


def _is_archive(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (EOFError, zlib.error):  # a download that was interrupted
        return False


def _holds_sources(path: str) -> None:
    place = PROJECT / path
    try:
        place.stat()
        tars = place.glob("*.tar*") if place.is_dir() else [place]
        absent = not any(tar.is_file() and _is_archive(tar) for tar in tars)
        reason = "it is no archive or bundle, and no folder that has any" if absent else ""
    except OSError:
        reason = "there is no such folder or bundle"
    if reason:
        raise ValueError(
            f"{reason}: write the path of one from the project's folder (`./kf bundle create` "
            "makes one), or remove the line"
        )


ARM_FAMILY = re.compile(r"a1|[a-z]+\d+g[a-z-]*")
"""Instance families with Graviton processors (m6g, c7gn, g5g ...)."""


SPECIAL_FAMILY = re.compile(r"(mac|trn|inf|dl|vt|f|g)[0-9].*|mac-.*|g4ad")
"""Families with macOS or with accelerators other than NVIDIA's present GPUs."""


def _not_arm(instance_type: str) -> None:
    if ARM_FAMILY.fullmatch(instance_type.partition(".")[0]):
        raise ValueError(
            "it is an Arm type, and Kubeflow's images are for amd64 only: use m5.xlarge"
        )


def _fits_sts(duration: str) -> None:
    # https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    if not 15 * 60 <= seconds(duration) <= 12 * 3600:
        raise ValueError("a session lasts 15m to 12h: write a duration in between")


_OLDEST_AL2023 = date(2024, 2, 1)
"""Amazon EKS has AMIs of it since that month (awslabs/amazon-eks-ami CHANGELOG.md, v20240227)."""


def _published(alias: str) -> None:
    family, _, day = alias.partition("@v")
    if family != "al2023":
        return
    try:
        known = _OLDEST_AL2023 <= date(int(day[:4]), int(day[4:6]), int(day[6:])) <= date.today()
    except ValueError:
        known = False
    if not known:
        raise ValueError(
            "no AMI was published on that day: pin one of "
            "github.com/awslabs/amazon-eks-ami/releases, such as al2023@v20260714"
        )


def _reachable(url: str) -> None:
    parts = urlsplit(url)
    try:
        host = parts.hostname or ""
        named = all(host.rstrip(".").split(".")) and (parts.port is None or parts.port > 0)
    except ValueError:  # the port
        named = False
    if "?" in url or "#" in url:
        raise ValueError("a query or # has no effect here: remove it")
    if not named:
        raise ValueError("it must be a URL of a host and a port from 1 to 65535: write both")


_LIFECYCLE_DAYS = (0, 1, 7, 14, 30, 60, 90, 180, 270, 365)
"""Ages of files (botocore efs, TransitionToIARules); 0 stands for none."""


def _lifecycle(days: int) -> int:
    if days not in _LIFECYCLE_DAYS:
        choices = ", ".join(map(str, _LIFECYCLE_DAYS[1:]))
        raise ValueError(f"EFS knows other ages of files: use {choices}, or 0 for never")
    return days


def _a_range_or_name(text: str) -> None:
    if "/" in text:
        network_of(text)
    elif re.fullmatch(r"[0-9.]+", text):
        try:
            IPv4Address(text)
        except ValueError:
            reason = "it is not an IPv4 address: write one like 10.0.0.7, or a name"
            raise ValueError(reason) from None


def _a_source(url: str) -> None:
    if url != "none":
        _reachable(url)


RegionName = Annotated[str, _checked(_region)]
Cidr = Annotated[str, _checked(network_of)]
ClientCidr = Annotated[str, _checked(_client)]
PublicCidr = Annotated[str, _checked(_public)]
CatalogFile = Annotated[str, _checked(catalog_files.read)]
CatalogSourceId = Annotated[str, _form("CatalogSourceId")]
CatalogSourceName = Annotated[str, _form("CatalogSourceName")]
CertificateFile = Annotated[str, _checked(certificates.read)]
BundlesPath = Annotated[str, _checked(_holds_sources)]
ReleaseName = Annotated[str, _form("ReleaseName")]
PatchVersion = Annotated[str, _form("PatchVersion")]
AdvisoryId = Annotated[str, _form("AdvisoryId")]
ConditionName = Annotated[str, _form("ConditionName")]
BucketName = Annotated[str, _form("BucketName")]
AccountId = Annotated[str, _form("AccountId")]
PrincipalArn = Annotated[str, _form("PrincipalArn")]
RoleArn = Annotated[str, _form("RoleArn")]
SessionName = Annotated[str, _form("SessionName")]
SessionDuration = Annotated[str, _form("SessionDuration"), _checked(_fits_sts)]
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
PostgresClass = Annotated[str, _form("PostgresClass")]
PostgresVersion = Annotated[str, _form("PostgresVersion")]
SnapshotName = Annotated[str, _form("SnapshotName")]
KeyArn = Annotated[str, _form("KeyArn")]
TeamBucketName = Annotated[str, _form("TeamBucketName")]
FileSystemId = Annotated[str, _form("FileSystemId")]
LifecycleDays = Annotated[int, AfterValidator(_lifecycle), whole(0, 365, "days")]
MysqlVersion = Annotated[str, _form("MysqlVersion")]
KeyPrefix = Annotated[str, _form("KeyPrefix")]
Duration = Annotated[str, _form("Duration")]
Age = Annotated[str, _form("Duration"), _form("Age")]
AmiAlias = Annotated[str, _form("AmiAlias"), _checked(_published)]
InstanceFamily = Annotated[str, _form("InstanceFamily")]
LabelName = Annotated[str, _form("LabelName")]
LabelValue = Annotated[str, _form("LabelValue")]
GpuName = Annotated[str, _form("GpuName")]
Schedule = Annotated[str, _checked(cron.check)]
NodeShare = Annotated[str, _form("NodeShare")]
BudgetDuration = Annotated[str, _form("BudgetDuration")]
KarpenterVersion = Annotated[str, _form("KarpenterVersion")]
RepositoryPrefix = Annotated[str, _form("RepositoryPrefix")]
RegistryPattern = Annotated[str, _form("RegistryPattern")]
NamespacePattern = Annotated[str, _form("NamespacePattern")]
RegistryHost = Annotated[str, _form("RegistryHost")]
ServingDomain = Annotated[str, _form("ServingDomain")]
SecretName = Annotated[str, _form("SecretName")]
UpstreamSecretName = Annotated[str, _form("UpstreamSecretName")]
SourceSecretName = Annotated[str, _form("SourceSecretName")]
ProfileName = Annotated[str, _form("ProfileName")]
# Lower case, as in the tokens that Dex issues, whatever the user typed (dexidp/dex
# storage/static.go, WithStaticPasswords; server/server.go, passwordDB.Login); Kubeflow compares
# letter by letter.
Email = Annotated[str, _form("Email"), AfterValidator(str.lower)]
ProfileNamespace = Annotated[str, _form("ProfileNamespace")]
Url = Annotated[str, _form("Url"), _checked(_reachable)]
PackageUrl = Annotated[str, _form("PackageUrl"), _checked(_a_source)]
HubUrl = Annotated[str, _form("PackageUrl"), _form("HubUrl"), _checked(_a_source)]
ProxyUrl = Annotated[str, _form("ProxyUrl"), _checked(_reachable)]
ProxyBypass = Annotated[str, _form("ProxyBypass"), _checked(_a_range_or_name)]
AuthorityFile = Annotated[str, _checked(certificates.read_own)]
