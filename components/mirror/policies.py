"""What each part of the image mirror may do, as data.

The reference gave its function three FullAccess policies and printed the keys it held; here every
statement names its actions, and each is limited to one repository prefix, table, function, project
or secret. The only ``Resource: "*"`` is ``ecr:GetAuthorizationToken``, which has no resource
(docs.aws.amazon.com service-authorization list_amazonelasticcontainerregistry).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.registry.policies import repositories
from regions.region import Region

Policy = dict[str, Any]

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


def service_trust(region: Region, service: str, account: str) -> Policy:
    """Lets one AWS service take a role, and only on behalf of this account."""
    return _document(
        {
            "Effect": "Allow",
            "Principal": {"Service": region.service_principal(service)},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        }
    )


def lambda_trust(region: Region) -> Policy:
    """Lets Lambda take a role. Its trust has no source condition: the first call has none yet."""
    return _document(
        {
            "Effect": "Allow",
            "Principal": {"Service": region.service_principal("lambda")},
            "Action": "sts:AssumeRole",
        }
    )


def admission_policy(
    region: Region,
    account: str,
    *,
    prefix: str,
    table_arn: str,
    copier_arn: str,
    log_arn: str | None = None,
) -> Policy:
    """Admission: look at copies, claim a missing one, hand it on. No secret.

    Without ``log_arn`` for pods, whose log is the cluster's.
    """
    return _document(
        _allow(("ecr:DescribeImages",), repositories(region, account, prefix)),
        _allow(("dynamodb:UpdateItem",), table_arn),
        _allow(("lambda:InvokeFunction",), copier_arn),
        *([_write_log(log_arn)] if log_arn else []),
    )


def log_policy(log_arn: str) -> Policy:
    """A function that asks AWS for nothing: it writes its own log."""
    return _document(_write_log(log_arn))


def copier_policy(
    region: Region,
    account: str,
    *,
    prefix: str,
    table_arn: str,
    log_arn: str,
    project_arn: str | None,
    secret_arn: str | None,
) -> Policy:
    """The function that starts copies: make a repository, then one build.

    Exactly one of ``project_arn`` (same partition) and ``secret_arn`` (keys for the other one).
    """
    own = repositories(region, account, prefix)
    create = ("ecr:CreateRepository", "ecr:PutLifecyclePolicy", "ecr:TagResource")
    statements = [
        _allow(create, own),
        _allow(("dynamodb:UpdateItem",), table_arn),
        _write_log(log_arn),
    ]
    if secret_arn:
        statements.append(_allow(("secretsmanager:GetSecretValue",), secret_arn))
    if project_arn:
        statements += start_build_statements(project_arn)
    return _document(*statements)


def start_build_policy(project_arn: str) -> Policy:
    """What the cluster's side holds across partitions: start one project, as it is defined."""
    return _document(*start_build_statements(project_arn))


def start_build_statements(project_arn: str) -> list[dict[str, Any]]:
    """Allows starting the project, and denies what would make it another program.

    A caller of StartBuild may otherwise replace the build spec, the image and any variable, and so
    read the push credentials; condition keys: docs.aws.amazon.com/codebuild/latest/userguide/
    action-context-keys.html.
    """
    denied = [
        {**_allow(("codebuild:StartBuild",), project_arn), "Effect": "Deny", "Condition": condition}
        for condition in (
            *({"Null": {key: "false"}} for key in _OVERRIDES),
            {
                "ForAnyValue:StringNotEquals": {
                    "codebuild:environment.environmentVariables.name": list(BUILD_VARIABLES)
                }
            },
        )
    ]
    return [_allow(("codebuild:StartBuild",), project_arn), *denied]


def push_policy(region: Region, account: str, *, prefix: str, table_arn: str) -> Policy:
    """Push images below one prefix and write down how it went; create and delete nothing else."""
    return _document(*push_statements(region, account, prefix=prefix, table_arn=table_arn))


def push_statements(
    region: Region, account: str, *, prefix: str, table_arn: str
) -> list[dict[str, Any]]:
    """See ``push_policy``."""
    return [
        _allow(("ecr:GetAuthorizationToken",), "*"),
        _allow(_PUSH, repositories(region, account, prefix)),
        _allow(("dynamodb:UpdateItem",), table_arn),
    ]


def build_policy(
    *, log_arn: str, secret_arn: str | None, push: Sequence[dict[str, Any]] = ()
) -> Policy:
    """The build's own role: its log, and either a secret with push keys or the right to push."""
    statements = [_write_log(log_arn), *push]
    if secret_arn:
        statements.append(_allow(("secretsmanager:GetSecretValue",), secret_arn))
    return _document(*statements)


def _write_log(log_arn: str) -> dict[str, Any]:
    return _allow(("logs:CreateLogStream", "logs:PutLogEvents"), f"{log_arn}:*")


def _allow(actions: Sequence[str], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def _document(*statements: dict[str, Any]) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}
