"""The harness sees what Pulumi's own mocks hide, and lets no failure pass."""

from __future__ import annotations

import gc
import os
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from tests.harness import MASKED, Recorded, run

QUEUE = "aws:sqs/queue:Queue"


def queue(name: str = "q", opts: pulumi.ResourceOptions | None = None, **inputs: Any) -> Any:
    return pulumi.CustomResource(QUEUE, name, inputs, opts)


def in_a_component() -> None:
    provider = aws.Provider("own", region="us-west-2")
    parent = pulumi.ComponentResource("a:b:Parent", "p", {}, pulumi.ResourceOptions())
    first = queue("first", pulumi.ResourceOptions(parent=parent, provider=provider))
    queue("second", pulumi.ResourceOptions(parent=parent, depends_on=[first], protect=True))


@pytest.fixture
def made() -> Recorded:
    return run(in_a_component)


def failing(_: Any) -> None:
    raise AssertionError("told")


def test_a_failed_assertion_inside_an_apply_fails_the_test() -> None:
    def program() -> None:
        queue().urn.apply(failing)

    with pytest.raises(AssertionError, match="told"):
        run(program)


def test_an_impossible_value_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="visibilityTimeoutSecond"):
        run(lambda: queue(visibilityTimeoutSecond=1).urn)


def test_a_component_whose_type_no_state_has_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="kubeflow:platform:Netwosk is in the state of no"):
        run(lambda: pulumi.ComponentResource("kubeflow:platform:Netwosk", "n").urn)


def test_parents_dependencies_and_protection_are_seen(made: Recorded) -> None:
    second = made.only(QUEUE, "second")
    assert second.parent_type == "a:b:Parent"
    assert second.protect
    assert made.dependencies_of(second) == {(QUEUE, "first")}
    assert [each.name for each in made.beneath("p")] == ["first", "second"]


def test_an_explicit_provider_is_told_from_a_default_one(made: Recorded) -> None:
    assert made.only(QUEUE, "first").provider_name == "own"
    assert made.only(QUEUE, "second").provider_name == ""


def test_every_resource_lives_in_the_region_of_its_provider(made: Recorded) -> None:
    program = made.only("pulumi:providers:aws")
    assert program.inputs["region"] == "us-west-2"
    assert "us-west-2" in run(asked_abroad, "cn-north-1").exports["zones"][0]


def asked_abroad() -> dict[str, Any]:
    abroad = aws.Provider("abroad", region="us-west-2")
    answer = aws.get_availability_zones_output(opts=pulumi.InvokeOptions(provider=abroad))
    return {"zones": answer.names}


def test_data_sources_are_recorded_with_the_provider_asked() -> None:
    zones = "aws:index/getAvailabilityZones:getAvailabilityZones"
    assert run(asked_abroad).asked == [(zones, "abroad")]


def test_what_is_secret_is_masked_and_only_that() -> None:
    def program() -> Any:
        return queue(tags={"b": pulumi.Output.secret("s"), "c": "1"}, policy="e").urn

    made = run(program).only(QUEUE)
    assert made.inputs == {"tags": {"b": "s", "c": "1"}, "policy": "e"}
    assert made.visible == {"tags": {"b": MASKED, "c": "1"}, "policy": "e"}
    assert made.secrets == {"tags"}


def test_exports_are_resolved_and_secret_ones_known() -> None:
    def program() -> None:
        pulumi.export("open", queue().urn.apply(len))
        pulumi.export("closed", {"in": pulumi.Output.secret("s")})

    told = run(program)
    assert told.exports == {"open": len(told.all[0].urn), "closed": {"in": "s"}}
    assert told.secret_exports == {"closed"}


def test_nothing_of_one_run_is_left_in_the_next() -> None:
    run(lambda: pulumi.export("before", 1), config={"kubeflow:region": "us-west-2"})
    after = run(lambda: {"region": pulumi.Config("kubeflow").get("region")})
    assert after.exports == {"region": None}
    assert after.all == []


def test_many_runs_do_not_use_up_the_files_that_select_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most = len(os.listdir("/dev/fd")) + 30  # noqa: PTH208 paths are not needed
    monkeypatch.setattr("tests.harness._MOST_OPEN_FILES", most)
    gc.disable()
    try:
        for _ in range(30):
            run(queue)
    finally:
        gc.enable()
    assert len(os.listdir("/dev/fd")) < most + 30  # noqa: PTH208


def test_exactly_one_must_be_there_to_be_the_only_one(made: Recorded) -> None:
    with pytest.raises(AssertionError, match="2 of aws:sqs"):
        made.only(QUEUE)
    with pytest.raises(AssertionError, match="0 of aws:sqs"):
        made.only(QUEUE, "third")
