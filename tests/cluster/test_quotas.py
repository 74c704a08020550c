"""A profile's quota on a real API server: what it refuses, and which pods start nevertheless.

The controller that counts is part of kube-controller-manager; ``counted`` writes its first status.
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest

from components.gpu.node_pools import GPU_RESOURCE, SLICE_RESOURCE
from components.kubeflow.profiles import quota_objects
from rendering import Object
from settings.users import User
from tests.cluster.client import Refused
from tests.cluster.conftest import CURRENT, NewCluster
from tests.cluster.installation import Installation

pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")
CACHE_SECONDS = 300
LIMITS = {"cpus": 2, "memoryGib": 4, "gpus": 1, "storageGib": 10, "pods": 20}


@dataclass(frozen=True)
class Profile:
    """A profile's namespace, in which nothing is yet."""

    server: Installation
    namespace: str

    def quota(self, **limits: int) -> list[Object]:
        """The quota of a user with these limits, and what is beside it."""
        user = {"email": "a@example.com", "namespace": self.namespace, "quota": limits}
        return list(quota_objects(User.model_validate(user)))

    def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        return self.server.cluster.create(obj, dry_run=dry_run).body

    def counted(self, quota: Object) -> None:
        """As kubernetes/kubernetes pkg/controller/resourcequota/resource_quota_controller.go.

        Returns when the admission of the API server, which reads a cache, has the status.
        """
        stored = self.server.cluster.read(quota)
        hard = stored["spec"]["hard"]
        stored["status"] = {"hard": hard, "used": dict.fromkeys(hard, "0")}
        self.server.cluster.replace_status(stored, manager="kube-controller-manager")
        huge = self.pod("probe", {"cpu": "1000"}) if "pods" in hard else self.claim("probe", "1Ti")
        self.until(huge, "(failed|exceeded) quota")

    def until(self, probe: Object, sentence: str) -> None:
        """Tries an object, which is never stored, until its refusal matches; empty: is accepted."""
        limit = time.monotonic() + CACHE_SECONDS
        while not re.search(sentence or "^$", answer := self._tried(probe)):
            assert time.monotonic() < limit, answer or "accepted"
            time.sleep(0.1)

    def _tried(self, probe: Object) -> str:
        try:
            self.create(probe, dry_run=True)
        except Refused as refused:
            return str(refused)
        return ""

    def pod(
        self, name: str, *containers: dict[str, str], image: str = "registry.example/train"
    ) -> Object:
        """A pod whose containers request this; its init container requests nothing."""
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "initContainers": [{"name": "init", "image": image}],
                "containers": [
                    # Of extended resources, requests and limits are the same.
                    {
                        "name": f"c{number}",
                        "image": image,
                        "resources": {
                            "requests": requests,
                            "limits": {k: v for k, v in requests.items() if "/" in k},
                        },
                    }
                    for number, requests in enumerate(containers)
                ],
            },
        }

    def claim(self, name: str, size: str) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "accessModes": ["ReadWriteMany"],
                "resources": {"requests": {"storage": size}},
            },
        }


@pytest.fixture(scope="module")
def server(new_cluster: NewCluster) -> Generator[Installation]:
    """An API server for the profiles of all tests."""
    with new_cluster("quotas") as made:
        yield made


@pytest.fixture
def profile(server: Installation) -> Profile:
    """One of this test alone."""
    namespace = f"team-{len(server.applied)}"
    server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    return Profile(server, namespace)


def test_a_pod_that_requests_nothing_starts_and_is_counted(profile: Profile) -> None:
    quota, smallest = profile.quota(**LIMITS)
    profile.server.apply(quota)
    profile.counted(quota)
    with pytest.raises(Refused, match=r"failed quota: profile-quota: must specify requests\.cpu"):
        profile.create(profile.pod("driver", {}))
    profile.server.apply(smallest)
    profile.until(profile.pod("probe", {}), "")
    made = profile.create(profile.pod("driver", {}))
    requests = [each["resources"]["requests"] for each in made["spec"]["containers"]]
    assert requests == [{"cpu": "100m", "memory": "128Mi"}]
    assert "limits" not in made["spec"]["containers"][0]["resources"]
    used = profile.server.cluster.read(quota)["status"]["used"]
    assert (used["requests.cpu"], used["requests.memory"], used["pods"]) == ("100m", "128Mi", "1")


@pytest.mark.parametrize(
    ("requests", "sentence"),
    [
        ({"cpu": "3"}, "exceeded quota: profile-quota, requested: requests.cpu=3, used: "),
        ({"memory": "5Gi"}, "requested: requests.memory=5Gi, used: requests.memory=0, limited: "),
        ({GPU_RESOURCE: "2"}, "requested: requests.nvidia.com/gpu=2, used: "),
        ({SLICE_RESOURCE: "2"}, "requested: requests.nvidia.com/gpu.shared=2, used: "),
    ],
)
def test_what_exceeds_the_quota_is_refused_with_its_numbers(
    profile: Profile, requests: dict[str, str], sentence: str
) -> None:
    quota, smallest = profile.quota(**LIMITS)
    profile.server.apply_all([quota, smallest])
    profile.counted(quota)
    profile.until(profile.pod("probe", {}), "")
    with pytest.raises(Refused, match=sentence):
        profile.create(profile.pod("train", requests))
    whole: Any = dict.fromkeys(requests, "1")
    profile.create(profile.pod("train", whole))


def test_volumes_of_a_profile_have_a_common_limit(profile: Profile) -> None:
    (quota,) = profile.quota(storageGib=10)
    profile.server.apply(quota)
    profile.counted(quota)
    profile.create(profile.claim("one", "8Gi"))
    with pytest.raises(Refused, match=r"requests\.storage=3Gi, used: requests\.storage=8Gi"):
        profile.create(profile.claim("two", "3Gi"))
    # Pods are not limited, and need no request.
    profile.create(profile.pod("driver", {}))
