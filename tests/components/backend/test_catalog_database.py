"""The PostgreSQL instance of the catalog: absent unless asked for, and as protected as MySQL."""

from __future__ import annotations

from typing import Any

import pytest

from components.backend.catalog_database import family
from tests.components.backend.simulated_backend import (
    DRAWN,
    KARPENTER,
    NODES,
    SECRET_TEXT,
    backend,
    secret_texts,
)
from tests.harness import MASKED, REGIONS, Recorded, Registered

INSTANCE, RULE = (
    "aws:rds/instance:Instance",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
)
GROUP, LOGS = "aws:rds/parameterGroup:ParameterGroup", "aws:cloudwatch/logGroup:LogGroup"
every_region = pytest.mark.parametrize("region", REGIONS)
CATALOG = "backend-model-catalog"


def with_catalog(region: str = "cn-north-1", /, **more: Any) -> Recorded:
    catalog = {"enabled": True, **more.pop("modelCatalog", {})}
    return backend(region, modelCatalog=catalog, **more)


def of_catalog(recorded: Recorded, type_: str) -> list[Registered]:
    return [each for each in recorded.of(type_) if each.name.startswith(CATALOG)]


def instance(recorded: Recorded) -> Registered:
    (only,) = of_catalog(recorded, INSTANCE)
    return only


@every_region
def test_it_is_encrypted_backed_up_protected_logged_and_without_public_address(
    region: str,
) -> None:
    recorded = with_catalog(region)
    promised = {
        "engine": "postgres",
        "engineVersion": "17",
        "instanceClass": "db.t4g.micro",
        "dbName": "modelcatalog",
        "storageType": "gp3",
        "allocatedStorage": 20,
        "storageEncrypted": True,
        "publiclyAccessible": False,
        "multiAz": False,
        "backupRetentionPeriod": 7,
        "deletionProtection": True,
        "skipFinalSnapshot": False,
        "copyTagsToSnapshot": True,
        "deleteAutomatedBackups": False,
        "autoMinorVersionUpgrade": True,
        "performanceInsightsEnabled": False,
        "enabledCloudwatchLogsExports": ["postgresql", "upgrade"],
        "identifier": "kubeflow-model-catalog",
    }
    made = instance(recorded)
    assert {key: made.inputs[key] for key in promised} == promised
    assert made.inputs["finalSnapshotIdentifier"].startswith("kubeflow-model-catalog-final-")
    (mysql,) = [each for each in recorded.of(INSTANCE) if each is not made]
    for key in ("kmsKeyId", "dbSubnetGroupName"):
        assert made.inputs[key] == mysql.inputs[key]
    groups = {each.inputs["name"] for each in of_catalog(recorded, LOGS)}
    assert groups == {
        f"/aws/rds/instance/kubeflow-model-catalog/{log}" for log in ("postgresql", "upgrade")
    }


@every_region
def test_it_admits_the_nodes_to_its_own_port_and_opens_nothing(region: str) -> None:
    recorded = with_catalog(region)
    (group,) = of_catalog(recorded, "aws:ec2/securityGroup:SecurityGroup")
    rules = of_catalog(recorded, RULE)
    assert {r.inputs["referencedSecurityGroupId"] for r in rules} == {NODES, KARPENTER}
    for rule in rules:
        assert (rule.inputs["fromPort"], rule.inputs["toPort"]) == (5432, 5432)
        assert rule.inputs["ipProtocol"] == "tcp"
        assert (group.type, group.name) in recorded.dependencies_of(rule)
    assert "egress" not in group.inputs
    assert (group.type, group.name) in recorded.dependencies_of(instance(recorded))


def test_it_accepts_no_connection_without_tls() -> None:
    (group,) = of_catalog(with_catalog(), GROUP)
    assert group.inputs["family"] == "postgres17"
    forced = {"name": "rds.force_ssl", "value": "1", "applyMethod": "immediate"}
    assert group.inputs["parameters"] == [forced]
    assert family("17.9") == "postgres17"


@every_region
def test_its_password_is_drawn_is_a_secret_and_is_read_by_the_clients_role(region: str) -> None:
    recorded = with_catalog(region)
    (drawn,) = of_catalog(recorded, DRAWN)
    assert drawn.inputs["length"] == 32
    assert instance(recorded).visible["password"] == MASKED
    (text,) = of_catalog(recorded, SECRET_TEXT)
    assert text.visible["secretString"] == MASKED
    assert recorded.exports["secrets"]["model-catalog"]


def test_another_rotation_draws_another_password() -> None:
    (first,) = of_catalog(with_catalog(), DRAWN)
    (second,) = of_catalog(with_catalog(database={"rotation": 2}), DRAWN)
    assert (first.inputs["generation"], second.inputs["generation"]) == ("1", "2")


@pytest.mark.parametrize(
    ("sections", "key", "value"),
    [
        ({"database": {"backupDays": 14}}, "backupRetentionPeriod", 14),
        ({"database": {"applyImmediately": True}}, "applyImmediately", True),
        ({"modelCatalog": {"multiAz": True}}, "multiAz", True),
        ({"modelCatalog": {"engineVersion": "17.9"}}, "autoMinorVersionUpgrade", False),
        ({"modelCatalog": {"deletionProtection": False}}, "deletionProtection", False),
        ({"deletionProtection": False}, "deletionProtection", False),
    ],
)
def test_the_settings_say_how_it_is_kept(sections: dict[str, Any], key: str, value: object) -> None:
    assert instance(with_catalog(**sections)).inputs[key] == value


def test_a_destroyed_stack_that_keeps_no_snapshot_keeps_none_of_it() -> None:
    kept = {"skipFinalSnapshot": True, "deletionProtection": False}
    made = instance(with_catalog(database=kept)).inputs
    assert made["skipFinalSnapshot"] is True
    assert "finalSnapshotIdentifier" not in made


def test_without_the_setting_nothing_of_it_is_made_and_all_else_is_the_same() -> None:
    without, whole = backend(), with_catalog()

    def others(recorded: Recorded) -> dict[tuple[str, str], dict[str, Any]]:
        return {
            (each.type, each.name): each.inputs
            for each in recorded.all
            if not each.name.startswith(CATALOG) and "policy" not in each.inputs
        }

    assert others(without) == others(whole)
    assert not [each for each in without.all if each.name.startswith(CATALOG)]
    assert "model-catalog" not in without.exports["secrets"]


def test_the_secret_has_the_whole_login() -> None:
    (login,) = [
        text for name, text in secret_texts(with_catalog()).items() if name.startswith(CATALOG)
    ]
    assert login.keys() == {"username", "password", "host", "port", "database"}
