"""What AWS refuses because a region does not offer it: machines, versions, services.

The errors are AWS's own words where a report has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from regions.offers import Kind, has_mysql, has_postgres, lacks
from regions.region import Feature, Region
from rehearsal.account import DATABASE, Account, RefusedByAws
from rehearsal.sample_outputs.eks import CLUSTER
from settings.rules_platform import KUBERNETES

TEMPLATE, NODE_GROUP = "aws:ec2/launchTemplate:LaunchTemplate", "aws:eks/nodeGroup:NodeGroup"
_ENDPOINTS = {
    "apigatewayv2": "apigateway",
    "cloudwatch": "events",
    "ecr": "api.ecr",
    "efs": "elasticfilesystem",
    "vpc": "ec2",
}
"""Module of a type -> the prefix of its service's hosts, where that is not the module."""
_ENGINES: dict[str, tuple[Callable[[str], bool], Kind, str]] = {
    "mysql": (has_mysql, "databases", "general-public-license"),
    "postgres": (has_postgres, "postgresDatabases", "postgresql-license"),
}
_FEATURES = {
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": (
        Feature.PULL_THROUGH_CACHE,
        "UnsupportedUpstreamRegistryException: The specified upstream registry isn't supported.",
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": (
        Feature.POD_IDENTITY,
        "InvalidRequestException: EKS Pod Identity is not available in this region.",
    ),
}


def check(account: Account, type_: str, plain: Mapping[str, Any], region: Region) -> None:
    """Checks a resource that is made or changed.

    Args:
        account: has the launch templates.
        type_: its token.
        plain: its inputs.
        region: where.

    Raises:
        RefusedByAws: the region offers no such machine, version, service or feature.
    """
    module = type_.split(":")[1].partition("/")[0]
    service = _ENDPOINTS.get(module, module)
    if not region.has_service(service):
        raise RefusedByAws(f"lookup {region.service_host(service)}: no such host")
    feature, refused = _FEATURES.get(type_, (None, ""))
    if feature and not region.has(feature):
        raise RefusedByAws(refused)
    if type_ == CLUSTER and plain.get("version", KUBERNETES[0]) not in KUBERNETES:
        raise RefusedByAws("InvalidParameterException: unsupported Kubernetes version")
    if type_ == NODE_GROUP:
        _check_machines(account, plain, region.name)
    if type_ == DATABASE:
        _check_database(plain, region.name)


def _check_machines(account: Account, plain: Mapping[str, Any], region: str) -> None:
    templates = account.inputs_of(TEMPLATE, region)
    template = templates.get((plain.get("launchTemplate") or {}).get("id", ""), {})
    types = filter(None, [*(plain.get("instanceTypes") or ()), template.get("instanceType")])
    missing = [each for each in types if lacks("instances", region, each)]
    if missing:
        raise RefusedByAws(
            "InvalidParameterException: The following supplied instance types do not exist: "
            f"[{', '.join(missing)}]"
        )


def _check_database(plain: Mapping[str, Any], region: str) -> None:
    engine, version, class_ = (
        plain.get(key, "") for key in ("engine", "engineVersion", "instanceClass")
    )
    if engine not in _ENGINES:
        return
    has, kind, license_ = _ENGINES[engine]
    if version and not has(version):
        raise RefusedByAws(
            f"InvalidParameterCombination: Cannot find version {version} for {engine}"
        )
    if lacks(kind, region, class_):
        raise RefusedByAws(
            "InvalidParameterCombination: RDS does not support creating a DB instance with the "
            f"following combination: DBInstanceClass={class_}, Engine={engine}, "
            f"EngineVersion={version}, LicenseModel={license_}."
        )
