"""What the stack's RDS instances share: arguments, who may connect, where their logs go."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from components.aws.adopted_log_group import adopted_log_group
from settings.sections import DatabaseSettings

_LOG_DAYS = 90


def has_insights(instance_class: str) -> bool:
    """Whether an instance class such as ``db.m6g.large`` has Performance Insights.

    All have, except t2, and micro and small of t3 and t4g (RDS user guide,
    USER_PerfInsights.Overview.Engines.html).
    """
    _, kind, size = instance_class.split(".", 2)
    return kind != "t2" and not (kind in ("t3", "t4g") and size in ("micro", "small"))


def shared_arguments(
    identifier: str,
    database: DatabaseSettings,
    *,
    instance_class: str,
    key_arn: pulumi.Input[str],
    snapshot_suffix: pulumi.Input[str],
) -> dict[str, Any]:
    """Arguments of an instance that follow from its identifier, class and key.

    Args:
        identifier: of the instance.
        database: the section ``database``, for backups, final snapshot and time of changes.
        instance_class: of the instance.
        key_arn: KMS key of storage, snapshots and Performance Insights.
        snapshot_suffix: unique for each instance: the final snapshot of a former one keeps its
            name.
    """
    insights = has_insights(instance_class)
    final_snapshot = pulumi.Output.concat(f"{identifier}-final-", snapshot_suffix)
    return {
        "identifier": identifier,
        "instance_class": instance_class,
        "storage_type": "gp3",
        "storage_encrypted": True,
        "kms_key_id": key_arn,
        "publicly_accessible": False,
        "backup_retention_period": database.backup_days,
        "copy_tags_to_snapshot": True,
        "skip_final_snapshot": database.skip_final_snapshot,
        "final_snapshot_identifier": None if database.skip_final_snapshot else final_snapshot,
        "delete_automated_backups": False,
        "ca_cert_identifier": "rds-ca-rsa2048-g1",
        "apply_immediately": database.apply_immediately,
        "performance_insights_enabled": insights,
        "performance_insights_kms_key_id": key_arn if insights else None,
    }


def firewall(
    name: str,
    *,
    engine: str,
    port: int,
    cluster: str,
    vpc_id: pulumi.Input[str],
    clients: Sequence[pulumi.Input[str]],
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> aws.ec2.SecurityGroup:
    """Makes: a security group that admits its clients to one port and lets nothing out.

    Args:
        name: how names of the resources begin.
        engine: as people write it, for descriptions.
        port: of the instance.
        cluster: whose nodes the clients are.
        vpc_id: of the instance.
        clients: the security groups of the clients.
        tags: of the resources.
        opts: likewise.
    """
    group = aws.ec2.SecurityGroup(
        f"{name}-clients",
        description=f"{engine} for the nodes of {cluster}",
        vpc_id=vpc_id,
        tags=dict(tags),
        opts=opts,
    )
    for index, client in enumerate(clients):
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-from-nodes-{index}",
            security_group_id=group.id,
            referenced_security_group_id=client,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            description=f"{engine} from cluster nodes",
            tags=dict(tags),
            opts=opts,
        )
    return group


def parameter_group(
    name: str,
    family: str,
    values: Mapping[str, str],
    *,
    description: str,
    at_restart: Collection[str] = (),
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> aws.rds.ParameterGroup:
    """Makes: a parameter group.

    Args:
        name: how its name begins.
        family: of engine and version.
        values: of the parameters.
        description: of the group.
        at_restart: parameters that take effect at the next restart of the instance.
        tags: of the group.
        opts: likewise.
    """
    return aws.rds.ParameterGroup(
        f"{name}-parameters",
        family=family,
        description=description,
        parameters=[
            {
                "name": key,
                "value": value,
                "apply_method": "pending-reboot" if key in at_restart else "immediate",
            }
            for key, value in sorted(values.items())
        ],
        tags=dict(tags),
        opts=opts,
    )


def log_groups(
    name: str,
    instance: str,
    logs: Sequence[str],
    *,
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> list[aws.cloudwatch.LogGroup]:
    """Makes: the log groups, which RDS would make itself, without expiry, and never delete.

    Args:
        name: how names of the resources begin.
        instance: its identifier.
        logs: those that it exports.
        tags: of the groups.
        parent: likewise.
    """
    return [
        adopted_log_group(
            f"{name}-log-{log}",
            f"/aws/rds/instance/{instance}/{log}",
            days=_LOG_DAYS,
            tags=dict(tags),
            parent=parent,
        )
        for log in logs
    ]
