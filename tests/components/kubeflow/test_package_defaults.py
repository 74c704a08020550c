"""The admission of package sources as pods: after whom it comes, whom it asks about, its trust."""

from __future__ import annotations

import base64
import importlib
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest

from components.kubeflow.package_defaults import PackageDefaults
from program import package_values
from settings import from_mapping
from settings.package_sources import BUNDLE
from tests.harness import MASKED, REGIONS, Recorded, run
from tests.releases import RELEASES
from tests.rendering.beijing import rendered
from webhook.package_defaults import MOUNT_PATH, OPT_OUT, Additions
from webhook.package_defaults_server import LIMITS

CONFIGURATION = "kubernetes:admissionregistration.k8s.io/v1:MutatingWebhookConfiguration"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
PROXY = {"https": "http://proxy.corp.example:3128"}
NODES = ("aws:eks/nodeGroup:NodeGroup", "nodes")


@cache
def made(region: str = "cn-north-1") -> Recorded:
    settings = from_mapping({"region": region, "packages": {"proxy": PROXY}})

    def program() -> None:
        cluster = kubernetes.Provider("kubernetes", kubeconfig="{}")
        nodes = pulumi.CustomResource(NODES[0], NODES[1], {})
        PackageDefaults(
            "packages",
            rendered=rendered("addons/package-defaults"),
            values={"image.prefix": "registry", **package_values(settings, ["10.64.0.0/16"])},
            ready=[nodes],
            opts=pulumi.ResourceOptions(providers=[cluster]),
        )

    return run(program, region)


def webhook() -> dict[str, Any]:
    (only,) = made().only(CONFIGURATION).inputs["webhooks"]
    return only


def test_a_pod_is_never_refused_or_kept_waiting_for_long() -> None:
    assert webhook()["failurePolicy"] == "Ignore"
    assert LIMITS.answer_seconds < webhook()["timeoutSeconds"] <= 3


def test_it_is_asked_again_after_later_webhooks_and_about_new_pods_of_profiles_only() -> None:
    assert webhook()["reinvocationPolicy"] == "IfNeeded"
    (rule,) = webhook()["rules"]
    assert (rule["operations"], rule["resources"]) == (["CREATE"], ["pods"])
    profiles, skipped = webhook()["namespaceSelector"]["matchExpressions"]
    assert profiles == {
        "key": "pipelines.kubeflow.org/enabled",
        "operator": "In",
        "values": ["true"],
    }
    assert skipped == {"key": OPT_OUT, "operator": "NotIn", "values": ["true"]}
    assert webhook()["objectSelector"]["matchExpressions"] == [skipped]


def _changes_pods(configuration: dict[str, Any]) -> bool:
    rules = [rule for hook in configuration["webhooks"] for rule in hook.get("rules", [])]
    return any("pods" in rule["resources"] for rule in rules)


def test_it_comes_after_the_webhooks_that_add_containers() -> None:
    """API servers call webhooks in the order of their configurations' names.

    kubernetes/kubernetes staging/src/k8s.io/apiserver/pkg/admission/configuration/
    mutating_webhook_manager.go, mergeMutatingWebhookConfigurations.
    """
    own = made().only(CONFIGURATION).inputs["metadata"]["name"]
    for release in RELEASES:
        names = [
            obj["metadata"]["name"]
            for obj in rendered(release).objects
            if obj["kind"] == "MutatingWebhookConfiguration" and _changes_pods(obj)
        ]
        adding = [name for name in names if name.startswith(("istio", "katib", "inference"))]
        assert len(adding) >= 3, (release, names)
        assert [name for name in adding if name > own] == [], release


def test_the_api_server_reaches_the_service_and_trusts_its_authority() -> None:
    client = webhook()["clientConfig"]
    service = made().only("kubernetes:core/v1:Service").inputs
    assert client["service"]["name"] == service["metadata"]["name"]
    assert client["service"]["namespace"] == service["metadata"]["namespace"]
    certificate = made().only("pulumi-python:dynamic:ServingCertificate")
    assert certificate.inputs["hosts"] == ["package-defaults.package-defaults.svc"]
    assert base64.b64decode(client["caBundle"]).decode() == certificate.outputs["authority"]


@pytest.mark.parametrize(
    ("token", "needed"),
    [
        ("kubernetes:core/v1:Namespace", NODES[0]),
        (DEPLOYMENT, "kubernetes:core/v1:ConfigMap"),
        (DEPLOYMENT, "kubernetes:core/v1:Secret"),
        (CONFIGURATION, DEPLOYMENT),
    ],
)
def test_pods_wait_for_what_they_mount_and_the_webhook_for_the_pods(
    token: str, needed: str
) -> None:
    assert needed in {kind for kind, _ in made().dependencies_of(made().only(token))}


def test_the_key_is_a_secret() -> None:
    key, paths = (each.visible["data"] for each in made().of("kubernetes:core/v1:Secret"))
    assert key == {"tls.crt": MASKED, "tls.key": MASKED}
    assert paths == {"paths": MASKED}


def test_a_service_takes_the_path() -> None:
    """Kubernetes v1.36 staging/src/k8s.io/apiserver/pkg/util/webhook/validation.go."""
    assert re.fullmatch(r"/admit/[a-z0-9]+", webhook()["clientConfig"]["service"]["path"])


def test_the_api_server_names_the_path_that_the_pods_know() -> None:
    _, mounted = made().of("kubernetes:core/v1:Secret")
    paths = base64.b64decode(mounted.inputs["data"]["paths"]).decode()
    assert paths == f"{webhook()['clientConfig']['service']['path']}\n"
    (shown,) = made().only(CONFIGURATION).visible["webhooks"]
    assert shown["clientConfig"]["service"]["path"] == MASKED


@pytest.mark.parametrize("region", REGIONS)
def test_the_handler_starts_with_the_environment_it_is_given(region: str, tmp_path: Path) -> None:
    settings = from_mapping({"region": region, "packages": {"proxy": PROXY}})
    (given,) = made(region).only(DEPLOYMENT).inputs["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in given["env"]}
    names = json.loads(package_values(settings, [])["packages.variables"])
    assert Additions.read(environment) == Additions(variables=list(names))
    (code,) = (
        each.inputs["binaryData"]["webhook.zip"]
        for each in made(region).of("kubernetes:core/v1:ConfigMap")
    )
    (tmp_path / "webhook.zip").write_bytes(base64.b64decode(code))
    module = given["command"][-1]
    # It ends where it looks for its certificate: everything before works.
    done = subprocess.run(
        [sys.executable, "-m", module],
        env={**environment, "PYTHONPATH": str(tmp_path / "webhook.zip")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "cannot start: FileNotFoundError" in done.stderr) == (2, True)
    assert importlib.import_module(module)


def test_variables_name_the_file_where_it_is_mounted() -> None:
    assert f"{MOUNT_PATH}/ca-bundle.crt" == BUNDLE
