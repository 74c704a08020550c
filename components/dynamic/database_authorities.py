"""The root certificates of the region's databases, which clients check the server against.

A dynamic resource, like generated_secret.py beside it: AWS publishes the roots at an address of
its own in every partition, and no provider has a data source for them.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

from settings import certificates

_ATTEMPTS = 4
_TIMEOUT_SECONDS = 20
_MOST_BYTES = 512 * 1024
"""A region's bundle has under 10 KiB; what is bound into a ConfigMap must stay below 1 MiB."""


class AuthoritiesUnreachable(Exception):
    """The roots could not be had; the message is one sentence with the way out."""


class DatabaseAuthoritiesProvider(ResourceProvider):
    """Downloads once; roots outlive any database, so only another address downloads again."""

    # The pickled provider is a reference to this class and captures no secret.
    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(id_=props["url"], outs={**props, "pem": downloaded(props["url"])})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        changed = _olds.get("url") != _news.get("url")
        return DiffResult(changes=changed, replaces=["url"] if changed else [])


def downloaded(url: str) -> str:
    """The certificates at an address, as PEM text.

    Raises AuthoritiesUnreachable when nothing comes, or something that is no certificate.
    """
    # Imported here: only a create downloads, never a preview.
    from http.client import HTTPException

    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

    attempts = Retrying(
        retry=retry_if_exception(_may_pass),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential(max=8),
        reraise=True,
    )
    try:
        return certificates.checked(attempts(_fetched, url))
    except (OSError, HTTPException, ValueError) as failure:
        raise AuthoritiesUnreachable(
            f"The root certificates of the region's databases are not to be had from {url} "
            f"({failure}): set kubeflow:database.caBundle to a file that holds them."
        ) from failure


def _fetched(url: str) -> str:
    from urllib.request import urlopen

    # The address is the region's own (regions/region.py), never a setting.
    with urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
        return answer.read(_MOST_BYTES).decode("utf-8")


def _may_pass(failure: BaseException) -> bool:
    """Whether asking again can help: not when the server has answered that it will not."""
    from urllib.error import HTTPError

    if isinstance(failure, HTTPError):
        return failure.code >= 500
    return isinstance(failure, OSError)


class DatabaseAuthorities(Resource, name="DatabaseAuthorities"):
    """Makes: a copy of the certificates at an address, kept in state; public data, no secret.

    Args:
        url: the region's bundle (``Region.rds_ca_bundle_url``); another one downloads anew. To
            fetch the same one again, ``pulumi up --replace`` with this resource's URN.

    Outputs:
        pem: the certificates as PEM text.
    """

    pem: pulumi.Output[str]

    def __init__(self, name: str, *, url: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(DatabaseAuthoritiesProvider(), name, {"url": url, "pem": None}, opts)
