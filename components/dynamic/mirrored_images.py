"""Copies of the whole inventory in the account's registry: one resource, for which pods wait."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from components.dynamic.provider import DynamicProvider, aws_client


class MirroredImagesProvider(DynamicProvider):
    """Copies missing images and waits; deletes nothing, since the repositories hold the copies."""

    replacing = ("registry",)
    updating = ("images", "digests")
    identity = "{registry}"

    def outputs(self, news: dict[str, Any], _olds: dict[str, Any]) -> dict[str, Any]:
        """Copy every image that the registry lacks, and record the digests of all."""
        return {**news, "copied": _copy(news, _olds.get("copied") or {})}


def _copy(props: dict[str, Any], before: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Source -> what is known of its copy, from what was known before."""
    # Imported here: a preview copies nothing.
    from components.dynamic.inventory_copies import Digests, InventoryCopies, records

    own = props.get("credentials")
    build_side = {"region": props["buildRegion"], "endpoints": {}, "credentials": own}
    copies = InventoryCopies(
        ecr=aws_client("ecr", props),
        builds=aws_client("codebuild", build_side, profile=props["buildProfile"]),
        project=props["project"],
        registry=props["registry"],
        record=records(aws_client("dynamodb", props), props["table"]),
        # The engine shows what a plugin writes to its standard error.
        report=lambda line: sys.stderr.write(f"{line}\n"),
        locked=props["digests"],
        before={image: Digests(**known) for image, known in before.items()},
    )
    return {image: asdict(known) for image, known in copies.run(props["images"]).items()}


class MirroredImages(Resource, name="MirroredImages"):
    """Makes: a copy of every image in the account's registry before anything that depends on it.

    Args:
        name: of the resource.
        images: sources, as upstream names them; another list copies what the registry lacks.
        digests: source -> digest that the whole source has, where a lock has it; its copy must be
            of it, and is made again where it is not.
        registry: ``<ecr host>/<prefix>``; the repositories must exist.
        region: of the registry.
        project: the CodeBuild project that copies.
        sizes: source -> bytes of its copy, where a lock has them; for the cost of a plan alone.
        table: the DynamoDB table in which its builds record the result of each copy.
        build_region: region of the project.
        build_profile: AWS profile that may start builds; empty: the one of the deployment.
        credentials: ``AwsSettings.credentials``.
        endpoints: service -> URL in place of AWS's own, in ``region``.
        opts: of the resource.
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
        digests: Mapping[str, str] | None = None,
        sizes: Mapping[str, int] | None = None,
        build_region: str,
        build_profile: str = "",
        credentials: Mapping[str, Any] | None = None,
        endpoints: Mapping[str, str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(
            MirroredImagesProvider(),
            name,
            {
                "images": sorted(images),
                "digests": dict(sorted((digests or {}).items())),
                "bytes": dict(sorted((sizes or {}).items())),
                "registry": registry,
                "region": region,
                "project": project,
                "table": table,
                "buildRegion": build_region,
                "buildProfile": build_profile,
                "endpoints": dict(endpoints or {}),
                **({"credentials": dict(credentials)} if credentials else {}),
            },
            opts,
        )
