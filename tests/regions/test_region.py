"""A region has all facts that differ by region, in every partition."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from regions.region import GPU_FAMILIES, Feature, Region, known_regions

ROOT = Path(__file__).parents[2]
FOUR = ["cn-north-1", "cn-northwest-1", "us-west-2", "us-gov-west-1"]
ALL = known_regions()
SUFFIXES = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-us-gov": "amazonaws.com",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
}


def test_every_partition_is_one_of_botocore() -> None:
    assert {Region.of(name).partition for name in ALL} >= set(SUFFIXES)


@pytest.mark.parametrize("name", ALL)
def test_every_region_of_every_partition_has_all_its_facts(name: str) -> None:
    region = Region.of(name)
    suffix = SUFFIXES[region.partition]
    assert region.dns_suffix == suffix
    for service in ("s3", "sts", "rds", "secretsmanager", "eks", "ec2", "sqs", "logs"):
        assert region.service_host(service).endswith(f"{name}.{suffix}")
    assert region.ecr_registry("123456789012") == f"123456789012.dkr.ecr.{name}.{suffix}"
    assert region.managed_policy("X") == f"arn:{region.partition}:iam::aws:policy/X"
    assert region.rds_ca_bundle_url.startswith("https://")
    assert suffix in region.rds_ca_bundle_url
    assert re.fullmatch(r"\d{12}", region.eks_addon_account)
    assert name in region.vpc_endpoint_service("ecr.dkr").split(".")
    assert region.gpu_families
    assert set(region.gpu_families) <= set(region.gpu_families_offered)
    assert set(region.gpu_families_offered) <= set(GPU_FAMILIES)
    assert "ec2.amazonaws.com" in region.ec2_principals
    assert Region.of(region.mirror_region)
    assert "{" not in region.console_url


@pytest.mark.parametrize("name", [n for n in ALL if not n.startswith("cn-")])
def test_outside_china_nothing_ends_in_com_cn(name: str) -> None:
    region = Region.of(name)
    hosts = [region.service_host("s3"), region.rds_ca_bundle_url, region.console_url]
    assert not [text for text in (*hosts, *region.ec2_principals) if ".cn" in text]


@pytest.mark.parametrize("name", [n for n in ALL if n.startswith("cn-")])
def test_in_china_every_host_ends_in_com_cn(name: str) -> None:
    region = Region.of(name)
    hosts = [region.service_host(s) for s in ("s3", "sts", "rds", "eks", "iam")]
    hosts += [region.ecr_registry("1")]
    assert all(host.endswith(".amazonaws.com.cn") for host in hosts)


@pytest.mark.parametrize(
    ("name", "partition", "addons", "rds_ca"),
    [
        ("cn-north-1", "aws-cn", "918309763551", "rds-truststore.s3.cn-north-1.amazonaws.com.cn"),
        (
            "cn-northwest-1",
            "aws-cn",
            "961992271922",
            "rds-truststore.s3.cn-north-1.amazonaws.com.cn",
        ),
        ("us-west-2", "aws", "602401143452", "truststore.pki.rds.amazonaws.com"),
        (
            "us-gov-west-1",
            "aws-us-gov",
            "013241004608",
            "truststore.pki.us-gov-west-1.rds.amazonaws.com",
        ),
    ],
)
def test_facts_that_botocore_lacks(name: str, partition: str, addons: str, rds_ca: str) -> None:
    region = Region.of(name)
    assert region.partition == partition
    assert region.eks_addon_account == addons
    assert region.rds_ca_bundle_url == f"https://{rds_ca}/{name}/{name}-bundle.pem"


@pytest.mark.parametrize("name", FOUR)
def test_arns_are_of_the_partition_and_by_default_of_the_region(name: str) -> None:
    region = Region.of(name)
    p = region.partition
    assert region.arn("sqs", "q", account="123456789012") == f"arn:{p}:sqs:{name}:123456789012:q"
    assert region.arn("s3", "bucket", region="") == f"arn:{p}:s3:::bucket"


@pytest.mark.parametrize("name", FOUR)
def test_service_principals_are_global_and_the_audience_is_the_same_everywhere(name: str) -> None:
    region = Region.of(name)
    for service in ("ec2", "eks", "lambda", "codebuild", "events"):
        assert region.service_principal(service) == f"{service}.amazonaws.com"
    assert region.oidc_audience == "sts.amazonaws.com"


@pytest.mark.parametrize("name", FOUR)
def test_a_service_whose_principal_differs_is_refused(name: str) -> None:
    for service in ("logs", "codedeploy", "elasticmapreduce"):
        with pytest.raises(ValueError, match=service):
            Region.of(name).service_principal(service)


def test_only_china_has_a_second_spelling_of_ec2() -> None:
    both = ("ec2.amazonaws.com", "ec2.amazonaws.com.cn")
    assert [Region.of(name).ec2_principals for name in FOUR] == [both, both, both[:1], both[:1]]


@pytest.mark.parametrize(
    ("name", "service", "expected"),
    [
        ("cn-north-1", "ecr.api", "cn.com.amazonaws.cn-north-1.ecr.api"),
        ("cn-north-1", "ecr.dkr", "cn.com.amazonaws.cn-north-1.ecr.dkr"),
        ("cn-north-1", "sts", "cn.com.amazonaws.cn-north-1.sts"),
        ("cn-north-1", "ec2", "cn.com.amazonaws.cn-north-1.ec2"),
        ("cn-northwest-1", "eks", "cn.com.amazonaws.cn-northwest-1.eks"),
        ("cn-north-1", "s3", "com.amazonaws.cn-north-1.s3"),
        ("cn-north-1", "s3-interface", "cn.com.amazonaws.cn-north-1.s3"),
        ("cn-north-1", "logs", "com.amazonaws.cn-north-1.logs"),
        ("cn-north-1", "ssm", "com.amazonaws.cn-north-1.ssm"),
        ("us-west-2", "ecr.api", "com.amazonaws.us-west-2.ecr.api"),
        ("us-gov-west-1", "sts", "com.amazonaws.us-gov-west-1.sts"),
        ("eusc-de-east-1", "ecr.dkr", "eu.amazonaws.eusc-de-east-1.ecr.dkr"),
        ("eusc-de-east-1", "sts", "com.amazonaws.eusc-de-east-1.sts"),
        ("us-isob-east-1", "ec2", "gov.sgov.sc2s.us-isob-east-1.ec2"),
    ],
)
def test_vpc_endpoints_have_the_prefix_of_their_service(
    name: str, service: str, expected: str
) -> None:
    assert Region.of(name).vpc_endpoint_service(service) == expected


@pytest.mark.parametrize(
    ("feature", "regions"),
    [
        (Feature.POD_IDENTITY, ["us-west-2", "us-gov-west-1"]),
        (Feature.PULL_THROUGH_CACHE, ["us-west-2"]),
        (Feature.PRICE_API, ["cn-north-1", "cn-northwest-1", "us-west-2"]),
        (Feature.INTERNET_REGISTRIES, ["us-west-2", "us-gov-west-1"]),
        (Feature.CLUSTER_DELETION_PROTECTION, ["us-west-2", "us-gov-west-1"]),
        (Feature.UNAUTHENTICATED_API_NEEDS_ICP, ["cn-north-1", "cn-northwest-1"]),
    ],
)
def test_features_are_where_they_are_and_nowhere_else(feature: Feature, regions: list[str]) -> None:
    assert [name for name in FOUR if Region.of(name).has(feature)] == regions


def test_china_copies_its_images_from_a_region_that_reaches_the_registries() -> None:
    mirrors = [Region.of(Region.of(name).mirror_region) for name in FOUR]
    assert all(mirror.has(Feature.INTERNET_REGISTRIES) for mirror in mirrors)


def test_beijing_offers_no_p5_and_starts_with_the_cheapest_gpu() -> None:
    region = Region.of("cn-north-1")
    assert region.gpu_families == ("g4dn", "g5", "p3")
    assert "p5" not in region.gpu_families_offered


def test_ningxia_has_a100s_and_beijing_the_oldest_gpus() -> None:
    beijing, ningxia = (
        set(Region.of(name).gpu_families_offered) for name in ("cn-north-1", "cn-northwest-1")
    )
    assert (ningxia - beijing, beijing - ningxia) == ({"p4d"}, {"g3", "g3s", "p2"})


@pytest.mark.parametrize(
    ("name", "families"),
    [
        ("us-gov-east-1", ("g4dn",)),
        ("ap-southeast-3", ("g5",)),
        ("us-west-2", ("g4dn", "g6", "g5", "g6e")),
    ],
)
def test_a_default_family_is_one_that_the_region_offers(
    name: str, families: tuple[str, ...]
) -> None:
    assert Region.of(name).gpu_families == families


@pytest.mark.parametrize(
    ("name", "service", "offered"),
    [
        ("cn-north-1", "codebuild", True),
        ("ca-west-1", "codebuild", False),
        ("us-isof-east-1", "apigateway", False),
        ("cn-north-1", "quantum", True),
        ("eu-isoe-west-1", "codebuild", False),
    ],
)
def test_a_service_has_an_endpoint_in_a_region(name: str, service: str, offered: bool) -> None:
    assert Region.of(name).has_service(service) == offered


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cn-noth-1", "did you mean cn-north-1"),
        ("CN-NORTHWEST-1", "did you mean cn-northwest-1"),
        ("us-wset-2", "us-west-2"),
        ("aws-global", ""),
    ],
)
def test_an_unknown_region_is_refused_with_the_nearest_names(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match="no AWS partition") as refusal:
        Region.of(name)
    assert hint in str(refusal.value)


def test_a_region_is_a_value() -> None:
    region = Region.of("us-west-2")
    assert region == Region.of("us-west-2")
    assert len({region, Region.of("us-west-2")}) == 1
    with pytest.raises(FrozenInstanceError):
        region.name = "us-west-1"  # pyright: ignore[reportAttributeAccessIssue]


def test_importing_the_module_reads_nothing() -> None:
    code = "import sys, regions.region; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_no_profile_or_region_of_the_machine_changes_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "absent")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    code = "from regions.region import Region; print(Region.of('cn-north-1').service_host('s3'))"
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert printed.strip() == "s3.cn-north-1.amazonaws.com.cn"
