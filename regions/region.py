"""Everything that differs by AWS partition or region, in one object.

Two sources, in this order:

1. botocore's own data (``partitions.json`` and ``endpoints.json``, read through its loader and
   ``EndpointResolver``; no session, so no profile, credential or environment can change them).
2. The small tables below for facts that botocore lacks. Each has its public source; a row marked
   *assumed* has none, and a reason.

Only this module may contain an ARN prefix, a DNS suffix, an account ID or a region name. Its import
is fast: botocore is imported and read on first use, once per process.
"""

# botocore ships no type information; everything read from it is given a type at the boundary.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar, cast

_AWS, _CN, _GOV, _EUSC = "aws", "aws-cn", "aws-us-gov", "aws-eusc"
_GLOBAL_SUFFIX = "amazonaws.com"
_OTHER_PRINCIPALS = ("logs", "codedeploy", "elasticmapreduce")


class Feature(StrEnum):
    """Features that some regions lack; see :meth:`Region.has`."""

    POD_IDENTITY = "EKS Pod Identity"
    PULL_THROUGH_CACHE = "ECR pull-through cache of public registries"
    PRICE_API = "the price API as Karpenter calls it"
    INTERNET_REGISTRIES = "docker.io, gcr.io, ghcr.io, quay.io and registry.k8s.io within reach"
    UNAUTHENTICATED_API_NEEDS_ICP = "ICP filing needed for an API Gateway without IAM authorization"


EXAMPLE_REGION = "cn-north-1"
"""For sentences with an example."""


# The account with the EKS add-on images, where it is not the default one.
# https://docs.aws.amazon.com/eks/latest/userguide/add-ons-images.html and, for the isolated
# partitions, awslabs/amazon-eks-ami nodeadm/internal/aws/ecr/ecr.go.
_ADDON_ACCOUNT_DEFAULT = "602401143452"
_ADDON_ACCOUNTS = {
    "af-south-1": "877085696533",
    "ap-east-1": "800184023465",
    "ap-east-2": "533267051163",
    "ap-south-2": "900889452093",
    "ap-southeast-3": "296578399912",
    "ap-southeast-4": "491585149902",
    "ap-southeast-5": "151610086707",
    "ap-southeast-6": "333609536671",
    "ap-southeast-7": "121268973566",
    "ca-west-1": "761377655185",
    "cn-north-1": "918309763551",
    "cn-northwest-1": "961992271922",
    "eu-central-2": "900612956339",
    "eu-isoe-west-1": "249663109785",
    "eu-south-1": "590381155156",
    "eu-south-2": "455263428931",
    "il-central-1": "066635153087",
    "me-central-1": "759879836304",
    "me-south-1": "558608220178",
    "mx-central-1": "730335286997",
    "us-gov-east-1": "151742754352",
    "us-gov-west-1": "013241004608",
    "us-iso-east-1": "725322719131",
    "us-iso-west-1": "608367168043",
    "us-isob-east-1": "187977181151",
    "us-isof-south-1": "676585237158",
}

# VPC endpoint services whose name starts with the partition's reversed domain; every other service
# is `com.amazonaws.<region>.<service>` in every partition.
# aws/aws-cdk packages/aws-cdk-lib/aws-ec2/lib/vpc-endpoint.ts getDefaultEndpointPrefix, cut to the
# services a cluster may need. `s3-interface` is the S3 interface endpoint; `s3` the gateway.
_ENDPOINT_PREFIXES = {
    _CN: "cn.com.amazonaws",
    _EUSC: "eu.amazonaws",
    "aws-iso": "gov.ic.c2s",
    "aws-iso-b": "gov.sgov.sc2s",
    "aws-iso-e": "uk.adc-e.cloud",
    "aws-iso-f": "gov.ic.hci.csp",
}
_REGISTRY_ENDPOINTS = frozenset({"ecr.api", "ecr.dkr", "execute-api"})
_ISO_ENDPOINTS = _REGISTRY_ENDPOINTS | {"autoscaling", "ebs", "ec2", "elasticfilesystem", "sqs"}
_PREFIXED_ENDPOINTS = {
    _CN: _ISO_ENDPOINTS
    | {"batch", "cloudformation", "eks", "elasticache", "fsx", "lambda", "monitoring", "rds"}
    | {"s3-interface", "sagemaker.api", "sagemaker.runtime", "states", "sts", "xray"},
    _EUSC: _REGISTRY_ENDPOINTS,
    "aws-iso": _ISO_ENDPOINTS | {"sagemaker.api", "sagemaker.runtime"},
    "aws-iso-b": _ISO_ENDPOINTS | {"sagemaker.api", "sagemaker.runtime"},
    "aws-iso-e": _REGISTRY_ENDPOINTS | {"ebs"},
    "aws-iso-f": _REGISTRY_ENDPOINTS | {"ebs"},
}

# The bundle of the region's own certificate authorities; China's are not in the global bundle.
# UsingWithRDS.SSL.html at docs.aws.amazon.com and docs.amazonaws.cn. Partitions not listed follow
# GovCloud's pattern (*assumed*: their documentation is not public).
_RDS_CA_HOSTS = {
    _AWS: "truststore.pki.rds.amazonaws.com",
    _CN: "rds-truststore.s3.cn-north-1.amazonaws.com.cn",
    _GOV: "truststore.pki.us-gov-west-1.rds.amazonaws.com",
}

