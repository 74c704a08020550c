"""The table of copies on a simulated DynamoDB, as ``components.mirror.build`` makes it."""

from __future__ import annotations

from typing import Any


def create_table(client: Any, name: str) -> None:
    """Makes the table that ``webhook.claims`` reads and writes."""
    client.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "image", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "image", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
