"""IAM policy documents as data, and the trust of roles that AWS services take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from regions.region import Region

Document = dict[str, Any]
"""A policy document, ready for ``json.dumps``."""


def document(*statements: dict[str, Any]) -> Document:
    """A policy of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(actions: Sequence[str], resource: str) -> dict[str, Any]:
    """The statement that allows these actions on one resource, or one pattern of resources."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def service_trust(region: Region, service: str, *, account: str | None = None) -> Document:
    """The trust policy of a role that one AWS service takes, for instance ``ec2``.

    Args:
        region: gives the service's principal.
        service: as in the principal's name.
        account: on whose behalf alone the service takes the role; None: no such condition, for
            services whose first call has no source yet (Lambda).
    """
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": region.service_principal(service)},
        "Action": "sts:AssumeRole",
    }
    if account is not None:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    return document(statement)
