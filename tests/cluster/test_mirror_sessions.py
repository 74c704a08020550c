"""The pod that hands sessions over, as a real API server takes it: in a restricted namespace."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import CURRENT, NewCluster
from tests.cluster.stand_ins import pod_of
from tests.components.simulated_image_mirror import CROSSING, stack
from tests.rendering.beijing import rendered

pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")

KINDS = ("core/v1:ServiceAccount", "networking.k8s.io/v1:NetworkPolicy", "batch/v1:CronJob")


def test_its_objects_are_accepted_and_its_pod_is_admitted_without_a_warning(
    new_cluster: NewCluster,
) -> None:
    recorded = stack(*CROSSING[0], "in-cluster", credentials="web-identity")
    objects = [
        found.inputs
        for kind in KINDS
        for found in recorded.of(f"kubernetes:{kind}")
        if found.inputs["metadata"]["name"] == "image-mirror-sessions"
    ]
    assert len(objects) == len(KINDS)
    (namespace,) = (
        obj for obj in rendered("addons/image-mirror").objects if obj["kind"] == "Namespace"
    )
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    with new_cluster("image-mirror-sessions") as installation:
        cluster = installation.cluster
        cluster.apply(namespace)
        for obj in objects:
            assert cluster.apply(obj).warnings == ()
        # As it is stored: on its way through the engine every number became a fraction.
        pod = pod_of(cluster.read(objects[-1]))
        assert pod is not None
        assert cluster.create(pod).warnings == ()
