"""Names that are taken, names that stay, and upgrades, on the real engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components.cluster import EksCluster
from program import check_backend
from rehearsal import databases
from rehearsal.account import DATABASE, LOG_GROUP, Account
from rehearsal.databases import PARAMETER_GROUP
from rehearsal.engine import EngineFailure
from settings import from_mapping
from tests.components.backend.simulated_backend import ACCOUNT, component
from tests.components.cluster.simulated_cluster import cluster_args
from tests.rehearsal.conftest import Started, steps

pytestmark = pytest.mark.engine
REGION = "cn-north-1"
ADMIN = f"arn:aws-cn:iam::{ACCOUNT}:role/platform-admin"


def cluster(name: str = "kubeflow", **sections: Any) -> Callable[[], Any]:
    section = {"name": name, "publicAccessCidrs": ["203.0.113.10/32"], "admins": [ADMIN]}
    settings = from_mapping({"region": REGION, "cluster": section, **sections})

    def program() -> None:
        provider = pulumi.ResourceOptions(providers=[aws.Provider("aws", region=REGION)])
        EksCluster("cluster", cluster_args(settings, {"team": "ml"}), provider)

    return program


def backend(**sections: Any) -> Callable[[], Any]:
    settings = from_mapping({"region": REGION, **sections})

    def program() -> None:
        bucket = f"kubeflow-{ACCOUNT}-{REGION}"
        check_backend(settings, aws.Provider("caller", region=REGION), bucket)
        component(settings)

    return program


def with_log_group(journal: Path, group: str) -> None:
    account = Account(journal)
    account.create(LOG_GROUP, REGION, lambda _: (group, {}))
    account.remember(LOG_GROUP, REGION, group, {"name": group})


@pytest.mark.parametrize(
    ("program", "group"),
    [
        (backend, "/aws/rds/instance/kubeflow-kubeflow/error"),
        (cluster, "/aws/eks/kubeflow/cluster"),
    ],
    ids=["RDS", "EKS"],
)
def test_a_log_group_that_a_service_made_is_adopted(
    started: Started, tmp_path: Path, program: Callable[[], Callable[[], Any]], group: str
) -> None:
    journal = tmp_path / "account.jsonl"
    with_log_group(journal, group)
    with started(program(), journal=str(journal)) as rehearsal:
        rehearsal.up()
        assert Account(journal).inputs_of(LOG_GROUP, REGION)[group]["retentionInDays"] == 90
        assert steps(rehearsal.preview()) == []


def test_a_cluster_keeps_its_name(started: Started, tmp_path: Path) -> None:
    journal = tmp_path / "account.jsonl"
    with started(cluster(), journal=str(journal)) as rehearsal:
        rehearsal.up()
    with (
        started(cluster("other"), journal=str(journal)) as rehearsal,
        pytest.raises(EngineFailure, match=r"replace.*eksCluster.*protect"),
    ):
        rehearsal.preview()


def version(wanted: str, **settings: Any) -> Callable[[], Any]:
    return backend(database={"engineVersion": wanted, **settings})


def has_version(journal: Path) -> str:
    ((_, made),) = Account(journal).inputs_of(DATABASE, REGION).items()
    return str(made["engineVersion"])


def test_an_upgrade_is_made_by_a_word_and_a_downgrade_is_refused(
    started: Started, tmp_path: Path
) -> None:
    journal = tmp_path / "account.jsonl"
    with started(version("8.0.45"), journal=str(journal)) as rehearsal:
        rehearsal.up()
    # A version in full stays until the settings have another one.
    databases.maintain(Account(journal), REGION)
    assert has_version(journal) == "8.0.45"
    with (
        started(version("8.4"), journal=str(journal)) as rehearsal,
        pytest.raises(EngineFailure, match=r"engineVersion is 8\.4.*applyImmediately"),
    ):
        rehearsal.preview()
    with started(version("8.4", applyImmediately=True), journal=str(journal)) as rehearsal:
        upgraded = rehearsal.up()
    changes = [(operation, type_) for operation, type_, _ in steps(upgraded)]
    assert changes == [("replace", PARAMETER_GROUP), ("update", DATABASE)]
    assert has_version(journal).startswith("8.4.")
    with started(version("8.4", applyImmediately=True), journal=str(journal)) as rehearsal:
        assert steps(rehearsal.preview()) == []
    with (
        started(version("8.0"), journal=str(journal)) as rehearsal,
        pytest.raises(EngineFailure, match=r"engineVersion is 8\.0: RDS runs 8\.4.*older"),
    ):
        rehearsal.preview()
