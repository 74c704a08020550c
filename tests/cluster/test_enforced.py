"""``imageMirror.enforce`` on a real API server: closed while nobody answers, and still a cluster.

What a cluster starts with is made while the webhook is away: as at the first start, when all nodes
are replaced at once, and after an upgrade of the control plane.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from rendering import Object, ObjectKey
from tests.cluster.client import Refused
from tests.cluster.conftest import CURRENT, NewCluster
from tests.cluster.mirrored import OWN, TEAM, Judge, Mirrored, in_effect, namespace, pod, rewritten
from tests.cluster.stand_ins import default_account, pod_of
from tests.rendering.beijing import rendered
from webhook.admission import Copy, Presence
from webhook.image_places import OPT_OUT

pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")

NOBODY = r'failed calling webhook "images\.image-mirror\.internal"'


@pytest.fixture(scope="module")
def kept(new_cluster: NewCluster, tmp_path_factory: pytest.TempPathFactory) -> Generator[Mirrored]:
    folder = tmp_path_factory.mktemp("enforced-certificate")
    with in_effect(new_cluster, "enforced", folder, enforce=True) as made:
        yield made


@pytest.fixture
def mirrored(kept: Mirrored) -> Mirrored:
    kept.judged_by(Judge())
    return kept


def test_a_pod_that_nobody_judged_does_not_start(mirrored: Mirrored) -> None:
    for name, image in (("any", "python:3.9"), ("copied", f"{OWN}/docker.io/library/python:3.9")):
        with mirrored.down(), pytest.raises(Refused, match=NOBODY):
            mirrored.create(name, image)
        assert rewritten(mirrored.create(name, image))


def test_a_webhook_with_an_error_lets_nothing_pass(mirrored: Mirrored) -> None:
    def broken(body: object, deadline: float) -> dict[str, Any]:
        raise RuntimeError(f"{body} {deadline}")

    mirrored.decide = broken
    with pytest.raises(Refused, match=NOBODY):
        mirrored.create("despite", "python:3.9")


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet"])
def test_what_nodes_need_starts_while_nobody_answers(mirrored: Mirrored, kind: str) -> None:
    # The CNI, DNS, volumes and Karpenter: their namespace is all that counts.
    name = f"system-{kind.lower()}"
    selector = {"app": name}
    template = pod(name, "eks/pause:3.10", where="kube-system")
    workload: Object = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": selector}, "spec": template["spec"]},
        },
    }
    with mirrored.down():
        mirrored.cluster.create(workload)
        mirrored.cluster.create(template)
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
        mirrored.cluster.create(node)


def test_the_webhooks_own_pods_start_while_nobody_answers(mirrored: Mirrored) -> None:
    objects = [
        obj
        for obj in rendered("addons/image-mirror").objects
        if ObjectKey.of(obj).kind in ("Namespace", "ServiceAccount", "Deployment")
    ]
    with mirrored.down():
        for obj in objects:
            if obj["kind"] == "Namespace":
                mirrored.cluster.apply(obj)
                mirrored.cluster.apply(default_account(obj["metadata"]["name"]))
            elif obj["kind"] == "ServiceAccount":
                mirrored.cluster.apply({**obj, "metadata": {**obj["metadata"], "annotations": {}}})
            else:
                made = pod_of(obj)
                assert made is not None
                mirrored.cluster.create(made)


def test_pods_that_run_are_no_prisoners_of_an_absent_webhook(mirrored: Mirrored) -> None:
    made = mirrored.create("runs", "python:3.9", metadata={"finalizers": ["example.com/kept"]})
    with mirrored.down():
        mirrored.cluster.patch(made.body, {"metadata": {"labels": {"changed": "true"}}})
        mirrored.cluster.patch(made.body, {"metadata": {"finalizers": None}})
        change = {"spec": {"containers": [{"name": "c0", "image": "evil/miner:1"}]}}
        with pytest.raises(Refused, match=NOBODY):
            mirrored.cluster.patch(made.body, change)
        debugger = {"spec": {"ephemeralContainers": [{"name": "d", "image": "evil/miner:1"}]}}
        with pytest.raises(Refused, match=NOBODY):
            mirrored.cluster.patch(made.body, debugger, subresource="ephemeralcontainers")
        mirrored.cluster.delete(f"/api/v1/namespaces/{TEAM}/pods/runs")


def test_an_administrators_label_leaves_a_namespace_out(mirrored: Mirrored) -> None:
    with mirrored.down():
        mirrored.create("free", "python:3.9", where="unmirrored")
        mirrored.cluster.apply(namespace("joined"))
        mirrored.cluster.apply(default_account("joined"))
        own: Object = {"labels": {OPT_OUT: "true"}}
        with pytest.raises(Refused, match=NOBODY):
            mirrored.create("caught", "python:3.9", where="joined", metadata=own)


def test_the_configuration_goes_before_its_pods_and_everything_starts(mirrored: Mirrored) -> None:
    # As in a destroy; see test_image_mirror_webhook.py for the order of the plan.
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/image-mirror"
    configuration = mirrored.cluster.get(path)
    assert configuration["webhooks"][0]["failurePolicy"] == "Fail"
    metadata = {"name": "image-mirror"}
    mirrored.cluster.delete(path)
    with mirrored.down():
        for attempt in range(60):
            try:
                mirrored.create(f"after-{attempt}", "python:3.9")
                break
            except Refused:
                continue
        else:
            pytest.fail("pods are refused by a configuration that is gone")
    mirrored.cluster.apply({**configuration, "metadata": metadata})


def test_what_the_registry_cannot_tell_is_refused(mirrored: Mirrored) -> None:
    mirrored.judged_by(Judge(copy=Copy(Presence.UNKNOWN, "why"), enforce=True))
    with pytest.raises(Refused, match=r"could not be asked for docker\.io/library/python:3\.9"):
        mirrored.create("unknown", "python:3.9")