# Console hosts (public documentation of each partition; the isolated ones publish none).
_CONSOLES = {
    _AWS: "https://{r}.console.aws.amazon.com",
    _CN: "https://console.amazonaws.cn",
    _GOV: "https://console.amazonaws-us-gov.com",
    _EUSC: "https://{r}.console.amazonaws-eusc.eu",
}

# Instance families with NVIDIA GPUs (a family is the part of a type before its dot).
GPU_FAMILIES = (
    *("g3", "g3s", "g4dn", "g5", "g5g", "g6", "g6e", "g6f", "g7", "g7e", "gr6", "gr6f"),
    *("p2", "p3", "p3dn", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "p6-b300"),
)
# Complete lists of a region's families, where a source has one; elsewhere any family is accepted.
# aws/karpenter-provider-aws pkg/providers/pricing/zz_generated.pricing_aws_cn.go, generated for
# cn-north-1 in 2024-11. It has no table for cn-northwest-1: *assumed* equal.
_GPU_OFFERED_IN_CHINA = ("g3", "g3s", "g4dn", "g5", "p2", "p3")
_GPU_OFFERED = {
    "cn-north-1": _GPU_OFFERED_IN_CHINA,
    "cn-northwest-1": _GPU_OFFERED_IN_CHINA,
}
# Default families of a pool, cheapest single GPU first by the on-demand prices of the tables above
# and pricing_aws_us_gov.go; only families that the AL2023 AMI's default driver (580) supports. A
# family that a region lacks has no effect: Karpenter finds no offering of it.
_GPU_DEFAULTS = {
    _AWS: ("g4dn", "g6", "g5", "g6e"),
    _CN: ("g4dn", "g5", "p3"),
    _GOV: ("g4dn", "p3"),
}
_GPU_DEFAULTS_ELSEWHERE = ("g4dn", "g5")

# Partitions from which the public registries are reachable. China: k8s.gcr.io and
# gcr.io awslabs/amazon-eks-ami#722, registry.k8s.io kubernetes/registry.k8s.io#137, quay.io
# kubernetes-sigs/aws-load-balancer-controller#176, docker.io docker/distribution-library-image#176.
# The isolated partitions have no internet route at all.
_OPEN_INTERNET = frozenset({_AWS, _GOV, _EUSC})
# The region of CodeBuild where the region itself has no access: nearest to both China regions.
_MIRROR_REGIONS = {_CN: "ap-southeast-1"}


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
            similar = get_close_matches(name, known_regions(), n=3, cutoff=0.6)
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
    def passed_to_ec2(self) -> tuple[str, ...]:
        """Values of ``iam:PassedToService`` for EC2: both spellings where the suffix differs.

        In China the value has the partition's own suffix (terraform-aws-eks #3422, Karpenter's
        cloudformation.yaml), unlike in trust policies.
        """
        return tuple(dict.fromkeys((f"ec2.{_GLOBAL_SUFFIX}", f"ec2.{self.dns_suffix}")))

    def ecr_registry(self, account: str) -> str:
        """The host of an account's private registry in this region."""
        return f"{account}.dkr.ecr.{self.name}.{self.dns_suffix}"

    @property
    def eks_addon_account(self) -> str:
        """The account of the registry with this region's EKS add-on images."""
        return _ADDON_ACCOUNTS.get(self.name, _ADDON_ACCOUNT_DEFAULT)

    def vpc_endpoint_service(self, service: str) -> str:
        """The service name of a VPC endpoint; ``s3`` is the gateway, ``s3-interface`` the other."""
        prefixed = service in _PREFIXED_ENDPOINTS.get(self.partition, frozenset())
        prefix = _ENDPOINT_PREFIXES[self.partition] if prefixed else "com.amazonaws"
        return f"{prefix}.{self.name}.{service.removesuffix('-interface')}"

    @property
    def rds_ca_bundle_url(self) -> str:
        """The URL of the certificate authorities (PEM) of this region's databases."""
        host = _RDS_CA_HOSTS.get(self.partition, f"truststore.pki.{self.service_host('rds')}")
        return f"https://{host}/{self.name}/{self.name}-bundle.pem"

    @property
    def console_url(self) -> str:
        """The URL of the web console; empty in the isolated partitions, which publish none."""
        return _CONSOLES.get(self.partition, "").format(r=self.name)

    def has(self, feature: Feature) -> bool:
        """Whether this region offers a feature."""
        return _features(self)[feature]

    @property
    def gpu_families(self) -> tuple[str, ...]:
        """The default families of a GPU pool, cheapest single GPU first."""
        return _GPU_DEFAULTS.get(self.partition, _GPU_DEFAULTS_ELSEWHERE)

    @property
    def gpu_families_offered(self) -> tuple[str, ...]:
        """The GPU families of this region; all families where no source lists the region's."""
        return _GPU_OFFERED.get(self.name, GPU_FAMILIES)

    @property
    def mirror_region(self) -> str:
        """The default region of the copy builds: this one, if it reaches the registries."""
        return _MIRROR_REGIONS.get(self.partition, self.name)


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
        # docs.amazonaws.cn aws/userguide/api-gateway.html
        Feature.UNAUTHENTICATED_API_NEEDS_ICP: p == _CN,
    }
