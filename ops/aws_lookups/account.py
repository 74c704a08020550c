"""One account, region and endpoints, read for look-ups."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from ops.account_calls import QUICK, aws_call
from settings.aws_session import aws_session
from webhook.claims import error_code

Inputs = Mapping[str, Any]

_ABSENT = re.compile(r"NotFound|NoSuch|NonExistent|DoesNotExist|^404$")


class Account:
    """The account, region and endpoints of one AWS provider of a stack."""

    def __init__(self, provider: Inputs) -> None:
        with aws_call("loading the AWS credentials"):
            # As texts, the form in which a provider's inputs are in the state.
            urls: list[dict[str, str]] = json.loads(provider.get("endpoints") or "[]")
            self._urls = urls[0] if urls else {}
            roles = json.loads(provider.get("assumeRoles") or "[]")
            self._session: Any = aws_session(
                {"profile": provider.get("profile"), "assumeRoles": roles},
                provider.get("region"),
                self._urls.get("sts"),
            )
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def id(self) -> str:
        """The account's number."""
        return str(self.one("sts", "get_caller_identity")["Account"])

    def client(self, service: str) -> Any:
        """The client of a service."""
        # One at a time, like a session's clients; its callers may be threads.
        with self._lock, aws_call(service):
            if service not in self._clients:
                url = self._urls.get(service.replace("-", ""))
                self._clients[service] = self._session.client(
                    service, endpoint_url=url, config=QUICK
                )
        return self._clients[service]

    def one(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """The answer of a call; empty where AWS answers that there is no such thing.

        Raises:
            CallFailed: any other error.
        """
        client = self.client(service)
        with aws_call(service):
            try:
                answer: dict[str, Any] = getattr(client, operation)(**parameters)
            except ClientError as error:
                if _ABSENT.search(error_code(error)):
                    return {}
                raise
        return answer

    def all(
        self, service: str, operation: str, key: str = "", **parameters: Any
    ) -> Iterator[dict[str, Any]]:
        """The items below ``key`` in every page of an answer, or the answer; none where absent."""
        client = self.client(service)
        if not client.can_paginate(operation):
            answer = self.one(service, operation, **parameters)
            items = answer.get(key, []) if key else answer
            yield from items if isinstance(items, list) else [items] if items else []
            return
        with aws_call(service):
            try:
                for page in client.get_paginator(operation).paginate(**parameters):
                    yield from page.get(key, [])
            except ClientError as error:
                if not _ABSENT.search(error_code(error)):
                    raise
