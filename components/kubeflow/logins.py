"""Logins to the dashboard: for each user a password, its hash, and the entry in Dex's list.

All that belongs to a user is named after the e-mail address. A place in the list would hand one
person's password to the next when somebody leaves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.managed_secret import RECOVERY_DAYS
from components.dynamic.generated_secret import BcryptHash, GeneratedSecret
from settings.context import StackContext
from settings.sections import User

PASSWORD_LENGTH = 20


@dataclass(frozen=True)
class DexAccount:
    """What Dex knows a person by; equal for equal e-mail addresses, distinct for distinct ones.

    Attributes:
        email: as the settings have it, in lower case.
    """

    email: str

    @property
    def user_id(self) -> str:
        """Dex's ``userID``: 32 hexadecimal digits, a part of the OIDC subject.

        Dex keeps refresh tokens under it and refuses those of another ``userID`` (dexidp/dex
        server/server.go, ``passwordDB.Refresh``). Kubeflow itself knows people by e-mail alone, in
        the header ``kubeflow-userid``.
        """
        return hashlib.sha256(self.email.encode()).hexdigest()[:32]

    @property
    def variable(self) -> str:
        """The environment variable with the hash: letters, digits and underscores.

        A digest, since an e-mail address has characters that names of variables lack, and
        replacing those would give ``a.b@x.cn`` and ``a_b@x.cn`` one variable.
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


@dataclass(frozen=True, kw_only=True)
class LoginsArgs:
    """Who logs in.

    Attributes:
        context: what all components of the stack share.
        users: the setting ``users``; their order has no effect.
    """

    context: StackContext
    users: Sequence[User]


class Logins(pulumi.ComponentResource):
    """Makes: a generated password and its bcrypt hash per user, one secret with all passwords.

    Attributes:
        secret_arn: Secrets Manager secret with a JSON object, e-mail to password.
        static_passwords: Dex's ``staticPasswords`` as JSON text, by e-mail.
        hashes: environment variable to bcrypt hash; secrets.
        versions: environment variable to the version of the password behind the hash; no secrets.
    """

    secret_arn: pulumi.Output[str]
    static_passwords: str
    hashes: dict[str, pulumi.Output[str]]
    versions: dict[str, pulumi.Output[str]]

    def __init__(
        self, name: str, args: LoginsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:Logins", name, {}, opts)
        self._name = name
        self._args = args
        self._here = pulumi.ResourceOptions(parent=self)
        accounts = [DexAccount(email) for email in sorted(user.email for user in args.users)]
        passwords = {account: self._password(account) for account in accounts}
        self.static_passwords = json.dumps([account.static_password for account in accounts])
        self.versions = {account.variable: drawn.version for account, drawn in passwords.items()}
        self.hashes = {account.variable: self._hash(account, passwords) for account in accounts}
        self.secret_arn = self._secret(passwords)
        self.register_outputs({"secretArn": self.secret_arn})

    def _password(self, account: DexAccount) -> GeneratedSecret:
        return GeneratedSecret(
            f"{self._name}-{account.email}", length=PASSWORD_LENGTH, opts=self._here
        )

    def _hash(
        self, account: DexAccount, passwords: Mapping[DexAccount, GeneratedSecret]
    ) -> pulumi.Output[str]:
        return BcryptHash(
            f"{self._name}-{account.email}", passwords[account].value, opts=self._here
        ).value

    def _secret(self, passwords: Mapping[DexAccount, GeneratedSecret]) -> pulumi.Output[str]:
        """Where people read their passwords; Dex has the hashes alone."""
        secret = aws.secretsmanager.Secret(
            self._name,
            name_prefix=f"{self._args.context.cluster}/kubeflow/login-",
            description="Dashboard logins: e-mail to password",
            recovery_window_in_days=RECOVERY_DAYS,
            tags=dict(self._args.context.tags),
            opts=self._here,
        )
        by_email = {account.email: drawn.value for account, drawn in passwords.items()}
        aws.secretsmanager.SecretVersion(
            self._name,
            secret_id=secret.id,
            secret_string=pulumi.Output.secret(pulumi.Output.json_dumps(by_email)),
            opts=self._here,
        )
        return secret.arn
