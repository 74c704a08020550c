"""What the dynamic providers and resources share. Not frozen: no state names this module."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ResourceProvider, UpdateResult

from settings.errors import CREDENTIALS_ENDED, is_expired

_MOST_CALLS = 1000
"""Python's own limit of a traceback."""


class Refused(Exception):
    """A resource cannot be made; the message is one sentence with the way out."""


class CredentialsEnded(Refused):
    """The AWS credentials ended while a resource was made; what exists by then stays."""


@contextmanager
def refusals_as_sentences() -> Generator[None]:
    """Shortens what the engine shows of a ``Refused``, and of credentials that ended, to the text.

    Pulumi's server of dynamic providers answers ``traceback.format_exc()``, after its own calls
    (pulumi/pulumi sdk/python/lib/pulumi/dynamic/__main__.py v3.259.0, _abort_with_traceback): the
    process's ``sys.tracebacklimit`` alone leaves these out, and cutting ``__traceback__`` does not.
    Each call that can fail is inside, because a limit stays until the next failure. Of failures at
    the same moment one can be shown as the other is: with calls or without.

    Raises:
        CredentialsEnded: in place of what AWS answers to expired credentials.
    """
    try:
        yield
    except Exception as failure:
        # Waits of hours outlast a session that nothing renews.
        shown = CredentialsEnded(CREDENTIALS_ENDED) if is_expired(failure) else failure
        sys.tracebacklimit = 0 if isinstance(shown, Refused) else _MOST_CALLS
        if shown is failure:
            raise
        raise shown from None


class DynamicProvider(ResourceProvider):
    """A provider whose diff compares some inputs; all others may change without effect.

    Attributes:
        replacing: inputs whose change replaces the resource.
        updating: inputs whose change updates it.
        identity: the resource's ID, a format string over its outputs; empty: a random text.
    """

    # The pickled provider is a reference to its class and captures no secret.
    serialize_as_secret_always = False
    replacing: ClassVar[tuple[str, ...]] = ()
    updating: ClassVar[tuple[str, ...]] = ()
    identity: ClassVar[str] = ""

    def outputs(self, news: dict[str, Any], _olds: dict[str, Any]) -> dict[str, Any]:
        """Make or change what the resource is, and return its outputs; ``_olds`` is empty at first.

        Args:
            news: inputs.
            _olds: outputs of the deployment before.
        """
        raise NotImplementedError

    @refusals_as_sentences()
    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the resource."""
        outs = self.outputs(props, {})
        return CreateResult(id_=self.identity.format_map(outs) or secrets.token_hex(8), outs=outs)

    @refusals_as_sentences()
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Change the resource."""
        return UpdateResult(outs=self.outputs(_news, _olds))

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
        props: of the resource: ``region``, ``endpoints`` with URLs in place of AWS's own, and
            perhaps ``credentials`` (``AwsSettings.credentials``).
        profile: AWS profile in place of these credentials; empty: none.
        options: of botocore's ``Config``.
    """
    # Imported here: a preview makes no request.
    from botocore.config import Config

    from settings.aws_session import aws_session

    credentials = {"profile": profile} if profile else props.get("credentials") or {}
    sts_url = None if profile else props["endpoints"].get("sts")
    return aws_session(credentials, props["region"], sts_url).client(
        service,
        endpoint_url=props["endpoints"].get(service) or None,
        config=Config(retries={"mode": "adaptive", "total_max_attempts": 10}, **options),
    )
