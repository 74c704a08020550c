"""The root certificates with which clients verify the region's databases.

AWS publishes the roots at one address per partition, and no provider has a data source for them.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import Resource

from components.dynamic.provider import DynamicProvider, Refused
from settings import certificates

_ATTEMPTS = 4
_TIMEOUT_SECONDS = 20
_MOST_BYTES = 512 * 1024
"""Of a bundle: a region's has under 10 KiB, and a ConfigMap takes less than 1 MiB."""


class AuthoritiesUnreachable(Refused):
    """The download failed; the message is one sentence with the way out."""


class DatabaseAuthoritiesProvider(DynamicProvider):
    """Downloads once per address: roots outlive any database."""

    replacing = ("url",)
    identity = "{url}"

    def outputs(self, news: dict[str, Any], _olds: dict[str, Any]) -> dict[str, Any]:
        """Download the certificates."""
        return {**news, "pem": downloaded(news["url"])}


def downloaded(url: str) -> str:
    """The certificates at an address, as PEM text.

    Raises:
        AuthoritiesUnreachable: the request fails, or the response is no certificate.
    """
    # Imported here: a preview downloads nothing.
    from http.client import HTTPException

    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

    attempts = Retrying(
        retry=retry_if_exception(_is_transient),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential(max=8),
        reraise=True,
    )
    try:
        return certificates.checked(attempts(_fetched, url))
    except (OSError, HTTPException, ValueError) as failure:
        raise AuthoritiesUnreachable(
            f"The root certificates of the region's databases cannot be downloaded from {url} "
            f"({failure}): set kubeflow:database.caBundle to a file with them."
        ) from None


def _fetched(url: str) -> str:
    from urllib.request import urlopen

    # The address is a constant of the region (regions/region.py), never a setting.
    with urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
        return response.read(_MOST_BYTES).decode("utf-8")


def _is_transient(failure: BaseException) -> bool:
    """Whether a repetition can succeed: after a lost connection or a status of 500 and above."""
    # Of the errors that urlopen raises, HTTPError alone has a code.
    return isinstance(failure, OSError) and getattr(failure, "code", 500) >= 500


class DatabaseAuthorities(Resource, name="DatabaseAuthorities"):
    """Makes: a copy of the certificates at an address in the state; public data, no secret.

    Args:
        name: of the resource.
        url: the region's bundle (``Region.rds_ca_bundle_url``); another one downloads anew. To
            download the same one again, ``pulumi up --replace`` with this resource's URN.
        opts: of the resource.

    Attributes:
        pem: the certificates as PEM text.
    """

    pem: pulumi.Output[str]

    def __init__(self, name: str, *, url: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(DatabaseAuthoritiesProvider(), name, {"url": url, "pem": None}, opts)
