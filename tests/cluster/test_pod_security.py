"""Pod Security Admission, as the API server enforces it, on every pod template of the platform.

The templates are tried as they are rendered: sidecars that istiod would inject are not in them.
"""

from __future__ import annotations

import copy

import pytest

from rendering import Object, ObjectKey
from rendering.objects import pod_template
from tests.cluster.client import Refused
from tests.cluster.conftest import CURRENT
from tests.cluster.installation import Installation
from tests.cluster.platform import Platform
from tests.cluster.stand_ins import pod_of

pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")

ENFORCE = "pod-security.kubernetes.io/enforce"


@pytest.fixture
def levels(installed: Installation) -> dict[str, str]:
    """Namespace -> the level the API server enforces there."""
    listed = installed.cluster.get("/api/v1/namespaces")["items"]
    return {
        each["metadata"]["name"]: each["metadata"].get("labels", {}).get(ENFORCE, "privileged")
        for each in listed
    }


def test_every_pod_template_is_admitted_as_a_real_pod(
    installed: Installation, whole: Platform, levels: dict[str, str]
) -> None:
    templates = {key for key, obj in whole.objects.items() if pod_template(obj) is not None}
    assert set(installed.pods) == templates
    restricted = {key for key in templates if levels[key.namespace] == "restricted"}
    assert len(restricted) > 40


def test_what_runs_in_restricted_namespaces_raises_no_warning(
    installed: Installation, levels: dict[str, str]
) -> None:
    warned = {
        str(key): pod.warnings
        for key, pod in installed.pods.items()
        if levels[key.namespace] == "restricted" and pod.warnings
    }
    assert warned == {}


def test_only_the_namespace_of_the_node_agents_is_privileged(
    installed: Installation, levels: dict[str, str]
) -> None:
    lax = {key for key in installed.pods if levels[key.namespace] != "restricted"}
    assert {key.namespace for key in lax} == {"kube-system"}


def loosened(workload: Object) -> Object:
    pod = pod_of(workload)
    assert pod is not None
    loose = copy.deepcopy(pod)
    loose["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    return loose


def test_a_pod_that_may_gain_privileges_is_refused(
    installed: Installation, whole: Platform
) -> None:
    workload = whole.objects[whole.key("Deployment", "ml-pipeline")]
    assert ObjectKey.of(workload) in installed.pods
    with pytest.raises(Refused, match='violates PodSecurity "restricted:latest"'):
        installed.cluster.create(loosened(workload))
