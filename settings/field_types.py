"""The value types of settings.

Each refuses a value with a reason that ends with the way out; ``errors`` adds key and value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Network, ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, ValidatorFunctionWrapHandler, WrapValidator

from regions.region import Region
from settings import certificates
from settings.section import PROJECT


def _text(pattern: str, reason: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> None:
        if not compiled.fullmatch(value):
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


RegionName = Annotated[str, _checked(Region.of)]
Cidr = Annotated[str, _checked(network_of)]
ClientCidr = Annotated[str, _checked(_limited)]
CertificateFile = Annotated[str, _checked(certificates.read)]
BundlesPath = Annotated[str, _checked(_present)]
ReleaseName = Annotated[
    str, _text(r"[A-Za-z0-9][A-Za-z0-9._-]*", "it must be the name of a folder under manifests/")
]
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BucketName = Annotated[
    str,
    _text(
        r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
        "bucket names have 3 to 63 lower-case letters, digits and hyphens, a letter or digit first "
        "and last (dots break TLS host names): choose another",
    ),
    _text(
        r"(?!xn--|sthree-|amzn-s3-demo-).+(?<!-s3alias)(?<!--ol-s3)(?<!--x-s3)(?<!--table-s3)",
        "S3 reserves names that begin with xn--, sthree- or amzn-s3-demo- or end with -s3alias, "
        "--ol-s3, --x-s3 or --table-s3: choose another",
    ),
]
AccountId = Annotated[
    str, _text(r"\d{12}", "account IDs have 12 digits: write all of them, in quotes")
]
PrincipalArn = Annotated[
    str,
    _text(
        r"arn:[a-z-]+:iam::\d{12}:(role|user)/[\w+=,.@/-]+",
        "it must be the ARN of an IAM role or user (not of an STS session or root): "
        "write the role's own ARN",
    ),
]
MinorVersion = Annotated[
    str, _text(r"\d+\.\d+", "Kubernetes versions look like 1.35: write major.minor, in quotes")
]
ClusterName = Annotated[
    str,
    _text(
        r"[a-z][a-z0-9-]{0,38}[a-z0-9]",
        "use 2 to 40 lower-case letters, digits and hyphens, a letter first: "
        "other names begin with it",
    ),
]
NodeGroupName = Annotated[
    str, _text(r"[a-z][a-z0-9-]{0,30}", "use up to 31 lower-case letters, digits and hyphens")
]
VpcId = Annotated[
    str, _text(r"vpc-[0-9a-f]{8,17}", "VPC IDs look like vpc-0123456789abcdef0: copy it from AWS")
]
SubnetId = Annotated[
    str, _text(r"subnet-[0-9a-f]{8,17}", "subnet IDs look like subnet-0123456789abcdef0: copy it")
]
Platform = Annotated[
    str,
    _text(
        r"[a-z0-9]+(/[a-z0-9]+){1,2}", "write one like linux/amd64, or remove the line to copy all"
    ),
]
ARM_FAMILY = re.compile(r"[a-z]+\d+g[a-z-]*")
"""Instance families with Graviton processors (m6g, c7gn, g5g ...)."""
# Of nodes that run the platform.
InstanceType = Annotated[
    str,
    _text(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "instance types look like m5.xlarge: write one"),
    _text(
        rf"(?!{ARM_FAMILY.pattern}\.).+",
        "it is an Arm type, and Kubeflow's images are for amd64 only: use m5.xlarge",
    ),
    _text(
        r".+(?<!\.nano)(?<!\.micro)(?<!\.small)(?<!\.medium)",
        "it has too little memory for the platform: use m5.xlarge or larger",
    ),
]
DatabaseClass = Annotated[
    str,
    _text(r"db\.[a-z][a-z0-9-]*\.[a-z0-9-]+", "database classes look like db.m6g.large: write one"),
    # AmazonRDS Concepts.DBInstanceClass.Support.
    _text(
        r"db\.(?!(m[1-4]|t[12]|r[34])\.).+",
        "RDS offers MySQL 8 on newer classes only: use db.m6g.large",
    ),
]
# Both run the platform; the 5.7 and 9.x lines are not on RDS or lack mysql_native_password.
MysqlVersion = Annotated[
    str,
    _text(
        r"8\.(0|4)(\.\d+)?",
        "the platform runs on MySQL 8.4 (long-term support) or 8.0: write 8.4, in quotes",
    ),
]
KeyPrefix = Annotated[
    str,
    _text(
        r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*",
        "use names separated by single slashes, none at the start or end",
    ),
]
Duration = Annotated[
    str, _text(r"(\d+(h|m|s))+|Never", "write a duration like 5m or 1h30m, or Never")
]
AmiAlias = Annotated[
    str,
    _text(
        r"al2023@v\d{8}|bottlerocket@v1\.\d+\.\d+",
        "pin an AMI as al2023@v<yyyymmdd> or bottlerocket@v1.<minor>.<patch>; @latest would "
        "replace nodes at every AMI release, and other families need another device plugin",
    ),
]
# Grammar of Kubernetes (kubernetes.io, labels and selectors; taints use the same).
LABEL_NAME = re.compile(
    r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?"
)
LABEL_NAME_REASON = "label and taint names have the form team or example.com/team: rename it"
LabelName = Annotated[str, _text(LABEL_NAME.pattern, LABEL_NAME_REASON)]
LabelValue = Annotated[
    str,
    _text(
        r"([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?",
        "values have up to 63 letters, digits and _ . -, a letter or digit first and last",
    ),
]
GpuName = Annotated[
    str, _text(r"[a-z0-9-]+", "Karpenter's names of GPUs are in lower case: write t4, a10g or v100")
]
# Karpenter's CRD of NodePools, spec.disruption.budgets.
NodeShare = Annotated[
    str, _text(r"(100|\d{1,2})%|\d+", "write a number of nodes or a percentage, such as 1 or 10%")
]
BudgetDuration = Annotated[
    str, _text(r"\d+(h|m)|\d+h\d+m", "write hours and minutes, such as 8h or 1h30m")
]
KarpenterVersion = Annotated[
    str, _text(r"\d+\.\d+\.\d+", "versions look like 1.14.1, without v: write one, in quotes")
]
RepositoryPrefix = Annotated[
    str,
    _text(
        r"[a-z0-9]+([._/-][a-z0-9]+)*",
        "repository names have lower-case letters and digits, separated by single . _ - or /",
    ),
]
RegistryPattern = Annotated[
    str,
    _text(
        r"[a-z0-9.:*-]+(/[a-z0-9._*-]+)*",
        "write the host of a registry, or a host and the start of a path, such as "
        "docker.io/bitnami; * matches any characters",
    ),
]
NamespacePattern = Annotated[
    str, _text(r"[a-z0-9*-]{1,63}", "write a namespace; * matches any characters")
]
SecretName = Annotated[
    str,
    _text(
        r"(?!(AKIA|ASIA)[A-Z0-9]{16}$)[A-Za-z0-9/_+=.@-]{1,39}",
        "it must be the name of a secret in Secrets Manager, never the secret itself",
    ),
]
UpstreamSecretName = Annotated[
    str,
    _text(
        # botocore ecr CredentialArn; secretsmanager CreateSecret, Name.
        r"ecr-pullthroughcache/[A-Za-z0-9/_+=.@-]{1,491}",
        "ECR reads a registry's login only from a secret in Secrets Manager whose name begins with "
        "ecr-pullthroughcache/: write that name, never the secret itself",
    ),
]
ProfileName = Annotated[
    str, _text(r"[\w.@+-]{1,64}", "it must be the name of a profile in your AWS configuration")
]
# Lower case, as in the tokens that Dex issues, whatever the user typed (dexidp/dex
# storage/static.go, WithStaticPasswords; server/server.go, passwordDB.Login); Kubeflow compares
# letter by letter. ASCII, where lower case is the same in Go and Python. Without *, which would be
# a pattern in Istio's policies
# (https://istio.io/latest/docs/reference/config/security/authorization-policy/, Rule).
Email = Annotated[
    str,
    _text(
        r"(?=[!-~]+$)[^@\s*,:;\"'<>]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+",
        "it must be one e-mail address, name@domain",
    ),
    AfterValidator(str.lower),
]
ProfileNamespace = Annotated[
    str,
    _text(
        r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
        "namespaces have up to 63 lower-case letters, digits and hyphens, "
        "a letter or digit first and last",
    ),
]
Url = Annotated[
    str,
    _text(r"https?://[^\s@/]+(/\S*)?", "it must be a URL, http(s)://host[:port], without a login"),
]
