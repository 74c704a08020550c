"""One ECR repository for each image the platform is known to pull."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.image_mirror_policies import lifecycle_policy
from webhook.reference import parse


@dataclass(frozen=True, kw_only=True)
class ImageRepositoriesArgs:
    """Arguments of ``ImageRepositories``.

    Attributes:
        prefix: the account's own prefix of every repository.
        images: source images; several tags of one image share a repository.
        tags: AWS tags.
        force_delete: whether ``destroy`` also deletes the images in them (they are only copies).
    """

    prefix: str
    images: Sequence[str]
    tags: Mapping[str, str]
    force_delete: bool = True


class ImageRepositories(pulumi.ComponentResource):
    """ECR repositories, scanned on push and encrypted, each with the lifecycle rule of the mirror.

    Tags stay mutable: a mirror must follow an upstream tag that moves (``latest``, ``3.9``); what
    must not move is pulled by digest. Repositories of images that only users bring are made by the
    mirror itself (``webhook.copy_job``) with the same settings.
    """

    names: tuple[str, ...]
    """The repositories, with prefix, sorted."""

    def __init__(
        self,
        name: str,
        args: ImageRepositoriesArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubeflow:platform:ImageRepositories", name, None, opts)
        sources = mirrored_repositories(args.images)
        self.names = tuple(f"{args.prefix}/{source}" for source in sources)
        for source, full_name in zip(sources, self.names, strict=True):
            repository = aws.ecr.Repository(
                f"{name}-{source}",
                name=full_name,
                image_tag_mutability="MUTABLE",
                image_scanning_configuration={"scan_on_push": True},
                encryption_configurations=[{"encryption_type": "AES256"}],
                force_delete=args.force_delete,
                tags={**args.tags, "Name": full_name},
                # The mirror may have made it first, and a name is free only after its deletion.
                opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
            )
            aws.ecr.LifecyclePolicy(
                f"{name}-{source}",
                repository=repository.name,
                policy=pulumi.Output.json_dumps(lifecycle_policy()),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"names": list(self.names)})


def mirrored_repositories(images: Iterable[str]) -> list[str]:
    """The distinct repositories (without prefix) that hold the copies of ``images``, sorted.

    Images of a private ECR registry need no copy. Raises InvalidReference for what is no image.
    """
    sources = (parse(image) for image in images)
    return sorted({source.mirrored_repository for source in sources if not source.ecr_region})
