"""Kubernetes by one minor version: control plane, then nodes and add-ons; what EKS refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components.cluster import EksCluster
from program import check_node_images
from rehearsal import kubernetes_versions
from rehearsal.account import Account, RefusedByAws
from rehearsal.engine import EngineFailure
from rehearsal.offers import NODE_GROUP
from rehearsal.sample_outputs.eks import CLUSTER
from settings import from_mapping
from tests.components.cluster.simulated_cluster import ADDON, cluster_args
from tests.rehearsal.conftest import Started, steps

REGION = "cn-north-1"
ADMIN = "arn:aws-cn:iam::111122223333:role/platform-admin"


def cluster(version: str, alias: str = "al2023@v20260714") -> Callable[[], Any]:
    """The cluster, after the look-ups of the program."""
    section = {
        "name": "kubeflow",
        "version": version,
        "publicAccessCidrs": ["203.0.113.10/32"],
        "admins": [ADMIN],
    }
    pool = {"amiAlias": alias}
    settings = from_mapping({"region": REGION, "cluster": section, "gpuPool": pool})

    def program() -> None:
        account = aws.Provider("aws", region=REGION)
        check_node_images(settings, account)
        provider = pulumi.ResourceOptions(providers=[account])
        EksCluster("cluster", cluster_args(settings, {"team": "ml"}), provider)

    return program


@pytest.mark.engine
def test_the_control_plane_is_first_and_nothing_is_replaced(
    started: Started, tmp_path: Path
) -> None:
    journal = str(tmp_path / "account.jsonl")
    with started(cluster("1.35"), journal=journal) as rehearsal:
        rehearsal.up()
    with started(cluster("1.36"), journal=journal) as rehearsal:
        upgraded = steps(rehearsal.up())
        assert steps(rehearsal.preview()) == []
    types = [type_ for _, type_, _ in upgraded if type_ != "eks:index:Cluster"]
    assert {operation for operation, _, _ in upgraded} == {"update"}
    assert types[0] == CLUSTER
    assert set(types[1:]) == {NODE_GROUP, ADDON}
    (made,) = Account(tmp_path / "account.jsonl").inputs_of(CLUSTER, REGION).values()
    assert made["version"] == "1.36"
    with (
        started(cluster("1.35"), journal=journal) as rehearsal,
        pytest.raises(EngineFailure, match=r"minor version update from 1\.36 to 1\.35"),
    ):
        rehearsal.up()


@pytest.mark.engine
def test_an_alias_without_images_of_the_new_version_keeps_the_control_plane(
    started: Started, tmp_path: Path
) -> None:
    journal, alias = str(tmp_path / "account.jsonl"), "al2023@v20260423"
    with started(cluster("1.35", alias), journal=journal) as rehearsal:
        rehearsal.up()
    with started(cluster("1.36", alias), journal=journal) as rehearsal:
        for run in (rehearsal.preview, rehearsal.up):
            with pytest.raises(EngineFailure, match=f"gpuPool.amiAlias is {alias}: {REGION} has"):
                run()
    (made,) = Account(tmp_path / "account.jsonl").inputs_of(CLUSTER, REGION).values()
    assert made["version"] == "1.35"


def account(control_plane: str, nodes: str) -> Account:
    made = Account()
    for type_, identifier, inputs in (
        (CLUSTER, "a", {"name": "a", "version": control_plane}),
        (NODE_GROUP, "a:n", {"clusterName": "a", "nodeGroupName": "n", "version": nodes}),
    ):
        made.create(type_, REGION, lambda _, named=identifier: (named, {}))
        made.remember(type_, REGION, identifier, inputs)
    return made


@pytest.mark.parametrize(
    ("control_plane", "nodes", "wanted", "refused"),
    [
        ("1.35", "1.35", "1.36", None),
        ("1.35", "1.35", "1.35", None),
        ("1.34", "1.34", "1.36", "Unsupported Kubernetes minor version update from 1.34 to 1.36"),
        ("1.36", "1.36", "1.35", "Unsupported Kubernetes minor version update from 1.36 to 1.35"),
        ("1.35", "1.34", "1.36", "Nodegroups n must be updated to match cluster version 1.35"),
    ],
)
def test_a_control_plane_goes_on_by_one_version_when_its_nodes_have_followed(
    control_plane: str, nodes: str, wanted: str, refused: str | None
) -> None:
    given = account(control_plane, nodes)
    if refused is None:
        kubernetes_versions.check(given, CLUSTER, {"version": wanted}, REGION, "a")
        return
    with pytest.raises(RefusedByAws, match=refused):
        kubernetes_versions.check(given, CLUSTER, {"version": wanted}, REGION, "a")


@pytest.mark.parametrize(("nodes", "refused"), [("1.34", False), ("1.35", False), ("1.36", True)])
def test_nodes_are_never_newer_than_the_control_plane(nodes: str, refused: bool) -> None:
    wanted = {"clusterName": "a", "version": nodes}
    if not refused:
        kubernetes_versions.check(account("1.35", "1.34"), NODE_GROUP, wanted, REGION, "a:n")
        return
    with pytest.raises(RefusedByAws, match=r"1\.36 is not valid for kubernetes version 1\.35"):
        kubernetes_versions.check(account("1.35", "1.34"), NODE_GROUP, wanted, REGION, "a:n")
