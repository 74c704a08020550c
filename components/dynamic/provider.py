"""What the dynamic providers and resources share. Not frozen: no state names this module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import DiffResult, ResourceProvider


class DynamicProvider(ResourceProvider):
    """A provider whose diff compares some inputs; all others may change without effect.

    Attributes:
        replacing: inputs whose change replaces the resource.
        updating: inputs whose change updates it.
    """

    # The pickled provider is a reference to its class and captures no secret.
    serialize_as_secret_always = False
    replacing: tuple[str, ...] = ()
    updating: tuple[str, ...] = ()

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compare the state with new inputs."""
        keys = (*self.replacing, *self.updating)
        changed = [key for key in keys if _olds.get(key) != _news.get(key)]
        replaces = [key for key in changed if key in self.replacing]
        return DiffResult(changes=bool(changed), replaces=replaces)


def with_secret_outputs(
    opts: pulumi.ResourceOptions | None, *outputs: str
) -> pulumi.ResourceOptions:
    """The options ``opts``, by which these outputs too are secrets in the state."""
    return pulumi.ResourceOptions.merge(
        opts, pulumi.ResourceOptions(additional_secret_outputs=list(outputs))
    )


def aws_client(service: str, props: Mapping[str, Any], *, profile: str = "", **options: Any) -> Any:
    """A boto3 client that repeats throttled requests.

    Args:
        service: as boto3 names it.
        props: of the resource: ``region``, and ``endpoints`` with URLs in place of AWS's own.
        profile: AWS profile; empty: the default one.
        options: of botocore's ``Config``.
    """
    # Imported here: a preview makes no request.
    import boto3
    from botocore.config import Config

    session: Any = boto3.Session(profile_name=profile or None, region_name=props["region"])
    return session.client(
        service,
        endpoint_url=props["endpoints"].get(service) or None,
        config=Config(retries={"mode": "adaptive", "total_max_attempts": 10}, **options),
    )
