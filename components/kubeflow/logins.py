"""Logins to the dashboard: for each user a password, its hash, and the entry in Dex's list.

Every resource of a user is named after the e-mail address. Named by position in the list, the
password of a user who is removed would become that of the next user.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.aws.managed_secret import managed_secret
from components.dynamic.generated_secret import BcryptHash, GeneratedSecret
from settings.context import StackContext
from settings.users import User


@dataclass(frozen=True)
class DexAccount:
    """A user's account in Dex; every part of it derives from the e-mail address alone.

    Attributes:
        email: as in the settings, in lower case.
    """

    email: str

    @property
    def user_id(self) -> str:
        """Dex's ``userID``: 32 hexadecimal digits, a part of the OIDC subject.

        Dex stores refresh tokens under it and rejects those of another ``userID`` (dexidp/dex
        server/server.go, ``passwordDB.Refresh``). Kubeflow itself identifies users by e-mail
        address alone, in the header ``kubeflow-userid``.
        """
        return hashlib.sha256(self.email.encode()).hexdigest()[:32]

    @property
    def variable(self) -> str:
        """The environment variable with the hash: letters, digits and underscores.

        A digest: with other characters replaced, ``a.b@x.cn`` and ``a_b@x.cn`` would share one
        variable.
        """
        return f"DEX_USER_PASSWORD_{self.user_id.upper()}"

    @property
    def static_password(self) -> dict[str, str]:
        """The entry in Dex's ``staticPasswords`` (dexidp/dex cmd/dex/config.go, ``password``)."""
        return {
            "email": self.email,
            "hashFromEnv": self.variable,
            "username": self.email.partition("@")[0],
            "userID": self.user_id,
        }


def generation(rotation: int) -> str:
    """The ``generation`` of a secret; empty for the first, as in states without rotation."""
    return "" if rotation == 1 else str(rotation)


class Logins(pulumi.ComponentResource):
    """Makes: a generated password and its bcrypt hash per user, one secret with all passwords.

    Args:
        name: of the component.
        context: what all components of the stack share.
        users: the setting ``users``; their order has no effect.
        opts: of the component.

    Attributes:
        secret_arn: of the secret with a JSON object, e-mail address -> password.
        static_passwords: Dex's ``staticPasswords`` as JSON text, sorted by e-mail address.
        hashes: environment variable -> bcrypt hash; secrets.
        versions: environment variable -> public version of the password behind the hash.
        of_users: e-mail address -> the hash, which depends on the password.
    """

    secret_arn: pulumi.Output[str]
    static_passwords: str
    hashes: dict[str, pulumi.Output[str]]
    versions: dict[str, pulumi.Output[str]]
    of_users: dict[str, pulumi.Resource]

    def __init__(
        self, name: str, context: StackContext, users: Sequence[User], opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("kubeflow:platform:Logins", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        rotations = {user.email: user.rotation for user in users}
        accounts = [DexAccount(email) for email in sorted(rotations)]
        self.static_passwords = json.dumps([account.static_password for account in accounts])
        self.hashes, self.versions, self.of_users = {}, {}, {}
        passwords: dict[str, pulumi.Output[str]] = {}
        for account in accounts:
            resource = f"{name}-{account.email}"
            password = GeneratedSecret(
                resource, length=20, generation=generation(rotations[account.email]), opts=child
            )
            passwords[account.email] = password.value
            self.versions[account.variable] = password.version
            hashed = BcryptHash(resource, password.value, opts=child)
            self.hashes[account.variable], self.of_users[account.email] = hashed.value, hashed
        # Users read their passwords there; Dex has the hashes alone.
        self.secret_arn = managed_secret(
            name,
            prefix=f"{context.cluster}/kubeflow/login-",
            description="Dashboard logins: e-mail to password",
            values=passwords,
            tags=context.tags,
            opts=child,
        ).arn
        self.register_outputs({})
