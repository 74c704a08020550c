"""Volumes of a platform that is right, and broken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ops.verification.played.live import CREATED, Change, Live
from tests.ops.verification.played.platforms import CN, examined, live_of, wrong
from tests.ops.verification.told import assert_broken, assert_of_others, assert_right


@pytest.mark.parametrize(
    ("name", "about", "sentence"),
    [
        pytest.param(
            "storage",
            "StorageClass",
            "gp3 is the default of 2",
            marks=pytest.mark.check("storage", broken=False),
        ),
    ],
)
def test_a_right_platform_is_good_and_the_sentence_has_numbers(
    name: str, about: str, sentence: str
) -> None:
    assert_right(name, about, sentence)


def no_default_class(live: Live) -> None:
    live.get("StorageClass", "gp3")["metadata"]["annotations"] = {}


def claim(
    phase: str, used_class: str, *, mounted: bool, created: str = CREATED, node: str = "a"
) -> Change:
    def change(live: Live) -> None:
        live.put(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    "name": "work",
                    "namespace": "kubeflow-user-example-com",
                    "creationTimestamp": created,
                    "annotations": {"volume.kubernetes.io/selected-node": node} if node else {},
                },
                "spec": {"storageClassName": used_class},
                "status": {"phase": phase},
            }
        )
        if mounted:
            volume = {"name": "work", "persistentVolumeClaim": {"claimName": "work"}}
            live.put(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": "mine-0", "namespace": "kubeflow-user-example-com"},
                    "spec": {"containers": [], "volumes": [volume]},
                    "status": {"phase": "Pending"},
                }
            )

    return change


def no_driver(live: Live) -> None:
    live.delete("CSIDriver", "ebs.csi.aws.com")


@pytest.mark.parametrize(
    ("name", "change", "about", "sentence"),
    [
        pytest.param(
            "storage",
            no_default_class,
            "StorageClass",
            "none is the default, so claims without a class wait for ever",
            marks=pytest.mark.check("storage", broken=True),
        ),
        ("storage", no_driver, "CSI drivers", "ebs.csi.aws.com is missing"),
        (
            "storage",
            claim("Pending", "gp3", mounted=True),
            "kubeflow-user-example-com/work",
            (
                "is Pending, and a pod waits for it: read `kubectl -n kubeflow-user-example-com "
                "describe"
            ),
        ),
        (
            "storage",
            claim("Pending", "gp3", mounted=False),
            "kubeflow-user-example-com/work",
            "waits for its first pod, as the class gp3 says",
        ),
        (
            "storage",
            claim("Pending", "fast", mounted=True),
            "kubeflow-user-example-com/work",
            "names the StorageClass fast, which does not exist: use gp2 or gp3",
        ),
        (
            "storage",
            claim("Lost", "gp3", mounted=True),
            "kubeflow-user-example-com/work",
            "its volume is gone",
        ),
    ],
)
def test_a_broken_platform_gets_the_true_reason(
    name: str, change: Change, about: str, sentence: str
) -> None:
    assert_broken(name, change, about, sentence)


@pytest.mark.parametrize(
    ("name", "change", "notes"),
    [
        ("storage", claim("Pending", "gp3", mounted=True, node=""), 1),
    ],
)
def test_what_passes_and_what_is_of_others_is_no_problem(
    name: str, change: Change, notes: int
) -> None:
    assert_of_others(name, change, notes)


@pytest.mark.parametrize(
    ("used_class", "sentence"),
    [(None, "none was the default when it was made"), ("", "no volume that somebody made")],
)
def test_a_claim_without_a_class_gets_the_true_reason(used_class: Any, sentence: str) -> None:
    live = live_of(CN).changed()
    claim("Pending", used_class, mounted=True)(live)
    ((_, said),) = wrong(examined("storage", live))
    assert sentence in said
