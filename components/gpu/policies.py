"""The policies of Karpenter's controller and of its queue, as pure data.

Statement by statement as in Karpenter's own template (aws/karpenter-provider-aws 1d92708, website/
content/en/docs/getting-started/getting-started-with-karpenter/cloudformation.yaml), and split as
there: one policy of all statements would fit IAM's limit of 6,144 characters only with short names.
Three kinds of statement of that template are left out:

- Creating, tagging, filling and deleting instance profiles. The pool's EC2NodeClass names a profile
  that exists (``spec.instanceProfile``), and then Karpenter makes none (pkg/controllers/nodeclass/
  instanceprofile.go). Listing and reading stay: the finalizer and the garbage collector search for
  Karpenter's own profiles in any case (nodeclass/controller.go cleanupManagedInstanceProfiles).
- Reading prices, where no region offers a price API to Karpenter (GovCloud, pricing.go), or where
  the stack has a price table.
- Reading zonal shifts: the feature is off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.aws.documents import Document, document
from regions.region import Region

# A launch makes these; all carry the cluster's tags, which every other statement requires.
_LAUNCHED = (
    *("fleet", "instance", "volume"),
    *("network-interface", "launch-template", "spot-instances-request"),
)
_LAUNCH = ["ec2:RunInstances", "ec2:CreateFleet"]
_ANY_POOL = "karpenter.sh/nodepool"


def _allow(
    sid: str, action: str | Sequence[str], resource: str | Sequence[str], **condition: Any
) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def node_lifecycle_policy(region: Region, cluster_name: str) -> Document:
    """Launching, tagging and terminating instances, all limited to the cluster's tags."""
    owner = f"kubernetes.io/cluster/{cluster_name}"
    launched = [region.arn("ec2", f"{kind}/*", account="*") for kind in _LAUNCHED]
    instance = region.arn("ec2", "instance/*", account="*")
    template = region.arn("ec2", "launch-template/*", account="*")
    owned = {
        "StringEquals": {f"aws:ResourceTag/{owner}": "owned"},
        "StringLike": {f"aws:ResourceTag/{_ANY_POOL}": "*"},
    }
    requested = {
        f"aws:RequestTag/{owner}": "owned",
        "aws:RequestTag/eks:eks-cluster-name": cluster_name,
    }
    creations = {"ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"]}
    of_a_pool = {f"aws:RequestTag/{_ANY_POOL}": "*"}
    keys = ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"]
    used = ("security-group", "subnet", "capacity-reservation", "placement-group")
    return document(
        _allow(
            "AllowScopedEC2InstanceAccessActions",
            _LAUNCH,
            [
                region.arn("ec2", "image/*"),
                region.arn("ec2", "snapshot/*"),
                *(region.arn("ec2", f"{kind}/*", account="*") for kind in used),
            ],
        ),
        _allow("AllowScopedEC2LaunchTemplateAccessActions", _LAUNCH, template, **owned),
        _allow(
            "AllowScopedEC2InstanceActionsWithTags",
            [*_LAUNCH, "ec2:CreateLaunchTemplate"],
            launched,
            StringEquals=requested,
            StringLike=of_a_pool,
        ),
        _allow(
            "AllowScopedResourceCreationTagging",
            "ec2:CreateTags",
            launched,
            StringEquals={**requested, **creations},
            StringLike=of_a_pool,
        ),
        _allow(
            "AllowScopedResourceTagging",
            "ec2:CreateTags",
            instance,
            **owned,
            StringEqualsIfExists={"aws:RequestTag/eks:eks-cluster-name": cluster_name},
            **{"ForAllValues:StringEquals": {"aws:TagKeys": keys}},
        ),
        _allow(
            "AllowScopedDeletion",
            ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
            [instance, template],
            **owned,
        ),
    )


def node_identity_policy(
    region: Region, account_id: str, node_role_arn: str, *, spot: bool
) -> Document:
    """Passing the node role to instances; with ``spot``, EC2's own role for Spot on first use.

    The service-linked role exists once per account, so it cannot be a resource of one stack. With
    this right EC2 makes it for the first Spot request, which otherwise fails with
    ServiceLinkedRoleCreationNotPermitted (Karpenter's troubleshooting.md, "Missing Service Linked
    Role").
    """
    pass_role = _allow(
        "AllowPassingInstanceRole",
        "iam:PassRole",
        node_role_arn,
        StringEquals={"iam:PassedToService": list(region.passed_to_ec2)},
    )
    if not spot:
        return document(pass_role)
    service = region.service_principal("spot")
    role = f"role/aws-service-role/{service}/AWSServiceRoleForEC2Spot"
    return document(
        pass_role,
        _allow(
            "AllowSpotServiceLinkedRole",
            "iam:CreateServiceLinkedRole",
            region.arn("iam", role, account=account_id, region=""),
            StringEquals={"iam:AWSServiceName": service},
        ),
    )


def cluster_discovery_policy(region: Region, account_id: str, cluster_name: str) -> Document:
    """Reading this cluster's endpoint, certificate and address range."""
    cluster = region.arn("eks", f"cluster/{cluster_name}", account=account_id)
    return document(_allow("AllowAPIServerEndpointDiscovery", "eks:DescribeCluster", cluster))


def interruption_policy(queue_arn: str) -> Document:
    """Receiving EC2's warnings about its instances."""
    actions = ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"]
    return document(_allow("AllowInterruptionQueueActions", actions, queue_arn))


def resource_discovery_policy(
    region: Region, account_id: str, *, asks_for_prices: bool
) -> Document:
    """Reading what can be launched in the region, and with ``asks_for_prices`` at what price."""
    profiles = region.arn("iam", "instance-profile/*", account=account_id, region="")
    parameters = region.arn("ssm", "parameter/aws/service/*")
    statements = [
        _allow(
            "AllowRegionalReadActions",
            [
                "ec2:DescribeCapacityReservations",
                "ec2:DescribeImages",
                "ec2:DescribeInstances",
                "ec2:DescribeInstanceStatus",
                "ec2:DescribeInstanceTypeOfferings",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeLaunchTemplates",
                "ec2:DescribePlacementGroups",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSpotPriceHistory",
                "ec2:DescribeSubnets",
            ],
            "*",
            StringEquals={"aws:RequestedRegion": region.name},
        ),
        _allow("AllowSSMReadActions", "ssm:GetParameter", parameters),
        _allow("AllowUnscopedInstanceProfileListAction", "iam:ListInstanceProfiles", "*"),
        _allow("AllowInstanceProfileReadActions", "iam:GetInstanceProfile", profiles),
    ]
    if asks_for_prices:
        # No region condition: the prices of both China regions are read in one of them.
        statements.append(_allow("AllowPricingReadActions", "pricing:GetProducts", "*"))
    return document(*statements)


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
        {
            "Sid": "DenyHTTP",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": queue_arn,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    )
