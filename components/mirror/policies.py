"""The rights of each part of the image mirror, as data.

Every statement names its actions, and each is limited to one repository prefix, table, function,
project or secret. ``Resource: "*"`` has ``ecr:GetAuthorizationToken``, which has no resource
(docs.aws.amazon.com service-authorization list_amazonelasticcontainerregistry), and what Lambda
does for a function in a network, see ``events_policy``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.aws.documents import Document, allow, document
from components.registry.policies import repositories
from settings.mirror_context import MirrorContext

BUILD_VARIABLES = ("IMAGES", "NAMESPACE")
"""The only variables a build may be started with: sources and targets, which the build checks, and
the namespace whose budget they use."""

_OVERRIDES = (
    "codebuild:source.buildspec",
    "codebuild:source.location",
    "codebuild:environment.image",
    "codebuild:environment.privilegedMode",
    "codebuild:serviceRole",
)

# Of AWS's own policy for functions in a VPC (AWSLambdaVPCAccessExecutionRole).
_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)

# The repository of a copy, then one image pushed through the registry API: check, upload, put, and
# read back to verify.
_PUSH = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:CreateRepository",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:PutLifecyclePolicy",
    "ecr:TagResource",
    "ecr:UploadLayerPart",
)


def admission_policy(
    context: MirrorContext,
    *,
    table_arn: str | None,
    invoked: Sequence[str],
    log_arn: str | None = None,
) -> Document:
    """Admission: describe copies, claim a missing one, invoke what goes on with it. No secret.

    Args:
        context: of the cluster and its account.
        table_arn: of copies; None where ECR pulls through by itself.
        invoked: functions: the copier, and the one that posts Events.
        log_arn: None for pods, whose log is the cluster's.
    """
    looks = [
        allow(("ecr:DescribeImages",), repositories(context)),
        allow(("dynamodb:GetItem", "dynamodb:UpdateItem"), table_arn or ""),
    ]
    one_or_more = list(invoked) if len(invoked) > 1 else "".join(invoked)
    return document(
        *(looks if table_arn else []),
        *([allow(("lambda:InvokeFunction",), one_or_more)] if invoked else []),
        *([_write_log(log_arn)] if log_arn else []),
    )


def events_policy(*, function_arn: str, log_arn: str) -> Document:
    """The function that posts Events: its log, and what puts it into the network of the cluster.

    Lambda itself makes the interfaces, by the function's role, and the function is denied it
    (docs.aws.amazon.com lambda/latest/dg/configuration-vpc.html). Lambda tries the right when the
    function is made, without a resource.
    """
    interfaces = allow(_INTERFACES, "*")
    by_function = {"ArnEquals": {"lambda:SourceFunctionArn": function_arn}}
    denied = {**interfaces, "Effect": "Deny", "Condition": by_function}
    return document(interfaces, denied, _write_log(log_arn))


def copier_policy(
    *,
    table_arn: str,
    log_arn: str,
    project_arn: str,
    secret_arn: str | None,
) -> Document:
    """The function that starts copies: it starts one build each.

    With ``secret_arn`` (keys of the other partition) it starts the build by those keys.
    """
    queue = ("dynamodb:BatchGetItem", "dynamodb:Scan", "dynamodb:UpdateItem")
    return document(
        allow(queue, table_arn),
        _write_log(log_arn),
        *([_read_secret(secret_arn)] if secret_arn else start_build_statements(project_arn)),
    )


def start_build_statements(project_arn: str) -> list[dict[str, Any]]:
    """Allows starting the project, and denies every override that makes it another program.

    A caller of StartBuild could otherwise replace the build spec, the image and any variable, and
    read the push credentials; condition keys: docs.aws.amazon.com/codebuild/latest/userguide/
    action-context-keys.html.
    """
    start = allow(("codebuild:StartBuild",), project_arn)
    names = {"codebuild:environment.environmentVariables.name": list(BUILD_VARIABLES)}
    conditions: list[dict[str, Any]] = [
        *({"Null": {key: "false"}} for key in _OVERRIDES),
        {"ForAnyValue:StringNotEquals": names},
    ]
    deny = {**start, "Effect": "Deny"}
    return [start, *({**deny, "Condition": condition} for condition in conditions)]


def push_statements(context: MirrorContext, *, table_arn: str) -> list[dict[str, Any]]:
    """Push images into repositories below one prefix, record the results; delete nothing."""
    return [
        allow(("ecr:GetAuthorizationToken",), "*"),
        allow(_PUSH, repositories(context)),
        allow(("dynamodb:UpdateItem",), table_arn),
    ]


def build_policy(
    context: MirrorContext,
    *,
    table_arn: str,
    log_arn: str,
    secret_arn: str | None,
    login_arns: Sequence[str] = (),
) -> Document:
    """The build's own role: its log, and either a secret with push keys or the right to push.

    It reads the logins of source registries, too.
    """
    push = push_statements(context, table_arn=table_arn)
    return document(
        _write_log(log_arn),
        *([_read_secret(secret_arn)] if secret_arn else push),
        *([_read_secret(list(login_arns))] if login_arns else []),
    )


def _read_secret(secret_arn: str | Sequence[str]) -> dict[str, Any]:
    return allow(("secretsmanager:GetSecretValue",), secret_arn)


def _write_log(log_arn: str) -> dict[str, Any]:
    return allow(("logs:CreateLogStream", "logs:PutLogEvents"), f"{log_arn}:*")
