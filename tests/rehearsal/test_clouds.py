"""The simulated cloud: plausible answers, the same every time, of the region that was asked."""

from __future__ import annotations

import pytest

from rehearsal.clouds import ACCOUNT, SimulatedCloud
from tests.harness import REGIONS

ROLE = "aws:iam/role:Role"
PARTITION = "aws:index/getPartition:getPartition"


@pytest.mark.parametrize("region", REGIONS)
def test_the_same_resource_gets_the_same_answers(region: str) -> None:
    first, second = (SimulatedCloud(region).outputs(ROLE, "r", {"path": "/x/"}) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("region", REGIONS)
def test_an_arn_is_of_the_regions_partition_and_the_example_account(region: str) -> None:
    cloud = SimulatedCloud(region)
    _, role = cloud.outputs(ROLE, "r", {"name": "r"})
    assert role["arn"] == f"arn:{cloud.region.partition}:iam::{ACCOUNT}:role/r"


def test_two_resources_and_two_regions_get_different_names() -> None:
    names = {
        SimulatedCloud(region).outputs(ROLE, name, {"namePrefix": "kf-"})[1]["name"]
        for region in REGIONS
        for name in ("a", "b")
    }
    assert len(names) == 8
    assert all(name.startswith("kf-") for name in names)


def test_inputs_come_back_and_a_type_nobody_described_still_works() -> None:
    identifier, outputs = SimulatedCloud("cn-north-1").outputs("a:b:C", "c", {"size": 1})
    assert outputs == {"size": 1}
    assert identifier.startswith("c-")


def test_a_resource_may_live_in_another_region_than_its_provider() -> None:
    queue = "aws:sqs/queue:Queue"
    own = SimulatedCloud("us-west-2").outputs(queue, "q", {"region": "us-east-1"})[1]
    assert own["arn"].split(":")[3] == "us-east-1"


@pytest.mark.parametrize("region", REGIONS)
def test_questions_are_answered_for_the_region(region: str) -> None:
    cloud = SimulatedCloud(region)
    answer = cloud.invoke(PARTITION, {})
    assert (answer["partition"], answer["dnsSuffix"]) == (
        cloud.region.partition,
        cloud.region.dns_suffix,
    )


def test_a_question_nobody_prepared_names_the_table_to_fill() -> None:
    with pytest.raises(LookupError, match=r"^no simulated answer for a:b/c:c: add it to rehearsal"):
        SimulatedCloud("cn-north-1").invoke("a:b/c:c", {})
