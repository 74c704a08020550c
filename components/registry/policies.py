"""The rights to the repositories of the stack's own registry, as data."""

from __future__ import annotations

from components.aws.documents import Document, allow, document
from settings.mirror_context import MirrorContext


def repositories(context: MirrorContext) -> str:
    """The ARN pattern of every repository of the stack's images."""
    path = f"repository/{context.repository_prefix}/*"
    return context.region.arn("ecr", path, account=context.account_id)


def pull_through_policy(context: MirrorContext) -> Document:
    """The policy of a node whose pull makes ECR fetch the image and create a repository with tags.

    The first to pull needs all three (docs.aws.amazon.com/AmazonECR/latest/userguide/
    pull-through-cache-iam.html); pulling itself is in AWS's own policy for nodes.
    """
    actions = ("ecr:BatchImportUpstreamImage", "ecr:CreateRepository", "ecr:TagResource")
    return document(allow(actions, repositories(context)))


def image_reading_policy(context: MirrorContext) -> Document:
    """The policy of a program that reads the configuration of images as nodes may.

    The policies of their repositories decide about images of other accounts, as for nodes. Where
    ECR pulls through, a look-up may be the first request for an image.
    """
    everything = context.region.arn("ecr", "repository/*", account="*", region="*")
    return document(
        allow(("ecr:GetAuthorizationToken",), "*"),
        allow(("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"), everything),
        *(pull_through_policy(context)["Statement"] if context.mirror.cached is not None else ()),
    )


def repository_creation_policy(context: MirrorContext) -> Document:
    """The policy of ECR's own role while it creates a repository from a template with tags.

    docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-custom.html.
    """
    actions = ("ecr:CreateRepository", "ecr:ReplicateImage", "ecr:TagResource")
    return document(allow(actions, repositories(context)))


def lifecycle_policy() -> Document:
    """Deletes images that lost their tag, after 90 days, for nodes that still run them.

    Every copy has a tag (``webhook.mirror.target_tag``), and ECR does not delete the untagged parts
    of a multi-platform image as long as its index exists.
    """
    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": "images without a tag, 90 days after their push",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 90,
                },
                "action": {"type": "expire"},
            }
        ]
    }
