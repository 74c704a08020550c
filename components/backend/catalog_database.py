"""The PostgreSQL instance of Hub's catalog of models, which stores nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.aws.managed_secret import ManagedSecret, managed_secret
from components.backend.rds_instance import firewall, log_groups, parameter_group, shared_arguments
from components.dynamic.generated_secret import GeneratedSecret
from settings.context import StackContext
from settings.model_catalog import STORAGE_GIB, ModelCatalogSettings, instance_name
from settings.sections import DatabaseSettings

PORT = 5432
_USER, _DATABASE = "kubeflow", "modelcatalog"
# On in the default group of this line (RDS user guide, PostgreSQL.Concepts.General.SSL), which is
# not the stack's.
_PARAMETERS = {"rds.force_ssl": "1"}
_LOGS = ("postgresql", "upgrade")


def family(engine_version: str) -> str:
    """The parameter group family of ``17`` or ``17.9``: ``postgres17``."""
    return f"postgres{engine_version.partition('.')[0]}"


class CatalogDatabase(pulumi.ComponentResource):
    """Makes: security group, parameter and log groups, password, instance, secret.

    The catalog logs in as the master user. There is nobody else in the instance to whom a user of
    its own would close anything, and it makes its tables itself.

    Args:
        name: of the component.
        context: what all components of the stack share.
        settings: the section ``modelCatalog``.
        database: the section ``database``, for backups, final snapshot, changes and rotation.
        vpc_id: of the subnets.
        subnet_group: of RDS, in private subnets.
        client_security_group_ids: the only ones whose members may connect.
        key_arn: KMS key of storage, snapshots and the secret.
        opts: of the component.

    Attributes:
        secret: the user's, a JSON object of texts: username, password, host, port, database.
    """

    secret: ManagedSecret

    def __init__(
        self,
        name: str,
        context: StackContext,
        settings: ModelCatalogSettings,
        database: DatabaseSettings,
        *,
        vpc_id: pulumi.Input[str],
        subnet_group: pulumi.Input[str],
        client_security_group_ids: Sequence[pulumi.Input[str]],
        key_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("kubeflow:platform:CatalogDatabase", name, None, opts)
        child, tags = pulumi.ResourceOptions(parent=self), context.named("model-catalog")
        identifier = instance_name(context.cluster)
        protected = context.protected and settings.deletion_protection
        # Letters and digits only: RDS rejects / @ " and space. RDS has one password of a user: with
        # another rotation the pod of before gets no new connection, and its successor has the new
        # one.
        password = GeneratedSecret(
            f"{name}-password", length=32, generation=str(database.rotation), opts=child
        )
        admitted = firewall(
            name,
            engine="PostgreSQL",
            port=PORT,
            cluster=context.cluster,
            vpc_id=vpc_id,
            clients=client_security_group_ids,
            tags=tags,
            opts=child,
        )
        parameters = parameter_group(
            name,
            family(settings.engine_version),
            _PARAMETERS,
            description="Model catalog of Hub",
            tags=tags,
            opts=child,
        )
        instance = aws.rds.Instance(
            name,
            **shared_arguments(
                identifier,
                database,
                instance_class=settings.instance_class,
                key_arn=key_arn,
                snapshot_suffix=password.version,
            ),
            engine="postgres",
            engine_version=settings.engine_version,
            db_name=_DATABASE,
            username=_USER,
            password=password.value,
            port=PORT,
            allocated_storage=STORAGE_GIB,
            db_subnet_group_name=subnet_group,
            vpc_security_group_ids=[admitted.id],
            parameter_group_name=parameters.name,
            multi_az=settings.multi_az,
            deletion_protection=protected,
            enabled_cloudwatch_logs_exports=list(_LOGS),
            # As of the other database: a version in full stays.
            auto_minor_version_upgrade="." not in settings.engine_version,
            tags=tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=protected,
                # The identifier is unused only after the deletion, which takes the final snapshot.
                delete_before_replace=True,
                depends_on=log_groups(name, identifier, _LOGS, tags=tags, parent=self),
            ),
        )
        self.secret = managed_secret(
            f"{name}-user",
            prefix=f"{context.cluster}/kubeflow/database/model-catalog-",
            description=f"Database user of the model catalog on {context.cluster}",
            values={
                "username": instance.username,
                "password": password.value,
                "host": instance.address,
                "port": instance.port.apply(str),
                "database": instance.db_name,
            },
            key_arn=key_arn,
            tags=tags,
            opts=child,
        )
        self.register_outputs({})
