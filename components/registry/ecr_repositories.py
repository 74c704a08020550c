"""ECR repositories as the mirror wants them: made where they are missing, mended where they differ.

No Pulumi: what the resource ``ImageRepositories`` and ``./kf images mirror`` do, over any ECR
client. A repository may be there already, because the webhook or a person was faster.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from components.registry.policies import lifecycle_policy
from images.reference import Reference, parse
from webhook.claims import error_code
from webhook.copy_job import new_repository

PARALLEL = 8
"""Repositories at a time; also the connections a client should have."""


def copied_to(images: Iterable[str], prefix: str) -> list[tuple[str, Reference]]:
    """The repository of each image's copy, and the image; those of private ECR need no copy.

    Raises InvalidReference for what is no image.
    """
    sources = (parse(image) for image in images)
    return [(f"{prefix}/{s.mirrored_repository}", s) for s in sources if not s.ecr_region]


def mutability(copies: Iterable[tuple[str, Reference]]) -> dict[str, str]:
    """Repository -> ``imageTagMutability``, sorted.

    Where every known image of a repository is named by digest, each copy has a tag of its own that
    nothing should ever move. Elsewhere tags follow their source
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
        ecr: a boto3 client.
        tags: of every repository, besides its ``Name``.
    """

    ecr: Any
    tags: Mapping[str, str]

    def existing(self) -> dict[str, dict[str, Any]]:
        """Every repository of the registry, by name, as ECR describes it."""
        pages = self.ecr.get_paginator("describe_repositories").paginate(
            PaginationConfig={"PageSize": 1000}
        )
        return {each["repositoryName"]: each for page in pages for each in page["repositories"]}

    def prepare(self, wanted: Mapping[str, str]) -> list[str]:
        """Makes what is missing, mends what differs.

        Args:
            wanted: repository -> its ``imageTagMutability``.

        Returns:
            The repositories it made.
        """
        existing = self.existing()
        self._each(partial(self._prepare_one, existing, wanted), wanted)
        return [name for name in wanted if name not in existing]

    def delete(self, names: Iterable[str]) -> None:
        """Deletes repositories with all images in them, which are only copies."""
        self._each(self._delete_one, names)

    def _each(self, do: Any, names: Iterable[str]) -> None:
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="ecr") as executor:
            list(executor.map(do, names))

    def _prepare_one(
        self, existing: Mapping[str, dict[str, Any]], wanted: Mapping[str, str], name: str
    ) -> None:
        request = new_repository(name, {**self.tags, "Name": name}, wanted[name])
        self._mend(existing.get(name) or self._create(request), request)

    def _create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self.ecr.create_repository(**request)["repository"]
        except ClientError as refused:
            # The webhook's copier may have been faster.
            if error_code(refused) != "RepositoryAlreadyExistsException":
                raise
            names = [request["repositoryName"]]
            return self.ecr.describe_repositories(repositoryNames=names)["repositories"][0]

    def _mend(self, described: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        name, arn = described["repositoryName"], described["repositoryArn"]
        if described.get("imageTagMutability") != wanted["imageTagMutability"]:
            self.ecr.put_image_tag_mutability(
                repositoryName=name, imageTagMutability=wanted["imageTagMutability"]
            )
        if not described.get("imageScanningConfiguration", {}).get("scanOnPush"):
            self.ecr.put_image_scanning_configuration(
                repositoryName=name,
                imageScanningConfiguration=wanted["imageScanningConfiguration"],
            )
        present = self.ecr.list_tags_for_resource(resourceArn=arn)["tags"]
        lacking = [tag for tag in wanted["tags"] if tag not in present]
        if lacking:
            self.ecr.tag_resource(resourceArn=arn, tags=lacking)
        # Written without a look: the text ECR gives back is not the text it was given.
        self.ecr.put_lifecycle_policy(
            repositoryName=name, lifecyclePolicyText=json.dumps(lifecycle_policy())
        )

    def _delete_one(self, name: str) -> None:
        try:
            self.ecr.delete_repository(repositoryName=name, force=True)
        except ClientError as refused:
            if error_code(refused) != "RepositoryNotFoundException":
                raise
