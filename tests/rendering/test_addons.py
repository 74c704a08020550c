"""The add-ons that come as manifests; the External Secrets Operator has a file of its own."""

from __future__ import annotations

from typing import Any

import pytest

from components.gpu.node_pools import SLICE_RESOURCE
from rendering import Object
from tests.releases import RELEASES
from tests.rendering import reserved_namespaces
from tests.rendering.beijing import (
    REGISTRY,
    Release,
    containers,
    rendered,
)


def test_karpenters_resources_are_crds_only() -> None:
    crds_only = rendered("addons/karpenter-1.14.1")
    assert crds_only.objects == ()
    assert sorted(crd["metadata"]["name"] for crd in crds_only.crds) == [
        "capacitybuffers.autoscaling.x-k8s.io",
        "ec2nodeclasses.karpenter.k8s.aws",
        "nodeclaims.karpenter.sh",
        "nodeoverlays.karpenter.sh",
        "nodepools.karpenter.sh",
    ]


def test_the_device_plugin_runs_on_gpu_nodes_and_tolerates_their_taint() -> None:
    (plugin,) = rendered("addons/nvidia-device-plugin").objects
    pod = plugin["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert pod["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
    assert pod["priorityClassName"] == "system-node-critical"
    assert pod["containers"][0]["image"] == f"{REGISTRY}/nvcr.io/nvidia/k8s-device-plugin:v0.20.0"


def test_the_metrics_exporter_sees_every_gpu_and_names_the_pod_that_has_it() -> None:
    service, exporter = rendered("addons/dcgm-exporter").objects
    pod = exporter["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert "nvidia.com/gpu" not in container["resources"]["requests"]
    assert container["securityContext"]["capabilities"] == {"add": ["SYS_ADMIN"], "drop": ["ALL"]}
    variables = {one["name"]: one.get("value") for one in container["env"]}
    assert variables["DCGM_EXPORTER_KUBERNETES"] == variables["KUBERNETES_VIRTUAL_GPUS"] == "true"
    assert variables["NVIDIA_RESOURCE_NAMES"] == SLICE_RESOURCE
    (mount,) = container["volumeMounts"]
    assert mount["mountPath"] == "/var/lib/kubelet/pod-resources"
    assert container["image"].startswith(f"{REGISTRY}/nvcr.io/nvidia/k8s/dcgm-exporter:")
    labels = exporter["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == labels == exporter["spec"]["selector"]["matchLabels"]


def test_metrics_server_verifies_every_kubelet_at_its_address() -> None:
    release = Release(rendered("addons/metrics-server"))
    (container,) = containers(release.get("Deployment", "metrics-server", "metrics-server"))
    assert container["image"] == f"{REGISTRY}/registry.k8s.io/metrics-server/metrics-server:v0.8.1"
    flags = {name: value for name, _, value in (arg.partition("=") for arg in container["args"])}
    assert "--kubelet-insecure-tls" not in flags
    assert flags["--kubelet-preferred-address-types"].startswith("InternalIP,")
    assert flags["--secure-port"] == str(container["ports"][0]["containerPort"])
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == [flags["--cert-dir"]]


def test_autoscalers_and_kubectl_top_find_metrics_server() -> None:
    release = Release(rendered("addons/metrics-server"))
    (api,) = release.all("APIService")
    assert api["metadata"]["name"] == f"{api['spec']['version']}.{api['spec']['group']}"
    assert api["spec"]["group"] == "metrics.k8s.io"
    service = release.get("Service", **api["spec"]["service"])
    deployment = release.get("Deployment", "metrics-server", "metrics-server")
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    granted = {
        (binding["roleRef"]["name"], binding["metadata"].get("namespace"))
        for kind in ("RoleBinding", "ClusterRoleBinding")
        for binding in release.all(kind)
    }
    assert granted == {
        ("system:metrics-server", None),
        ("system:auth-delegator", None),
        ("extension-apiserver-authentication-reader", "kube-system"),
    }


def test_the_version_of_metrics_server_is_one_for_the_kubernetes_of_the_release() -> None:
    versions = {name: "v0.6.4" if name.startswith("1.5.1") else "v0.8.1" for name in RELEASES}
    for name, version in versions.items():
        (image,) = [u.source for u in rendered(name).images if "metrics-server" in u.source]
        assert image == f"registry.k8s.io/metrics-server/metrics-server:{version}"


def database_init() -> Release:
    return Release(rendered("addons/database-init"))


def pod_of_the_job() -> dict[str, Any]:
    (job,) = database_init().all("Job")
    return job["spec"]["template"]["spec"]


def test_another_number_of_the_rotation_is_another_run_of_the_database_job() -> None:
    (job,) = database_init().all("Job")
    assert job["metadata"]["name"] == "database-init-<<database.rotation>>"
    volumes = {volume["name"]: volume for volume in job["spec"]["template"]["spec"]["volumes"]}
    assert volumes["secrets"]["secret"] == {
        "secretName": "database-init-<<database.rotation>>",
        "defaultMode": 0o440,
    }
    script = database_init().get("ConfigMap", "database-script", "kubeflow-database")
    assert volumes["script"]["configMap"]["name"] == script["metadata"]["name"]


def test_the_database_job_ends_and_says_so() -> None:
    (job,) = database_init().all("Job")
    assert job["spec"]["backoffLimit"] == 4
    assert job["spec"]["activeDeadlineSeconds"] == 900
    assert pod_of_the_job()["restartPolicy"] == "Never"


def test_the_database_job_is_nobody_to_kubernetes_and_to_aws() -> None:
    pod = pod_of_the_job()
    assert pod["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod
    (container,) = pod["containers"]
    assert "env" not in container
    assert container["image"] == f"{REGISTRY}/docker.io/library/mysql:8.4.11"
    assert container["command"] == [
        "bash",
        "/etc/database-init/init.sh",
        "/etc/database-secrets",
    ]


@pytest.mark.parametrize(
    "folder", ["addons/external-secrets", "addons/database-init", "addons/metrics-server"]
)
def test_namespaces_of_add_ons_are_restricted_and_their_pods_comply(folder: str) -> None:
    release = Release(rendered(folder))
    for namespace in release.all("Namespace"):
        level = namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        assert level == "restricted"
    workloads = [*release.all("Deployment"), *release.all("Job")]
    assert workloads
    for workload in workloads:
        assert_restricted(workload)


def assert_restricted(workload: Object) -> None:
    """Pod Security Standards, level restricted, as far as these pods could break it."""
    pod = workload["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_a_user_can_have_no_namespace_that_a_render_names() -> None:
    assert reserved_namespaces.TABLE.read_text("utf-8") == reserved_namespaces.text(), (
        "run `python -m tests.rendering.reserved_namespaces`"
    )
