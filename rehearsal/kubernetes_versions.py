"""What EKS refuses when the Kubernetes version of a cluster or of its nodes changes.

The words are AWS's own: rancher/rancher issues #26908 (two minor versions) and #28939 (an older
one), hashicorp/terraform-provider-aws #19478 (nodes that are behind), eksctl-io/eksctl #7976 (nodes
that are ahead). For seven days after an upgrade EKS takes a cluster back whose nodes went back
first (EKS user guide, rollback-cluster.html). Here an older version is always refused: the program
has the control plane first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearsal.account import Account, RefusedByAws
from rehearsal.offers import NODE_GROUP
from rehearsal.sample_outputs.eks import CLUSTER


def check(
    account: Account, type_: str, plain: Mapping[str, Any], region: str, existing: str
) -> None:
    """Checks a cluster or a node group that is made or changed.

    Args:
        account: has the clusters and node groups.
        type_: its token.
        plain: its inputs.
        region: where.
        existing: its id, where it exists.

    Raises:
        RefusedByAws: EKS refuses the version.
    """
    wanted = plain.get("version")
    if not wanted:
        return
    clusters = account.inputs_of(CLUSTER, region)
    if type_ == CLUSTER and existing in clusters:
        _check_control_plane(account, clusters[existing], str(wanted), region)
    if type_ == NODE_GROUP:
        newest = clusters.get(plain["clusterName"], {}).get("version")
        if newest and _minor(str(wanted)) > _minor(newest):
            raise RefusedByAws(
                f"InvalidRequestException: Requested release version {wanted} is not valid for "
                f"kubernetes version {newest}."
            )


def _check_control_plane(
    account: Account, before: Mapping[str, Any], wanted: str, region: str
) -> None:
    version = str(before.get("version") or wanted)
    if wanted == version:
        return
    if _minor(wanted) != _minor(version) + 1:
        raise RefusedByAws(
            "InvalidParameterException: Unsupported Kubernetes minor version update from "
            f"{version} to {wanted}"
        )
    behind = [
        str(group["nodeGroupName"])
        for group in account.inputs_of(NODE_GROUP, region).values()
        if group["clusterName"] == before["name"] and group.get("version") not in (None, version)
    ]
    if behind:
        raise RefusedByAws(
            f"InvalidParameterException: Nodegroups {', '.join(sorted(behind))} must be updated to "
            f"match cluster version {version} before updating cluster version"
        )


def _minor(version: str) -> int:
    return int(version.split(".")[1])
