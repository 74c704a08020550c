"""The Lambda functions of the image mirror and the table that knows copies in flight."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_aws as aws

from components import image_mirror_policies as policies
from components.image_mirror_build import ImageMirrorBuild
from components.region import Region
from components.settings import Settings

_HANDLER_FOLDER = Path(__file__).resolve().parent.parent / "webhook"
_RUNTIME = "python3.12"
# Graviton is not offered by Lambda in every partition; x86 is.
_ARCHITECTURE = "x86_64"
_LOG_DAYS = 30
_NAME_LIMIT = 64  # of a Lambda function


@dataclass(frozen=True, kw_only=True)
class ImageMirrorFunctionsArgs:
    """Arguments of ``ImageMirrorFunctions``.

    Attributes:
        settings: the stack's settings.
        region: the stack's own region.
        build_region: where the copies are made.
        build: the project that makes them.
        account_id: account of the stack's region.
        registry: ``<ecr host>/<prefix>``.
        tags: AWS tags, also of the repositories that the copier makes.
        admission: whether a function answers admissions; pods of the cluster may instead.
        reserved_concurrency: most admissions judged at once; keeps a storm of pods from using up
            the account's other functions.
    """

    settings: Settings
    region: Region
    build_region: Region
    build: ImageMirrorBuild
    account_id: str
    registry: str
    tags: Mapping[str, str]
    admission: bool = True
    reserved_concurrency: int = 20


class ImageMirrorFunctions(pulumi.ComponentResource):
    """``copier``, its table and, where API Gateway is the transport, ``admission`` before it.

    The copier is a function of its own so that an admission never waits for another region and
    what faces the network holds no key.

    Attributes:
        admission: the function that answers AdmissionReviews; None where pods do.
        copier: the function that starts copies.
        copier_arn: its ARN, known beforehand.
        table: copies in flight, one row per image, removed by its own expiry.
        table_arn: its ARN, known beforehand.
    """

    admission: aws.lambda_.Function | None
    copier: aws.lambda_.Function
    copier_arn: str
    table: aws.dynamodb.Table
    table_arn: str

    def __init__(
        self, name: str, args: ImageMirrorFunctionsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:ImageMirrorFunctions", name, None, opts)
        cluster, region, account = args.settings.cluster.name, args.region, args.account_id
        prefix = args.settings.image_mirror.repository_prefix
        table_name = f"{cluster}-image-copies"
        table_arn = region.arn("dynamodb", f"table/{table_name}", account=account)
        self.table_arn = table_arn
        self.table = aws.dynamodb.Table(
            f"{name}-in-flight",
            name=table_name,
            billing_mode="PAY_PER_REQUEST",
            hash_key="image",
            attributes=[{"name": "image", "type": "S"}],
            ttl={"attribute_name": "expires", "enabled": True},
            server_side_encryption={"enabled": True},
            tags={**args.tags, "Name": table_name},
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        common: dict[str, pulumi.Input[str]] = {
            "MIRROR_REGISTRY": args.registry,
            "MIRROR_TABLE": self.table.name,
            "MIRROR_IN_FLIGHT_SECONDS": str(args.settings.image_mirror.in_flight_minutes * 60),
        }
        copier_name = _function_name(cluster, "image-copier")
        self.copier_arn = region.arn("lambda", f"function:{copier_name}", account=account)
        self.copier = self._function(
            f"{name}-copier",
            args,
            function_name=copier_name,
            handler="webhook.lambda_handler.start_copy",
            timeout=90,
            environment={
                **common,
                "MIRROR_PROJECT": args.build.project_name,
                "MIRROR_BUILD_REGION": args.build_region.name,
                "MIRROR_CREDENTIALS_SECRET": args.build.start_secret_name,
                "MIRROR_LIFECYCLE": json.dumps(policies.lifecycle_policy()),
                "MIRROR_TAGS": json.dumps(dict(args.tags), sort_keys=True),
            },
            policy=pulumi.Output.from_input(args.build.start_secret_arn).apply(
                lambda secret_arn: json.dumps(
                    policies.copier_policy(
                        region,
                        account,
                        prefix=prefix,
                        table_arn=table_arn,
                        log_arn=_log_arn(args, copier_name),
                        project_arn=None if secret_arn else args.build.project_arn,
                        secret_arn=secret_arn,
                    )
                )
            ),
        )
        aws.lambda_.FunctionEventInvokeConfig(
            f"{name}-copier",
            function_name=self.copier.name,
            maximum_retry_attempts=2,
            maximum_event_age_in_seconds=3600,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.admission = self._admission(name, args, common) if args.admission else None
        self.register_outputs({"copier_arn": self.copier.arn, "table": self.table.name})

    def _admission(
        self,
        name: str,
        args: ImageMirrorFunctionsArgs,
        common: Mapping[str, pulumi.Input[str]],
    ) -> aws.lambda_.Function:
        called = _function_name(args.settings.cluster.name, "image-admission")
        return self._function(
            f"{name}-admission",
            args,
            function_name=called,
            handler="webhook.lambda_handler.admit",
            timeout=5,
            environment={
                **common,
                "MIRROR_COPIER": self.copier.name,
                "MIRROR_WHEN_ABSENT": args.settings.image_mirror.when_absent,
                "MIRROR_RULES": args.settings.image_mirror.rules_json(),
            },
            reserved_concurrency=args.reserved_concurrency,
            policy=json.dumps(
                policies.admission_policy(
                    args.region,
                    args.account_id,
                    prefix=args.settings.image_mirror.repository_prefix,
                    table_arn=self.table_arn,
                    copier_arn=self.copier_arn,
                    log_arn=_log_arn(args, called),
                )
            ),
        )

    def _function(
        self,
        name: str,
        args: ImageMirrorFunctionsArgs,
        *,
        function_name: str,
        handler: str,
        timeout: int,
        environment: Mapping[str, pulumi.Input[str]],
        policy: pulumi.Input[str],
        reserved_concurrency: int | None = None,
    ) -> aws.lambda_.Function:
        here = pulumi.ResourceOptions(parent=self)
        group = aws.cloudwatch.LogGroup(
            f"{name}-log",
            name=f"/aws/lambda/{function_name}",
            retention_in_days=_LOG_DAYS,
            tags={**args.tags, "Name": f"/aws/lambda/{function_name}"},
            opts=here,
        )
        role = aws.iam.Role(
            f"{name}-role",
            description=f"Lambda function {function_name} of the image mirror",
            assume_role_policy=json.dumps(policies.lambda_trust(args.region)),
            tags={**args.tags, "Name": f"{name}-role"},
            opts=here,
        )
        allowed = aws.iam.RolePolicy(f"{name}-role", role=role.name, policy=policy, opts=here)
        return aws.lambda_.Function(
            name,
            name=function_name,
            runtime=_RUNTIME,
            architectures=[_ARCHITECTURE],
            handler=handler,
            code=handler_archive(),
            role=role.arn,
            memory_size=512,
            timeout=timeout,
            environment={"variables": {key: value for key, value in environment.items() if value}},
            logging_config={"log_format": "Text", "log_group": group.name},
            reserved_concurrent_executions=reserved_concurrency,
            tags={**args.tags, "Name": function_name},
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[allowed], delete_before_replace=True
            ),
        )


def handler_archive() -> pulumi.AssetArchive:
    """The sources of the ``webhook`` package as a Lambda archive, and no byte code."""
    return pulumi.AssetArchive(
        {
            f"webhook/{source.name}": pulumi.FileAsset(str(source))
            for source in sorted(_HANDLER_FOLDER.glob("*.py"))
        }
    )


def _function_name(cluster: str, role: str) -> str:
    return f"{cluster[: _NAME_LIMIT - len(role) - 1]}-{role}"


def _log_arn(args: ImageMirrorFunctionsArgs, function_name: str) -> str:
    group = f"log-group:/aws/lambda/{function_name}"
    return args.region.arn("logs", group, account=args.account_id)
