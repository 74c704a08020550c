"""What a cluster and RDS answer before a stack gets another release (``upgrades.asking``)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from components.dynamic.provider import aws_client
from upgrades.asking import Unanswered

_PAGE = 500
"""Objects per request; a list of all runs can have a hundred megabytes."""
_SECONDS = (5, 60)
"""To connect, to answer."""


class AskedPlatform:
    """The platform of a resource's inputs.

    Args:
        props: ``kubeconfig`` as JSON; ``database`` with ``instance`` and what ``aws_client`` takes.
    """

    def __init__(self, props: Mapping[str, Any]) -> None:
        self._kubeconfig: Any = props["kubeconfig"]
        self._database: Mapping[str, Any] = props["database"]

    def objects(self, api: str, resource: str) -> Iterator[Mapping[str, Any]]:
        """All objects of a resource; none where the cluster has no such type.

        Raises:
            Unanswered: the API server does not answer, or refuses.
        """
        # Imported here: the import takes a second, and only a change of the release asks.
        from kubernetes import client, config
        from urllib3.exceptions import HTTPError

        if not str(self._kubeconfig).startswith("{"):  # Pulumi's own text for an unknown value
            raise Unanswered("the address of the cluster is not known yet")
        try:
            connection: Any = config.new_client_from_config_dict(json.loads(self._kubeconfig))
            after = ""
            while True:
                answer = connection.call_api(
                    f"/apis/{api}/{resource}",
                    "GET",
                    query_params=[("limit", _PAGE), ("continue", after)],
                    header_params={"Accept": "application/json"},
                    auth_settings=["BearerToken"],
                    _preload_content=False,
                    _request_timeout=_SECONDS,
                )
                page = json.loads(answer.data)
                yield from page["items"]
                after = page["metadata"].get("continue")
                if not after:
                    return
        except client.ApiException as failure:
            if failure.status == 404:
                return
            raise Unanswered(f"{failure.status} {failure.reason}") from None
        except (config.ConfigException, HTTPError, OSError, ValueError) as failure:
            raise Unanswered(type(failure).__name__) from None

    def newest_snapshot(self) -> datetime | None:
        """When the newest complete snapshot was taken, by hand or by RDS itself; None: none was.

        Of the instance that runs: snapshots of an earlier one of the same identifier, as of a stack
        that was torn down, are listed with its own, and are told apart by ``DbiResourceId``. A copy
        is as old as what it was copied from.

        Raises:
            Unanswered: RDS does not answer, refuses, or has no such instance.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            connect, read = _SECONDS
            rds = aws_client("rds", self._database, connect_timeout=connect, read_timeout=read)
            name = self._database["instance"]
            (instance,) = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
            pages = rds.get_paginator("describe_db_snapshots")
            found = [
                snapshot.get("OriginalSnapshotCreateTime") or snapshot["SnapshotCreateTime"]
                for page in pages.paginate(DBInstanceIdentifier=name)
                for snapshot in page["DBSnapshots"]
                if snapshot["Status"] == "available"
                and snapshot["DbiResourceId"] == instance["DbiResourceId"]
            ]
        except ClientError as failure:
            raise Unanswered(str(failure.response["Error"].get("Code"))) from None
        except BotoCoreError as failure:
            raise Unanswered(type(failure).__name__) from None
        return max(found, default=None)
