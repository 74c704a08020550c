"""The read-only checks of ./kf verify on a real API server, with all that Beijing's stack renders.

Statuses, pods and what controllers make are those of ``tests.ops.verification.played``. Where
webhooks lead to the test's own server, the checks see the Services that they are rendered with;
metrics come from no kubelet, so that what the aggregator says of them is played too.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from components.dynamic import serving_certificate
from ops import version_checks
from ops.findings import Level
from ops.live_cluster import LiveCluster
from ops.verification.check import Check
from ops.verification.checks import (
    admission,
    authorities,
    controllers,
    isolation,
    machines,
    metrics,
    profile_policies,
    storage,
    stored_secrets,
    supply,
    traffic,
    users,
    versions,
)
from rendering import Object
from rendering.objects import WEBHOOK_KINDS
from settings import from_stack_file
from settings.users import User
from tests.cluster.client import Refused
from tests.cluster.conftest import CURRENT, NewCluster
from tests.cluster.installation import Installation
from tests.cluster.platform import Platform, usual
from tests.cluster.stand_ins import default_account, redirected
from tests.harness import SHIPPED
from tests.ops.verification.played.api_server import PlayedCluster
from tests.ops.verification.played.live import Key, Live, binding, condition, user_subject
from tests.ops.verification.played.platforms import live_of, objects_with, platform, played
from tests.test_program import ROOT

NEWEST = max(CURRENT, key=lambda version: tuple(map(int, version.split("."))))
on_the_newest = pytest.mark.parametrize("version", [NEWEST], indirect=True, scope="session")
STACK = "cn-north-1"
USERS = (
    User(email="ann@example.org", namespace="team-a"),
    User(email="bea@example.org", namespace="team-b", contributors=["ann@example.org"]),
)
CHECKS: tuple[Check, ...] = tuple(
    check
    for module in (
        *(versions, machines, controllers, storage, metrics),
        *(admission, authorities, supply, stored_secrets),
        *(users, isolation, profile_policies, traffic),
    )
    for check in module.CHECKS
    # Secrets Manager and RDS are played in tests/ops/verification.
    if check.name != "secrets-equal"
)
BY_NAME = {check.name: check for check in CHECKS}
FIRST = ("Namespace", "ServiceAccount", "ConfigMap", "Secret")


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version_checks, "today", lambda: date(2026, 11, 29))


@dataclass
class Verified:
    """The platform on an API server, and what was written there.

    Attributes:
        live: as it should be.
        installation: the server.
    """

    live: Live
    installation: Installation

    def findings(self, *names: str) -> list[tuple[str, Level, str, str]]:
        """What is not good: check, level, about, sentence; by a client that has read nothing."""
        cluster = Reader(self.live)
        checks = [BY_NAME[name] for name in names] if names else CHECKS
        return [
            (check.name, each.level, each.about, each.sentence)
            for check in checks
            for each in check.examine(platform(self.live, cluster))
            if each.level is not Level.GOOD
        ]

    def write(self, obj: Object, *, content: bool = True) -> None:
        """An object with its status, as its controllers write it; or its status alone."""
        server = self.installation.cluster
        given = redirected(copy.deepcopy(obj), self.installation.admission)
        status = given.pop("status", None)
        try:
            stored = server.read(given)
        except Refused:
            stored = server.create(given).body
        else:
            if content:
                own = {
                    key: value
                    for key, value in given["metadata"].items()
                    if key != "creationTimestamp"
                }
                made = {**stored, **given, "metadata": {**stored["metadata"], **own}}
                stored = server.replace(made, manager="played").body
        if status is not None and "observedGeneration" in status:
            status["observedGeneration"] = stored["metadata"]["generation"]
        if status is not None and obj["kind"] != "APIService":
            server.replace_status({**stored, "status": status}, manager="played")

    @contextmanager
    def without(self, kind: str, name: str) -> Generator[None]:
        """An object is deleted, until the end of the block."""
        obj = self.live.get(kind, name)
        server = self.installation.cluster
        server.delete(f"{server.collection(obj)}/{obj['metadata']['name']}")
        try:
            yield
        finally:
            self.write(obj)

    @contextmanager
    def with_(self, obj: Object) -> Generator[None]:
        """Another object is there, or another content of one, until the end of the block."""
        key = (obj["kind"], f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}")
        self.write(obj)
        try:
            yield
        finally:
            before = self.live.objects.get((key[0], key[1].lstrip("/")))
            server = self.installation.cluster
            if before is not None:
                self.write(before)
            else:
                server.delete(f"{server.collection(obj)}/{obj['metadata']['name']}")


class Reader(LiveCluster):
    """The server's answers, apart from what stands in for a network and for kubelets."""

    def __init__(self, live: Live) -> None:
        super().__init__()
        self._live = live
        self._played = PlayedCluster(live)

    def all(self, path: str, **selected: str) -> list[Any]:
        if path.startswith("/apis/metrics.k8s.io") or path.endswith("/apiservices"):
            return self._played.all(path, **selected)
        items = super().all(path, **selected)
        return [self._with_services(item) for item in items] if "webhookconf" in path else items

    def _with_services(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        for kind in WEBHOOK_KINDS:
            made = self._live.objects.get((kind, item["metadata"]["name"]))
            if made and len(made["webhooks"]) == len(item["webhooks"]):
                names = [hook["name"] for hook in made["webhooks"]]
                if names == [hook["name"] for hook in item["webhooks"]]:
                    return {**item, "webhooks": made["webhooks"]}
        return item

    def answer(
        self, method: str, path: str, query: dict[str, str], body: Any = None
    ) -> dict[str, Any]:
        if (method, path.rpartition("/")[2]) == (
            "POST",
            "pods",
        ):  # the mirror's webhook: tests/cluster/test_image_mirror.py
            return self._played.answer(method, path, query, body)
        return super().answer(method, path, query, body)


@pytest.fixture(scope="module")
def verified(
    version: str, new_cluster: NewCluster, whole: Platform, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Verified]:
    """The platform with two users, as it runs."""
    settings = from_stack_file(ROOT / f"Pulumi.{STACK}.yaml")
    settings = settings.model_copy(
        update={
            "users": list(USERS),
            "cluster": settings.cluster.model_copy(update={"version": version}),
        }
    )
    live = played(objects_with(STACK, settings), settings)
    with new_cluster("verification") as installation, pytest.MonkeyPatch.context() as patched:
        path = tmp_path_factory.mktemp("kubeconfig") / "kubeconfig"
        path.write_text(json.dumps(installation.cluster.kubeconfig))
        patched.setenv("KUBECONFIG", str(path))
        installation.admission.backed = lambda _namespace, _service: True
        installation.crds(whole.crds)
        applied = dict(_applied(installation, whole))
        made = Verified(live, installation)
        for key, obj in sorted(live.objects.items(), key=_rank):
            before = applied.get(key)
            content = before is None or _content(obj) != _content(before)
            if content or "status" in obj:
                made.write(obj, content=content)
            if key[0] == "Namespace":
                with suppress(Refused):
                    installation.cluster.create(default_account(key[1]))
        yield made


def _applied(installation: Installation, whole: Platform) -> Generator[tuple[Key, Object]]:
    for obj in whole.in_order(usual):
        if obj["kind"] == "Profile":
            continue
        installation.cluster.apply(redirected(obj, installation.admission))
        if obj["kind"] == "Namespace" and obj["apiVersion"] == "v1":
            installation.cluster.apply(default_account(obj["metadata"]["name"]))
        metadata = obj["metadata"]
        namespace = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
        yield (obj["kind"], f"{namespace}{metadata['name']}"), obj


def _rank(item: tuple[Key, Object]) -> tuple[int, int]:
    kind = item[0][0]
    return FIRST.index(kind) if kind in FIRST else len(FIRST), kind == "Pod"


def _content(obj: Object) -> Mapping[str, Any]:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


@on_the_newest
def test_nothing_is_wrong_with_what_we_render(verified: Verified) -> None:
    assert verified.findings() == []


@pytest.mark.parametrize("stack", SHIPPED)
def test_no_shipped_stack_has_a_false_alarm(stack: str) -> None:
    live = live_of(stack)
    cluster = PlayedCluster(live)
    wrong = [
        (check.name, each.about, each.sentence)
        for check in CHECKS
        for each in check.examine(platform(live, cluster))
        if each.level is Level.PROBLEM
        or (each.level is Level.NOTE and check.name not in _NOTES.get(stack, ()))
    ]
    assert wrong == []


_NOTES = {
    # Kubernetes 1.21 is out of every table, and its VPC CNI keeps no NetworkPolicy.
    "cn-north-1-kf151": ("support-ends", "network-policies"),
}


@on_the_newest
def test_a_service_that_is_gone(verified: Verified) -> None:
    with verified.without("Service", "kubeflow/katib-controller"):
        found = verified.findings("webhooks")
    assert [(level, about) for _, level, about, _ in found] == [
        (Level.PROBLEM, "MutatingWebhookConfiguration katib.kubeflow.org"),
        (Level.PROBLEM, "ValidatingWebhookConfiguration katib.kubeflow.org"),
    ]
    assert "its Service kubeflow/katib-controller does not exist" in found[0][3]
    assert verified.findings("webhooks") == []


@on_the_newest
def test_a_workload_without_pods(verified: Verified) -> None:
    deployment = copy.deepcopy(verified.live.get("Deployment", "auth/dex"))
    failed = condition("Progressing", "False", reason="ProgressDeadlineExceeded", message="late")
    deployment["status"] |= {"readyReplicas": 0, "conditions": [failed]}
    with verified.with_(deployment):
        found = verified.findings("workloads", "login-services")
    assert [each[:3] for each in found] == [
        ("workloads", Level.PROBLEM, "Deployment auth/dex"),
        ("login-services", Level.PROBLEM, "Deployment auth/dex"),
    ]
    assert "0 of 2 pods are ready (ProgressDeadlineExceeded: late)" in found[0][3]


@on_the_newest
def test_a_certificate_that_ended(verified: Verified, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_certificate, "CERTIFICATE_DAYS", 0)
    hosts = ["image-mirror.image-mirror.svc"]
    made = serving_certificate.ServingCertificateProvider().outputs({"hosts": hosts}, {})
    secret = copy.deepcopy(verified.live.get("Secret", "image-mirror/image-mirror-certificate"))
    secret["data"]["tls.crt"] = base64.b64encode(made["certificate"].encode()).decode()
    with verified.with_(secret):
        found = verified.findings("certificates", "webhook-authorities")
    (_, level, about, sentence), (_, _, configuration, authority) = found
    assert (level, about) == (Level.PROBLEM, "Secret image-mirror/image-mirror-certificate")
    assert "so that nobody trusts what serves it: run `pulumi up`, which renews it" in sentence
    # Another authority signed it, too.
    assert configuration == "MutatingWebhookConfiguration image-mirror"
    assert "did not sign the certificate in Secret" in authority


@on_the_newest
def test_a_foreign_image(verified: Verified) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "mine-0", "namespace": "team-a"},
        "spec": {"containers": [{"name": "main", "image": "quay.io/someone/notebook:1"}]},
        "status": {"phase": "Running"},
    }
    with verified.with_(pod):
        found = verified.findings("foreign-images", "mesh")
    assert [each[:3] for each in found] == [
        ("foreign-images", Level.PROBLEM, "team-a/mine-0"),
        ("mesh", Level.PROBLEM, "team-a/mine-0"),
    ]


