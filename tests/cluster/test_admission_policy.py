"""The rules of a stack as a policy of real API servers, by the table of ways around them.

No webhook is there: the policy alone judges, as it does while the webhook's pods are gone.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from components.mirror.admission_policy import admission_policy
from rendering import Object
from tests.cluster.client import Cluster, Refused
from tests.cluster.conftest import CURRENT, NewCluster
from tests.cluster.mirrored import OWN, namespace, pod
from tests.webhook.bypasses import (
    ALLOWED,
    AWS,
    CACHES,
    GOV,
    OTHERS,
    OURS,
    PLACES,
    PLATFORM,
    REFUSED,
    REPOSITORIES,
    UNLISTED,
    account_of,
    placed,
    rules,
)

pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")

EVIL = "docker.io/evil/miner:1"
INVALID = "quay.io/evil:1:2"
GOOD = f"{OWN}/quay.io/ours/app:1"
LISTS = {
    **{name: (OWN, name) for name in ("allow", "deny", "others")},
    **{f"aws-{name}": (AWS, name) for name in ("deny", "others", "team")},
    "gov-deny": (GOV, "deny"),
}
"""Namespace -> registry and list of rules of its policy."""


@pytest.fixture(scope="module")
def cluster(new_cluster: NewCluster) -> Generator[Cluster]:
    """A server with a namespace for each list of rules, named like it."""
    with new_cluster("admission-policy") as installation:
        for name, (registry, listed) in LISTS.items():
            installation.apply(namespace(name))
            labels = {"matchLabels": {"kubernetes.io/metadata.name": name}}
            policy, binding = admission_policy(registry, rules(listed), PLATFORM, labels)
            for obj in (policy, binding):
                obj["metadata"]["name"] = name
            binding["spec"]["policyName"] = name
            installation.cluster.apply(policy)
            installation.cluster.apply(binding)

        def refuses() -> bool:
            return all(refusal(installation.cluster, name, INVALID) for name in LISTS)

        retrying = Retrying(
            retry=retry_if_result(lambda done: not done),
            stop=stop_after_delay(300),
            wait=wait_fixed(0.2),
        )
        retrying(refuses)
        yield installation.cluster


def refusal(cluster: Cluster, where: str, *images: str, **more: Any) -> str:
    """Why a pod is refused; empty for one that is admitted."""
    try:
        cluster.create(pod("tried", *images, where=where, **more), dry_run=True)
    except Refused as refused:
        return str(refused)
    return ""


def by_policy(said: str) -> bool:
    """Whether a refusal is the policy's own; some texts no API server takes for an image at all."""
    return "image-mirror: not allowed in namespace" in said or "image: Invalid value" in said


def test_no_way_around_passes_the_policy(cluster: Cluster) -> None:
    wrong = {
        (name, image): said
        for name in ("allow", "deny")
        for image in REFUSED
        if not by_policy(said := refusal(cluster, name, image))
    }
    assert wrong == {}


def test_further_names_of_other_registries_do_not_pass_it(cluster: Cluster) -> None:
    said = {image: refusal(cluster, "others", image) for image in OTHERS}
    assert {image: why for image, why in said.items() if not by_policy(why)} == {}


def test_it_knows_caches_of_ecr_from_the_repositories_of_a_team(cluster: Cluster) -> None:
    where = {place: name for name, place in LISTS.items()}
    caches = [(row, refusal(cluster, where[AWS, row[0]], row[1])) for row in CACHES]
    assert [row for row, why in caches if not by_policy(why)] == []
    said = {
        image: refusal(cluster, where[account_of(image), name], image)
        for name, image in REPOSITORIES
    }
    assert {image: why for image, why in said.items() if why} == {}


def test_what_nobody_allowed_does_not_pass_it(cluster: Cluster) -> None:
    said = {image: refusal(cluster, "allow", image) for image in UNLISTED}
    assert {image: why for image, why in said.items() if not by_policy(why)} == {}


def test_what_the_webhook_makes_of_what_is_allowed_passes_it(cluster: Cluster) -> None:
    images = [after for _, after in OURS] + ALLOWED
    said = {image: refusal(cluster, "allow", image) for image in images}
    assert {image: why for image, why in said.items() if why} == {}
    assert [refusal(cluster, "deny", image) for image in ALLOWED] == ["" for _ in ALLOWED]
    # Without the webhook, a mirror of what is allowed is another registry.
    plain = [image for image, _ in OURS if "daocloud" not in image]
    assert [refusal(cluster, "allow", image) for image in plain] == ["" for _ in plain]
    for image in (image for image, _ in OURS if "daocloud" in image):
        assert by_policy(refusal(cluster, "allow", image))


def test_no_place_in_a_pod_hides_an_image_from_it(cluster: Cluster) -> None:
    for place in PLACES:
        for image in (EVIL, f"{OWN}/docker.io/evil/miner:1"):
            body = placed(place, image)
            made: Object = {**pod("tried", where="allow"), "spec": body["spec"]}
            made["metadata"] = {**body["metadata"], "name": "tried", "namespace": "allow"}
            with pytest.raises(Refused, match="image-mirror: not allowed in namespace allow"):
                cluster.create(made, dry_run=True)


def test_an_update_and_a_debug_container_bring_none_in(cluster: Cluster) -> None:
    made = cluster.create(pod("runs", GOOD, where="allow"))
    with pytest.raises(Refused, match="image-mirror: not allowed"):
        cluster.patch(made.body, {"spec": {"containers": [{"name": "c0", "image": EVIL}]}})
    debugger = {"spec": {"ephemeralContainers": [{"name": "d", "image": EVIL}]}}
    with pytest.raises(Refused, match="image-mirror: not allowed"):
        cluster.patch(made.body, debugger, subresource="ephemeralcontainers")
    debugger = {"spec": {"ephemeralContainers": [{"name": "d", "image": GOOD}]}}
    cluster.patch(made.body, debugger, subresource="ephemeralcontainers")
    cluster.patch(made.body, {"metadata": {"labels": {"a": "b"}}})


def test_many_images_are_judged_or_refused_and_never_let_through(cluster: Cluster) -> None:
    assert refusal(cluster, "allow", *[f"quay.io/ours/app:{number}" for number in range(50)]) == ""
    assert refusal(cluster, "deny", *[f"ghcr.io/a/app:{number}" for number in range(50)]) == ""
    for count in (200, 2000):
        images = [f"quay.io/ours/app:{number}" for number in range(count)]
        said = refusal(cluster, "allow", *images, EVIL)
        assert "docker.io/evil/miner:1" in said or "ValidatingAdmissionPolicy" in said


def test_the_refusal_names_namespace_images_and_the_way_out(cluster: Cluster) -> None:
    said = refusal(cluster, "allow", "quay.io/ours/app", EVIL, "https://user:hunter2@x/y")
    assert said.endswith(
        "image-mirror: not allowed in namespace allow by a rule of this cluster: "
        "docker.io/evil/miner:1, what is no image reference; use another image, or ask an "
        "administrator for a rule (imageMirror.rules)"
    )
    assert "hunter2" not in said
