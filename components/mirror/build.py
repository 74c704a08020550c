"""Where images are copied: a CodeBuild project that reaches the registries.

Between two partitions each side holds a credential of the other (``credentials``).
Inside one partition there is none at all: the roles themselves are allowed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.documents import service_trust
from components.mirror import policies
from components.mirror.buildspec import buildspec
from components.mirror.credentials import (
    Credential,
    Place,
    Purpose,
    key_in_secret,
    secret_names,
    user_name,
)
from regions.region import Region
from settings.context import StackContext
from settings.sections import ImageMirrorSettings

# docs.aws.amazon.com/codebuild/latest/userguide/ec2-compute-images.html: Amazon Linux 2023 with
# the AWS CLI, curl and Python; offered in every region that has CodeBuild on Linux.
_BUILD_IMAGE = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
LOG_DAYS = 30
"""Of every log of the image mirror."""


@dataclass(frozen=True, kw_only=True)
class BuildSide:
    """Who copies images.

    Attributes:
        region: reaches the registries.
        provider: AWS provider of that region, with credentials of its own partition.
        account_id: of that provider.
    """

    region: Region
    provider: aws.Provider
    account_id: str


@dataclass(frozen=True, kw_only=True)
class ImageMirrorBuildArgs:
    """Arguments of ``ImageMirrorBuild``.

    Attributes:
        context: what all components of the stack share.
        mirror: the setting ``imageMirror``.
        side: makes the copies.
    """

    context: StackContext
    mirror: ImageMirrorSettings
    side: BuildSide


class ImageMirrorBuild(pulumi.ComponentResource):
    """A CodeBuild project, its role and log, the table of copies, credentials between partitions.

    Attributes:
        region: where the project is.
        project_name: the project, started for one image or several.
        project_arn: its ARN, in the build region's partition.
        table: one row per copy under way or done, in the stack's own region.
        table_name, table_arn: of it, known before it is made.
        start_secret_name: the secret in the stack's own region with a credential that may start the
            project; empty where the stack's own roles may.
        start_secret_arn: its ARN; None likewise.
    """

    region: Region
    project_name: str
    project_arn: str
    table: aws.dynamodb.Table
    table_name: str
    table_arn: str
    start_secret_name: str
    start_secret_arn: pulumi.Output[str] | None

    def __init__(
        self, name: str, args: ImageMirrorBuildArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:ImageMirrorBuild", name, None, opts)
        cluster = args.context.cluster
        self.region = args.side.region
        # Several stacks may share one build account and region: the name tells them apart.
        self.project_name = f"{cluster}-{args.context.region.name}-image-copy"
        self.project_arn = args.side.region.arn(
            "codebuild", f"project/{self.project_name}", account=args.side.account_id
        )
        self.table_name = f"{cluster}-image-copies"
        self.table_arn = args.context.region.arn(
            "dynamodb", f"table/{self.table_name}", account=args.context.account_id
        )
        self.table = self._table(name, args)
        secrets = self._credentials(name, args) if args.context.mirror.crosses_partitions else {}
        self._project(name, args, secrets.get(Purpose.PUSH))
        start = secrets.get(Purpose.START)
        named = secret_names(args.context, args.mirror)
        self.start_secret_name = named[Purpose.START] if start else ""
        self.start_secret_arn = start.arn if start else None
        self.register_outputs({"projectArn": self.project_arn})

    def _table(self, name: str, args: ImageMirrorBuildArgs) -> aws.dynamodb.Table:
        """Admissions claim a copy in it, builds write down how it went; rows end by themselves."""
        return aws.dynamodb.Table(
            f"{name}-copies",
            name=self.table_name,
            billing_mode="PAY_PER_REQUEST",
            hash_key="image",
            attributes=[{"name": "image", "type": "S"}],
            ttl={"attribute_name": "expires", "enabled": True},
            server_side_encryption={"enabled": True},
            tags=args.context.tagged(self.table_name),
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )

    def _credentials(
        self, name: str, args: ImageMirrorBuildArgs
    ) -> dict[Purpose, aws.secretsmanager.Secret]:
        """The secret on each side with a credential of the other."""
        mirror, cluster = args.mirror, args.context.cluster
        names = secret_names(args.context, args.mirror)
        own = Place(region=args.context.region, provider=None)
        build = Place(region=args.side.region, provider=args.side.provider)
        push = policies.push_policy(
            args.context.region,
            args.context.account_id,
            prefix=mirror.repository_prefix,
            table_arn=self.table_arn,
        )
        wanted = {
            Purpose.PUSH: Credential(
                policy=push,
                giver=own,
                holder=build,
                secret_name=names[Purpose.PUSH],
                tags=args.context.tags,
            ),
            Purpose.START: Credential(
                policy=policies.start_build_policy(self.project_arn),
                giver=build,
                holder=own,
                secret_name=names[Purpose.START],
                tags=args.context.tags,
            ),
        }
        return {
            purpose: key_in_secret(
                f"{name}-{purpose}",
                each,
                user=user_name(cluster, args.context.region, purpose),
                rotation=mirror.rotation,
                parent=self,
            )
            for purpose, each in wanted.items()
        }

    def _project(
        self,
        name: str,
        args: ImageMirrorBuildArgs,
        push_secret: aws.secretsmanager.Secret | None,
    ) -> None:
        here = pulumi.ResourceOptions(parent=self, provider=args.side.provider)
        group = f"/aws/codebuild/{self.project_name}"
        log = aws.cloudwatch.LogGroup(
            f"{name}-log",
            name=group,
            retention_in_days=LOG_DAYS,
            tags=args.context.tagged(group),
            opts=here,
        )
        role = aws.iam.Role(
            f"{name}-role",
            description="Copies images for the image mirror",
            assume_role_policy=json.dumps(
                service_trust(args.side.region, "codebuild", account=args.side.account_id)
            ),
            tags=args.context.tagged(f"{name}-role"),
            opts=here,
        )
        aws.iam.RolePolicy(
            f"{name}-role",
            role=role.name,
            policy=self._build_policy(args, group, push_secret),
            opts=here,
        )
        variables = {
            "TARGET_REGISTRY": args.context.image_prefix,
            "TARGET_REGION": args.context.region.name,
            "CREDENTIALS_SECRET": push_secret.name if push_secret else "",
            "PLATFORM": args.mirror.platform or "",
            "TABLE": self.table_name,
            "FOLLOW_SECONDS": str(args.mirror.follow_hours * 3600),
        }
        aws.codebuild.Project(
            f"{name}-project",
            name=self.project_name,
            description=f"Copies images into {args.context.image_prefix}",
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
            # A copy that outlives its claim would be started a second time beside it.
            build_timeout=args.mirror.in_flight_minutes,
            queued_timeout=60,
            tags=args.context.tagged(self.project_name),
            opts=pulumi.ResourceOptions.merge(
                here, pulumi.ResourceOptions(delete_before_replace=True)
            ),
        )

    def _build_policy(
        self,
        args: ImageMirrorBuildArgs,
        group: str,
        push_secret: aws.secretsmanager.Secret | None,
    ) -> pulumi.Input[str]:
        log_arn = args.side.region.arn("logs", f"log-group:{group}", account=args.side.account_id)
        if push_secret is None:
            prefix = args.context.mirror.prefix
            push = policies.push_statements(
                args.context.region,
                args.context.account_id,
                prefix=prefix,
                table_arn=self.table_arn,
            )
            return json.dumps(policies.build_policy(log_arn=log_arn, secret_arn=None, push=push))
        return push_secret.arn.apply(
            lambda arn: json.dumps(policies.build_policy(log_arn=log_arn, secret_arn=arn))
        )
