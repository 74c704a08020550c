"""The simulated cloud: plausible outputs, the same every time, of the region in question."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from regions.region import Region
from rehearsal.clouds import ACCOUNT, SimulatedCloud
from rehearsal.providers import Simulation
from rehearsal.recording import Recorder
from rehearsal.simulated import simulated_clouds
from tests.harness import REGIONS
from tests.rehearsal.conftest import TINY

ROLE = "aws:iam/role:Role"
ZONES = "aws:index/getAvailabilityZones:getAvailabilityZones"


@pytest.mark.parametrize("region", REGIONS)
def test_the_same_resource_gets_the_same_answers(region: str) -> None:
    first, second = (SimulatedCloud(region).outputs(ROLE, "r", {"path": "/x/"}) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("region", REGIONS)
def test_an_arn_is_of_the_regions_partition_and_the_example_account(region: str) -> None:
    _, role = SimulatedCloud(region).outputs(ROLE, "r", {"name": "r", "path": "/x/"})
    assert role["arn"] == f"arn:{Region.of(region).partition}:iam::{ACCOUNT}:role/x/r"


def test_two_resources_and_two_regions_get_different_names() -> None:
    names = {
        SimulatedCloud(region).outputs(ROLE, name, {"namePrefix": "kf-"})[1]["name"]
        for region in REGIONS
        for name in ("a", "b")
    }
    assert len(names) == 8
    assert all(name.startswith("kf-") for name in names)


@pytest.mark.parametrize(
    ("type_", "key", "name"),
    [
        (ROLE, "name", "Some-"),
        ("aws:s3/bucket:Bucket", "bucket", "some-"),
        ("aws:rds/instance:Instance", "identifier", "some-"),
        ("aws:kms/alias:Alias", "name", "alias/Some-"),
    ],
)
def test_a_resource_without_a_name_gets_one_as_its_service_takes_it(
    type_: str, key: str, name: str
) -> None:
    _, outputs = SimulatedCloud("cn-north-1").outputs(type_, "Some", {})
    assert re.fullmatch(rf"{name}[0-9a-f]{{7}}", outputs[key])


def test_a_type_without_names_gets_none() -> None:
    for type_ in ("aws:ec2/vpc:Vpc", "kubernetes:core/v1:ConfigMap", "aws:quantum/a:A"):
        assert SimulatedCloud("cn-north-1").outputs(type_, "some", {})[1] == {}


def test_inputs_come_back_and_a_type_without_a_table_still_works() -> None:
    identifier, outputs = SimulatedCloud("cn-north-1").outputs("a:b:C", "c", {"size": 1})
    assert outputs == {"size": 1}
    assert identifier.startswith("c-")


def test_a_resource_may_live_in_another_region_than_its_provider() -> None:
    queue = "aws:sqs/queue:Queue"
    own = SimulatedCloud("us-west-2").outputs(queue, "q", {"region": "us-east-1"})[1]
    assert own["arn"].split(":")[3] == "us-east-1"


@pytest.mark.parametrize("region", REGIONS)
def test_a_data_source_is_of_the_region(region: str) -> None:
    names = SimulatedCloud(region).invoke(ZONES, {})["names"]
    assert names == [f"{region}a", f"{region}b", f"{region}c"]


def test_the_simulated_clouds_find_what_pythonpath_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = tmp_path / "begun"
    (tmp_path / "sitecustomize.py").write_text(f"open({str(begun)!r}, 'w').close()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with simulated_clouds(Simulation(region="cn-north-1"), Recorder, TINY) as listening:
        assert "aws:" in listening()
    assert begun.exists()


def test_a_data_source_without_a_table_is_named_with_the_folder_to_add_it_to() -> None:
    with pytest.raises(LookupError, match=r"^no sample output of a:b/c:c: add it to rehearsal"):
        SimulatedCloud("cn-north-1").invoke("a:b/c:c", {})
