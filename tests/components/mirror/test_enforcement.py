"""``enforce`` and ``admissionPolicy``: what a stack refuses without an answer, or by itself."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.mirror.image_mirror_webhook import judged_namespaces, webhook_configuration
from images.reference import parse
from regions.region import Region
from rehearsal.clouds import ACCOUNT
from settings import from_mapping
from settings.mirror_mode import MirrorMode
from tests.components.mirror.simulated_image_mirror import (
    CACHED,
    CROSSING,
    IMAGES,
    NODES,
    WITHIN,
    stack,
)
from tests.harness import Recorded

API = "kubernetes:admissionregistration.k8s.io/v1"
WEBHOOK = f"{API}:MutatingWebhookConfiguration"
POLICY, BINDING = f"{API}:ValidatingAdmissionPolicy", f"{API}:ValidatingAdmissionPolicyBinding"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"

PLACES = [*CROSSING, *WITHIN, *((region, None) for region in CACHED)]
every_place = pytest.mark.parametrize(("region", "build_region"), PLACES)


def closed(region: str, build_region: str | None, **more: Any) -> Recorded:
    return stack(region, build_region, "in-cluster", enforce=True, **more)


@every_place
def test_what_gets_no_answer_is_refused_where_enforced_only(
    region: str, build_region: str | None
) -> None:
    for enforce, answer in ((True, "Fail"), (False, "Ignore")):
        recorded = stack(region, build_region, "in-cluster", enforce=enforce)
        (webhook,) = recorded.only(WEBHOOK).inputs["webhooks"]
        assert webhook["failurePolicy"] == answer
        assert ("matchConditions" in webhook) is enforce


@every_place
def test_the_webhook_is_made_after_its_pods_so_that_it_is_deleted_before_them(
    region: str, build_region: str | None
) -> None:
    recorded = closed(region, build_region)
    before = {kind for kind, _ in recorded.dependencies_of(recorded.only(WEBHOOK))}
    assert {
        DEPLOYMENT,
        "kubernetes:core/v1:Service",
        "kubernetes:core/v1:Secret",
        "kubernetes:core/v1:ConfigMap",
        "kubernetes:core/v1:Namespace",
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
    } <= before


@every_place
def test_the_policy_waits_for_no_part_of_the_webhook(region: str, build_region: str | None) -> None:
    recorded = closed(region, build_region)
    policy, binding = recorded.only(POLICY), recorded.only(BINDING)
    assert recorded.dependencies_of(policy) == {NODES}
    assert recorded.dependencies_of(binding) == {(POLICY, policy.name)}
    assert binding.inputs["spec"]["policyName"] == policy.inputs["metadata"]["name"]
    assert policy.inputs["spec"]["failurePolicy"] == "Fail"


@pytest.mark.parametrize(
    ("settings", "kubernetes", "there"),
    [
        ({}, "1.36", False),
        ({"enforce": True}, "1.36", True),
        ({"enforce": True}, "1.30", True),
        ({"enforce": True}, "1.21", False),
        ({"enforce": True, "admissionPolicy": False}, "1.36", False),
        ({"admissionPolicy": True}, "1.36", True),
    ],
)
def test_the_policy_is_there_where_asked_for(
    settings: dict[str, bool], kubernetes: str, there: bool
) -> None:
    whole = from_mapping({"region": "cn-north-1", "imageMirror": settings})
    mode = MirrorMode(whole.image_mirror, Region.of("cn-north-1"))
    assert mode.has_policy(kubernetes) is there


def test_an_old_kubernetes_has_no_conditions() -> None:
    (webhook,) = webhook_configuration("https://x", enforce=True)["webhooks"]
    assert webhook["failurePolicy"] == "Fail"
    assert "matchConditions" not in webhook


def test_both_judge_the_same_namespaces() -> None:
    recorded = closed("cn-north-1", "us-west-2")
    (webhook,) = recorded.only(WEBHOOK).inputs["webhooks"]
    constraints = recorded.only(POLICY).inputs["spec"]["matchConstraints"]
    assert webhook["namespaceSelector"] == judged_namespaces() == constraints["namespaceSelector"]


@every_place
def test_the_platforms_images_are_known_to_handler_and_policy(
    region: str, build_region: str | None, tmp_path: Path
) -> None:
    recorded = closed(region, build_region)
    (content,) = recorded.only("kubernetes:core/v1:ConfigMap").inputs["binaryData"].values()
    archive = tmp_path / "webhook.zip"
    archive.write_bytes(base64.b64decode(content))
    program = "from webhook.inventory import sources; print(*sources())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(archive)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert set(done.stdout.split()) == {str(parse(image)) for image in IMAGES}
    variables = {each["name"]: each for each in recorded.only(POLICY).inputs["spec"]["variables"]}
    registry = f"{Region.of(region).ecr_registry(ACCOUNT)}/kubeflow"
    for image in IMAGES:
        assert f'"{parse(image)}"' in variables["platform"]["expression"]
        assert f'"{parse(image).mirrored(registry)}"' in variables["platform"]["expression"]


def test_the_functions_have_them_too() -> None:
    recorded = stack("cn-north-1", "us-west-2", "api-gateway", enforce=True)
    files = {
        each.inputs["handler"]: set(each.inputs["code"].assets)
        for each in recorded.of("aws:lambda/function:Function")
    }
    for handler in ("admit", "start_copy"):
        assert "webhook/inventory.json" in files[f"webhook.lambda_handler.{handler}"]


@pytest.mark.parametrize(
    ("region", "chosen", "kept"),
    [
        ("cn-north-1", None, True),
        ("cn-northwest-1", None, True),
        ("us-gov-west-1", None, False),
        ("us-west-2", None, False),
        ("cn-north-1", "mirror", False),
        ("us-gov-west-1", "keep", True),
    ],
)
def test_domestic_registries_stay_where_docker_hub_is_out_of_reach(
    region: str, chosen: str | None, kept: bool
) -> None:
    settings: dict[str, Any] = {"enabled": True}
    if chosen:
        settings["domesticRegistries"] = chosen
    whole = from_mapping({"region": region, "imageMirror": settings})
    assert MirrorMode(whole.image_mirror, Region.of(region)).keeps_domestic is kept


def test_the_handler_knows_both_settings() -> None:
    recorded = closed("cn-north-1", "us-west-2")
    (container,) = recorded.only(DEPLOYMENT).inputs["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert (variables["MIRROR_ENFORCE"], variables["MIRROR_DOMESTIC"]) == ("true", "keep")
    open_ = stack("us-gov-west-1", "us-gov-west-1", "in-cluster")
    (container,) = open_.only(DEPLOYMENT).inputs["spec"]["template"]["spec"]["containers"]
    names = {each["name"] for each in container["env"]}
    assert not names & {"MIRROR_ENFORCE", "MIRROR_DOMESTIC"}
