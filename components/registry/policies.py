"""What may be done with the repositories of the stack's own registry, as data."""

from __future__ import annotations

from components.aws.documents import Document, allow, document
from regions.region import Region


def repositories(region: Region, account: str, prefix: str) -> str:
    """The ARN pattern of every repository below ``prefix``."""
    return region.arn("ecr", f"repository/{prefix}/*", account=account)


def pull_through_policy(region: Region, account: str, prefix: str) -> Document:
    """A node whose pull makes ECR fetch the image, with its repository and that one's tags.

    All three are needed by whoever pulls first (docs.aws.amazon.com/AmazonECR/latest/userguide/
    pull-through-cache-iam.html); pulling itself is in AWS's own policy for nodes.
    """
    first = ("ecr:BatchImportUpstreamImage", "ecr:CreateRepository", "ecr:TagResource")
    return document(allow(first, repositories(region, account, prefix)))


def repository_creation_policy(region: Region, account: str, prefix: str) -> Document:
    """ECR's own role while it makes a repository from a template with tags.

    docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-custom.html.
    """
    made = ("ecr:CreateRepository", "ecr:ReplicateImage", "ecr:TagResource")
    return document(allow(made, repositories(region, account, prefix)))


def lifecycle_policy(untagged_days: int = 90) -> Document:
    """Sweeps away images whose tag moved on, after long enough for nodes that still run them.

    Every copy has a tag (``webhook.mirror.target_tag``), and ECR keeps the untagged parts of a
    multi-platform image as long as its index is there.
    """
    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": f"images without a tag, {untagged_days} days after their push",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": untagged_days,
                },
                "action": {"type": "expire"},
            }
        ]
    }