@on_the_newest
def test_a_binding_that_opens_a_profile(verified: Verified) -> None:
    opened = binding(
        "RoleBinding", "team-b/opened", "kubeflow-view", user_subject("carl@example.org")
    )
    with verified.with_(opened):
        ((_, level, about, sentence),) = verified.findings("isolation")
    assert (level, about) == (Level.PROBLEM, "RoleBinding team-b/opened")
    assert "lets carl@example.org into the profile of bea@example.org" in sentence
    everybody = {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Group",
        "name": "system:authenticated",
    }
    with verified.with_(binding("RoleBinding", "team-b/opened", "kubeflow-view", everybody)):
        findings = verified.findings("isolation")
    by_about = {about: sentence for _, _, about, sentence in findings}
    editor = "system:serviceaccount:team-a:default-editor in team-b"
    # The API server's own reason.
    assert (
        'RBAC: allowed by RoleBinding "opened/team-b" of ClusterRole "kubeflow-view"'
        in (by_about[editor])
    )
    assert "list inferenceservices" in by_about[editor]
    assert verified.findings("isolation") == []


@on_the_newest
def test_an_extra_profile(verified: Verified) -> None:
    extra = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "Profile",
        "metadata": {"name": "by-hand"},
        "spec": {"owner": {"kind": "User", "name": "dan@example.org"}},
    }
    with verified.with_(extra):
        found = verified.findings("users")
    assert [(level, about) for _, level, about, _ in found] == [(Level.NOTE, "Profile by-hand")]
