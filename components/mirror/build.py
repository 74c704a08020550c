"""The CodeBuild project that copies images, in a region that reaches the registries.

Between two partitions each side stores a credential of the other (``credentials``). Inside one
partition there is none: the roles themselves have the rights.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.trust import service_trust
from components.mirror import policies
from components.mirror.buildspec import buildspec
from components.mirror.credentials import Purpose, key_in_secret, login_arns, secret_name
from components.registry.policies import lifecycle_policy
from regions.region import Region
from settings.mirror_context import MirrorContext
from webhook.copy_job import MADE, new_repository, stack_tag

# docs.aws.amazon.com/codebuild/latest/userguide/ec2-compute-images.html: Amazon Linux 2023 with
# the AWS CLI, curl and Python; offered in every region that has CodeBuild on Linux.
_BUILD_IMAGE = "aws/codebuild/amazonlinux-x86_64-standard:5.0"


@dataclass(frozen=True, kw_only=True)
class BuildSide:
    """The account and region that copy images.

    Attributes:
        region: reaches the registries.
        provider: AWS provider of that region, with credentials of its own partition.
        account_id: of that provider.
    """

    region: Region
    provider: aws.Provider
    account_id: str


def log_group(
    resource: str, group: str, context: MirrorContext, opts: pulumi.ResourceOptions
) -> aws.cloudwatch.LogGroup:
    """Creates the log of one part of the image mirror."""
    return aws.cloudwatch.LogGroup(
        resource, name=group, retention_in_days=30, tags=context.tagged(group), opts=opts
    )


class ImageMirrorBuild(pulumi.ComponentResource):
    """A CodeBuild project, its role and log, the table of copies, credentials between partitions.

    Args:
        context: of the cluster and its account.
        side: makes the copies.
        kept: marks of the platform's own copies (``webhook.inventory.marks``).

    Attributes:
        region: of the project.
        project_name: of the project, started for one image or several.
        project_arn: its ARN, in the build region's partition.
        table: one row per copy under way or done, in the stack's own region.
        table_name: its name, known before it exists.
        table_arn: its ARN, known before it exists.
        start_secret_name: the secret in the stack's own region with a credential that may start the
            project; empty where the stack's own roles may.
        start_secret_arn: its ARN; None likewise.
    """

    def __init__(
        self,
        name: str,
        context: MirrorContext,
        side: BuildSide,
        kept: str = "",
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubeflow:platform:ImageMirrorBuild", name, None, opts)
        self._context = context
        self._kept = kept
        self._side = side
        self.region = side.region
        self.project_name = context.build_project
        self.project_arn = side.region.arn(
            "codebuild", f"project/{self.project_name}", account=side.account_id
        )
        self.table_name = context.copies_table
        self.table_arn = context.region.arn(
            "dynamodb", f"table/{self.table_name}", account=context.account_id
        )
        self.table = aws.dynamodb.Table(
            f"{name}-copies",
            name=self.table_name,
            billing_mode="PAY_PER_REQUEST",
            hash_key="image",
            attributes=[{"name": "image", "type": "S"}],
            ttl={"attribute_name": "expires", "enabled": True},
            server_side_encryption={"enabled": True},
            tags=context.tagged(self.table_name),
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        push_secret, self.start_secret_name = None, ""
        self.start_secret_arn: pulumi.Output[str] | None = None
        if context.mirror.crosses_partitions:
            push_secret = key_in_secret(
                f"{name}-{Purpose.PUSH}",
                context,
                Purpose.PUSH,
                policies.push_statements(context, table_arn=self.table_arn),
                giver=None,
                holder=side.provider,
                parent=self,
            )
            start_secret = key_in_secret(
                f"{name}-{Purpose.START}",
                context,
                Purpose.START,
                policies.start_build_statements(self.project_arn),
                giver=side.provider,
                holder=None,
                parent=self,
            )
            self.start_secret_name = secret_name(context, Purpose.START)
            self.start_secret_arn = start_secret.arn
        self._project(name, push_secret)
        self.register_outputs({"projectArn": self.project_arn})

    def _project(self, name: str, push_secret: aws.secretsmanager.Secret | None) -> None:
        context, side, mirror = self._context, self._side, self._context.mirror.settings
        opts = pulumi.ResourceOptions(parent=self, provider=side.provider)
        group = f"/aws/codebuild/{self.project_name}"
        log = log_group(f"{name}-log", group, context, opts)
        role = aws.iam.Role(
            f"{name}-role",
            description="Copies images for the image mirror",
            assume_role_policy=json.dumps(
                service_trust(side.region, "codebuild", account=side.account_id)
            ),
            **context.build_identity,
            tags=context.tagged(f"{name}-role"),
            opts=opts,
        )
        log_arn = side.region.arn("logs", f"log-group:{group}", account=side.account_id)
        aws.iam.RolePolicy(
            f"{name}-role",
            role=role.name,
            policy=pulumi.Output.from_input(push_secret and push_secret.arn).apply(
                lambda secret_arn: json.dumps(
                    policies.build_policy(
                        context,
                        table_arn=self.table_arn,
                        log_arn=log_arn,
                        secret_arn=secret_arn,
                        login_arns=login_arns(context, side.region, side.account_id),
                    )
                )
            ),
            opts=opts,
        )
        secrets = context.mirror.source_secrets
        variables = {
            "TARGET_REGISTRY": context.image_prefix,
            "TARGET_REGION": context.region.name,
            "CREDENTIALS_SECRET": push_secret.name if push_secret else "",
            "SOURCE_SECRETS": json.dumps(secrets) if secrets else "",
            "PLATFORM": context.mirror.platform or "",
            "TABLE": self.table_name,
            "FOLLOW_SECONDS": str(context.mirror.follow_seconds),
            "KEPT": self._kept,
            "GIB_PER_DAY": str(mirror.budgets.gib_per_day),
            "NEW_REPOSITORY": _new_repository(context),
            "LIFECYCLE": json.dumps(lifecycle_policy()),
            # Both end before the claim does: a copy that outlives it would be started again beside
            # it, and the build needs time to record why it ended.
            "COPY_SECONDS": str(mirror.in_flight_minutes * 40),
        }
        aws.codebuild.Project(
            f"{name}-project",
            name=self.project_name,
            description=f"Copies images into {context.image_prefix}",
            service_role=role.arn,
            artifacts={"type": "NO_ARTIFACTS"},
            source={"type": "NO_SOURCE", "buildspec": buildspec()},
            environment={
                "type": "LINUX_CONTAINER",
                "compute_type": "BUILD_GENERAL1_SMALL",
                "image": _BUILD_IMAGE,
                "privileged_mode": False,
                "environment_variables": [
                    {"name": key, "value": value} for key, value in variables.items() if value
                ],
            },
            logs_config={"cloudwatch_logs": {"status": "ENABLED", "group_name": log.name}},
            build_timeout=max(5, mirror.in_flight_minutes * 3 // 4),
            queued_timeout=max(5, mirror.in_flight_minutes // 4),
            tags=context.tagged(self.project_name),
            opts=pulumi.ResourceOptions.merge(
                opts, pulumi.ResourceOptions(delete_before_replace=True)
            ),
        )


def _new_repository(context: MirrorContext) -> str:
    """ECR's CreateRepository request, all but the name, marked as made by the stack."""
    tags = {**context.tags, stack_tag(context.cluster): MADE}
    request = new_repository("", tags)
    del request["repositoryName"]
    return json.dumps(request, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
