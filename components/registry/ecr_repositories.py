"""ECR repositories of copies: created where they are missing, corrected where they differ.

No Pulumi: used by the resource ``ImageRepositories`` and by ``./kf images mirror``, over any ECR
client. The webhook or a person may create a repository first. Stacks may share repositories: each
marks with a tag of its own what it made and what it found, and deletes what it alone names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from components.registry.policies import lifecycle_policy
from images.reference import Reference, parse
from webhook.claims import error_code
from webhook.copy_job import MADE, USED, marks_of, new_repository, stack_tag

PARALLEL = 8
"""Repositories at a time, and connections of a client."""


def copied_to(images: Iterable[str], prefix: str) -> list[tuple[str, Reference]]:
    """The repository of each image's copy, and the image; those of private ECR need no copy.

    Raises:
        InvalidReference: a text is no image reference.
    """
    sources = (parse(image) for image in images)
    return [(f"{prefix}/{s.mirrored_repository}", s) for s in sources if not s.ecr_region]


def mutability(copies: Iterable[tuple[str, Reference]]) -> dict[str, str]:
    """Repository -> ``imageTagMutability``, sorted.

    Immutable where every image of a repository is named by digest: each copy has a tag of its own
    that never moves. Elsewhere tags follow their source
    (docs/decisions/0016-immutable-tags-for-digests-only.md).
    """
    moving: dict[str, bool] = {}
    for repository, source in copies:
        moving[repository] = moving.get(repository, False) or not source.digest
    return {name: "MUTABLE" if moving[name] else "IMMUTABLE" for name in sorted(moving)}


@dataclass(frozen=True)
class EcrRepositories:
    """The repositories of one registry; every call may raise ClientError or BotoCoreError.

    Attributes:
        ecr: boto3's ECR client.
        tags: of every repository that it creates, besides its ``Name``.
        cluster: of the stack.
    """

    ecr: Any
    tags: Mapping[str, str]
    cluster: str

    def existing(self) -> dict[str, dict[str, Any]]:
        """Every repository of the registry, by name, as ECR describes it."""
        pages = self.ecr.get_paginator("describe_repositories").paginate(
            PaginationConfig={"PageSize": 1000}
        )
        return {repo["repositoryName"]: repo for page in pages for repo in page["repositories"]}

    def prepare(self, mutability: Mapping[str, str]) -> list[str]:
        """Creates missing repositories, corrects those that differ, marks all as the stack's.

        Of a repository that the stack did not make, all tags stay. Tags of images may move where
        any of its stacks needs that.

        Args:
            mutability: repository -> its ``imageTagMutability``.

        Returns:
            The repositories it created.
        """
        existing = self.existing()

        def prepare_one(name: str) -> None:
            tags = {**self.tags, "Name": name, self._own_tag: MADE}
            request = new_repository(name, tags, mutability[name])
            self._correct(existing.get(name) or self._create(request), request)

        self._for_each(prepare_one, mutability)
        return [name for name in mutability if name not in existing]

    def delete(self, names: Iterable[str]) -> None:
        """Deletes, with all images, which are copies, what the stack made and no other stack names.

        Of the others the stack's own mark is removed.
        """
        self._for_each(self._delete_one, names)

    @property
    def _own_tag(self) -> str:
        return stack_tag(self.cluster)

    def _is_alone(self, tags: Iterable[Mapping[str, str]]) -> bool:
        """Whether the stack made the repository with these tags, and no other uses it."""
        return marks_of({tag["Key"]: tag["Value"] for tag in tags}) == {self.cluster: MADE}

    def _for_each(self, action: Callable[[str], None], names: Iterable[str]) -> None:
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="ecr") as executor:
            list(executor.map(action, names))

    def _create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self.ecr.create_repository(**request)["repository"]
        except ClientError as refused:
            # A build of the mirror may have created it meanwhile.
            if error_code(refused) != "RepositoryAlreadyExistsException":
                raise
            names = [request["repositoryName"]]
            return self.ecr.describe_repositories(repositoryNames=names)["repositories"][0]

    def _correct(self, described: Mapping[str, Any], request: Mapping[str, Any]) -> None:
        name, arn = described["repositoryName"], described["repositoryArn"]
        present = self.ecr.list_tags_for_resource(resourceArn=arn)["tags"]
        made = {"Key": self._own_tag, "Value": MADE} in present
        tags = request["tags"] if made else [{"Key": self._own_tag, "Value": USED}]
        mutability = request["imageTagMutability"]
        differs = described.get("imageTagMutability") != mutability
        if differs and (mutability == "MUTABLE" or self._is_alone(present)):
            self.ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability=mutability)
        if not described.get("imageScanningConfiguration", {}).get("scanOnPush"):
            self.ecr.put_image_scanning_configuration(
                repositoryName=name,
                imageScanningConfiguration=request["imageScanningConfiguration"],
            )
        missing = [tag for tag in tags if tag not in present]
        if missing:
            self.ecr.tag_resource(resourceArn=arn, tags=missing)
        # Written without a comparison: ECR does not return the text that was written.
        self.ecr.put_lifecycle_policy(
            repositoryName=name, lifecyclePolicyText=json.dumps(lifecycle_policy())
        )

    def _delete_one(self, name: str) -> None:
        try:
            names = [name]
            (described,) = self.ecr.describe_repositories(repositoryNames=names)["repositories"]
            arn = described["repositoryArn"]
            present = self.ecr.list_tags_for_resource(resourceArn=arn)["tags"]
            if self._is_alone(present):
                self.ecr.delete_repository(repositoryName=name, force=True)
            else:
                self.ecr.untag_resource(resourceArn=arn, tagKeys=[self._own_tag])
        except ClientError as refused:
            if error_code(refused) != "RepositoryNotFoundException":
                raise
