"""What each part of the image mirror may do, as data.

The reference gave its function three FullAccess policies and printed the keys it held; here every
statement names its actions, and each is limited to one repository prefix, table, function, project
or secret. The only ``Resource: "*"`` is ``ecr:GetAuthorizationToken``, which has no resource
(docs.aws.amazon.com service-authorization list_amazonelasticcontainerregistry).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.aws.documents import Document, allow, document
from components.registry.policies import repositories
from regions.region import Region

BUILD_VARIABLES = ("IMAGES",)
"""The only variable a build may be started with: sources and targets, for the build to check."""

_OVERRIDES = (
    "codebuild:source.buildspec",
    "codebuild:source.location",
    "codebuild:environment.image",
    "codebuild:environment.privilegedMode",
    "codebuild:serviceRole",
)

# One image pushed through the registry API: check, upload, put, and read back to verify.
_PUSH = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)


def admission_policy(
    region: Region,
    account: str,
    *,
    prefix: str,
    table_arn: str,
    copier_arn: str,
    log_arn: str | None = None,
) -> Document:
    """Admission: look at copies, claim a missing one, hand it on. No secret.

    Without ``log_arn`` for pods, whose log is the cluster's.
    """
    return document(
        allow(("ecr:DescribeImages",), repositories(region, account, prefix)),
        allow(("dynamodb:UpdateItem",), table_arn),
        allow(("lambda:InvokeFunction",), copier_arn),
        *([_write_log(log_arn)] if log_arn else []),
    )


def log_policy(log_arn: str) -> Document:
    """A function that asks AWS for nothing: it writes its own log."""
    return document(_write_log(log_arn))


def copier_policy(
    region: Region,
    account: str,
    *,
    prefix: str,
    table_arn: str,
    log_arn: str,
    project_arn: str | None,
    secret_arn: str | None,
) -> Document:
    """The function that starts copies: make a repository, then one build.

    Exactly one of ``project_arn`` (same partition) and ``secret_arn`` (keys for the other one).
    """
    own = repositories(region, account, prefix)
    create = ("ecr:CreateRepository", "ecr:PutLifecyclePolicy", "ecr:TagResource")
    statements = [
        allow(create, own),
        allow(("dynamodb:UpdateItem",), table_arn),
        _write_log(log_arn),
    ]
    if secret_arn:
        statements.append(allow(("secretsmanager:GetSecretValue",), secret_arn))
    if project_arn:
        statements += start_build_statements(project_arn)
    return document(*statements)


def start_build_policy(project_arn: str) -> Document:
    """What the cluster's side holds across partitions: start one project, as it is defined."""
    return document(*start_build_statements(project_arn))


def start_build_statements(project_arn: str) -> list[dict[str, Any]]:
    """Allows starting the project, and denies what would make it another program.

    A caller of StartBuild may otherwise replace the build spec, the image and any variable, and so
    read the push credentials; condition keys: docs.aws.amazon.com/codebuild/latest/userguide/
    action-context-keys.html.
    """
    denied = [
        {**allow(("codebuild:StartBuild",), project_arn), "Effect": "Deny", "Condition": condition}
        for condition in (
            *({"Null": {key: "false"}} for key in _OVERRIDES),
            {
                "ForAnyValue:StringNotEquals": {
                    "codebuild:environment.environmentVariables.name": list(BUILD_VARIABLES)
                }
            },
        )
    ]
    return [allow(("codebuild:StartBuild",), project_arn), *denied]


def push_policy(region: Region, account: str, *, prefix: str, table_arn: str) -> Document:
    """Push images below one prefix and write down how it went; create and delete nothing else."""
    return document(*push_statements(region, account, prefix=prefix, table_arn=table_arn))


def push_statements(
    region: Region, account: str, *, prefix: str, table_arn: str
) -> list[dict[str, Any]]:
    """See ``push_policy``."""
    return [
        allow(("ecr:GetAuthorizationToken",), "*"),
        allow(_PUSH, repositories(region, account, prefix)),
        allow(("dynamodb:UpdateItem",), table_arn),
    ]


def build_policy(
    *, log_arn: str, secret_arn: str | None, push: Sequence[dict[str, Any]] = ()
) -> Document:
    """The build's own role: its log, and either a secret with push keys or the right to push."""
    statements = [_write_log(log_arn), *push]
    if secret_arn:
        statements.append(allow(("secretsmanager:GetSecretValue",), secret_arn))
    return document(*statements)


def _write_log(log_arn: str) -> dict[str, Any]:
    return allow(("logs:CreateLogStream", "logs:PutLogEvents"), f"{log_arn}:*")
