"""The Lambda functions of the image mirror: one starts copies, one may answer admissions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.documents import service_trust
from components.mirror import policies
from components.mirror.build import LOG_DAYS, ImageMirrorBuild
from components.mirror.handler import Copies, handler_archive, handler_variables
from components.registry.policies import lifecycle_policy
from settings.context import StackContext
from settings.sections import ImageMirrorSettings

_RUNTIME = "python3.12"
# Graviton is not offered by Lambda in every partition; x86 is.
_ARCHITECTURE = "x86_64"
_NAME_LIMIT = 64  # of a Lambda function
# Keeps a storm of pods from using up the account's other functions.
_ADMISSIONS_AT_ONCE = 20


@dataclass(frozen=True, kw_only=True)
class ImageMirrorFunctionsArgs:
    """Arguments of ``ImageMirrorFunctions``.

    Attributes:
        context: what all components of the stack share.
        mirror: the setting ``imageMirror``.
        build: the project that makes copies; None where nothing is copied.
        admission: whether a function answers admissions; pods of the cluster may instead.
    """

    context: StackContext
    mirror: ImageMirrorSettings
    build: ImageMirrorBuild | None
    admission: bool = True


class ImageMirrorFunctions(pulumi.ComponentResource):
    """``copier`` where images are copied, ``admission`` where API Gateway asks it.

    The copier is a function of its own so that an admission never waits for another region and
    what faces the network holds no key.

    Attributes:
        admission: the function that answers AdmissionReviews; None where pods do.
        copies: how a missing copy is asked for; None where nothing is copied.
    """

    admission: aws.lambda_.Function | None
    copies: Copies | None

    def __init__(
        self, name: str, args: ImageMirrorFunctionsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:ImageMirrorFunctions", name, None, opts)
        self.copies = self._copies(name, args, args.build) if args.build else None
        self.admission = self._admission(name, args) if args.admission else None
        self.register_outputs({"admission": self.admission.arn if self.admission else None})

    def _copies(self, name: str, args: ImageMirrorFunctionsArgs, build: ImageMirrorBuild) -> Copies:
        cluster, region, account = (
            args.context.cluster,
            args.context.region,
            args.context.account_id,
        )
        prefix = args.context.mirror.prefix
        copier_name = _function_name(cluster, "image-copier")
        copier = self._function(
            f"{name}-copier",
            args,
            function_name=copier_name,
            handler="webhook.lambda_handler.start_copy",
            timeout=90,
            environment={
                "MIRROR_REGISTRY": args.context.image_prefix,
                "MIRROR_TABLE": build.table.name,
                "MIRROR_IN_FLIGHT_SECONDS": str(args.mirror.in_flight_minutes * 60),
                "MIRROR_PROJECT": build.project_name,
                "MIRROR_BUILD_REGION": build.region.name,
                "MIRROR_CREDENTIALS_SECRET": build.start_secret_name,
                "MIRROR_LIFECYCLE": json.dumps(lifecycle_policy()),
                "MIRROR_TAGS": json.dumps(dict(args.context.tags), sort_keys=True),
            },
            policy=pulumi.Output.from_input(build.start_secret_arn).apply(
                lambda secret_arn: json.dumps(
                    policies.copier_policy(
                        region,
                        account,
                        prefix=prefix,
                        table_arn=build.table_arn,
                        log_arn=_log_arn(args, copier_name),
                        project_arn=None if secret_arn else build.project_arn,
                        secret_arn=secret_arn,
                    )
                )
            ),
        )
        aws.lambda_.FunctionEventInvokeConfig(
            f"{name}-copier",
            function_name=copier.name,
            maximum_retry_attempts=2,
            maximum_event_age_in_seconds=3600,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return Copies(
            table=build.table,
            table_arn=build.table_arn,
            copier=copier,
            copier_arn=region.arn("lambda", f"function:{copier_name}", account=account),
        )

    def _admission(self, name: str, args: ImageMirrorFunctionsArgs) -> aws.lambda_.Function:
        called = _function_name(args.context.cluster, "image-admission")
        log_arn = _log_arn(args, called)
        allowed = (
            self.copies.admission_policy(
                args.context.region,
                args.context.account_id,
                prefix=args.context.mirror.prefix,
                log_arn=log_arn,
            )
            if self.copies
            else policies.log_policy(log_arn)
        )
        return self._function(
            f"{name}-admission",
            args,
            function_name=called,
            handler="webhook.lambda_handler.admit",
            timeout=5,
            environment=handler_variables(args.context, args.mirror, self.copies),
            reserved_concurrency=_ADMISSIONS_AT_ONCE,
            policy=json.dumps(allowed),
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
            retention_in_days=LOG_DAYS,
            tags=args.context.tagged(f"/aws/lambda/{function_name}"),
            opts=here,
        )
        role = aws.iam.Role(
            f"{name}-role",
            description=f"Lambda function {function_name} of the image mirror",
            assume_role_policy=json.dumps(service_trust(args.context.region, "lambda")),
            tags=args.context.tagged(f"{name}-role"),
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
            tags=args.context.tagged(function_name),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[allowed], delete_before_replace=True
            ),
        )


def _function_name(cluster: str, role: str) -> str:
    return f"{cluster[: _NAME_LIMIT - len(role) - 1]}-{role}"


def _log_arn(args: ImageMirrorFunctionsArgs, function_name: str) -> str:
    group = f"log-group:/aws/lambda/{function_name}"
    return args.context.region.arn("logs", group, account=args.context.account_id)
