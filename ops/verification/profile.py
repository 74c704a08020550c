"""The user in whose profile the checks with ``creates`` run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ops.cli_errors import Refused
from ops.verification.platform import Platform
from settings import Settings
from settings.errors import listed
from settings.users import User

_EXCEEDED = "exceeded quota: "


class QuotaUsedUp(Refused):
    """The quota of a profile has no room for a verification; whatever it would find stays open."""


def refuse_used_up_quota(warnings: Iterable[Mapping[str, Any]], run: str) -> None:
    """Ends a wait for pods that a quota does not admit.

    Kubernetes v1.35.0 plugin/pkg/admission/resourcequota/controller.go has the words.

    Args:
        warnings: events of the namespace.
        run: of the verification, with which the names of its objects begin.

    Raises:
        QuotaUsedUp
    """
    for event in warnings:
        name = str((event.get("involvedObject") or {}).get("name") or "")
        message = str(event.get("message") or "")
        if name.startswith(run):
            refuse_exceeded_quota(message)


def refuse_exceeded_quota(message: str) -> None:
    """Ends a check whose object a quota does not admit, by these words of Kubernetes.

    Raises:
        QuotaUsedUp
    """
    if _EXCEEDED in message:
        raise QuotaUsedUp(
            f"the quota of the profile is used up ({message[message.index(_EXCEEDED) :]}): end "
            "something there, or raise `quota` in kubeflow:users."
        )


def user_of(platform: Platform) -> User:
    """The user of a platform. Raises as ``chosen``."""
    return chosen(platform.settings, platform.user)


def chosen(settings: Settings, email: str | None) -> User:
    """The user named by ``--user``, else the first one of the stack.

    Raises:
        Refused: there is no such user.
    """
    users = settings.users
    if not users:
        raise Refused(
            "kubeflow:users has nobody, in whose profile to run: add a user, and run `pulumi up`."
        )
    if email is None:
        return users[0]
    for user in users:
        if user.email == email.lower():
            return user
    names = listed([user.email for user in users], "or")
    raise Refused(f"--user {email} is nobody of kubeflow:users: name {names}.")
