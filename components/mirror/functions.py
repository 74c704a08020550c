"""The Lambda functions of the image mirror: one starts copies, one may answer admissions."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components.mirror import policies
from components.mirror.build import ImageMirrorBuild
from components.mirror.events import ImageMirrorEvents
from components.mirror.handler import Copies, handler_variables
from components.mirror.lambda_function import FunctionNames, function_role, lambda_function
from settings.mirror_context import MirrorContext

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
        events: posts what became of pods' images; None: nobody does.

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
        events: ImageMirrorEvents | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubeflow:platform:ImageMirrorFunctions", name, None, opts)
        self._context, self._data, self._events = context, data, events
        self.copies = self._copies(f"{name}-copier", build) if build else None
        self.admission = self._admission(f"{name}-admission") if answers_admissions else None
        self.register_outputs({"admission": self.admission.arn if self.admission else None})

    def _copies(self, name: str, build: ImageMirrorBuild) -> Copies:
        context, own = self._context, pulumi.ResourceOptions(parent=self)
        names = FunctionNames.of(name, context, "image-copier")
        policy = pulumi.Output.from_input(build.start_secret_arn).apply(
            lambda secret_arn: json.dumps(
                policies.copier_policy(
                    table_arn=build.table_arn,
                    log_arn=names.log_arn,
                    project_arn=build.project_arn,
                    secret_arn=secret_arn,
                )
            )
        )
        copier = lambda_function(
            names,
            context,
            function_role(names, context, policy, own),
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
            data=self._data,
            own=own,
        )
        aws.lambda_.FunctionEventInvokeConfig(
            name,
            function_name=copier.name,
            maximum_retry_attempts=2,
            maximum_event_age_in_seconds=3600,
            opts=own,
        )
        self._search(f"{name}-search", copier, names.function)
        return Copies(
            table=build.table, table_arn=build.table_arn, copier=copier, copier_arn=names.arn
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
        context, copies, events = self._context, self.copies, self._events
        own = pulumi.ResourceOptions(parent=self)
        names = FunctionNames.of(name, context, "image-admission")
        invoked = [*([copies.copier_arn] if copies else []), *([events.arn] if events else [])]
        policy = policies.admission_policy(
            context,
            table_arn=copies.table_arn if copies else None,
            invoked=invoked,
            log_arn=names.log_arn,
        )
        return lambda_function(
            names,
            context,
            function_role(names, context, json.dumps(policy), own),
            handler="webhook.lambda_handler.admit",
            timeout=5,
            environment={
                **handler_variables(context, copies),
                "MIRROR_EVENTS": events.function.name if events else "",
            },
            data=self._data,
            reserved_concurrency=ADMISSIONS_AT_ONCE,
            own=own,
        )
