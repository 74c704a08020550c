"""One database user per component of Kubeflow: who it is, and its password in Secrets Manager.

The users themselves are made inside the database by the Job ``database-init``, which reads these
secrets and the master user's; nothing else reads the master's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.aws.managed_secret import ManagedSecret, managed_secret
from components.dynamic.generated_secret import GeneratedSecret
from settings.context import StackContext

PASSWORD_LENGTH = 32


@dataclass(frozen=True)
class DatabaseUser:
    """A MySQL user (at most 32 characters) and the one database it works in."""

    username: str
    database: str


USERS: Mapping[str, DatabaseUser] = {
    "ml-pipeline": DatabaseUser("ml_pipeline", "mlpipeline"),
    "cache": DatabaseUser("cache", "cachedb"),
    "metadata": DatabaseUser("metadata", "metadb"),
    "katib": DatabaseUser("katib", "kubeflow"),
}
"""Component -> its user. Databases are called as in the reference installation."""


@dataclass(frozen=True, kw_only=True)
class DatabaseUsersArgs:
    """What the users' secrets hold.

    Attributes:
        context: what all components of the stack share.
        rotation: the setting ``database.rotation``; another number draws new passwords.
        host, port: where the database is.
        key_arn: KMS key of the secrets.
    """

    context: StackContext
    rotation: int
    host: pulumi.Input[str]
    port: pulumi.Input[str]
    key_arn: pulumi.Input[str]


class DatabaseUsers(pulumi.ComponentResource):
    """Makes: a generated password and a secret for each of ``USERS``.

    Each secret is a JSON object of texts: username, password, host, port, database.

    Attributes:
        secrets: component to where its secret is kept.
    """

    secrets: dict[str, ManagedSecret]

    def __init__(
        self, name: str, args: DatabaseUsersArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:DatabaseUsers", name, {}, opts)
        self._name = name
        self._args = args
        self.secrets = {component: self._secret(component) for component in USERS}
        self.register_outputs({"secrets": {c: kept.name for c, kept in self.secrets.items()}})

    def _secret(self, component: str) -> ManagedSecret:
        args, user = self._args, USERS[component]
        here = pulumi.ResourceOptions(parent=self)
        password = GeneratedSecret(
            f"{self._name}-{component}",
            length=PASSWORD_LENGTH,
            generation=str(args.rotation),
            opts=here,
        )
        return managed_secret(
            f"{self._name}-{component}",
            prefix=f"{args.context.cluster}/kubeflow/database/{component}-",
            description=f"Database user of {component} on {args.context.cluster}",
            values={
                "username": user.username,
                "password": password.value,
                "host": args.host,
                "port": args.port,
                "database": user.database,
            },
            key_arn=args.key_arn,
            tags=args.context.named(f"database-{component}"),
            opts=here,
        )
