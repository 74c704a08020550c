"""Why an upgrade changes an object, by the files of the release."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.rendering.beijing import MANIFESTS
from upgrades.reasons import of_difference, of_way
from upgrades.table import of_release

NEW = MANIFESTS / "26.03.1"
WAY = of_release(NEW).ways["26.03"]


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("Service kubeflow/centraldashboard", "Dashboard 2 has another name"),
        ("ConfigMap kubeflow/centraldashboard-5hk55gm96k", "Dashboard 2 has another name"),
        ("Deployment.apps kubeflow/profiles-deployment", "Dashboard 2 has other labels"),
        ("PodDisruptionBudget.policy kubeflow/cache-server", "servers of Pipelines v1"),
        (
            f"CustomResourceDefinition.apiextensions.k8s.io {WAY.known_by}",
            "no CRD is ever deleted",
        ),
        ("Service kubeflow/centraldashboard-of-somebody", ""),
        ("Service elsewhere/centraldashboard", ""),
    ],
)
def test_what_goes_is_replaced_or_stays_has_the_reason_of_the_table(name: str, begins: str) -> None:
    found = list(of_way(WAY, name))
    assert len(found) <= 1
    assert found[0].startswith(begins) if begins else not found


KSERVE = "NetworkPolicy.networking.k8s.io kubeflow/kserve"


@pytest.mark.parametrize(
    ("name", "paths", "number"),
    [
        (KSERVE, ["spec.podSelector.matchExpressions[control-plane].values"], 1),
        (KSERVE, ["spec.podSelector"], 1),
        (KSERVE, ["spec.podSelector.matchExpressions[control-plane].values[3].more"], 1),
        (KSERVE, ["spec.podSelectors"], 0),
        (KSERVE, ["spec.ingress[0].ports"], 0),
        ("NetworkPolicy.networking.k8s.io kubeflow/kserve-more", ["spec.podSelector"], 0),
        ("AuthorizationPolicy.security.istio.io kubeflow/model-registry-ui", [], 1),
        ("ExternalSecret.external-secrets.io kubeflow/katib-database-7", ["spec"], 1),
        ("ConfigMap kubeflow-database/database-script-tg4m9982d4", ["data"], 1),
    ],
)
def test_a_difference_to_upstream_has_its_reason(name: str, paths: list[str], number: int) -> None:
    found = list(of_difference(NEW, name, paths))
    assert len(found) == number
    reasons = yaml.safe_load((NEW / "reasons.yaml").read_text("utf-8"))
    assert set(found) <= {" ".join(row["because"].split()) for row in reasons}


def test_a_release_without_a_golden_difference_gives_no_reason(tmp_path: Path) -> None:
    assert list(of_difference(tmp_path, KSERVE, ["spec"])) == []
