"""KMS keys that the IAM policies of their own account administer and use."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pulumi
import pulumi_aws as aws
import yaml

from components.aws.documents import Document, document
from regions.region import Region

_ADMINISTRATION = Path(__file__).with_suffix(".yaml")
_DELETION_DAYS = 30  # the longest: what a lost key encrypts is lost


def account_key(
    resource: str,
    *,
    region: Region,
    account_id: str,
    alias: str,
    description: str,
    sid: str,
    use: Sequence[str],
    tags: Mapping[str, str],
    parent: pulumi.Resource,
    protect: bool,
    retain_on_delete: bool | None = None,
) -> aws.kms.Key:
    """Makes: a key that is renewed every year, and its alias.

    Args:
        resource: the Pulumi name of both.
        region: gives the partition.
        account_id: of the key.
        alias: its name after ``alias/``.
        description: of the key.
        sid: of the statement about use in the key's policy.
        use: actions that the account's principals may be allowed besides administration.
        tags: of the key.
        parent: of both.
        protect: whether the engine refuses to delete or replace the key.
        retain_on_delete: whether the key outlives the stack, for what it encrypts.
    """
    key = aws.kms.Key(
        resource,
        description=description,
        enable_key_rotation=True,
        deletion_window_in_days=_DELETION_DAYS,
        policy=json.dumps(_policy(region, account_id, sid, use)),
        tags=dict(tags),
        opts=pulumi.ResourceOptions(
            parent=parent, protect=protect, retain_on_delete=retain_on_delete
        ),
    )
    aws.kms.Alias(
        resource,
        name=f"alias/{alias}",
        target_key_id=key.key_id,
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
    )
    return key


def _policy(region: Region, account_id: str, sid: str, use: Sequence[str]) -> Document:
    """Both statements name the account: no other account and no service can use the key.

    The account must be able to change the policy, or KMS refuses it (CreateKey,
    BypassPolicyLockoutSafetyCheck).
    """
    administration = yaml.safe_load(_ADMINISTRATION.read_text("utf-8"))
    account = {"AWS": region.arn("iam", "root", account=account_id, region="")}
    return document(
        *(
            {
                "Sid": statement,
                "Effect": "Allow",
                "Principal": account,
                "Action": list(actions),
                "Resource": "*",
            }
            for statement, actions in (("AccountKeepsTheKey", administration), (sid, use))
        )
    )
