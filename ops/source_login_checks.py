"""The logins of ``imageMirror.sourceCredentials``, read as builds read them; none is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
from botocore.exceptions import ClientError

from components.mirror.source_logins import login_in
from ops.account_calls import QUICK, Session, aws_call, client
from ops.checks import MIRROR, Subject, profiles
from ops.findings import Finding, good, note, problem
from webhook.claims import error_code

_OWN_KEY = "alias/aws/secretsmanager"
_DENIED = ("AccessDeniedException", "AccessDenied")


def source_logins(stack: Subject, session: Session) -> Iterator[Finding]:
    """Each secret with a login of a source, on the side that builds."""
    secrets = stack.mirror.source_secrets if stack.mirror.copies else {}
    if not secrets:
        return
    region, profile = stack.mirror.build_region.name, stack.mirror.settings.build_profile
    if not stack.mirror.crosses_partitions:
        manager = client(stack.settings, session, "secretsmanager", region=region)
    elif profile in profiles():  # else ``ops.checks`` reports that it is missing
        build: Session = boto3.Session(profile_name=profile, region_name=region)
        manager = build.client("secretsmanager", config=QUICK)
    else:
        return
    for registry, secret in secrets.items():
        yield _login(manager, registry, f"the secret {secret} in {region}", secret)


def _login(manager: Any, registry: str, named: str, secret: str) -> Finding:
    about = f"{named}, which has the login to {registry},"
    try:
        with aws_call("secretsmanager:DescribeSecret"):
            try:
                described: dict[str, Any] = manager.describe_secret(SecretId=secret)
                text = str(manager.get_secret_value(SecretId=secret).get("SecretString", ""))
            except ClientError as refused:
                code = error_code(refused)
                if code == "ResourceNotFoundException":
                    way = "create it with username and password (docs/images.md)"
                    return problem(MIRROR, f"{about} does not exist: {way}")
                if code == "InvalidRequestException":
                    way = "`aws secretsmanager restore-secret` brings it back"
                    return problem(MIRROR, f"{about} is being deleted: {way}")
                if code in _DENIED:
                    return note(
                        MIRROR, f"{about} was not checked: these credentials may not read it"
                    )
                raise
        login_in(text)
    except ValueError as malformed:
        return problem(MIRROR, f"{about} cannot be used: {malformed} (docs/images.md)")
    key = described.get("KmsKeyId", _OWN_KEY)
    if key != _OWN_KEY:
        reason = "has a key of its own, which the role of builds may not use"
        return problem(MIRROR, f"{about} {reason}: create it with the key aws/secretsmanager")
    return good(MIRROR, f"{named} has the login to {registry}")
