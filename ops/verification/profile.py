"""The user in whose profile the checks with ``creates`` run."""

from __future__ import annotations

from ops.cli_errors import Refused
from ops.verification.platform import Platform
from settings import Settings
from settings.errors import listed
from settings.sections import User


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
