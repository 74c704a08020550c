"""The table of copies on a simulated DynamoDB, as ``components.mirror.build`` makes it."""

from __future__ import annotations

from threading import Lock
from typing import Any


def create_table(client: Any, name: str) -> None:
    """Makes the table that ``webhook.claims`` reads and writes."""
    client.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "image", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "image", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )


class Atomic:
    """Makes each call one step, as DynamoDB does; moto lets threads in between its own two."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.lock = Lock()

    def __getattr__(self, name: str) -> Any:
        def call(**request: Any) -> Any:
            with self.lock:
                return getattr(self.client, name)(**request)

        return call
