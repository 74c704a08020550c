"""What the setting ``packages`` gives to a pod: variables and certificates, by partition."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import requests.utils

from benchmarks.certificates import self_signed
from regions.package_mirrors import package_mirrors
from regions.region import Region
from settings import from_mapping
from settings.package_sources import BUNDLE, NAMESPACE, authorities, variables
from tests.harness import REGIONS

VPC = ("10.64.0.0/16", "100.70.0.0/16")
PROXY = {"http": "http://proxy.corp.example:3128", "https": "http://proxy.corp.example:3128/"}
MIRRORED = {
    *("CONDA_CHANNEL_ALIAS", "HF_ENDPOINT", "HF_HUB_DISABLE_XET", "MODELSCOPE_DOMAIN"),
    *("NPM_CONFIG_REGISTRY", "PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
}
PROXIES = ("http_proxy", "https_proxy", "no_proxy")


def of(region: str = "cn-north-1", **packages: Any) -> dict[str, str]:
    return variables(from_mapping({"region": region, "packages": packages}), VPC)


@pytest.mark.parametrize("region", REGIONS)
def test_only_china_has_mirrors_by_default(region: str) -> None:
    expected = MIRRORED if Region.of(region).partition == "aws-cn" else set[str]()
    assert set(of(region)) == expected


def test_defaults_are_public_mirrors_inside_china() -> None:
    mirrors, given = package_mirrors("aws-cn"), of()
    assert given["PIP_INDEX_URL"] == given["UV_DEFAULT_INDEX"] == mirrors["pypi"]
    assert given["CONDA_CHANNEL_ALIAS"] == mirrors["conda"]
    assert given["HF_ENDPOINT"] == mirrors["hugging_face"]
    assert given["NPM_CONFIG_REGISTRY"] == mirrors["npm"]
    assert f"https://{given['MODELSCOPE_DOMAIN']}" == mirrors["model_scope"]


@pytest.mark.parametrize("region", REGIONS)
def test_a_stacks_own_source_replaces_the_default_everywhere(region: str) -> None:
    own = "https://pypi.corp.example:8443/simple/"
    assert of(region, pypi=own)["PIP_INDEX_URL"] == own.rstrip("/")


def test_each_default_can_be_turned_off() -> None:
    kinds = ("pypi", "conda", "huggingFace", "modelScope", "npm")
    assert of(**dict.fromkeys(kinds, "none")) == {}
    assert set(of(huggingFace="none")) == MIRRORED - {"HF_ENDPOINT", "HF_HUB_DISABLE_XET"}


def test_no_variable_exempts_a_host_from_checks() -> None:
    assert not [name for name in of(proxy=PROXY) if "TRUSTED" in name or "INSECURE" in name]


# -- proxy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", REGIONS)
def test_a_proxy_is_given_in_both_spellings(region: str) -> None:
    given = of(region, proxy=PROXY)
    assert given["http_proxy"] == given["https_proxy"] == PROXY["http"]
    assert {name: given[name.upper()] for name in PROXIES} == {n: given[n] for n in PROXIES}


def test_one_kind_of_proxy_is_no_proxy_for_the_other() -> None:
    given = of("us-west-2", proxy={"https": PROXY["https"]})
    assert set(given) == {"https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY"}


def direct(region: str, **proxy: Any) -> str:
    return of(region, proxy={**PROXY, **proxy})["no_proxy"].replace(NAMESPACE, "team")


@pytest.mark.parametrize("region", REGIONS)
def test_the_cluster_the_vpc_and_aws_are_reached_without_the_proxy(region: str) -> None:
    """As requests decides it, which botocore, pip and huggingface_hub use."""
    own = Region.of(region)
    ecr, eks = own.ecr_registry("111122223333"), f"A1B2.gr7.{region}.eks.{own.dns_suffix}"
    hosts = [
        *(
            "localhost",
            "127.0.0.1",
            "169.254.169.254",
            "169.254.170.23",
            "172.20.0.1",
            "172.20.9.9",
            "10.100.0.1",
            "10.100.9.9",
        ),
        *("10.64.3.4", "100.70.1.2", ecr, eks, "kf-db.abc.rds." + f"{region}.{own.dns_suffix}"),
        *(own.service_host(service) for service in ("s3", "sts", "secretsmanager")),
        f"bucket.{own.service_host('s3')}",
        *("ml-pipeline.kubeflow", "metadata-grpc-service.kubeflow.svc", "a.b.svc.cluster.local"),
        "my-model.team",
    ]
    listed = direct(region)
    reached = {
        host: requests.utils.should_bypass_proxies(f"https://{host}:443/x", listed)
        for host in hosts
    }
    assert [host for host, without in reached.items() if not without] == []


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("host", ["pypi.org", "example.com", "10.65.0.1", "notsvc", "kubeflow.org"])
def test_everything_else_goes_by_the_proxy(region: str, host: str) -> None:
    assert not requests.utils.should_bypass_proxies(f"https://{host}/", direct(region))


def test_a_company_adds_its_own_hosts() -> None:
    listed = direct("cn-north-1", noProxy=[".corp.example", "10.9.0.0/16"])
    for host in ("git.corp.example", "10.9.8.7"):
        assert requests.utils.should_bypass_proxies(f"https://{host}/", listed)


def test_private_endpoints_of_aws_are_reached_without_the_proxy() -> None:
    endpoints = {"s3": "https://bucket.vpce-1a2b.corp.example"}
    raw = {"region": "us-west-2", "endpoints": endpoints, "packages": {"proxy": PROXY}}
    assert "bucket.vpce-1a2b.corp.example" in variables(from_mapping(raw), VPC)["no_proxy"].split(
        ","
    )


# -- authorities -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("authority")).certificate


@pytest.mark.parametrize("region", REGIONS)
def test_every_program_is_given_the_file_of_authorities(region: str, bundle: Path) -> None:
    names = {name for name, value in of(region, caBundle=str(bundle)).items() if value == BUNDLE}
    assert names == {
        *("AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"),
        *("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"),
    }


def test_the_file_has_the_public_authorities_too(bundle: Path) -> None:
    settings = from_mapping({"region": "cn-north-1", "packages": {"caBundle": str(bundle)}})
    text = authorities(settings.packages)
    store = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    store.load_verify_locations(cadata=text)
    names = {str(each["subject"]) for each in store.get_ca_certs()}
    assert len(names) > 100
    assert any("Amazon Root CA 1" in name for name in names)
    assert bundle.read_text().strip() in text


def test_the_file_fits_the_annotation_in_which_metacontroller_keeps_it(bundle: Path) -> None:
    settings = from_mapping({"region": "cn-north-1", "packages": {"caBundle": str(bundle)}})
    # Each line ends with \n, of two characters in JSON; the stack's own may have 32 KiB.
    text = authorities(settings.packages)
    assert len(text) + text.count("\n") + 33 * 1024 + 4096 < 256 * 1024


def test_without_own_authorities_pods_keep_those_of_their_image() -> None:
    assert authorities(from_mapping({"region": "cn-north-1"}).packages) == ""
