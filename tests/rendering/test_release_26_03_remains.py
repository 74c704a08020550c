"""Releases with Pipelines 2: nothing dangles, nothing published and nothing floating is left."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from rendering import Object
from tests.rendering.beijing import (
    Release,
    containers,
    environment,
    strings,
)
from tests.rendering.secret_writer import REMOTE, written

PUBLISHED_CREDENTIALS = [
    "12341234",
    "4K/VkmDd1q1Orb3xAt82zu8gk7Ad6ReFR4LCP9UeYE90NLiN9Df72",
    "pUBnBOY80SnXgjibTYM9ZWNzY2xreNGQok",
    "7d16fee92f8d11b8940b081b3f8b8acb",
    "minio123",
    "MYSQL_ROOT_PASSWORD",
    "MYSQL_ALLOW_EMPTY_PASSWORD",
    "user@example.com",
]

PODS = ("Deployment", "StatefulSet", "DaemonSet", "Job")

REMOVED = re.compile("mysql|seaweedfs|minio")
"""In the names of everything that upstream installs for its own database and object store."""

UNUSED_ACCOUNTS = {
    # of upstream's, each as idle there: for remote clusters, for pods that users make, for tokens
    ("istio-system", "istio-reader-service-account"),
    ("kubeflow", "kserve-localmodelnode-agent"),
    ("kubeflow", "kubeflow-pipelines-container-builder"),
    ("kubeflow", "kubeflow-pipelines-viewer"),
    ("kubeflow", "pipeline-runner"),
    ("oauth2-proxy", "oauth2-proxy"),
}

WRITTEN_BY_THEIR_READERS = {
    # rendered empty and filled in by the webhooks that read them through the API
    ("knative-serving", "net-istio-webhook-certs"),
    ("knative-serving", "webhook-certs"),
    ("kubeflow", "kserve-webhook-server-secret"),
}

UPSTREAM_LEFTOVERS = {
    # policies of components that 26.03's example does not install; nobody of ours removed them
    "NetworkPolicy model-catalog",
    "NetworkPolicy model-registry",
    "NetworkPolicy model-registry-ui",
    "NetworkPolicy training-operator-webhook",
}


@pytest.mark.parametrize(
    "kind",
    [
        "AuthorizationPolicy",
        "ConfigMap",
        "Deployment",
        "DestinationRule",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "RoleBinding",
        "Secret",
        "Service",
        "ServiceAccount",
        "VirtualService",
    ],
)
def test_no_object_of_upstreams_own_database_and_object_store_is_left(
    release: Release, kind: str
) -> None:
    names = [obj["metadata"]["name"] for obj in release.all(kind)]
    assert [name for name in names if REMOVED.search(name)] == []


def test_nothing_claims_a_volume(release: Release) -> None:
    assert release.all("PersistentVolumeClaim") == []


@pytest.mark.parametrize(
    "store", ["seaweedfs", "minio", r"mysql\.kubeflow", "katib-mysql", "mysql-secret"]
)
def test_no_text_names_a_store_that_is_gone(release: Release, store: str) -> None:
    found = [
        text
        for obj in release.rendered.objects
        for text in strings(obj)
        if re.search(store, text, re.IGNORECASE)
    ]
    assert found == []


def test_every_destination_rule_has_its_service(release: Release) -> None:
    services = {
        f"{obj['metadata']['name']}.{obj['metadata']['namespace']}"
        for obj in release.all("Service")
    }
    hosts = [obj["spec"]["host"] for obj in release.all("DestinationRule")]
    in_cluster = [host for host in hosts if host.endswith(".svc.cluster.local") and "*" not in host]
    assert [h for h in in_cluster if h.removesuffix(".svc.cluster.local") not in services] == []


@pytest.mark.parametrize("kind", ["AuthorizationPolicy", "NetworkPolicy", "Service"])
def test_every_selector_in_kubeflow_finds_a_workload(release: Release, kind: str) -> None:
    pods = [
        obj["spec"]["template"]["metadata"].get("labels", {})
        for workload in ("Deployment", "StatefulSet", "DaemonSet")
        for obj in release.all(workload)
        if obj["metadata"]["namespace"] == "kubeflow"
    ]
    idle = {
        f"{kind} {obj['metadata']['name']}"
        for obj in release.all(kind)
        if obj["metadata"]["namespace"] == "kubeflow"
        and not any(selects(obj["spec"], labels) for labels in pods)
    }
    assert idle - UPSTREAM_LEFTOVERS == set()


def selects(spec: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    selector = spec.get("selector") or spec.get("podSelector") or {}
    flat = selector if "matchLabels" not in selector and "matchExpressions" not in selector else {}
    equal = {**flat, **selector.get("matchLabels", {})}
    return all(labels.get(key) == value for key, value in equal.items()) and all(
        labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", [])
    )


def test_every_page_in_the_menu_of_the_dashboard_has_a_route(release: Release) -> None:
    (menu,) = [
        json.loads(obj["data"]["links"])["menuLinks"]
        for obj in release.all("ConfigMap")
        if "links" in obj.get("data", {})
    ]
    pages = {page["link"].partition("#")[0] for each in menu for page in each.get("items", [each])}
    routes = {
        condition["uri"]["prefix"]
        for obj in release.all("VirtualService")
        for route in obj["spec"]["http"]
        for condition in route["match"]
    }
    assert len(pages) > 5
    assert [page for page in pages if not any(map(page.startswith, routes - {"/"}))] == []


def test_every_service_account_a_pod_names_exists(release: Release) -> None:
    named = {pair for pair in accounts_of_pods(release) if pair[1]}
    assert named - names_of(release, "ServiceAccount") == set()


def test_every_service_account_serves_somebody(release: Release) -> None:
    stores = {
        (store["metadata"]["namespace"], signing["serviceAccountRef"]["name"])
        for store in release.all("SecretStore")
        for signing in [store["spec"]["provider"]["aws"]["auth"]["jwt"]]
    }
    idle = names_of(release, "ServiceAccount") - accounts_of_pods(release) - stores
    assert idle == UNUSED_ACCOUNTS


def test_every_issuer_signs_a_certificate(release: Release) -> None:
    """kustomize takes one Issuer's name for another's where two components call theirs the same."""
    signing = {
        (obj["metadata"]["namespace"], obj["spec"]["issuerRef"]["name"])
        for obj in release.all("Certificate")
        if "issuerRef" in obj["spec"]
    }
    assert names_of(release, "Issuer") == signing


def test_whoever_calls_a_webhook_trusts_the_certificate_of_its_server(release: Release) -> None:
    """cert-manager copies the authority of the Certificate that the annotation names."""
    covered = {
        f"{obj['metadata']['namespace']}/{obj['metadata']['name']}": obj["spec"]["dnsNames"]
        for obj in release.all("Certificate")
    }
    callers = [*release.rendered.crds]
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "APIService"):
        callers += release.all(kind)
    injected = [
        (obj, annotations["cert-manager.io/inject-ca-from"])
        for obj in callers
        for annotations in [obj["metadata"].get("annotations", {})]
        if "cert-manager.io/inject-ca-from" in annotations
    ]
    assert len(injected) > 10
    wrong = [
        (obj["metadata"]["name"], name, certificate)
        for obj, certificate in injected
        for name in hosts_called(obj)
        if name not in covered.get(certificate, [])
    ]
    assert wrong == []


def hosts_called(obj: Object) -> Iterator[str]:
    """The hosts of the Services that a webhook configuration or a CRD's conversion calls.

    An object with one version is never converted: JobSet's, in whose annotation kustomize puts what
    the PVC viewer calls by the same variables.
    """
    spec = obj.get("spec", {})
    versions = spec.get("versions", [])
    conversion = spec.get("conversion", {}).get("webhook") if len(versions) > 1 else None
    for hook in [*obj.get("webhooks", []), *([conversion] if conversion else [])]:
        service = hook["clientConfig"]["service"]
        yield f"{service['name']}.{service['namespace']}.svc"


def test_every_secret_is_read_by_a_pod(release: Release) -> None:
    read = {
        (obj["metadata"]["namespace"], text)
        for kind in PODS
        for obj in release.all(kind)
        for text in strings(obj["spec"]["template"]["spec"])
    }
    assert names_of(release, "Secret") - read == WRITTEN_BY_THEIR_READERS


def names_of(release: Release, kind: str) -> set[tuple[str, str]]:
    """(namespace, name) of every object of a kind."""
    return {(o["metadata"]["namespace"], o["metadata"]["name"]) for o in release.all(kind)}


def accounts_of_pods(release: Release) -> set[tuple[str, str]]:
    return {
        (obj["metadata"]["namespace"], obj["spec"]["template"]["spec"].get("serviceAccountName"))
        for kind in PODS
        for obj in release.all(kind)
    }


def test_every_key_a_container_reads_exists(release: Release) -> None:
    held = {
        (obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"]): {
            *obj.get("data", {}),
            *obj.get("stringData", {}),
        }
        for kind in ("ConfigMap", "Secret")
        for obj in release.all(kind)
    }
    for external in release.all("ExternalSecret"):
        name = ("Secret", external["metadata"]["namespace"], external["spec"]["target"]["name"])
        held[name] = {*written(external, REMOTE)}
    missing = [
        (obj["metadata"]["name"], name, reference)
        for kind in PODS
        for obj in release.all(kind)
        for container in containers(obj)
        for name, source in environment(container).items()
        if isinstance(source, dict)
        for how, reference in cast("dict[str, dict[str, Any]]", source).items()
        if how in ("configMapKeyRef", "secretKeyRef") and not reference.get("optional")
        if reference["key"]
        not in held.get(
            (
                "ConfigMap" if how == "configMapKeyRef" else "Secret",
                obj["metadata"]["namespace"],
                reference["name"],
            ),
            set(),
        )
    ]
    assert missing == []


@pytest.mark.parametrize("credential", PUBLISHED_CREDENTIALS)
def test_no_published_credential_is_left(release: Release, credential: str) -> None:
    found = [
        f"{obj['kind']} {obj['metadata']['name']}"
        for obj in release.rendered.objects
        if any(credential in text for text in strings(obj))
    ]
    assert found == []


def test_no_image_floats(release: Release) -> None:
    floating = re.compile(r"(?:[^:@]*|.*:(?:latest|main|master))")
    last = {image.source: image.source.rpartition("/")[2] for image in release.rendered.images}
    assert [source for source, name in last.items() if floating.fullmatch(name)] == []
