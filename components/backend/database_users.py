"""One database user per component of Kubeflow, with its password in Secrets Manager.

The Job ``database-init`` creates the users inside the database. It reads these secrets and the
master user's, which nothing else reads.
"""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from components.aws.managed_secret import ManagedSecret, managed_secret
from components.backend.database import Database
from components.dynamic.generated_secret import GeneratedSecret
from rendering.release import DatabaseUser
from settings.context import StackContext


class DatabaseUsers(pulumi.ComponentResource):
    """Makes: a generated password and a secret for each user.

    Each secret is a JSON object of texts: username, password, host, port, database.

    Args:
        name: of the component.
        context: what all components of the stack share.
        users: component -> its user. Names of resources and secrets have the component in them, so
            that another component leaves the others as they are.
        rotation: the setting ``database.rotation``; another number draws new passwords.
        database: the instance that the users belong to.
        key_arn: KMS key of the secrets.
        opts: of the component.

    Attributes:
        secrets: component -> its secret.
    """

    secrets: dict[str, ManagedSecret]

    def __init__(
        self,
        name: str,
        context: StackContext,
        *,
        users: Mapping[str, DatabaseUser],
        rotation: int,
        database: Database,
        key_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("kubeflow:platform:DatabaseUsers", name, {}, opts)
        self.secrets = {}
        child = pulumi.ResourceOptions(parent=self)
        for component, user in users.items():
            resource = f"{name}-{component}"
            password = GeneratedSecret(resource, length=32, generation=str(rotation), opts=child)
            self.secrets[component] = managed_secret(
                resource,
                prefix=f"{context.cluster}/kubeflow/database/{component}-",
                description=f"Database user of {component} on {context.cluster}",
                values={
                    "username": user.user,
                    "password": password.value,
                    "host": database.host,
                    "port": database.port,
                    "database": user.database,
                },
                key_arn=key_arn,
                tags=context.named(f"database-{component}"),
                opts=child,
            )
        self.register_outputs({})
