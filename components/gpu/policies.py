"""Who Karpenter is in AWS: the controller's permissions and the policy of its queue, as pure data.

Statement by statement as in Karpenter's own template (aws/karpenter-provider-aws 1d92708, website/
content/en/docs/getting-started/getting-started-with-karpenter/cloudformation.yaml), split as there
into several policies, because one that holds all would pass IAM's limit of 6,144 characters only
while names are short. Three kinds of statement of that template are missing on purpose:

- Creating, tagging, filling and deleting instance profiles. The pool's EC2NodeClass names a profile
  that exists (``spec.instanceProfile``), and then Karpenter makes none (pkg/controllers/nodeclass/
  instanceprofile.go). Listing and reading stay: the finalizer and the garbage collector look for
  profiles of their own even so (nodeclass/controller.go cleanupManagedInstanceProfiles).
- Reading prices, where no region offers a price API to Karpenter (GovCloud, pricing.go), or where
  the stack brings prices of its own.
- Reading zonal shifts: the feature is off.
"""

from __future__ import annotations

from typing import Any

from components.aws.documents import Document, document
from regions.region import Region

# What a launch makes: all of it carries the cluster's tags, which every other statement asks for.
_LAUNCHED = (
    "fleet",
    "instance",
    "volume",
    "network-interface",
    "launch-template",
    "spot-instances-request",
)
_LAUNCH = ["ec2:RunInstances", "ec2:CreateFleet"]
_ANY_POOL = "karpenter.sh/nodepool"


def node_lifecycle_policy(region: Region, cluster_name: str) -> Document:
    """Launching, tagging and ending instances, all bound to the cluster's tags."""
    owner = f"kubernetes.io/cluster/{cluster_name}"
    launched = [region.arn("ec2", f"{kind}/*", account="*") for kind in _LAUNCHED]
    instance = region.arn("ec2", "instance/*", account="*")
    template = region.arn("ec2", "launch-template/*", account="*")
    owned = {
        "StringEquals": {f"aws:ResourceTag/{owner}": "owned"},
        "StringLike": {f"aws:ResourceTag/{_ANY_POOL}": "*"},
    }
    asked = {
        f"aws:RequestTag/{owner}": "owned",
        "aws:RequestTag/eks:eks-cluster-name": cluster_name,
    }
    of_a_pool = {f"aws:RequestTag/{_ANY_POOL}": "*"}
    return document(
        {
            "Sid": "AllowScopedEC2InstanceAccessActions",
            "Effect": "Allow",
            "Action": _LAUNCH,
            "Resource": [
                region.arn("ec2", "image/*"),
                region.arn("ec2", "snapshot/*"),
                region.arn("ec2", "security-group/*", account="*"),
                region.arn("ec2", "subnet/*", account="*"),
                region.arn("ec2", "capacity-reservation/*", account="*"),
                region.arn("ec2", "placement-group/*", account="*"),
            ],
        },
        {
            "Sid": "AllowScopedEC2LaunchTemplateAccessActions",
            "Effect": "Allow",
            "Action": _LAUNCH,
            "Resource": template,
            "Condition": owned,
        },
        {
            "Sid": "AllowScopedEC2InstanceActionsWithTags",
            "Effect": "Allow",
            "Action": [*_LAUNCH, "ec2:CreateLaunchTemplate"],
            "Resource": launched,
            "Condition": {"StringEquals": asked, "StringLike": of_a_pool},
        },
        {
            "Sid": "AllowScopedResourceCreationTagging",
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": launched,
            "Condition": {
                "StringEquals": {
                    **asked,
                    "ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"],
                },
                "StringLike": of_a_pool,
            },
        },
        {
            "Sid": "AllowScopedResourceTagging",
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": instance,
            "Condition": {
                **owned,
                "StringEqualsIfExists": {"aws:RequestTag/eks:eks-cluster-name": cluster_name},
                "ForAllValues:StringEquals": {
                    "aws:TagKeys": ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"]
                },
            },
        },
        {
            "Sid": "AllowScopedDeletion",
            "Effect": "Allow",
            "Action": ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
            "Resource": [instance, template],
            "Condition": owned,
        },
    )


def node_identity_policy(
    region: Region, account_id: str, node_role_arn: str, *, spot: bool
) -> Document:
    """Giving the node role to instances; with ``spot``, EC2's own role for Spot on first use.

    The service-linked role exists once per account. As a resource of this stack it would clash with
    every other user of Spot in the account; allowed here, EC2 makes it when the first Spot request
    finds none, which otherwise fails with ServiceLinkedRoleCreationNotPermitted (Karpenter's
    troubleshooting.md, "Missing Service Linked Role").
    """
    pass_role = {
        "Sid": "AllowPassingInstanceRole",
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": node_role_arn,
        "Condition": {"StringEquals": {"iam:PassedToService": list(region.passed_to_ec2)}},
    }
    if not spot:
        return document(pass_role)
    service = region.service_principal("spot")
    role = f"role/aws-service-role/{service}/AWSServiceRoleForEC2Spot"
    return document(
        pass_role,
        {
            "Sid": "AllowSpotServiceLinkedRole",
            "Effect": "Allow",
            "Action": "iam:CreateServiceLinkedRole",
            "Resource": region.arn("iam", role, account=account_id, region=""),
            "Condition": {"StringEquals": {"iam:AWSServiceName": service}},
        },
    )


def cluster_discovery_policy(region: Region, account_id: str, cluster_name: str) -> Document:
    """Reading this cluster's endpoint, certificate and address range."""
    return document(
        {
            "Sid": "AllowAPIServerEndpointDiscovery",
            "Effect": "Allow",
            "Action": "eks:DescribeCluster",
            "Resource": region.arn("eks", f"cluster/{cluster_name}", account=account_id),
        }
    )


def interruption_policy(queue_arn: str) -> Document:
    """Receiving what EC2 says about its instances."""
    return document(
        {
            "Sid": "AllowInterruptionQueueActions",
            "Effect": "Allow",
            "Action": ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"],
            "Resource": queue_arn,
        }
    )


def resource_discovery_policy(
    region: Region, account_id: str, *, asks_for_prices: bool
) -> Document:
    """Reading what can be launched here, and with ``asks_for_prices`` at what price."""
    profiles = region.arn("iam", "instance-profile/*", account=account_id, region="")
    statements: list[dict[str, Any]] = [
        {
            "Sid": "AllowRegionalReadActions",
            "Effect": "Allow",
            "Action": [
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
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": region.name}},
        },
        {
            "Sid": "AllowSSMReadActions",
            "Effect": "Allow",
            "Action": "ssm:GetParameter",
            "Resource": region.arn("ssm", "parameter/aws/service/*"),
        },
        {
            "Sid": "AllowUnscopedInstanceProfileListAction",
            "Effect": "Allow",
            "Action": "iam:ListInstanceProfiles",
            "Resource": "*",
        },
        {
            "Sid": "AllowInstanceProfileReadActions",
            "Effect": "Allow",
            "Action": "iam:GetInstanceProfile",
            "Resource": profiles,
        },
    ]
    if asks_for_prices:
        # No region condition: the prices of both China regions are read in one of them.
        statements.append(
            {
                "Sid": "AllowPricingReadActions",
                "Effect": "Allow",
                "Action": "pricing:GetProducts",
                "Resource": "*",
            }
        )
    return document(*statements)


def queue_policy(region: Region, queue_arn: str) -> Document:
    """Who may write to the interruption queue: EventBridge and SQS itself, over TLS only."""
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
