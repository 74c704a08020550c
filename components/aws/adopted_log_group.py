"""Log groups that an AWS service writes to, and would make itself."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws


def adopted_log_group(
    resource: str, group: str, *, days: int, tags: Mapping[str, str], parent: pulumi.Resource
) -> aws.cloudwatch.LogGroup:
    """Makes the log group, or takes over the one that the service has made.

    EKS and RDS make theirs without expiry when they first write; EKS does so after a destroy too,
    with what it writes late (terraform-aws-modules/terraform-aws-eks #2763).

    Args:
        resource: name of the resource.
        group: name of the log group.
        days: until logs expire.
        tags: AWS tags.
        parent: of the resource.
    """
    call = pulumi.InvokeOptions(parent=parent)
    groups = aws.cloudwatch.get_log_groups(log_group_name_prefix=group, opts=call)
    return aws.cloudwatch.LogGroup(
        resource,
        name=group,
        retention_in_days=days,
        tags=dict(tags),
        opts=pulumi.ResourceOptions(
            parent=parent,
            delete_before_replace=True,
            # The engine ignores the import of a resource that the stack has.
            import_=group if group in groups.log_group_names else None,
        ),
    )
