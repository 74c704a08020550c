"""Knative starts what the account's registry holds by its tag, in every partition and release.

Its controller asks other registries for a digest first; at the account's it has no login. Knative's
own code judges our ConfigMap.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from components.objects.kubernetes_objects import bind
from program import static_values
from regions.region import Region
from rendering import Object
from settings import from_mapping
from settings.context import StackContext
from tests.harness import REGIONS
from tests.releases import PIPELINES_2, RELEASES
from tests.rendering.beijing import Release, kubeflow
from tests.services.serving_programs import domain_of_services, left_to_the_kubelet

ACCOUNT = "111122223333"
each_release = pytest.mark.parametrize("release", RELEASES)
each_region = pytest.mark.parametrize("region", REGIONS)
STACKS = {
    **{region: {"region": region} for region in REGIONS},
    "pulled through": {"region": "us-west-2", "imageMirror": {"enabled": True}},
    "copied in GovCloud": {"region": "us-gov-west-1", "imageMirror": {"enabled": True}},
}
"""Settings by what they stand for: with a mirror of each kind, and without one."""


def config_deployment(release: str) -> Object:
    return kubeflow(release).get("ConfigMap", "config-deployment", "knative-serving")


def bound(value: Object, **stack: Any) -> Object:
    settings = from_mapping(stack)
    return bind(value, static_values(StackContext.of(settings, ACCOUNT, {}), settings))


def runtime_images(release: Release) -> list[str]:
    """What KServe's serving runtimes run, as rendered: images of the mirror."""
    specs = [runtime["spec"] for runtime in release.all("ClusterServingRuntime")]
    return sorted({each["image"] for spec in specs for each in spec["containers"]})


@each_release
@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_tags_of_the_accounts_registry_are_left_to_the_kubelet(
    release: str, stack: dict[str, Any]
) -> None:
    host = Region.of(stack["region"]).ecr_registry(ACCOUNT)
    images = [f"{host}/team-a/model:v1", f"{host}/kubeflow/docker.io/library/python"]
    answers = left_to_the_kubelet(bound(config_deployment(release), **stack), images)
    assert answers == dict.fromkeys(images, True)


@pytest.mark.parametrize("release", PIPELINES_2)
@each_region
def test_no_serving_runtime_needs_a_digest_of_the_mirror(region: str, release: str) -> None:
    images = runtime_images(kubeflow(release))
    assert len(images) > 5
    mirrored = bound({"images": images}, region=region)["images"]
    answers = left_to_the_kubelet(bound(config_deployment(release), region=region), mirrored)
    assert answers == dict.fromkeys(mirrored, True)


@each_release
def test_hosts_that_knative_skips_by_itself_are_still_skipped(release: str) -> None:
    images = [f"{host}/team-a/model:v1" for host in ("kind.local", "ko.local", "dev.local")]
    answers = left_to_the_kubelet(bound(config_deployment(release), region="cn-north-1"), images)
    assert answers == dict.fromkeys(images, True)


@each_release
def test_every_other_registry_is_asked_as_before(release: str) -> None:
    images = [
        "docker.io/library/python:3.11",
        "444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn/a/b",
    ]
    answers = left_to_the_kubelet(bound(config_deployment(release), region="cn-north-1"), images)
    assert answers == dict.fromkeys(images, False)


@each_release
def test_a_stack_can_leave_more_registries_to_its_nodes(release: str) -> None:
    hosts = ["docker.io", "444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn", "10.0.3.7:5000"]
    stack = {"region": "cn-north-1", "serving": {"nodeRegistries": hosts}}
    images = ["python:3.11", *(f"{host}/team-a/model:v1" for host in hosts)]
    answers = left_to_the_kubelet(bound(config_deployment(release), **stack), images)
    assert answers == dict.fromkeys(images, True)


@each_release
def test_the_key_is_spelled_as_the_releases_own_knative_explains_it(release: str) -> None:
    """Old versions know one spelling, new ones both; each ConfigMap explains its own."""
    data = config_deployment(release)["data"]
    key = next(key for key, value in data.items() if value.endswith("<<serving.node-registries>>"))
    assert re.search(rf"^{key}: ", data["_example"], re.MULTILINE)


@each_release
def test_the_hosts_of_knatives_services_are_of_the_settings_domain(release: str) -> None:
    found = kubeflow(release).get("ConfigMap", "config-domain", "knative-serving")
    assert domain_of_services(bound(found, region="cn-north-1")) == "kubeflow.internal"
    own = bound(found, region="cn-north-1", serving={"domain": "models.company.cn"})
    assert domain_of_services(own) == "models.company.cn"
