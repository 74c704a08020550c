"""The MySQL instance that replaces the MySQL pods of Pipelines, metadata and Katib."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.aws.managed_secret import ManagedSecret, managed_secret
from components.backend.rds_instance import firewall, log_groups, parameter_group, shared_arguments
from components.dynamic.generated_secret import GeneratedSecret
from settings.context import StackContext
from settings.existing_backend import instance_name
from settings.sections import DatabaseSettings

PORT = 3306

_PARAMETERS = {
    # Katib's driver and MLMD's connector have no TLS setting (katib v0.19 pkg/db,
    # google/ml-metadata issue 130), so the server must accept plain connections inside the VPC;
    # every other client uses TLS.
    "require_secure_transport": "0",
    "character_set_server": "utf8mb4",
    "collation_server": "utf8mb4_unicode_ci",
    # KFP writes whole workflow manifests into one row.
    "max_allowed_packet": str(64 * 1024 * 1024),
    "slow_query_log": "1",
    "long_query_time": "2",
    "log_output": "FILE",
}
# MLMD's connector supports mysql_native_password alone (google/ml-metadata issue 178). In 8.4 this
# parameter makes the plugin the default, and RDS needs no other one for it (RDS user guide,
# MySQL.KnownIssuesAndLimitations.authentication-plugin); in 8.0 it is the default already, and RDS
# rejects the parameter. The master user gets the plugin that is the default when the instance is
# created, so the parameter group must exist before the instance.
_PARAMETERS_BY_FAMILY = {"mysql8.4": {"authentication_policy": "*:mysql_native_password"}}
_MASTER_USER = "kubeflow"
_AT_RESTART = frozenset({"authentication_policy"})
_LOGS = ("error", "slowquery")


def family(engine_version: str) -> str:
    """The parameter group family of ``8.4`` or ``8.4.7``: ``mysql8.4``."""
    return f"mysql{'.'.join(engine_version.split('.')[:2])}"


def parameters(engine_version: str) -> dict[str, str]:
    """Parameters under which KFP, Katib and MLMD can all connect."""
    return {**_PARAMETERS, **_PARAMETERS_BY_FAMILY.get(family(engine_version), {})}


class Database(pulumi.ComponentResource):
    """Makes: subnet group, security group, parameter and log groups, password, instance, secret.

    The Job ``database-init`` creates the databases of ``database_users`` and their users. It alone
    logs in as the master user, whose password is stored in its secret only and is not rotated: RDS
    applies a new one with a delay. A snapshot keeps the name of its own master user, and gets the
    new password.

    Args:
        name: of the component.
        context: what all components of the stack share.
        settings: the section ``database``.
        vpc_id: of the subnets.
        subnet_ids: private subnets of at least two zones.
        client_security_group_ids: the only ones whose members may connect.
        key_arn: KMS key of storage, snapshots and the secret.
        opts: of the component.

    Attributes:
        host: DNS name of the instance.
        port: as text.
        master: the master user's secret, a JSON object of texts: username, password, host, port.
        subnet_group: its name.
    """

    subnet_group: pulumi.Output[str]
    host: pulumi.Output[str]
    port: pulumi.Output[str]
    master: ManagedSecret

    def __init__(
        self,
        name: str,
        context: StackContext,
        settings: DatabaseSettings,
        *,
        vpc_id: pulumi.Input[str],
        subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]],
        client_security_group_ids: Sequence[pulumi.Input[str]],
        key_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("kubeflow:platform:Database", name, None, opts)
        self._name = name
        self._cluster = context.cluster
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = context.named("database")
        # Letters and digits only: RDS rejects / @ " and space.
        password = GeneratedSecret(f"{name}-password", length=32, opts=self._child)
        self.subnet_group = self._subnets(subnet_ids).name
        admitted = firewall(
            name,
            engine="MySQL",
            port=PORT,
            cluster=context.cluster,
            vpc_id=vpc_id,
            clients=client_security_group_ids,
            tags=self._tags,
            opts=self._child,
        )
        instance = self._instance(context, settings, password, admitted, key_arn)
        self.host = instance.address
        self.port = instance.port.apply(str)
        self.master = managed_secret(
            f"{name}-master",
            prefix=f"{context.cluster}/kubeflow/database-",
            description=f"Master user of the database of {context.cluster}",
            values={
                "username": instance.username,
                "password": password.value,
                "host": self.host,
                "port": self.port,
            },
            key_arn=key_arn,
            tags=self._tags,
            opts=self._child,
        )
        self.register_outputs({})

    def _instance(
        self,
        context: StackContext,
        settings: DatabaseSettings,
        password: GeneratedSecret,
        admitted: aws.ec2.SecurityGroup,
        key_arn: pulumi.Input[str],
    ) -> aws.rds.Instance:
        identifier = instance_name(context.cluster)
        group = parameter_group(
            self._name,
            family(settings.engine_version),
            parameters(settings.engine_version),
            description="KFP, Katib and MLMD",
            at_restart=_AT_RESTART,
            tags=self._tags,
            opts=self._child,
        )
        return aws.rds.Instance(
            self._name,
            **shared_arguments(
                identifier,
                settings,
                instance_class=settings.instance_class,
                key_arn=key_arn,
                snapshot_suffix=password.version,
            ),
            engine="mysql",
            engine_version=settings.engine_version,
            username=_MASTER_USER,
            password=password.value,
            port=PORT,
            allocated_storage=settings.storage_gib,
            max_allocated_storage=settings.max_storage_gib,
            db_subnet_group_name=self.subnet_group,
            vpc_security_group_ids=[admitted.id],
            parameter_group_name=group.name,
            multi_az=settings.multi_az,
            deletion_protection=context.protected and settings.deletion_protection,
            enabled_cloudwatch_logs_exports=list(_LOGS),
            # RDS would leave a version that the settings have in full, and never comes back to it.
            auto_minor_version_upgrade=settings.engine_version.count(".") < 2,
            # An upgrade that waits for its window blocks the deletion of the old parameter group.
            allow_major_version_upgrade=settings.apply_immediately or None,
            snapshot_identifier=settings.snapshot,
            tags=context.named("kubeflow"),
            opts=pulumi.ResourceOptions(
                parent=self,
                # RDS refuses when its turn comes, which is after hundreds of deletions.
                protect=context.protected,
                # The identifier is unused only after the deletion, which takes the final snapshot.
                delete_before_replace=True,
                # The snapshot is where the instance comes from; another one would replace it. So
                # would its master user, which an instance keeps whatever name is given here.
                ignore_changes=["snapshotIdentifier", "username"],
                depends_on=log_groups(self._name, identifier, _LOGS, tags=self._tags, parent=self),
            ),
        )

    def _subnets(
        self, subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    ) -> aws.rds.SubnetGroup:
        return aws.rds.SubnetGroup(
            f"{self._name}-subnets",
            description=f"Private subnets of {self._cluster}",
            subnet_ids=subnet_ids,
            tags=self._tags,
            opts=self._child,
        )
