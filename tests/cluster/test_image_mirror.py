"""The image mirror as a real API server calls it: over HTTPS, by the configuration we deploy.

The in-cluster server and the decision are the real ones; only what ECR and the in-flight table
would say is made up. One API server for all of it; each test has pods of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.cluster.client import Refused
from tests.cluster.conftest import CURRENT, NewCluster
from tests.cluster.mirrored import ECR, OWN, SHA, Judge, Mirrored, in_effect, pod, rewritten
from webhook.admission import Copy, Presence
from webhook.image_places import OPT_OUT
from webhook.rules import WhenAbsent

pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")


@pytest.fixture(scope="module")
def kept(new_cluster: NewCluster, tmp_path_factory: pytest.TempPathFactory) -> Generator[Mirrored]:
    folder = tmp_path_factory.mktemp("image-mirror-certificate")
    with in_effect(new_cluster, "image-mirror", folder) as made:
        yield made


@pytest.fixture
def mirrored(kept: Mirrored) -> Mirrored:
    kept.judged_by(Judge())
    return kept


# -- what becomes of images -----------------------------------------------------------------------


def test_every_image_of_a_pod_is_pulled_from_our_own_registry(mirrored: Mirrored) -> None:
    made = mirrored.create(
        "lists",
        "python:3.9",
        f"quay.io/a/b:1@{SHA}",
        f"registry.k8s.io/pause@{SHA}",
        initContainers=[{"name": "first", "image": "reg.example.com:5000/tools/init:v1"}],
        volumes=[{"name": "model", "image": {"reference": "ghcr.io/models/llama:2"}}],
    )
    assert mirrored.stored(made) == [
        f"{OWN}/port-5000/reg.example.com/tools/init:v1",
        f"{OWN}/docker.io/library/python:3.9",
        f"{OWN}/quay.io/a/b:1@{SHA}",
        f"{OWN}/registry.k8s.io/pause@{SHA}",
        f"{OWN}/ghcr.io/models/llama:2",
    ]


def test_images_of_our_own_registry_and_of_other_ecr_registries_stay(mirrored: Mirrored) -> None:
    images = [f"{OWN}/quay.io/a/b:1", f"{ECR}/private/app:2", f"{ECR}/private/app@{SHA}"]
    assert mirrored.stored(mirrored.create("own", *images)) == images


def test_what_was_rewritten_once_is_created_again_as_it_is(mirrored: Mirrored) -> None:
    first = mirrored.stored(mirrored.create("once", "python:3.9", f"quay.io/a/b:1@{SHA}"))
    assert mirrored.stored(mirrored.create("again", *first)) == first


def test_an_image_that_is_changed_later_is_rewritten_too(mirrored: Mirrored) -> None:
    made = mirrored.create("changed", "python:3.9", "python:3.10")
    change = {"spec": {"containers": [{"name": "c1", "image": "python:3.11"}]}}
    mirrored.cluster.patch(made.body, change)
    at = f"{OWN}/docker.io/library/python"
    assert mirrored.stored(made) == [f"{at}:3.9", f"{at}:3.11"]


def test_the_containers_of_kubectl_debug_are_rewritten_and_earlier_ones_left(
    mirrored: Mirrored,
) -> None:
    made = mirrored.create("debugged", "python:3.9")
    for name, image in (("debugger-1", "busybox:1.36"), ("debugger-2", f"busybox@{SHA}")):
        # k8s.io/kubectl pkg/cmd/debug/debug.go, debugByEphemeralContainer
        container = {"name": name, "image": image, "stdin": True, "targetContainerName": "c0"}
        change = {"spec": {"ephemeralContainers": [container]}}
        mirrored.cluster.patch(made.body, change, subresource="ephemeralcontainers")
    # The API server puts the newest first, so that the place of an earlier one changes.
    at = f"{OWN}/docker.io/library"
    assert mirrored.stored(made) == [
        f"{at}/python:3.9",
        f"{at}/busybox@{SHA}",
        f"{at}/busybox:1.36",
    ]
    # It also asks again where somebody else has changed the pod meanwhile: no order, no count.
    assert set(mirrored.judge.asked) == {
        "docker.io/library/python:3.9",
        "docker.io/library/busybox:1.36",
        f"docker.io/library/busybox@{SHA}",
    }
    subresources = [each.get("subResource") for each in mirrored.judge.reviews]
    assert set(subresources[1:]) == {"ephemeralcontainers"}


def test_a_dry_run_shows_the_rewritten_pod_and_starts_no_copy(mirrored: Mirrored) -> None:
    shown = mirrored.cluster.apply(pod("dry", "python:3.9"), dry_run=True)
    assert rewritten(shown)
    assert (mirrored.judge.asked, mirrored.judge.started) == (["docker.io/library/python:3.9"], [])


def test_pods_that_are_made_at_the_same_moment_are_all_rewritten(mirrored: Mirrored) -> None:
    def create(number: int) -> bool:
        return rewritten(mirrored.create(f"burst-{number}", f"quay.io/a/b:{number}"))

    with ThreadPoolExecutor(20) as clients:
        assert all(clients.map(create, range(100)))


# -- who is left out ------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["annotations", "labels"])
def test_a_pod_leaves_itself_out_of_nothing(mirrored: Mirrored, where: str) -> None:
    made = mirrored.create(f"own-{where}", "python:3.9", metadata={where: {OPT_OUT: "true"}})
    assert rewritten(made)
    assert "has no effect on a pod" in made.warnings[0]


def test_a_pod_that_calls_itself_a_static_one_is_rewritten(mirrored: Mirrored) -> None:
    static = {"annotations": {"kubernetes.io/config.mirror": "x"}}
    made = mirrored.create("static", "python:3.9", metadata=static, nodeName="n")
    assert rewritten(made)


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("in-labelled", {"where": "unmirrored"}),
        ("system", {"where": "kube-system"}),
    ],
)
def test_these_are_not_even_asked_about(
    mirrored: Mirrored, name: str, left_out: dict[str, Any]
) -> None:
    assert mirrored.stored(mirrored.create(name, "python:3.9", **left_out)) == ["python:3.9"]
    assert mirrored.judge.reviews == []


# -- copies that are not there --------------------------------------------------------------------


def test_the_author_of_a_pod_is_warned_that_a_copy_is_under_way(mirrored: Mirrored) -> None:
    mirrored.judge.copy = Copy(Presence.COPYING)
    made = mirrored.create("warned", "python:3.9", f"quay.io/a/b@{SHA}")
    assert rewritten(made)
    assert mirrored.judge.started == ["docker.io/library/python:3.9", f"quay.io/a/b@{SHA}"]
    said = "is being copied to this account's registry"
    assert made.warnings == (
        f'299 - "docker.io/library/python:3.9 {said}"',
        f'299 - "quay.io/a/b@{SHA} {said}"',
    )


def test_a_policy_can_keep_the_source_until_the_copy_is_there(mirrored: Mirrored) -> None:
    mirrored.judge.when_absent = WhenAbsent.KEEP
    mirrored.judge.copy = Copy(Presence.COPYING)
    made = mirrored.create("waits", "python:3.9")
    assert mirrored.stored(made) == ["python:3.9"]
    assert "the source stays in place" in made.warnings[0]


def test_a_policy_can_refuse_a_pod_and_its_author_is_told_why(mirrored: Mirrored) -> None:
    mirrored.judge.when_absent = WhenAbsent.DENY
    mirrored.judge.copy = Copy(Presence.FAILED, "the copy could not be started (NoSuchTag)")
    with pytest.raises(
        Refused,
        match=r"denied the request: image-mirror: docker\.io/library/python:3\.9 could not be "
        r"copied to this account's registry: the copy could not be started \(NoSuchTag\)",
    ):
        mirrored.create("refused", "python:3.9")


def test_a_refusing_policy_does_not_stand_in_the_way_of_pods_that_run(mirrored: Mirrored) -> None:
    made = mirrored.create("runs", "python:3.9")
    mirrored.judged_by(Judge(when_absent=WhenAbsent.DENY, copy=Copy(Presence.FAILED)))
    given = mirrored.cluster.patch(made.body, {"metadata": {"labels": {"changed": "true"}}})
    assert given.body["metadata"]["labels"] == {"changed": "true"}
    assert mirrored.judge.reviews, "it was asked"
    assert mirrored.judge.asked == []


# -- a webhook in trouble -------------------------------------------------------------------------


def test_without_the_webhook_pods_start_with_the_images_they_name(mirrored: Mirrored) -> None:
    with mirrored.down():
        made = mirrored.create("alone", "python:3.9")
        assert mirrored.stored(made) == ["python:3.9"]
    assert rewritten(mirrored.create("together", "python:3.9"))


def test_a_webhook_with_an_error_is_passed_over(mirrored: Mirrored) -> None:
    def broken(body: object, _deadline: float) -> dict[str, Any]:
        raise RuntimeError(str(body))

    mirrored.decide = broken
    assert mirrored.stored(mirrored.create("despite", "python:3.9")) == ["python:3.9"]


def test_a_webhook_that_does_not_answer_costs_seconds_and_not_the_pod(mirrored: Mirrored) -> None:
    """The webhook is silent until the pod is there."""
    released = threading.Event()

    def silent(body: object, deadline: float) -> dict[str, Any]:
        released.wait()
        return mirrored.judge.decide(body, deadline)

    mirrored.decide = silent
    start = time.monotonic()
    try:
        made = mirrored.create("patient", "python:3.9")
    finally:
        released.set()
    assert mirrored.stored(made) == ["python:3.9"]
    assert time.monotonic() - start > 4
