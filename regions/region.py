"""Everything that differs by AWS partition or region, in one object.

Two sources, in this order:

1. botocore's own data (``partitions.json`` and ``endpoints.json``, read through its loader and
   ``EndpointResolver``; no session, so no profile, credential or environment can change them).
2. The small tables of ``region.yaml`` for facts that botocore lacks, and ``offers.json``.

Only these files may contain a DNS suffix, an account ID or a region name. The import is fast:
botocore and the tables are read on first use, once per process.
"""

# botocore ships no type information; everything read from it is given a type at the boundary.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, cast

from regions.offers import families

_AWS, _CN, _GOV, _EUSC = "aws", "aws-cn", "aws-us-gov", "aws-eusc"
_GLOBAL_SUFFIX = "amazonaws.com"
_OTHER_PRINCIPALS = ("logs", "codedeploy", "elasticmapreduce")


class Feature(StrEnum):
    """Features that some regions lack; see :meth:`Region.has`."""

    POD_IDENTITY = "EKS Pod Identity"
    PULL_THROUGH_CACHE = "ECR pull-through cache of public registries"
    PRICE_API = "the price API as Karpenter calls it"
    INTERNET_REGISTRIES = "docker.io, gcr.io, ghcr.io, quay.io and registry.k8s.io within reach"
    CLUSTER_DELETION_PROTECTION = "deletion protection of EKS clusters"
    UNAUTHENTICATED_API_NEEDS_ICP = "ICP filing needed for an API Gateway without IAM authorization"


EXAMPLE_REGION = "cn-north-1"
"""For sentences with an example."""


# Instance families with NVIDIA GPUs (a family is the part of a type before its dot).
GPU_FAMILIES = (
    *("g3", "g3s", "g4dn", "g5", "g5g", "g6", "g6e", "g6f", "g7", "g7e", "gr6", "gr6f"),
    *("p2", "p3", "p3dn", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "p6-b300"),
)
# Partitions from which the public registries are reachable. China: k8s.gcr.io and
# gcr.io awslabs/amazon-eks-ami#722, registry.k8s.io kubernetes/registry.k8s.io#137, quay.io
# kubernetes-sigs/aws-load-balancer-controller#176, docker.io docker/distribution-library-image#176.
# The isolated partitions have no internet route at all.
_OPEN_INTERNET = frozenset({_AWS, _GOV, _EUSC})


@lru_cache(maxsize=1)
def _tables() -> dict[str, Any]:
    import yaml

    return yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))


@lru_cache(maxsize=1)
def _resolver() -> Any:
    from botocore.loaders import create_loader
    from botocore.regions import EndpointResolver

    return EndpointResolver(create_loader().load_data("endpoints"))


@lru_cache(maxsize=1)
def _partitions() -> dict[str, tuple[str, str]]:
    """Region name -> (partition, DNS suffix), for every region of every partition."""
    from botocore.loaders import create_loader

    data = cast(dict[str, Any], create_loader().load_data("partitions"))
    return {
        name: (str(partition["id"]), str(partition["outputs"]["dnsSuffix"]))
        for partition in data["partitions"]
        for name in partition["regions"]
        if not str(name).endswith("-global")  # a pseudo region for IAM, Route 53 and the like
    }


@lru_cache(maxsize=256)
def _regions_with(endpoint: str, partition: str) -> frozenset[str]:
    return frozenset(_resolver().get_available_endpoints(endpoint, partition))


def known_regions() -> tuple[str, ...]:
    """All region names of botocore, sorted, without pseudo regions (``aws-global``)."""
    return tuple(sorted(_partitions()))


@lru_cache(maxsize=1)
def dns_suffixes() -> tuple[str, ...]:
    """Of all partitions, the longest first."""
    return tuple(sorted({suffix for _, suffix in _partitions().values()}, key=len, reverse=True))


