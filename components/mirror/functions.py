"""The Lambda functions of the image mirror: one starts copies, one may answer admissions."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components.aws.trust import service_trust
from components.mirror import policies
from components.mirror.build import ImageMirrorBuild, log_group
from components.mirror.handler import Copies, handler_archive, handler_variables
from settings.mirror_context import MirrorContext

_RUNTIME = "python3.12"
# Graviton is not offered by Lambda in every partition; x86 is.
_ARCHITECTURE = "x86_64"
_NAME_LIMIT = 64  # of a Lambda function
ADMISSIONS_AT_ONCE = 20
"""Leaves the account's concurrency to its other functions when many pods start at once."""


class ImageMirrorFunctions(pulumi.ComponentResource):
    """The copier where images are copied, the admission function where API Gateway invokes it.

    The copier is a function of its own so that an admission never waits for another region and
    the function that faces the network holds no key.

    Args:
        context: of the cluster and its account.
        build: the project that makes copies; None where nothing is copied.
        data: files beside the handler's code: name within the archive -> text.
        answers_admissions: False where pods of the cluster do instead.

    Attributes:
        admission: the function that answers AdmissionReviews; None where pods do.
        copies: what a handler uses to request a missing copy; None where nothing is copied.
    """

    def __init__(
        self,
        name: str,
        context: MirrorContext,
        build: ImageMirrorBuild | None,
        *,
        data: Mapping[str, str],
        answers_admissions: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubeflow:platform:ImageMirrorFunctions", name, None, opts)
        self._context, self._data = context, data
        self.copies = self._copies(f"{name}-copier", build) if build else None
        self.admission = self._admission(f"{name}-admission") if answers_admissions else None
        self.register_outputs({"admission": self.admission.arn if self.admission else None})

    def _copies(self, name: str, build: ImageMirrorBuild) -> Copies:
        context = self._context
        function_name = _function_name(context.cluster, "image-copier")
        copier = self._function(
            name,
            function_name=function_name,
            handler="webhook.lambda_handler.start_copy",
            timeout=90,
            environment={
                "MIRROR_REGISTRY": context.image_prefix,
                "MIRROR_TABLE": build.table.name,
                "MIRROR_IN_FLIGHT_SECONDS": str(context.mirror.settings.in_flight_minutes * 60),
                "MIRROR_BUDGETS": context.mirror.settings.budgets.as_json(),
                "MIRROR_PROJECT": build.project_name,
                "MIRROR_BUILD_REGION": build.region.name,
                "MIRROR_CREDENTIALS_SECRET": build.start_secret_name,
            },
            policy=pulumi.Output.from_input(build.start_secret_arn).apply(
                lambda secret_arn: json.dumps(
                    policies.copier_policy(
                        table_arn=build.table_arn,
                        log_arn=self._log_arn(function_name),
                        project_arn=build.project_arn,
                        secret_arn=secret_arn,
                    )
                )
            ),
        )
        aws.lambda_.FunctionEventInvokeConfig(
            name,
            function_name=copier.name,
            maximum_retry_attempts=2,
            maximum_event_age_in_seconds=3600,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._search(f"{name}-search", copier, function_name)
        return Copies(
            table=build.table,
            table_arn=build.table_arn,
            copier=copier,
            copier_arn=context.region.arn(
                "lambda", f"function:{function_name}", account=context.account_id
            ),
        )

    def _search(self, name: str, copier: aws.lambda_.Function, function_name: str) -> None:
        """Has the copier look for waiting images once a minute; where none wait, it reads one row.

        A reserved concurrency would bound the copier too, but an account has to keep 100 unreserved
        executions, and a new one has 10 in all. The budgets bound its invocations.
        """
        context, own = self._context, pulumi.ResourceOptions(parent=self)
        rule = aws.cloudwatch.EventRule(
            name,
            description=f"Images that wait for a copy, to {function_name}",
            schedule_expression="rate(1 minute)",
            tags=context.tagged(name),
            opts=own,
        )
        aws.lambda_.Permission(
            name,
            function=copier.name,
            action="lambda:InvokeFunction",
            principal=context.region.service_principal("events"),
            source_arn=rule.arn,
            opts=own,
        )
        aws.cloudwatch.EventTarget(
            name, rule=rule.name, target_id="image-copier", arn=copier.arn, opts=own
        )

    def _admission(self, name: str) -> aws.lambda_.Function:
        context, copies = self._context, self.copies
        function_name = _function_name(context.cluster, "image-admission")
        log_arn = self._log_arn(function_name)
        return self._function(
            name,
            function_name=function_name,
            handler="webhook.lambda_handler.admit",
            timeout=5,
            environment=handler_variables(context, copies),
            reserved_concurrency=ADMISSIONS_AT_ONCE,
            policy=json.dumps(
                policies.admission_policy(
                    context,
                    table_arn=copies.table_arn,
                    copier_arn=copies.copier_arn,
                    log_arn=log_arn,
                )
                if copies
                else policies.log_policy(log_arn)
            ),
        )

    def _function(
        self,
        name: str,
        *,
        function_name: str,
        handler: str,
        timeout: int,
        environment: Mapping[str, pulumi.Input[str]],
        policy: pulumi.Input[str],
        reserved_concurrency: int | None = None,
    ) -> aws.lambda_.Function:
        context, own = self._context, pulumi.ResourceOptions(parent=self)
        group = log_group(f"{name}-log", f"/aws/lambda/{function_name}", context, own)
        role = aws.iam.Role(
            f"{name}-role",
            description=f"Lambda function {function_name} of the image mirror",
            assume_role_policy=json.dumps(service_trust(context.region, "lambda")),
            **context.identity,
            tags=context.tagged(f"{name}-role"),
            opts=own,
        )
        rights = aws.iam.RolePolicy(f"{name}-role", role=role.name, policy=policy, opts=own)
        return aws.lambda_.Function(
            name,
            name=function_name,
            runtime=_RUNTIME,
            architectures=[_ARCHITECTURE],
            handler=handler,
            code=handler_archive(self._data),
            role=role.arn,
            memory_size=512,
            timeout=timeout,
            environment={"variables": {key: value for key, value in environment.items() if value}},
            logging_config={"log_format": "Text", "log_group": group.name},
            reserved_concurrent_executions=reserved_concurrency,
            tags=context.tagged(function_name),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[rights], delete_before_replace=True
            ),
        )

    def _log_arn(self, function_name: str) -> str:
        group = f"log-group:/aws/lambda/{function_name}"
        return self._context.region.arn("logs", group, account=self._context.account_id)


def _function_name(cluster: str, role: str) -> str:
    return f"{cluster[: _NAME_LIMIT - len(role) - 1]}-{role}"
