"""A Lambda function of the image mirror, with its log and a role of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.trust import service_trust
from components.mirror.build import log_group
from components.mirror.handler import handler_archive
from settings.mirror_context import MirrorContext

_RUNTIME = "python3.12"
# Graviton is not offered by Lambda in every partition; x86 is.
_ARCHITECTURE = "x86_64"
_NAME_LIMIT = 64  # of a Lambda function


@dataclass(frozen=True, kw_only=True)
class FunctionNames:
    """What a function is called.

    Attributes:
        resource: its name in Pulumi, and the start of those of its log and role.
        function: its name in the account.
        arn: known before it exists.
        log_arn: of its log group, likewise.
    """

    resource: str
    function: str
    arn: str
    log_arn: str

    @classmethod
    def of(cls, resource: str, context: MirrorContext, suffix: str) -> FunctionNames:
        """The names of a function of a cluster: as long as Lambda takes, with the suffix whole."""
        function = f"{context.cluster[: _NAME_LIMIT - len(suffix) - 1]}-{suffix}"
        arn, account = context.region.arn, context.account_id
        return cls(
            resource=resource,
            function=function,
            arn=arn("lambda", f"function:{function}", account=account),
            log_arn=arn("logs", f"log-group:/aws/lambda/{function}", account=account),
        )


@dataclass(frozen=True, kw_only=True)
class FunctionRole:
    """What a function runs with.

    Attributes:
        role: for nobody else.
        rights: its only policy.
        log: its log group.
    """

    role: aws.iam.Role
    rights: aws.iam.RolePolicy
    log: aws.cloudwatch.LogGroup


def function_role(
    names: FunctionNames,
    context: MirrorContext,
    policy: pulumi.Input[str],
    own: pulumi.ResourceOptions,
) -> FunctionRole:
    """Makes: the log group and the role of a function.

    Args:
        names: of the function.
        context: of the cluster and its account.
        policy: of the role, as JSON.
        own: of all.
    """
    log = log_group(f"{names.resource}-log", f"/aws/lambda/{names.function}", context, own)
    role = aws.iam.Role(
        f"{names.resource}-role",
        description=f"Lambda function {names.function} of the image mirror",
        assume_role_policy=json.dumps(service_trust(context.region, "lambda")),
        **context.identity,
        tags=context.tagged(f"{names.resource}-role"),
        opts=own,
    )
    rights = aws.iam.RolePolicy(f"{names.resource}-role", role=role.name, policy=policy, opts=own)
    return FunctionRole(role=role, rights=rights, log=log)


def lambda_function(
    names: FunctionNames,
    context: MirrorContext,
    role: FunctionRole,
    *,
    handler: str,
    timeout: int,
    environment: Mapping[str, pulumi.Input[str]],
    own: pulumi.ResourceOptions,
    data: Mapping[str, str] | None = None,
    memory: int = 512,
    reserved_concurrency: int | None = None,
    network: aws.lambda_.FunctionVpcConfigArgs | None = None,
) -> aws.lambda_.Function:
    """Makes: the function.

    Args:
        names: of the function.
        context: of the cluster and its account.
        role: with its log.
        handler: ``module.function`` of ``webhook``.
        timeout: seconds.
        environment: variables; empty ones are left out.
        own: its options.
        data: files beside the handler's code: name within the archive -> text.
        memory: MB.
        reserved_concurrency: that it always has, and never exceeds.
        network: subnets and security groups; None: it is in no network of the account.
    """
    return aws.lambda_.Function(
        names.resource,
        name=names.function,
        runtime=_RUNTIME,
        architectures=[_ARCHITECTURE],
        handler=handler,
        code=handler_archive(data),
        role=role.role.arn,
        memory_size=memory,
        timeout=timeout,
        environment={"variables": {key: value for key, value in environment.items() if value}},
        logging_config={"log_format": "Text", "log_group": role.log.name},
        reserved_concurrent_executions=reserved_concurrency,
        vpc_config=network,
        tags=context.tagged(names.function),
        opts=pulumi.ResourceOptions.merge(
            own, pulumi.ResourceOptions(depends_on=[role.rights], delete_before_replace=True)
        ),
    )