@dataclass(frozen=True)
class Region:
    """One AWS region; make it with :meth:`of`. Equal and hashable by its name."""

    name: str
    partition: str
    dns_suffix: str
    oidc_audience: ClassVar[str] = "sts.amazonaws.com"
    """The same in every partition, China included (eksctl pkg/iam/oidc, pulumi-eks cluster.ts)."""

    @classmethod
    def of(cls, name: str) -> Region:
        """The region of that name.

        Raises:
            ValueError: no partition has it; the message ends with similar names.
        """
        if name not in _partitions():
            similar = get_close_matches(name.lower(), known_regions(), n=3, cutoff=0.6)
            hint = f"did you mean {' or '.join(similar)}?" if similar else f"try {EXAMPLE_REGION}."
            raise ValueError(f"no AWS partition has a region of this name: {hint}")
        return cls(name, *_partitions()[name])

    def arn(
        self, service: str, resource: str, *, account: str = "", region: str | None = None
    ) -> str:
        """An ARN of this partition; ``region=None`` is this region, ``""`` none (iam, s3)."""
        name = self.name if region is None else region
        return f"arn:{self.partition}:{service}:{name}:{account}:{resource}"

    def managed_policy(self, name: str) -> str:
        """The ARN of an AWS managed policy; ``name`` may contain a path (service-role/X)."""
        return self.arn("iam", f"policy/{name}", account="aws", region="")

    def service_host(self, service: str) -> str:
        """The host of a service's regional API by botocore's rules, without scheme."""
        endpoint = _resolver().construct_endpoint(service, self.name, self.partition)
        return str(endpoint["hostname"]) if endpoint else f"{service}.{self.name}.{self.dns_suffix}"

    def service_principal(self, service: str) -> str:
        """A service's name as principal of a trust or resource policy.

        The global form is right in every partition, except for a few services, none of which the
        platform uses (aws/aws-cdk packages/aws-cdk-lib/region-info/lib/default.ts).

        Raises:
            ValueError: the service is one of them.
        """
        if service in _OTHER_PRINCIPALS:
            raise ValueError(f"the principal of {service} is not {service}.{_GLOBAL_SUFFIX}")
        return f"{service}.{_GLOBAL_SUFFIX}"

    @property
    def currency(self) -> str:
        """In which AWS, or its operator in China, bills the region."""
        return "CNY" if self.partition == _CN else "USD"

    @property
    def ec2_principals(self) -> tuple[str, ...]:
        """EC2 in trust policies and ``iam:PassedToService``: both spellings where they differ.

        In China, EKS has refused node roles that trust the global spelling alone
        (awslabs/cdk-eks-blueprints #558, aws/aws-cdk #24696), and PassRole has the partition's own
        suffix (terraform-aws-modules/terraform-aws-eks #3422, Karpenter's cloudformation.yaml).
        """
        return tuple(dict.fromkeys((f"ec2.{_GLOBAL_SUFFIX}", f"ec2.{self.dns_suffix}")))

    def ecr_registry(self, account: str) -> str:
        """The host of an account's private registry in this region."""
        return f"{account}.dkr.ecr.{self.name}.{self.dns_suffix}"

    @property
    def cluster_zones(self) -> int:
        """How many zones a cluster of this region has by default, and at most."""
        return _tables()["cluster_zones"].get(self.name, 3)

    @property
    def eks_addon_account(self) -> str:
        """The account of the registry with this region's EKS add-on images."""
        accounts = _tables()["addon_accounts"]
        return accounts.get(self.name, accounts["default"])

    def vpc_endpoint_service(self, service: str) -> str:
        """The service name of a VPC endpoint; ``s3`` is the gateway, ``s3-interface`` the other."""
        own = _tables()["vpc_endpoints"].get(self.partition, {"services": ()})
        prefix = own["prefix"] if service in own["services"] else "com.amazonaws"
        return f"{prefix}.{self.name}.{service.removesuffix('-interface')}"

    @property
    def rds_ca_bundle_url(self) -> str:
        """The URL of the certificate authorities (PEM) of this region's databases."""
        host = _tables()["rds_ca_hosts"].get(
            self.partition, f"truststore.pki.{self.service_host('rds')}"
        )
        return f"https://{host}/{self.name}/{self.name}-bundle.pem"

    @property
    def console_url(self) -> str:
        """The URL of the web console; empty in the isolated partitions, which publish none."""
        return _tables()["consoles"].get(self.partition, "").format(region=self.name)

    def has(self, feature: Feature) -> bool:
        """Whether this region offers a feature."""
        return _features(self)[feature]

    @property
    def gpu_families(self) -> tuple[str, ...]:
        """The default families of a GPU pool, cheapest single GPU first."""
        table, offered = _tables()["gpu_families"], self.gpu_families_offered
        default = table.get(self.partition, table["default"])
        return tuple(family for family in default if family in offered)

    @property
    def gpu_families_offered(self) -> tuple[str, ...]:
        """The GPU families of this region; all families where no source lists any of the region."""
        known = families("instances", self.name)
        return tuple(family for family in GPU_FAMILIES if family in known) or GPU_FAMILIES

    def has_service(self, service: str) -> bool:
        """Whether a service, by its prefix of hosts (``api.ecr``), has an endpoint in this region.

        True where botocore's endpoint data lacks the region, or the service altogether.
        """
        known = _regions_with("ec2", self.partition)
        if self.name not in known or not _regions_with(service, _AWS):
            return True
        return self.name in _regions_with(service, self.partition)

    @property
    def mirror_region(self) -> str:
        """The default region of the copy builds: this one, if it reaches the registries."""
        return _tables()["mirror_regions"].get(self.partition, self.name)


@lru_cache(maxsize=256)
def _features(region: Region) -> dict[Feature, bool]:
    p = region.partition
    return {
        # docs.amazonaws.cn pod-identities.html: not in China, although botocore has endpoints.
        Feature.POD_IDENTITY: p != _CN and region.name in _regions_with("eks-auth", p),
        # docs.amazonaws.cn pull-through-cache.html: neither China region; AWS "What's New" of
        # 2023-11-17 (additional upstream registries): every region but China's and GovCloud's.
        # Later GovCloud got rules from ECR to ECR, which reach no public registry. No source has
        # the other partitions.
        Feature.PULL_THROUGH_CACHE: p == _AWS,
        # aws/karpenter-provider-aws pkg/providers/pricing/pricing.go; elsewhere a frozen table.
        Feature.PRICE_API: p in (_AWS, _CN),
        Feature.INTERNET_REGISTRIES: p in _OPEN_INTERNET,
        # AWS "What's New" of 2025-08-07 (EKS safety control to prevent accidental cluster
        # deletion): all commercial regions and GovCloud; China is not named.
        Feature.CLUSTER_DELETION_PROTECTION: p in (_AWS, _GOV),
        # docs.amazonaws.cn aws/userguide/api-gateway.html
        Feature.UNAUTHENTICATED_API_NEEDS_ICP: p == _CN,
    }
