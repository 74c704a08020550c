"""The account's ECR as a target, with a stand-in for its API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops.mirror.account_registry import Login
from ops.mirror.target import Target


class Account:
    def digests(self, _repositories: Any) -> dict[str, dict[str, str]]:
        return {}

    def login(self) -> Login:
        return login("second", timedelta(hours=6))


def login(token: str, left: timedelta) -> Login:
    return Login("123456789012", token, datetime.now(UTC) + left)


@pytest.mark.parametrize(
    ("left", "written"), [(timedelta(minutes=1), []), (timedelta(minutes=-1), ["second"])]
)
def test_a_login_is_replaced_once_when_half_of_its_lifetime_is_over(
    left: timedelta, written: list[str]
) -> None:
    account: Any = Account()
    tokens: list[str] = []
    target = Target(account, account, login("first", left), lambda new: tokens.append(new.token))
    target.renew_login()
    target.renew_login()
    assert tokens == written
