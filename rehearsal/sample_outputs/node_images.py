"""Parameters of SSM that name the images of machines; those that AWS has not published are absent.

``node_images.yaml`` has releases up to a day. An image of AL2023 of a later day is taken for
published, as one of Bottlerocket is of any release that has the version of Kubernetes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from packaging.version import Version

from rehearsal.sample_outputs.resource import SimulatedResource

_TABLE: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
_RELEASES = tuple(_TABLE["al2023"]["releases"].split())
# aws/karpenter-provider-aws v1.14.1 pkg/providers/amifamily: al2023.go, bottlerocket.go.
_AL2023 = re.compile(
    r"/aws/service/eks/optimized-ami/(?P<kubernetes>1\.\d+)/amazon-linux-2023/x86_64/"
    r"(?P<variant>standard|nvidia)/"
    r"amazon-eks-node-al2023-x86_64-(?P=variant)-(?P=kubernetes)-v(?P<day>\d{8})/image_id"
)
_BOTTLEROCKET = re.compile(
    r"/aws/service/bottlerocket/aws-k8s-(?P<kubernetes>1\.\d+)(-nvidia)?/x86_64/"
    r"(?P<release>1\.\d+\.\d+)/image_id"
)


def parameter(call: SimulatedResource) -> dict[str, Any]:
    """The parameter of a name.

    Raises:
        LookupError: there is none, in the words of the AWS provider
            (terraform-aws-modules/terraform-aws-eks #3487).
    """
    name = str(call.inputs["name"])
    if not _published(name):
        raise LookupError(f"reading SSM Parameter ({name}): couldn't find resource")
    arn = call.region.arn("ssm", f"parameter{name}", account="")
    return {"id": name, "name": name, "arn": arn, "type": "String", "value": f"ami-{call.hex(17)}"}


def _published(name: str) -> bool:
    if found := _AL2023.fullmatch(name):
        first = _TABLE["al2023"]["first"][found["variant"]].get(found["kubernetes"])
        known = found["day"] in _RELEASES or found["day"] > _RELEASES[-1]
        return first is not None and known and found["day"] >= first
    if found := _BOTTLEROCKET.fullmatch(name):
        first = _TABLE["bottlerocket"]["first"].get(found["kubernetes"])
        return first is not None and Version(found["release"]) >= Version(first)
    return False


INVOKES = {"aws:ssm/getParameter:getParameter": parameter}
"""Data source -> its result."""
