"""A review as plain data for programs."""

from __future__ import annotations

import json

from review.data import as_data
from review.sides import Finding
from tests.review.plans import SETTINGS, kubernetes, renamed_cluster, reviewed

HAD = {**SETTINGS, "kubeflow:tags": {"a": None, "b": "x" * 5_000}}
HAS = {
    **SETTINGS,
    "kubeflow:cluster": {"name": "acme-ml", "ports": [{"port": 1}]},
    "kubeflow:gpuPool": {"maxGpus": 4, "on": True},
    "kubeflow:deletableNamespaces": ["li-na"],
    "kubeflow:oidc": {"clientSecret": "hunter2", "note": "password: hunter2"},
}


def test_every_kind_of_change_has_a_form_and_no_secret() -> None:
    """A side that has no value lacks the key; null is a value."""
    rows = [
        *renamed_cluster(300),
        kubernetes("Deployment", "c", "update", before={}, after={"spec": {"hostNetwork": True}}),
    ]
    verdict = Finding("p", "high", "mandatory", "u::x", "No: password=hunter2.")
    made = reviewed(rows, settings=(HAD, HAS), findings=((), (verdict,)), files=["a/eks.py"])
    text = json.dumps(as_data(made))
    found = json.loads(text)
    settings = {each.pop("path"): each for each in found["settings"]}
    assert settings["kubeflow:cluster.name"] == {"old": "kubeflow", "new": "acme-ml"}
    assert settings["kubeflow:tags.a"] == {"old": None}
    assert len(settings["kubeflow:tags.b"]["old"]) < 1_100
    assert settings["kubeflow:gpuPool.maxGpus"] == {"new": 4}
    assert settings["kubeflow:gpuPool.on"] == {"new": True}
    assert settings["kubeflow:deletableNamespaces"] == {"new": ["li-na"]}
    assert settings["kubeflow:oidc.clientSecret"] == {"new": "[secret]"}
    assert "hunter2" not in text
    first, *others = found["dangers"]
    assert (first["what"], first["names"], first["event"]) == (
        "EKS cluster",
        ["kubeflow"],
        "replaced",
    )
    assert first["cause"]["certain"] is True
    assert {"path": "kubeflow:cluster.name", "old": "kubeflow", "new": "acme-ml"} in (
        first["cause"]["settings"]
    )
    assert "eks" in {each["cause"]["through"] for each in others}
    assert found["operations"]["replace"] >= 300
    assert any(each["values"] for each in others)
    assert found["findings"]["new"][0]["policy"] == "p"
    # A resource that is the cause is a name, not its whole row.
    assert len(text) < 25_000
