"""Which registries no builder is asked about, which are in China, and what a mirror has."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from images import hosts
from images.hosts import at_any_port, handed_on, is_domestic, is_private, source_of
from images.reference import parse
from regions.region import Feature, Region

REGIONS = ("us-east-1", "cn-north-1", "cn-northwest-1", "us-gov-west-1", "eusc-de-east-1")
ALIYUN = "registry.cn-hangzhou.aliyuncs.com"
TABLE: dict[str, Any] = json.loads(Path(hosts.__file__).with_name("registries.json").read_text())


@pytest.mark.parametrize(
    "host",
    [
        # Addresses that are not global ...
        *("127.0.0.1", "10.0.0.1", "172.16.9.9", "192.168.1.1"),
        *("169.254.169.254", "169.254.170.2", "0.1.2.3", "100.64.0.1", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "192.0.2.1", "198.18.0.1"),
        # ... in every spelling of the C library's resolver, and what is no address at all
        *("2130706433", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "127.1", "10.1", "0xa000001"),
        *("999.999.999.999", "1.2", "8.8.8.08", "1.2.3.4.5", "reg.0x"),
        # IPv6: loopback, unspecified, link-local, unique local, multicast, with an address inside
        *("[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[fc00:1::2]", "[ff02::1]", "[2001:db8::1]"),
        *("[::ffff:a00:1]", "[::ffff:7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]"),
        *("[2002:a00:1::]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "[fec0::1]"),
        # Names of one word, of the cluster, and of no public domain
        *("localhost", "myhost", "registry", "registry.team-a.svc", "registry.svc.cluster.local"),
        *("registry.kube-system", "registry.ns1", "harbor.corp.internal", "harbor.corp", "reg.lan"),
        *("dev.local", "ko.local", "kind.local", "metadata.google.internal", "x.localhost", "a.b"),
        *("ip-10-0-0-1.cn-north-1.compute.internal", "reg.home.arpa", "reg.test", "x.onion"),
        "reg.example",
    ],
)
def test_a_private_registry_is_nobodys_else(host: str) -> None:
    for port in ("", ":443", ":5000"):
        # Without dot and port, the grammar takes capitals alone for a host.
        word = "." not in host and not port and not host.startswith("[")
        image = parse(f"{host.upper() if word else host}{port}/x")
        assert is_private(image.registry) or (word and host.isdigit())


@pytest.mark.parametrize(
    "host",
    [
        *("docker.io", "quay.io", "registry.k8s.io", "public.ecr.aws", "reg.example.com", "x.dev"),
        *("54.1.2.3", "8.8.8.8", "172.40.20.82", "[2606:4700::1111]", "[2002:808:808::]"),
        *("[64:ff9b::808:808]", "[::ffff:808:808]", "xn--7o8h.xn--p1ai", "10.0.0.1.nip.io"),
        *("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn", "internal.example.com"),
    ],
)
def test_a_public_registry_is_not(host: str) -> None:
    assert not is_private(parse(f"{host}/x").registry)


@pytest.mark.parametrize(
    "host",
    [
        *("registry.cn-hangzhou.aliyuncs.com", "registry.aliyuncs.com", "ccr.ccs.tencentyun.com"),
        *("registry-vpc.cn-beijing.aliyuncs.com", "team-registry.cn-shanghai.cr.aliyuncs.com"),
        *("crpi-x.cn-hangzhou.personal.cr.aliyuncs.com", "swr.cn-north-4.myhuaweicloud.com"),
        *("team.tencentcloudcr.com", "team-cn-beijing.cr.volces.com", "team.azurecr.cn"),
        *("cr-cn-beijing.volces.com", "team-docker.pkg.coding.net"),
        *(
            "ccr-2vdh3abv-pub.cnc.bj.baidubce.com",
            "registry.baidubce.com",
            "uhub.service.ucloud.cn",
        ),
    ],
)
def test_a_domestic_registry_is_one_by_the_table(host: str) -> None:
    assert is_domestic(host)
    assert is_domestic(f"{host}:8443")
    for other in (f"{host}.evil.com", f"evil-{host}.com", host.replace(".", "x", 1)):
        assert not is_domestic(other) or other.endswith(("tencentcloudcr.com", "azurecr.cn"))


@pytest.mark.parametrize(
    "host",
    [
        *("registry.us-west-1.aliyuncs.com", "registry.cn-hongkong.aliyuncs.com", "aliyuncs.com"),
        *("team-registry.cn-hongkong.cr.aliyuncs.com", "swr.ap-southeast-1.myhuaweicloud.com"),
        *("docker.io", "quay.io", "registry.cn-a.b.aliyuncs.com"),
    ],
)
def test_these_are_not_domestic(host: str) -> None:
    assert not is_domestic(host)


@pytest.mark.parametrize(
    ("written", "source"),
    [
        ("m.daocloud.io/docker.io/library/python:3", "docker.io/library/python:3"),
        ("m.daocloud.io/docker.io/python:3", "docker.io/library/python:3"),
        ("m.daocloud.io/quay.io/a/b", "quay.io/a/b:latest"),
        ("m.daocloud.io:443/registry-1.docker.io/a/b", "docker.io/a/b:latest"),
        ("m.daocloud.io/docker.m.daocloud.io/a/b", "docker.io/a/b:latest"),
        ("docker.m.daocloud.io/library/python:3", "docker.io/library/python:3"),
        ("docker.m.daocloud.io/python:3", "docker.io/library/python:3"),
        ("k8s.m.daocloud.io/pause:3.9", "registry.k8s.io/pause:3.9"),
        ("K8S-GCR.m.daocloud.io/pause:3.9", "k8s.gcr.io/pause:3.9"),
        (f"{ALIYUN}/google_containers/coredns:v1", "registry.k8s.io/coredns/coredns:v1"),
        (f"{ALIYUN}/google_containers/pause:3.9", "registry.k8s.io/pause:3.9"),
        ("djkge06j.mirror.aliyuncs.com/python:3", "docker.io/library/python:3"),
        ("0-5.mirror.swr.myhuaweicloud.com/a/b:1", "docker.io/a/b:1"),
        ("mcr.azure.cn/dotnet/sdk:8", "mcr.microsoft.com/dotnet/sdk:8"),
        # No mirror, or one of which nobody says what it has
        ("m.daocloud.io/library/python:3", None),
        ("m.daocloud.io/m.daocloud.io/docker.io/x:1", "m.daocloud.io/docker.io/x:1"),
        (f"{ALIYUN}/google_containers/nginx:1", None),
        ("docker.m.daocloud.io:8443/x:1", None),
        ("x.m.daocloud.io/a:1", None),
        ("a.b.mirror.aliyuncs.com/a/b:1", None),
        ("mirror.aliyuncs.com/a/b:1", None),
        ("quay.io/a/b:1", None),
    ],
)
def test_a_mirror_is_understood_as_its_source(written: str, source: str | None) -> None:
    assert str(source_of(parse(written))) == (source or written)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("index.docker.io:80/a/b:1", "docker.io/a/b:1"),
        ("quay.io:8443/a/b:1@sha256:" + "a" * 64, "quay.io/a/b:1@sha256:" + "a" * 64),
        ("[2606:4700::1111]:8443/a:1", "[2606:4700::1111]:8443/a:1"),
        ("[2606:4700::1111]/a:1", "[2606:4700::1111]/a:1"),
        ("registry:5000/a:1", "registry:5000/a:1"),
        ("quay.io/a/b:1", "quay.io/a/b:1"),
    ],
)
def test_a_registry_is_looked_up_without_its_port(written: str, plain: str) -> None:
    assert str(at_any_port(parse(written))) == plain


def test_tag_and_digest_of_a_mirror_are_those_of_its_source() -> None:
    end = ":3@sha256:" + "a" * 64
    written = parse(f"docker.m.daocloud.io/library/python{end}")
    assert str(source_of(written)) == f"docker.io/library/python{end}"


def test_a_cache_of_docker_hub_stays_a_place_of_its_own() -> None:
    image = parse("mirror.gcr.io/evil/miner:1")
    assert (handed_on(image), source_of(image)) == (("docker.io/evil/miner",), image)


ECR = "111122223333.dkr.ecr.us-west-2.amazonaws.com"


@pytest.mark.parametrize(
    ("written", "sources"),
    [
        ("public.ecr.aws/docker/library/x", ["docker.io/library/x"]),
        ("public.ecr.aws/lambda/python", []),
        ("docker.pkg.github.com/team/repository/app:1", ["ghcr.io/team/repository/app"]),
        (f"{ECR}/docker-hub/team/app", ["docker.io/team/app"]),
        (f"{ECR}/docker-hub/app", ["docker.io/library/app"]),
        (
            f"{ECR}/ecr-public/docker/library/app",
            ["public.ecr.aws/docker/library/app", "docker.io/library/app"],
        ),
        (
            "ecr-public.aws.com/docker/library/x",
            ["public.ecr.aws/docker/library/x", "docker.io/library/x"],
        ),
        (
            "mcr.azure.cn/mirror/docker/x",
            ["mcr.microsoft.com/mirror/docker/x", "docker.io/library/x"],
        ),
        (f"{ECR}/chainguard/chainguard/python", ["cgr.dev/chainguard/python"]),
        # No cache of ECR is in China, GovCloud, and the other partitions
        ("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/quay/app", []),
        ("111122223333.dkr.ecr.us-gov-west-1.amazonaws.com/quay/app", []),
        ("111122223333.dkr-ecr.us-gov-west-1.on.aws/quay/app", []),
        (f"{ECR}/ecr-public/lambda/python", ["public.ecr.aws/lambda/python"]),
        (f"{ECR}/github/team/app", ["ghcr.io/team/app"]),
        (f"{ECR}/docker-hub", []),
        (f"{ECR}/my-quay/team/app", []),
        ("example.com/docker-hub/team/app", []),
        ("a.example/docker.m.daocloud.io/team/app", ["docker.io/team/app"]),
        ("a.example/registry.aliyuncs.com/google_containers/pause", ["registry.k8s.io/pause"]),
        ("a.example/quay.m.daocloud.io", []),
        ("m.daocloud.io/m.daocloud.io/docker.io/app", []),
        (
            "a.example/ghcr.m.daocloud.io/team/quay.m.daocloud.io/app",
            ["ghcr.io/team/quay.m.daocloud.io/app", "quay.io/app"],
        ),
    ],
)
def test_what_mirrors_and_caches_in_a_name_hand_on(written: str, sources: list[str]) -> None:
    assert list(handed_on(parse(written))) == sources


def test_ecr_has_caches_where_the_regions_say() -> None:
    regions = [Region.of(name) for name in REGIONS]
    images = [f"{region.ecr_registry('111122223333')}/quay/app" for region in regions]
    found = [bool(handed_on(parse(image))) for image in images]
    assert found == [region.has(Feature.PULL_THROUGH_CACHE) for region in regions]
    assert {*found} == {True, False}


def test_every_row_has_a_source_and_the_table_a_date() -> None:
    assert date.fromisoformat(TABLE["written"]) >= date(2026, 11, 29)
    for row in (*TABLE["domestic"], *TABLE["mirrors"], TABLE["flattened"], *TABLE["caches"]):
        assert row["source"]
    assert TABLE["pulled_through"]["source"]
    assert all(row["source"] for row in TABLE["within"])
    hosts_of_mirrors = (host for row in TABLE["mirrors"] for host in row["hosts"])
    for host in (host.replace("*.", "one.", 1) for host in hosts_of_mirrors):
        assert re.fullmatch(r"[a-z0-9.-]+", host)
        assert str(parse(f"{host}/x").registry) == host
        assert source_of(parse(f"{host}/docker.io/x")).registry != host
