"""The ECR repositories of every image the platform is known to pull, as one resource."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import (
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from components.registry.ecr_repositories import copied_to, mutability
from components.registry.policies import lifecycle_policy

if TYPE_CHECKING:
    from components.registry.ecr_repositories import EcrRepositories

_COMPARED = ("repositories", "tags", "lifecycle")


class ImageRepositoriesProvider(ResourceProvider):
    """Makes and mends; what an update no longer names stays until the end, for pods still run."""

    # The pickled provider is a reference to this class and captures no secret.
    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        _registry(props).prepare(props["repositories"])
        return CreateResult(id_=props["registry"], outs=_with_kept(props, {}))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        _registry(_news).prepare(_news["repositories"])
        return UpdateResult(outs=_with_kept(_news, _olds))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        _registry(_props).delete(_props["kept"])

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        existing = _registry(props).existing()
        there = {name: how for name, how in props["repositories"].items() if name in existing}
        return ReadResult(id_=id_, outs={**props, "repositories": there})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        moved = _olds.get("registry") != _news.get("registry")
        changed = any(_olds.get(key) != _news.get(key) for key in _COMPARED)
        return DiffResult(changes=moved or changed, replaces=["registry"] if moved else [])


def _with_kept(news: dict[str, Any], olds: Mapping[str, Any]) -> dict[str, Any]:
    return {**news, "kept": sorted({*olds.get("kept", ()), *news["repositories"]})}


def _registry(props: Mapping[str, Any]) -> EcrRepositories:
    # Imported here: only a change asks AWS, never a preview.
    import boto3
    from botocore.config import Config

    from components.registry.ecr_repositories import PARALLEL, EcrRepositories

    session: Any = boto3.Session(region_name=props["region"])
    ecr = session.client(
        "ecr",
        endpoint_url=props["endpoints"].get("ecr") or None,
        config=Config(
            retries={"mode": "adaptive", "total_max_attempts": 10}, max_pool_connections=PARALLEL
        ),
    )
    wanted, found = props["registry"].partition(".")[0], ecr.describe_registry()["registryId"]
    if wanted != found:
        raise ValueError(
            f"the credentials are of account {found} and the images belong to {wanted}: choose "
            "another AWS_PROFILE"
        )
    return EcrRepositories(ecr, props["tags"])


class ImageRepositories(Resource, name="ImageRepositories"):
    """Makes: ECR repositories, scanned on push, encrypted, swept, tagged; no tag moves needlessly.

    Those that exist already, because the webhook or `./kf images mirror` made them, are mended.
    A destroy deletes all it ever named, with their images: they are copies. Repositories of images
    that only users bring are made by the mirror itself (``webhook.copy_job``) and are not among
    them.

    Args:
        images: sources; several of one repository share it.
        registry: ``<ecr host>/<prefix>``; another one is another resource.
        region: of the registry.
        tags: AWS tags.
        endpoints: of services, in place of AWS's own addresses.
    """

    def __init__(
        self,
        name: str,
        *,
        images: Sequence[str],
        registry: str,
        region: str,
        tags: Mapping[str, str],
        endpoints: Mapping[str, str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(
            ImageRepositoriesProvider(),
            name,
            {
                "repositories": mutability(copied_to(images, registry.partition("/")[2])),
                "registry": registry,
                "region": region,
                "tags": dict(tags),
                "lifecycle": json.dumps(lifecycle_policy()),
                "endpoints": dict(endpoints or {}),
            },
            opts,
        )
