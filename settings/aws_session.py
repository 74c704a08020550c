"""The boto3 session with the credentials of a stack file, as Pulumi's AWS provider has them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import boto3
import botocore.session
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import NoCredentialsError

from settings.durations import seconds


def aws_session(
    credentials: Mapping[str, Any], region: str | None = None, sts_url: str | None = None
) -> Any:
    """A session, whose credentials are renewed for as long as their source gives new ones.

    Args:
        credentials: the inputs ``profile`` and ``assumeRoles`` of Pulumi's AWS provider; without a
            profile the source is the environment.
        region: of the clients.
        sts_url: in place of AWS's own, for the assumed role.

    Raises:
        BotoCoreError: there is no such profile, or nothing that could assume the role.
    """
    profile = credentials.get("profile") or None
    session: Any = boto3.Session(profile_name=profile, region_name=region)
    for role in credentials.get("assumeRoles") or ():
        source = session.get_credentials()
        if source is None:
            raise NoCredentialsError
        # The classes of a profile with role_arn (botocore, credentials.py, AssumeRoleProvider).
        fetcher: Any = AssumeRoleCredentialFetcher(
            client_creator=partial(session.client, endpoint_url=sts_url),
            source_credentials=source,
            role_arn=role["roleArn"],
            extra_args=_session_arguments(role),
        )
        inner: Any = botocore.session.Session(profile=profile)
        inner.register_component("credential_provider", CredentialResolver([_Assumed(fetcher)]))
        session = boto3.Session(botocore_session=inner, region_name=region)
    return session


def _session_arguments(role: Mapping[str, str]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if role.get("sessionName"):
        arguments["RoleSessionName"] = role["sessionName"]
    if role.get("duration"):
        arguments["DurationSeconds"] = seconds(role["duration"])
    return arguments


class _Assumed(CredentialProvider):
    METHOD = "assume-role"

    def __init__(self, fetcher: Any) -> None:
        super().__init__()
        self._fetcher = fetcher

    def load(self) -> Any:
        """Credentials that are fetched at the first call, and again before their end."""
        return DeferredRefreshableCredentials(self._fetcher.fetch_credentials, self.METHOD)
