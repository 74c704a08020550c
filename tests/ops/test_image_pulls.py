"""Images that nobody pulls or resolves: the way out, by registry and message."""

from __future__ import annotations

from typing import Any

import pytest

from ops.image_pulls import pull_trouble, way_out_of_digest, way_out_of_pull

OWN = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn"
OTHER = "444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn"
BACK_OFF = "Back-off pulling image"
DENIED = "failed to authorize: 403 Forbidden"
GONE = "rpc error: code = NotFound desc = python:9: not found"


@pytest.mark.parametrize(
    ("image", "message", "way_out"),
    [
        (
            f"{OWN}/kubeflow/docker.io/library/python:3.9",
            BACK_OFF,
            (
                "its copy is under way or failed; `kubectl run asked --dry-run=server "
                "--image=docker.io/library/python:3.9` says which, and why"
            ),
        ),
        (f"{OWN}/team/model:1", GONE, f"{OWN} has no such tag: correct the image"),
        (
            f"{OTHER}/team/model:1",
            DENIED,
            f"let the policy of its repository in {OTHER} admit the role of the nodes",
        ),
        ("python:9", GONE, "docker.io has no such tag: correct the image"),
        (
            "harbor.company.cn/a/b:1",
            "401 Unauthorized",
            (
                "name a secret with a login to harbor.company.cn in imagePullSecrets, or correct "
                "the image"
            ),
        ),
        (
            "harbor.company.cn/a/b:1",
            "pull access denied, repository not found or may require authorization",
            (
                "name a secret with a login to harbor.company.cn in imagePullSecrets, or correct "
                "the image"
            ),
        ),
        (
            "ghcr.io/a/b:1",
            "dial tcp 20.205.243.164:443: i/o timeout",
            (
                "nodes do not reach ghcr.io: set kubeflow:imageMirror.enabled to true, or push the "
                "image to the account's registry"
            ),
        ),
        ("quay.io/UPPER", "", "correct the name of the image"),
    ],
)
def test_a_node_that_pulls_nothing_has_a_way_out(image: str, message: str, way_out: str) -> None:
    assert way_out_of_pull(image, message) == way_out


@pytest.mark.parametrize(
    ("image", "message", "way_out"),
    [
        (
            f"{OTHER}/team/model:1",
            "HEAD ...: unexpected status code 401 Unauthorized",
            (
                f"Knative has no login to {OTHER}: list it in kubeflow:serving.nodeRegistries and "
                "run `pulumi up`, or name the image by its digest"
            ),
        ),
        (
            "harbor.company.cn/a/b:1",
            "unexpected status code 401 Unauthorized",
            (
                "Knative has no login to harbor.company.cn: name a secret with one in "
                "imagePullSecrets of the service account, or name the image by its digest"
            ),
        ),
        ("quay.io/a/b:9", "404 Not Found", "quay.io has no such tag: correct the image"),
        ("quay.io/UPPER", "", "correct the name of the image"),
    ],
)
def test_a_tag_that_knative_cannot_resolve_has_a_way_out(
    image: str, message: str, way_out: str
) -> None:
    assert way_out_of_digest(image, message) == way_out


def test_a_registry_that_knative_does_not_reach_is_named() -> None:
    way_out = way_out_of_digest("python:3.9", "context deadline exceeded")
    assert way_out.startswith("Knative's controller does not reach docker.io: ")


def pod(reason: str, kind: str = "containerStatuses") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": GONE}}
    return {
        "spec": {
            "initContainers": [{"name": "init", "image": "quay.io/a/b:1"}],
            "containers": [{"name": "main", "image": "python:9"}],
        },
        "status": {kind: [{"name": "init" if kind.startswith("init") else "main", "state": state}]},
    }


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
def test_the_image_that_waits_is_that_of_the_container(reason: str) -> None:
    assert pull_trouble(pod(reason)) == "docker.io has no such tag: correct the image"
    first = pull_trouble(pod(reason, "initContainerStatuses"))
    assert first == "quay.io has no such tag: correct the image"


def test_a_pod_that_waits_for_something_else_has_no_trouble_with_images() -> None:
    assert pull_trouble(pod("CrashLoopBackOff")) == ""
    assert pull_trouble({"spec": {}, "status": {}}) == ""
    assert pull_trouble(pod("InvalidImageName")) == "correct the name of the image"
