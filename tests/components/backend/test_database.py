"""The MySQL instance: who reaches it, how it is kept, and that Kubeflow can talk to it."""

from __future__ import annotations

import json

import pytest

from components.backend.database import family, parameters
from components.backend.rds_instance import has_insights
from tests.components.backend.simulated_backend import (
    ACCOUNT,
    DRAWN,
    KARPENTER,
    NODES,
    PARTITIONS,
    SECRET_TEXT,
    arn,
    backend,
)
from tests.harness import MASKED, REGIONS

INSTANCE, RULE = (
    "aws:rds/instance:Instance",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
)
every_region = pytest.mark.parametrize("region", REGIONS)


# -- who reaches the database ----------------------------------------------------------------------


@every_region
def test_mysql_is_open_to_exactly_the_nodes(region: str) -> None:
    recorded = backend(region)
    group = recorded.only("aws:ec2/securityGroup:SecurityGroup")
    rules = recorded.of(RULE)
    assert {r.inputs["referencedSecurityGroupId"] for r in rules} == {NODES, KARPENTER}
    for rule in rules:
        assert (rule.inputs["fromPort"], rule.inputs["toPort"]) == (3306, 3306)
        assert rule.inputs["ipProtocol"] == "tcp"
        assert "cidrIpv4" not in rule.inputs
        assert (group.type, group.name) in recorded.dependencies_of(rule)
    assert group.inputs["vpcId"] == "vpc-0"


def test_the_database_may_open_no_connection_itself() -> None:
    recorded = backend()
    group = recorded.only("aws:ec2/securityGroup:SecurityGroup").inputs
    assert "egress" not in group
    assert "ingress" not in group
    assert recorded.none("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")


def test_the_database_lives_in_the_private_subnets_and_has_no_public_address() -> None:
    recorded = backend()
    instance = recorded.only(INSTANCE).inputs
    subnets = recorded.only("aws:rds/subnetGroup:SubnetGroup")
    assert subnets.inputs["subnetIds"] == ["subnet-1", "subnet-2"]
    assert instance["publiclyAccessible"] is False
    assert len(instance["vpcSecurityGroupIds"]) == 1
    assert recorded.of("aws:ec2/securityGroup:SecurityGroup")[0].name.endswith("clients")


# -- how the database is kept ----------------------------------------------------------------------


@every_region
def test_the_database_is_encrypted_backed_up_protected_and_logged(region: str) -> None:
    recorded = backend(region)
    instance = recorded.only(INSTANCE)
    promised = {
        "engine": "mysql",
        "engineVersion": "8.4",
        "storageType": "gp3",
        "storageEncrypted": True,
        "multiAz": True,
        "backupRetentionPeriod": 7,
        "deletionProtection": True,
        "skipFinalSnapshot": False,
        "copyTagsToSnapshot": True,
        "deleteAutomatedBackups": False,
        "autoMinorVersionUpgrade": True,
        "caCertIdentifier": "rds-ca-rsa2048-g1",
        "enabledCloudwatchLogsExports": ["error", "slowquery"],
        "performanceInsightsEnabled": True,
        "allocatedStorage": 100,
        "maxAllocatedStorage": 500,
    }
    assert {key: instance.inputs.get(key) for key in promised} == promised
    assert instance.inputs["kmsKeyId"].startswith(arn(region, f"kms:{region}:{ACCOUNT}:key/"))


def test_the_last_snapshot_has_a_name_of_this_clusters() -> None:
    name = backend().only(INSTANCE).inputs["finalSnapshotIdentifier"]
    assert name.startswith("kubeflow-kubeflow-final-")


@every_region
def test_the_logs_of_the_database_expire_and_go_with_it(region: str) -> None:
    """RDS makes a group that is missing itself, without expiry, and a destroy leaves it."""
    recorded = backend(region)
    instance = recorded.only(INSTANCE)
    groups = recorded.of("aws:cloudwatch/logGroup:LogGroup")
    name = f"/aws/rds/instance/{instance.inputs['identifier']}"
    exported = instance.inputs["enabledCloudwatchLogsExports"]
    assert [group.inputs["name"] for group in groups] == [f"{name}/{log}" for log in exported]
    for group in groups:
        assert group.inputs["retentionInDays"] == 90
        assert group.inputs["tags"]["platform"] == "kubeflow"
        assert (group.type, group.name) in recorded.dependencies_of(instance)


def test_a_database_without_protection_leaves_no_snapshot() -> None:
    instance = backend(database={"skipFinalSnapshot": True, "deletionProtection": False}).only(
        INSTANCE
    )
    assert instance.inputs["skipFinalSnapshot"] is True
    assert "finalSnapshotIdentifier" not in instance.inputs
    assert instance.inputs["deletionProtection"] is False
    assert not instance.protect


def test_the_engine_refuses_to_delete_a_protected_database() -> None:
    assert backend().only(INSTANCE).protect


