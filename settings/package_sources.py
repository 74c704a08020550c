"""The variables and certificates by which pods of profiles get packages and models.

Each variable is of the program's own documentation:

- pip: https://pip.pypa.io/en/stable/topics/configuration/ (``PIP_<LONG OPTION>``); uv:
  https://docs.astral.sh/uv/reference/environment/
- conda: https://docs.conda.io/projects/conda/en/stable/user-guide/configuration/ (``CONDA_<KEY>``)
- https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables. Large files
  come from a host of their own that no mirror replaces unless Xet is off
  (huggingface/huggingface_hub issue 4475).
- ModelScope: modelscope/modelscope modelscope/hub/utils/utils.py (get_endpoint): a host.
- npm: https://docs.npmjs.com/cli/v11/using-npm/config, "Environment Variables"
- requests: ``REQUESTS_CA_BUNDLE``; OpenSSL, Go, uv and httpx: ``SSL_CERT_FILE``; AWS CLI and
  SDKs: ``AWS_CA_BUNDLE``; curl: ``CURL_CA_BUNDLE``; git: ``GIT_SSL_CAINFO``; Node.js:
  ``NODE_EXTRA_CA_CERTS``, the only one that adds to the public authorities; others replace them.
- proxies: golang.org/x/net http/httpproxy and requests read address ranges; both spellings, because
  curl reads ``http_proxy`` in lower case only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from regions.package_mirrors import package_mirrors
from regions.region import Region
from settings import certificates
from settings.sections import PackagesSettings, Settings

BUNDLE = "/etc/package-authorities/ca-bundle.crt"
"""The mounted file (``webhook.package_defaults``, MOUNT_PATH)."""
NAMESPACE = "<namespace>"
"""In a value: the profile's own namespace."""

SERVICES = ("172.20.0.0/16", "10.100.0.0/16")
"""EKS takes one of these ranges for a cluster's Services (EKS API, KubernetesNetworkConfigRequest,
``serviceIpv4Cidr``)."""
_API_SERVER = ("172.20.0.1", "10.100.0.1")
"""Their first addresses: not every client reads ranges."""
# Instance metadata, and the agent that gives pods credentials (EKS user guide, Pod Identity).
_LINK_LOCAL = ("169.254.169.254", "169.254.170.23")
_OF_BUNDLE = (
    *("AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"),
    *("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"),
)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----\n", re.DOTALL)


def sources(packages: PackagesSettings, region: Region) -> dict[str, str]:
    """Kind of packages -> the URL that pods get them from, with the region's defaults."""
    default = package_mirrors(region.partition)
    kinds = ("pypi", "conda", "hugging_face", "model_scope", "npm")
    chosen = {kind: getattr(packages, kind) or default.get(kind, "none") for kind in kinds}
    return {kind: url.rstrip("/") for kind, url in chosen.items() if url != "none"}


def variables(settings: Settings, ranges: Iterable[str]) -> dict[str, str]:
    """The variables of every container in a profile; empty where the stack sets none.

    Args:
        settings: of the stack.
        ranges: of the addresses in its VPC.
    """
    packages, region = settings.packages, Region.of(settings.region)
    of = {
        "pypi": ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
        "conda": ("CONDA_CHANNEL_ALIAS",),
        "hugging_face": ("HF_ENDPOINT",),
        "npm": ("NPM_CONFIG_REGISTRY",),
    }
    urls = sources(packages, region)
    found = {name: urls[kind] for kind, names in of.items() if kind in urls for name in names}
    if "hugging_face" in urls:
        found["HF_HUB_DISABLE_XET"] = "1"
    if "model_scope" in urls:
        found["MODELSCOPE_DOMAIN"] = urlsplit(urls["model_scope"]).netloc
    if packages.ca_bundle:
        found |= dict.fromkeys(_OF_BUNDLE, BUNDLE)
    return dict(sorted((found | _proxy(settings, region, ranges)).items()))


def _proxy(settings: Settings, region: Region, ranges: Iterable[str]) -> dict[str, str]:
    proxy = settings.packages.proxy
    found = {"http_proxy": proxy.http, "https_proxy": proxy.https}
    given = {name: url.rstrip("/") for name, url in found.items() if url}
    if not given:
        return {}
    given["no_proxy"] = ",".join(
        dict.fromkeys([*_direct(settings, region, ranges), *proxy.no_proxy])
    )
    return {**given, **{name.upper(): value for name, value in given.items()}}


def _direct(settings: Settings, region: Region, ranges: Iterable[str]) -> Iterable[str]:
    """What no pod reaches by a proxy: itself, the cluster, the VPC and AWS in the region.

    Without ``*``, and a domain begins with a dot: Python, Go and curl agree on these only. KFP's
    driver names services by ``<service>.kubeflow`` (kubeflow/pipelines 2.16.0 backend/src/v2), and
    gRPC obeys proxies too.
    """
    yield from ("localhost", "127.0.0.1", *_LINK_LOCAL, *_API_SERVER, *SERVICES, *ranges)
    yield from (".svc", ".cluster.local", ".kubeflow", f".{NAMESPACE}")
    # A bucket's host ends with s3.<region>.<suffix>, the API server's with <region>.eks.<suffix>.
    yield from (f".{region.name}.{region.dns_suffix}", f".{region.name}.eks.{region.dns_suffix}")
    yield from (host for host in map(_host, settings.endpoints.values()) if host)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def authorities(packages: PackagesSettings) -> str:
    """The public authorities and the stack's own as one PEM text; empty without own ones.

    Most programs trust nothing beside the file they are given, so that S3 would be lost without the
    public ones (Mozilla's, as in the locked version of certifi).
    """
    if not packages.ca_bundle:
        return ""
    import certifi

    public = _CERTIFICATE.findall(Path(certifi.where()).read_text("utf-8"))
    own = certificates.read_own(packages.ca_bundle)
    return "".join(public) + own.rstrip("\n") + "\n"
