"""EC2's warnings before the end of an instance, and the queue from which Karpenter reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components.gpu.policies import queue_policy
from settings.context import StackContext

# Karpenter's cloudformation.yaml. A rebalance recommendation becomes a Kubernetes event; Karpenter
# drains nothing for it (concepts/disruption.md).
INTERRUPTIONS: Mapping[str, tuple[str, str]] = {
    "scheduled-change": ("aws.health", "AWS Health Event"),
    "spot-interruption": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "state-change": ("aws.ec2", "EC2 Instance State-change Notification"),
    "reservation-end": ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"),
}
"""Role in the resource's name -> source and detail type of the event."""

QUEUE_RETENTION_SECONDS = 300  # an older warning is about an instance that is gone


class KarpenterInterruptions(pulumi.ComponentResource):
    """The queue, its policy, and the rules that write to it.

    Attributes:
        queue_name: for the controller's settings.
        queue_arn: for the controller's role.
        ready: must exist for every warning to arrive.
    """

    queue_name: pulumi.Output[str]
    queue_arn: pulumi.Output[str]
    ready: Sequence[pulumi.Resource]

    def __init__(
        self, name: str, context: StackContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:KarpenterInterruptions", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        queue = aws.sqs.Queue(
            f"{name}-interruption",
            message_retention_seconds=QUEUE_RETENTION_SECONDS,
            sqs_managed_sse_enabled=True,
            tags=context.tagged(f"{name}-interruption"),
            opts=child,
        )
        admitted = aws.sqs.QueuePolicy(
            f"{name}-interruption",
            queue_url=queue.url,
            policy=queue.arn.apply(lambda arn: json.dumps(queue_policy(context.region, arn))),
            opts=child,
        )
        targets: list[pulumi.Resource] = []
        for role, (source, detail_type) in INTERRUPTIONS.items():
            rule = aws.cloudwatch.EventRule(
                f"{name}-{role}",
                description=f"{detail_type}, for Karpenter",
                event_pattern=json.dumps({"source": [source], "detail-type": [detail_type]}),
                tags=context.tagged(f"{name}-{role}"),
                opts=child,
            )
            targets.append(
                aws.cloudwatch.EventTarget(
                    f"{name}-{role}",
                    rule=rule.name,
                    target_id="interruption-queue",
                    arn=queue.arn,
                    opts=child,
                )
            )
        self.queue_name = queue.name
        self.queue_arn = queue.arn
        self.ready = [admitted, *targets]
        self.register_outputs({"queueName": self.queue_name, "queueArn": self.queue_arn})
