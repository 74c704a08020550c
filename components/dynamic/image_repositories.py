"""The ECR repositories of every image in the inventory, as one resource."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi.dynamic import ReadResult, Resource

from components.dynamic.provider import DynamicProvider, Refused, aws_client, refusals_as_sentences
from components.registry.ecr_repositories import PARALLEL, EcrRepositories, copied_to, mutability
from components.registry.policies import lifecycle_policy


class ImageRepositoriesProvider(DynamicProvider):
    """Makes or corrects repositories; only a destroy deletes any, since pods may still run.

    A state of an earlier version names no cluster: nothing was marked as made by its stack.
    """

    replacing = ("registry",)
    updating = ("repositories", "tags", "cluster", "shared", "lifecycle", "credentials")
    identity = "{registry}"

    def outputs(self, news: dict[str, Any], _olds: dict[str, Any]) -> dict[str, Any]:
        """Make or correct the repositories; those no longer named are not deleted."""
        _registry(news).prepare(news["repositories"])
        return {**news, "kept": sorted({*_olds.get("kept", ()), *news["repositories"]})}

    @refusals_as_sentences()
    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Delete what was ever named, unless stacks share it, others name it or made it."""
        registry = _registry(_props)
        if _props.get("cluster") and not _props["shared"]:
            registry.delete(_props["kept"])
        remaining = sorted(registry.existing().keys() & {*_props["kept"]})
        if remaining:
            # The engine shows what a plugin writes to its standard error.
            sys.stderr.write(
                f"{len(remaining)} repositories remain, which stacks share, or another stack made "
                f"or uses: {', '.join(remaining)}\n"
            )

    @refusals_as_sentences()
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Leave out the repositories that no longer exist."""
        names = _registry(props).existing()
        existing = {name: how for name, how in props["repositories"].items() if name in names}
        return ReadResult(id_=id_, outs={**props, "repositories": existing})


def _registry(props: dict[str, Any]) -> EcrRepositories:
    ecr = aws_client("ecr", props, max_pool_connections=PARALLEL)
    account, own = props["registry"].partition(".")[0], ecr.describe_registry()["registryId"]
    if account != own:
        raise Refused(
            f"the credentials are of account {own} and the images belong to {account}: choose "
            "another AWS_PROFILE"
        )
    return EcrRepositories(ecr, props["tags"], props.get("cluster", ""))


class ImageRepositories(Resource, name="ImageRepositories"):
    """Makes: ECR repositories, scanned on push, encrypted and tagged, with a lifecycle policy.

    Tags are immutable where every image is named by digest. Repositories that exist already,
    because the webhook or `./kf images mirror` made them, are corrected. A destroy deletes what
    this stack made and no other names, with its images, which are copies
    (``EcrRepositories.delete``). The mirror itself makes the repositories of users' own images
    (``components/mirror/copy.sh``); they are not part of this resource.

    Args:
        name: of the resource.
        images: sources; several of one repository share it.
        registry: ``<ecr host>/<prefix>``; another one replaces the resource.
        region: of the registry.
        tags: AWS tags.
        cluster: of the stack, which distinguishes it from others that use the registry.
        shared: whether a destroy deletes nothing, because stacks share the copies.
        credentials: ``AwsSettings.credentials``; kept for the deletion.
        endpoints: service -> URL in place of AWS's own.
        opts: of the resource.
    """

    def __init__(
        self,
        name: str,
        *,
        images: Sequence[str],
        registry: str,
        region: str,
        tags: Mapping[str, str],
        cluster: str,
        shared: bool = False,
        credentials: Mapping[str, Any] | None = None,
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
                "cluster": cluster,
                "shared": shared,
                "lifecycle": json.dumps(lifecycle_policy()),
                "endpoints": dict(endpoints or {}),
                **({"credentials": dict(credentials)} if credentials else {}),
            },
            opts,
        )
