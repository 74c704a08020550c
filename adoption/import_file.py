"""The file for ``pulumi import``: what exists of a stack that is not there yet.

``pulumi preview --import-file`` writes every resource that a new stack would make, with its name,
parent and provider, and a placeholder for the ID. The bucket is the one of them that an old
platform has and that a stack may own without a replacement: a database differs in what cannot
change (encryption, key, master user, subnets), and secrets have other contents
(docs/decisions/0127-an-old-platform-is-copied-not-imported.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

BUCKET = "aws:s3/bucket:Bucket"


class PlanInvalid(ValueError):
    """A file is none of ``pulumi preview --import-file``; the message is one sentence."""


def of_plan(plan: Path, bucket: str) -> dict[str, Any]:
    """The plan with the bucket alone, its ID, and what it stands below.

    Args:
        plan: written by ``pulumi preview --import-file``.
        bucket: the name of the bucket.

    Raises:
        PlanInvalid: the file cannot be read, or its stack makes no bucket.
    """
    try:
        content: dict[str, Any] = json.loads(plan.read_bytes())
        resources = {str(each["name"]): each for each in cast(list[Any], content["resources"])}
        made = next(each for each in resources.values() if each["type"] == BUCKET)
        needed = _above(made, resources)
    except StopIteration:
        raise PlanInvalid(
            f"the stack of {plan} makes no bucket: with `existing: true` it needs no import; "
            "remove that line for a stack that shall own the bucket."
        ) from None
    except OSError as error:
        raise PlanInvalid(f"{plan} cannot be read ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise PlanInvalid(
            f"{plan} is no plan: write it by `pulumi preview --import-file {plan}`."
        ) from None
    kept = [each for each in resources.values() if each["name"] in needed]
    return {"nameTable": content.get("nameTable", {}), "resources": [*kept, {**made, "id": bucket}]}


def _above(resource: Mapping[str, Any], resources: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Names of the parents and providers that a resource needs."""
    names: set[str] = set()
    for name in (resource.get("parent"), resource.get("provider")):
        if name in resources:
            names |= {str(name)} | _above(resources[str(name)], resources)
    return names
