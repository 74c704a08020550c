"""What every instance of RDS has around it: who may connect, and where its logs go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components.aws.adopted_log_group import adopted_log_group

_LOG_DAYS = 90


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
