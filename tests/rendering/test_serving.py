"""Models: hosts of the stack's own domain, and look-ups that work, in every release."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.objects.kubernetes_objects import bind
from program import static_values
from rendering.release import load
from settings import MANIFESTS, from_mapping
from settings.context import StackContext
from tests.releases import DEFAULT, RELEASES
from tests.rendering.beijing import kubeflow

each_release = pytest.mark.parametrize("release", RELEASES)
NAMESPACES = {
    name: load(MANIFESTS / name).parts.kserve.workloads[0][1].partition("/")[0] for name in RELEASES
}


def data(release: str, name: str, namespace: str, **serving: Any) -> dict[str, str]:
    """A ConfigMap as a stack with these settings has it, without its comments."""
    settings = from_mapping({"region": "cn-north-1", "serving": serving})
    values = static_values(StackContext.of(settings, "111122223333", {}), settings)
    text = kubeflow(release).get("ConfigMap", name, namespace)["data"]
    # Other late values of these objects are none of the settings'.
    known = {key: value for key, value in text.items() if key != "_example"}
    return bind(known, values)


@each_release
def test_knative_has_one_domain_and_it_is_the_settings(release: str) -> None:
    found = data(release, "config-domain", "knative-serving", domain="models.company.cn")
    assert found == {"models.company.cn": ""}


@each_release
def test_the_domain_of_a_stack_that_names_none_is_private(release: str) -> None:
    assert data(release, "config-domain", "knative-serving") == {"kubeflow.internal": ""}
    ingress = data(release, "inferenceservice-config", NAMESPACES[release])["ingress"]
    assert json.loads(ingress)["ingressDomain"] == "kubeflow.internal"


@each_release
def test_kserve_has_the_same_domain(release: str) -> None:
    where = NAMESPACES[release]
    found = data(release, "inferenceservice-config", where, domain="models.company.cn")
    assert json.loads(found["ingress"])["ingressDomain"] == "models.company.cn"


def test_urls_have_the_scheme_of_what_is_before_the_gateway() -> None:
    for scheme in ("http", "https"):
        found = data(DEFAULT, "inferenceservice-config", "kubeflow", urlScheme=scheme)
        assert json.loads(found["ingress"])["urlScheme"] == scheme
        network = data(DEFAULT, "config-network", "knative-serving", urlScheme=scheme)
        assert network["default-external-scheme"] == scheme


@each_release
def test_the_activator_is_not_between_a_model_with_a_pod_and_its_callers(release: str) -> None:
    """It would take their identity: tests/services/test_tenants.py has what Istio then decides."""
    found = data(release, "config-autoscaler", "knative-serving")
    assert found == {"target-burst-capacity": "0"}


@each_release
def test_registries_of_nodes_are_left_to_them_with_the_accounts_own(release: str) -> None:
    found = data(
        release, "config-deployment", "knative-serving", nodeRegistries=["reg.company.cn:5000"]
    )
    own = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn"
    assert f"kind.local,ko.local,dev.local,{own},reg.company.cn:5000" in found.values()


@pytest.mark.parametrize("role", ["argo-cluster-role", "katib-controller"])
def test_who_looks_up_entrypoints_may_read_the_service_accounts_of_profiles(role: str) -> None:
    # go-containerregistry pkg/authn/kubernetes: without the account there is no look-up at all.
    (found,) = [obj for obj in kubeflow().all("ClusterRole") if obj["metadata"]["name"] == role]
    assert any(
        "serviceaccounts" in rule.get("resources", []) and "get" in rule["verbs"]
        for rule in found["rules"]
    )