@pytest.mark.parametrize(("version", "upgraded"), [("8.4", True), ("8.4.7", False)])
def test_a_version_in_full_is_not_upgraded_by_rds(version: str, upgraded: bool) -> None:
    instance = backend(database={"engineVersion": version}).only(INSTANCE)
    assert instance.inputs["autoMinorVersionUpgrade"] is upgraded


def test_changes_wait_for_the_window_and_another_line_takes_a_word() -> None:
    instance = backend().only(INSTANCE).inputs
    assert instance["applyImmediately"] is False
    assert "allowMajorVersionUpgrade" not in instance
    instance = backend(database={"applyImmediately": True}).only(INSTANCE).inputs
    assert instance["applyImmediately"] is instance["allowMajorVersionUpgrade"] is True


def test_a_snapshot_makes_the_instance_and_never_replaces_it() -> None:
    assert "snapshotIdentifier" not in backend().only(INSTANCE).inputs
    instance = backend(database={"snapshot": "last"}).only(INSTANCE)
    assert instance.inputs["snapshotIdentifier"] == "last"
    assert list(instance.options.ignoreChanges) == ["snapshotIdentifier", "username"]


def test_a_replaced_database_gives_up_its_name_first() -> None:
    assert backend().only(INSTANCE).options.deleteBeforeReplace


@pytest.mark.parametrize(
    ("instance_class", "served"),
    [
        ("db.m6g.large", True),
        ("db.r5.2xlarge", True),
        ("db.t3.medium", True),
        ("db.t3.micro", False),
        ("db.t4g.small", False),
        ("db.t2.medium", False),
    ],
)
def test_insights_are_on_where_the_class_has_them(instance_class: str, served: bool) -> None:
    assert has_insights(instance_class) is served


# -- parameters ------------------------------------------------------------------------------------


def test_the_parameters_exist_before_the_instance() -> None:
    # The master user gets the authentication plugin in force at creation.
    recorded = backend()
    group = recorded.only("aws:rds/parameterGroup:ParameterGroup")
    assert (group.type, group.name) in recorded.dependencies_of(recorded.only(INSTANCE))
    assert group.inputs["family"] == "mysql8.4"
    written = {p["name"]: p["value"] for p in group.inputs["parameters"]}
    assert written == parameters("8.4")


@pytest.mark.parametrize(
    ("version", "expected"),
    [("8.4", "mysql8.4"), ("8.4.7", "mysql8.4"), ("8.0", "mysql8.0"), ("8.0.43", "mysql8.0")],
)
def test_the_family_follows_the_version(version: str, expected: str) -> None:
    assert family(version) == expected


@pytest.mark.parametrize("version", ["8.4", "8.4.7"])
def test_ml_metadata_can_log_in(version: str) -> None:
    assert parameters(version)["authentication_policy"] == "*:mysql_native_password"


@pytest.mark.parametrize("version", ["8.0", "8.0.43"])
def test_the_plugin_is_no_parameter_where_rds_refuses_it(version: str) -> None:
    chosen = {"authentication_policy", "default_authentication_plugin", "mysql_native_password"}
    assert not chosen & set(parameters(version))


@pytest.mark.parametrize("version", ["8.0", "8.4"])
def test_katib_can_connect_without_tls(version: str) -> None:
    assert parameters(version)["require_secure_transport"] == "0"
    assert parameters(version)["character_set_server"] == "utf8mb4"


def test_the_instance_comes_without_a_database_for_the_init_job_makes_them_all() -> None:
    assert "dbName" not in backend().only(INSTANCE).inputs


# -- the master password ---------------------------------------------------------------------------


def test_the_master_password_is_drawn_and_stays_secret() -> None:
    recorded = backend()
    drawn = recorded.only(DRAWN, "backend-database-password")
    assert 8 <= drawn.inputs["length"] <= 41
    assert not set(drawn.inputs["alphabet"]) & set('/@" ')
    instance = recorded.only(INSTANCE)
    assert instance.visible["password"] == MASKED
    assert instance.inputs["password"] == drawn.outputs["value"]


def test_the_master_password_goes_into_the_instance_and_its_own_secret_only() -> None:
    recorded = backend()
    password = recorded.only(INSTANCE).inputs["password"]
    holding = {
        (r.type, r.name) for r in recorded.all if password in json.dumps(r.inputs, default=str)
    }
    assert holding == {
        (INSTANCE, "backend-database"),
        (SECRET_TEXT, "backend-database-master"),
    }
    assert password not in json.dumps(recorded.exports)


@every_region
def test_secrets_manager_has_all_the_init_job_needs_as_texts(region: str) -> None:
    recorded = backend(region)
    version = recorded.only(SECRET_TEXT, "backend-database-master")
    found = json.loads(version.inputs["secretString"])
    assert version.visible["secretString"] == MASKED
    assert found == {
        "username": "kubeflow",
        "password": recorded.only(INSTANCE).inputs["password"],
        "host": recorded.exports["host"],
        "port": "3306",
    }
    assert found["host"].endswith(f".{region}.rds.{PARTITIONS[region][1]}")
