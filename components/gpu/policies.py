"""The policies of Karpenter's controller (``policies.yaml``) and of its queue."""

from __future__ import annotations

import json
from pathlib import Path

import pulumi
import yaml

from components.aws.documents import Document, deny_without_tls, document
from components.objects.kubernetes_objects import bind
from regions.region import Region

_FILE = Path(__file__).with_suffix(".yaml")


def controller_policies(
    region: Region,
    *,
    account_id: str,
    cluster_name: str,
    node_role_arn: pulumi.Input[str],
    queue_arn: pulumi.Input[str],
    spot: bool,
    asks_for_prices: bool,
) -> dict[str, pulumi.Input[str]]:
    """The controller's policies as JSON, by a part of their resources' names.

    Args:
        region: of the cluster.
        account_id: of the cluster.
        cluster_name: whose tags limit every change.
        node_role_arn: the one role the controller may give to instances.
        queue_arn: the one queue the controller may read.
        spot: whether a pool uses Spot instances.
        asks_for_prices: whether the controller calls the price API.
    """
    policies = yaml.safe_load(_FILE.read_text("utf-8"))
    passing = policies["node-identity"]["AllowPassingInstanceRole"]["Condition"]["StringEquals"]
    passing["iam:PassedToService"] = list(region.ec2_principals)
    if not spot:
        del policies["node-identity"]["AllowSpotServiceLinkedRole"]
    if not asks_for_prices:
        del policies["resource-discovery"]["AllowPricingReadActions"]
    values = {
        "partition": region.partition,
        "region": region.name,
        "account": account_id,
        "cluster": cluster_name,
        "node-role": node_role_arn,
        "queue": queue_arn,
        "spot": region.service_principal("spot"),
    }
    documents = {
        part: document(*({"Sid": sid, "Effect": "Allow", **rest} for sid, rest in own.items()))
        for part, own in policies.items()
    }
    return {part: bind(json.dumps(policy), values) for part, policy in documents.items()}


def queue_policy(region: Region, queue_arn: str) -> Document:
    """The queue's policy: EventBridge and SQS itself may write, and all access needs TLS."""
    senders = [region.service_principal("events"), region.service_principal("sqs")]
    return document(
        {
            "Sid": "AllowEvents",
            "Effect": "Allow",
            "Principal": {"Service": senders},
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
        },
        deny_without_tls("DenyHTTP", "sqs:*", queue_arn),
    )
