"""The user in whose profile the checks with ``creates`` run."""

from __future__ import annotations

from ops.cli_errors import Refused
from ops.verification.platform import Platform
from settings.errors import listed
from settings.sections import User


def user_of(platform: Platform) -> User:
    """The user named by ``--user``, else the first one of the stack.

    Raises:
        Refused: there is no such user.
    """
    users = platform.settings.users
    if not users:
        raise Refused(
            "kubeflow:users has nobody, in whose profile to run: add a user, and run `pulumi up`."
        )
    if platform.user is None:
        return users[0]
    for user in users:
        if user.email == platform.user.lower():
            return user
    names = listed([user.email for user in users], "or")
    raise Refused(f"--user {platform.user} is nobody of kubeflow:users: name {names}.")
