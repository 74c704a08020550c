"""IAM policy documents as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
