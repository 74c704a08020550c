"""Versions of a platform that is right, and broken."""

from __future__ import annotations

from datetime import date

import pytest

from ops import version_checks
from ops.findings import Level
from tests.ops.verification.played.api_server import PlayedCluster
from tests.ops.verification.played.live import Change, Live
from tests.ops.verification.played.platforms import CN, examined, live_of, wrong
from tests.ops.verification.told import assert_broken, assert_right
from tests.releases import DEFAULT


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version_checks, "today", lambda: date(2026, 11, 29))


@pytest.mark.parametrize(
    ("name", "about", "sentence"),
    [
        pytest.param(
            "kubernetes-version",
            "control plane",
            "runs v1.36.1-eks-1234567; kubeflow:cluster.version is 1.36",
            marks=pytest.mark.check("kubernetes-version", broken=False),
        ),
        pytest.param(
            "node-versions",
            "kubelet v1.36.1-eks-1234567",
            "as the control plane: v1.36.1-eks-1234567 on 4 nodes",
            marks=pytest.mark.check("node-versions", broken=False),
        ),
        pytest.param(
            "release-version",
            f"release {DEFAULT}",
            "53 workloads run the images of its lock",
            marks=pytest.mark.check("release-version", broken=False),
        ),
        pytest.param(
            "karpenter-version",
            "Karpenter",
            "runs 1.14.1, as kubeflow:gpuPool.karpenterVersion says",
            marks=pytest.mark.check("karpenter-version", broken=False),
        ),
        pytest.param(
            "support-ends",
            "Kubernetes",
            "standard support of 1.36 ends on 2027-08-02, in 246 days",
            marks=pytest.mark.check("support-ends", broken=False),
        ),
    ],
)
def test_a_right_platform_is_good_and_the_sentence_has_numbers(
    name: str, about: str, sentence: str
) -> None:
    assert_right(name, about, sentence)


def deployment_runs(image: str, name: str = "kubeflow/ml-pipeline") -> Change:
    def change(live: Live) -> None:
        spec = live.get("Deployment", name)["spec"]["template"]["spec"]
        spec["containers"][0]["image"] = image

    return change


def no_deployment(name: str) -> Change:
    return lambda live: live.delete("Deployment", name)


def kubelets(version: str) -> Change:
    def change(live: Live) -> None:
        for node in live.all("Node")[:2]:
            node["status"]["nodeInfo"]["kubeletVersion"] = version

    return change


@pytest.mark.parametrize(
    ("name", "change", "about", "sentence"),
    [
        pytest.param(
            "node-versions",
            kubelets("v1.32.4-eks-1234567"),
            "kubelet v1.32.4-eks-1234567",
            "is 4 minor versions older than the control plane (v1.36.1-eks-1234567), and "
            "Kubernetes "
            "supports 3: run `pulumi up`",
            marks=pytest.mark.check("node-versions", broken=True),
        ),
        (
            "node-versions",
            kubelets("v1.37.0"),
            "kubelet v1.37.0",
            "v1.37.0 on 2 nodes (ip-10-64-0-4 and ip-10-64-0-5) is newer than the control plane",
        ),
        ("node-versions", kubelets("v1.35.2"), "kubelet v1.35.2", "is 1 minor versions older"),
        pytest.param(
            "release-version",
            deployment_runs("ghcr.io/kubeflow/kfp-api-server:2.15.0"),
            "Deployment kubeflow/ml-pipeline",
            "runs ghcr.io/kubeflow/kfp-api-server:2.15.0, and 26.03.1 has "
            "ghcr.io/kubeflow/kfp-api-server:2.17.0: run `pulumi up`",
            marks=pytest.mark.check("release-version", broken=True),
        ),
        (
            "release-version",
            no_deployment("kubeflow/katib-ui"),
            "Deployment kubeflow/katib-ui",
            "26.03.1 has it, and the cluster does not",
        ),
        pytest.param(
            "karpenter-version",
            deployment_runs("public.ecr.aws/karpenter/controller:1.12.0", "kube-system/karpenter"),
            "Karpenter",
            "runs public.ecr.aws/karpenter/controller:1.12.0, and "
            "kubeflow:gpuPool.karpenterVersion is 1.14.1",
            marks=pytest.mark.check("karpenter-version", broken=True),
        ),
        (
            "karpenter-version",
            no_deployment("kube-system/karpenter"),
            "Karpenter",
            "there is no Deployment kube-system/karpenter, so no GPU node starts",
        ),
    ],
)
def test_a_broken_platform_gets_the_true_reason(
    name: str, change: Change, about: str, sentence: str
) -> None:
    assert_broken(name, change, about, sentence)


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        pytest.param(
            "v1.35.2-eks-1234567",
            "runs v1.35.2-eks-1234567, and kubeflow:cluster.version is 1.36: run `pulumi up`",
            marks=pytest.mark.check("kubernetes-version", broken=True),
        ),
        (
            "v1.37.0-eks-1234567",
            "no `pulumi up` goes back, so set it to 1.37 before the next one, or take the",
        ),
    ],
)
def test_another_control_plane_than_the_stack_file_says(version: str, sentence: str) -> None:
    cluster = PlayedCluster(live_of(CN))
    cluster.version = version
    findings = wrong(examined("kubernetes-version", live_of(CN), cluster))
    assert sentence in dict(findings)["control plane"]
    # Neither this release nor this Karpenter is known to run on a newer one.
    newer = {f"release {DEFAULT}", "Karpenter 1.14.1"} if "1.37" in version else set[str]()
    assert {about for about, _ in findings} == {"control plane", *newer}


@pytest.mark.parametrize(
    ("version", "level", "sentence"),
    [
        pytest.param(
            "v1.31.9",
            Level.PROBLEM,
            "AWS's support of 1.31 ended on 2026-11-26: set kubeflow:cluster.version to a newer "
            "one",
            marks=pytest.mark.check("support-ends", broken=True),
        ),
        ("v1.34.1", Level.NOTE, "standard support of 1.34 ends on 2026-12-02, in 3 days"),
        (
            "v1.99.0",
            Level.NOTE,
            "the end of support of 1.99 is unknown to settings/support_ends.yaml",
        ),
    ],
)
def test_support_is_of_the_version_that_runs(version: str, level: Level, sentence: str) -> None:
    cluster = PlayedCluster(live_of(CN))
    cluster.version = version
    first, _ = examined("support-ends", live_of(CN), cluster)
    assert first.level is level
    assert sentence in first.sentence


def test_an_older_release_is_told_once_and_not_for_each_workload() -> None:
    live = live_of(CN).changed()
    for deployment in live.all("Deployment"):
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            container["image"] = f"{container['image'].partition('@')[0]}-older"
    ((about, sentence),) = wrong(examined("release-version", live))
    assert about == f"release {DEFAULT}"
    assert "of its images are not what runs, such as Deployment " in sentence
