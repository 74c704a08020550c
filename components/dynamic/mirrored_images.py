"""The whole inventory in the account's registry, as one resource that pods wait for."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult


class MirroredImagesProvider(ResourceProvider):
    """Copies what is missing and waits; nothing to delete, the repositories hold the copies."""

    # The pickled provider is a reference to this class and captures no secret.
    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        _copy(props)
        return CreateResult(id_=props["registry"], outs=props)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        _copy(_news)
        return UpdateResult(outs=_news)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        moved = _olds.get("registry") != _news.get("registry")
        changed = moved or _olds.get("images") != _news.get("images")
        return DiffResult(changes=changed, replaces=["registry"] if moved else [])


def _copy(props: dict[str, Any]) -> None:
    # Imported here: only a create or an update asks AWS, never a preview.
    import boto3
    from botocore.config import Config

    from components.dynamic.inventory_copies import InventoryCopies, written_reasons

    patient = Config(retries={"mode": "adaptive", "total_max_attempts": 10})
    builder: Any = boto3.Session(profile_name=props["buildProfile"] or None)
    here: Any = boto3.Session(region_name=props["region"])

    def client(service: str) -> Any:
        return here.client(
            service, endpoint_url=props["endpoints"].get(service) or None, config=patient
        )

    InventoryCopies(
        ecr=client("ecr"),
        builds=builder.client("codebuild", region_name=props["buildRegion"], config=patient),
        project=props["project"],
        registry=props["registry"],
        told=written_reasons(client("dynamodb"), props["table"]),
        say=_say,
    ).run(props["images"])


def _say(line: str) -> None:
    # The engine shows what a plugin writes there.
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class MirroredImages(Resource, name="MirroredImages"):
    """Makes: a copy of every image, present in the account's registry when it is created.

    Args:
        images: sources, as upstream names them; another list copies what it has more.
        registry: ``<ecr host>/<prefix>``; the repositories must exist.
        region: of the registry.
        project: the CodeBuild project that copies.
        table: where its builds write down how each copy went.
        build_region: its region.
        build_profile: AWS profile that may start it; empty: the one of the deployment.
        endpoints: of services, in place of AWS's own addresses.
    """

    def __init__(
        self,
        name: str,
        *,
        images: Sequence[str],
        registry: str,
        region: str,
        project: str,
        table: str,
        build_region: str,
        build_profile: str = "",
        endpoints: Mapping[str, str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(
            MirroredImagesProvider(),
            name,
            {
                "images": sorted(images),
                "registry": registry,
                "region": region,
                "project": project,
                "table": table,
                "buildRegion": build_region,
                "buildProfile": build_profile,
                "endpoints": dict(endpoints or {}),
            },
            opts,
        )
