"""The MySQL instance that takes the place of the MySQL pods of Pipelines, metadata and Katib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.managed_secret import ManagedSecret, managed_secret
from components.dynamic.generated_secret import GeneratedSecret
from settings.context import StackContext
from settings.sections import DatabaseSettings

PORT = 3306
_USERNAME = "kubeflow"
_PASSWORD_LENGTH = 32

_EVERY_VERSION = {
    # Katib's driver and MLMD's connector have no TLS setting (katib v0.19 pkg/db,
    # google/ml-metadata issue 130), so plain connections inside the VPC must stay possible;
    # whoever can, uses TLS.
    "require_secure_transport": "0",
    "character_set_server": "utf8mb4",
    "collation_server": "utf8mb4_unicode_ci",
    # KFP writes whole workflow manifests into one row.
    "max_allowed_packet": str(64 * 1024 * 1024),
    "slow_query_log": "1",
    "long_query_time": "2",
    "log_output": "FILE",
}
# MLMD asks for mysql_native_password and nothing else (google/ml-metadata issue 178). RDS user
# guide, MySQL.KnownIssuesAndLimitations.authentication-plugin: 8.4 still has the plugin and this
# parameter makes it the default; no other one is needed to load it. 8.0 uses it and refuses to be
# told otherwise. The master user gets the plugin in force when the instance is created, so the
# group must exist before it.
_MLMD_CAN_LOG_IN = {"8.4": {"authentication_policy": "*:mysql_native_password"}}
_AT_RESTART = frozenset({"authentication_policy"})


def family(engine_version: str) -> str:
    """The parameter group family of ``8.4`` or ``8.4.7``: ``mysql8.4``."""
    return f"mysql{'.'.join(engine_version.split('.')[:2])}"


def parameters(engine_version: str) -> dict[str, str]:
    """Parameters under which KFP, Katib and MLMD can all connect."""
    major = ".".join(engine_version.split(".")[:2])
    return {**_EVERY_VERSION, **_MLMD_CAN_LOG_IN.get(major, {})}


def has_insights(instance_class: str) -> bool:
    """Whether Performance Insights serves MySQL on ``db.m6g.large`` (RDS user guide,
    USER_PerfInsights.Overview.Engines.html: not on t2, nor on micro and small t3 and t4g).
    """
    _, kind, size = instance_class.split(".", 2)
    return kind != "t2" and not (kind in ("t3", "t4g") and size in ("micro", "small"))


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """What decides the instance.

    Attributes:
        context: what all components of the stack share.
        settings: the section ``database``.
        vpc_id, subnet_ids: where it lives; private subnets of at least two zones.
        client_security_group_ids: who may connect, and nobody else.
        key_arn: KMS key of storage, snapshots and the secret.
    """

    context: StackContext
    settings: DatabaseSettings
    vpc_id: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    client_security_group_ids: Sequence[pulumi.Input[str]]
    key_arn: pulumi.Input[str]


class Database(pulumi.ComponentResource):
    """Makes: subnet group, security group, parameter group, master password, instance, secret.

    It makes no database: ``database_users`` beside it says which there are, and the Job that makes
    the users makes them too. The master password leaves this component in its secret only. Nobody
    rotates it: RDS changes it some time after it says so, and only that Job logs in with it.

    Attributes:
        host, port: where the database is.
        master: the master user's secret, a JSON object of texts: username, password, host, port.
    """

    host: pulumi.Output[str]
    port: pulumi.Output[int]
    master: ManagedSecret

    def __init__(
        self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:Database", name, None, opts)
        self._name = name
        self._args = args
        self._here = pulumi.ResourceOptions(parent=self)
        # Letters and digits only: RDS refuses / @ " and space, and a URL needs no quoting.
        generated = GeneratedSecret(f"{name}-password", length=_PASSWORD_LENGTH, opts=self._here)
        # Drawn anew with every instance: a second life of the stack finds its snapshot's name free.
        self._life = generated.id
        password = generated.value
        instance = self._instance(password, self._subnets(), self._firewall(), self._parameters())
        self.host = instance.address
        self.port = instance.port
        self.master = self._secret(instance, password)
        self.register_outputs({"host": self.host, "port": self.port, "secretArn": self.master.arn})

    def _subnets(self) -> aws.rds.SubnetGroup:
        return aws.rds.SubnetGroup(
            f"{self._name}-subnets",
            description=f"Private subnets of {self._args.context.cluster}",
            subnet_ids=self._args.subnet_ids,
            tags=self._args.context.named("database"),
            opts=self._here,
        )

    def _firewall(self) -> aws.ec2.SecurityGroup:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-clients",
            description=f"MySQL for the nodes of {self._args.context.cluster}",
            vpc_id=self._args.vpc_id,
            tags=self._args.context.named("database"),
            opts=self._here,
        )
        for index, client in enumerate(self._args.client_security_group_ids):
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-from-nodes-{index}",
                security_group_id=group.id,
                referenced_security_group_id=client,
                ip_protocol="tcp",
                from_port=PORT,
                to_port=PORT,
                description="MySQL from cluster nodes",
                tags=self._args.context.named("database"),
                opts=self._here,
            )
        return group

    def _parameters(self) -> aws.rds.ParameterGroup:
        version = self._args.settings.engine_version
        return aws.rds.ParameterGroup(
            f"{self._name}-parameters",
            family=family(version),
            description="KFP, Katib and MLMD",
            parameters=[
                aws.rds.ParameterGroupParameterArgs(
                    name=key,
                    value=value,
                    apply_method="pending-reboot" if key in _AT_RESTART else "immediate",
                )
                for key, value in sorted(parameters(version).items())
            ],
            tags=self._args.context.named("database"),
            opts=self._here,
        )

    def _instance(
        self,
        password: pulumi.Output[str],
        subnets: aws.rds.SubnetGroup,
        firewall: aws.ec2.SecurityGroup,
        group: aws.rds.ParameterGroup,
    ) -> aws.rds.Instance:
        settings, cluster = self._args.settings, self._args.context.cluster
        insights = has_insights(settings.instance_class)
        return aws.rds.Instance(
            self._name,
            identifier=f"{cluster}-kubeflow",
            engine="mysql",
            engine_version=settings.engine_version,
            instance_class=settings.instance_class,
            username=_USERNAME,
            password=password,
            port=PORT,
            allocated_storage=settings.storage_gib,
            max_allocated_storage=settings.max_storage_gib,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=self._args.key_arn,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[firewall.id],
            parameter_group_name=group.name,
            publicly_accessible=False,
            multi_az=settings.multi_az,
            backup_retention_period=settings.backup_days,
            copy_tags_to_snapshot=True,
            deletion_protection=settings.deletion_protection,
            skip_final_snapshot=settings.skip_final_snapshot,
            final_snapshot_identifier=None
            if settings.skip_final_snapshot
            else pulumi.Output.concat(f"{cluster}-kubeflow-final-", self._life),
            delete_automated_backups=False,
            enabled_cloudwatch_logs_exports=["error", "slowquery"],
            auto_minor_version_upgrade=True,
            ca_cert_identifier="rds-ca-rsa2048-g1",
            apply_immediately=False,
            performance_insights_enabled=insights,
            performance_insights_kms_key_id=self._args.key_arn if insights else None,
            tags=self._args.context.named("kubeflow"),
            # The identifier is free only after the deletion, which takes the last snapshot.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )

    def _secret(self, instance: aws.rds.Instance, password: pulumi.Output[str]) -> ManagedSecret:
        return managed_secret(
            f"{self._name}-master",
            prefix=f"{self._args.context.cluster}/kubeflow/database-",
            description=f"Master user of the database of {self._args.context.cluster}",
            values={
                "username": instance.username,
                "password": password,
                "host": instance.address,
                "port": instance.port.apply(str),
            },
            key_arn=self._args.key_arn,
            tags=self._args.context.named("database"),
            opts=self._here,
        )
