"""IAM policy documents as data, and the trust policy of roles that AWS services assume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from regions.region import Region

Document = dict[str, Any]
"""A policy document, ready for ``json.dumps``."""


def document(*statements: dict[str, Any]) -> Document:
    """A policy of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(
    actions: Sequence[str], resource: str | Sequence[str], *, sid: str = ""
) -> dict[str, Any]:
    """The statement that allows these actions on resources, or patterns of resources."""
    named = {"Sid": sid} if sid else {}
    return {**named, "Effect": "Allow", "Action": list(actions), "Resource": resource}


def deny_without_tls(sid: str, action: str, resource: str | Sequence[str]) -> dict[str, Any]:
    """The statement of a resource's own policy that denies all requests without TLS."""
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def service_trust(region: Region, service: str, *, account: str | None = None) -> Document:
    """The trust policy of a role that one AWS service assumes, for instance ``ec2``.

    Args:
        region: gives the service's principal.
        service: as in the principal's name.
        account: the only account on whose behalf the service assumes the role; None: any, for
            services whose first call names no account (Lambda).
    """
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": region.service_principal(service)},
        "Action": "sts:AssumeRole",
    }
    if account is not None:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    return document(statement)
