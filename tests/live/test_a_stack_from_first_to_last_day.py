"""The unmodified program with the real Kubernetes provider: made, changed, refreshed, removed.

The tests are one story on one cluster, in the order of the file. AWS is simulated; API server,
scheduler, controllers and the provider are real, nodes and pods are kwok's, and the controllers
that write into our objects are played after their sources (``tests/live/operators.py``).
"""

from __future__ import annotations

import runpy
import time
from typing import Any

import pulumi
import pytest

from ops.leftover_search import Status
from ops.leftovers import of_cluster
from rehearsal.engine import EngineFailure, Outcome
from rendering.objects import WEBHOOK_KINDS
from tests.live.egress import SIDECAR
from tests.live.stack import ROOT, LiveStack

SECOND_USER = {"email": "second@example.com", "namespace": "second"}
SECOND_PROFILE = {
    "apiVersion": "kubeflow.org/v1",
    "kind": "Profile",
    "metadata": {"name": SECOND_USER["namespace"]},
}
DASHBOARD = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "dashboard", "namespace": "kubeflow"},
}
LEFT_SECONDS = 300
"""For the garbage collector, which deletes what belonged to deleted objects."""


def changed(outcome: Outcome) -> set[str]:
    """Whatever is not left as it was: ``<types>::<name>`` of each."""
    return {
        urn.split("::", 2)[-1]
        for urn, operation in outcome.operations.items()
        if operation != "same"
    }


def test_a_first_preview_creates_everything(live: LiveStack) -> None:
    outcome = live.run("preview")
    assert set(outcome.changes) == {"create"}
    assert outcome.changes["create"] > 700


def test_up_ends_and_no_webhook_is_called_before_its_server_is_ready(live: LiveStack) -> None:
    outcome = live.run("up")
    assert set(outcome.changes) == {"create"}
    assert live.cluster.network.unanswered == {}
    assert live.cluster.network.answered.total() > 100


def test_no_pod_of_the_mesh_was_made_before_its_sidecar_could_be(live: LiveStack) -> None:
    """The injector admits a pod once: one that was there before istiod has no sidecar."""
    server = live.cluster.cluster
    query = "?labelSelector=istio-injection%3Denabled"
    meshed = [
        each["metadata"]["name"] for each in server.get(f"/api/v1/namespaces{query}")["items"]
    ]
    pods = [
        pod
        for namespace in meshed
        for pod in server.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
        if not opted_out(pod["metadata"])
    ]
    without = [pod["metadata"]["name"] for pod in pods if SIDECAR["name"] not in containers(pod)]
    assert len(pods) > 20
    assert without == []


def opted_out(metadata: dict[str, Any]) -> bool:
    marks = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
    return marks.get("sidecar.istio.io/inject") == "false"


def containers(pod: dict[str, Any]) -> list[str]:
    return [each["name"] for each in pod["spec"]["containers"]]


def test_an_unchanged_stack_previews_as_unchanged(live: LiveStack) -> None:
    assert changed(live.run("preview")) == set()


def test_a_refresh_changes_nothing_that_a_preview_would_change_back(live: LiveStack) -> None:
    assert changed(live.run("refresh")) == set()
    assert changed(live.run("preview")) == set()


def test_a_value_that_somebody_edited_is_named_and_put_back(live: LiveStack) -> None:
    """kubectl edit: the refresh names the object, the next ``up`` writes the program's value."""
    live.cluster.cluster.patch(DASHBOARD, {"spec": {"replicas": 3}})
    drift = live.run("refresh")
    (urn,) = changed(drift)
    assert urn.endswith("kubeflow/dashboard")
    assert changed(live.run("preview")) == {urn}
    assert changed(live.run("up")) == {urn}
    assert live.cluster.cluster.read(DASHBOARD)["spec"]["replicas"] == 1


def test_one_value_of_the_node_group_changes_the_node_group_alone(live: LiveStack) -> None:
    live.set(lambda config: config["kubeflow:nodeGroup"].update(max=9))
    (urn,) = changed(live.run("up"))
    assert "aws:eks/nodeGroup:NodeGroup" in urn


def test_one_user_more_is_a_profile_and_a_password_more(live: LiveStack) -> None:
    live.set(lambda config: config["kubeflow:users"].append(SECOND_USER))
    outcome = live.run("up")
    assert set(outcome.changes) <= {"same", "create", "update", "replace"}
    assert live.stored(SECOND_PROFILE)
    assert changed(live.run("preview")) == set()


def test_one_user_less_takes_the_profile_and_nothing_of_others(live: LiveStack) -> None:
    live.set(lambda config: config["kubeflow:users"].remove(SECOND_USER))
    with pytest.raises(EngineFailure, match="Namespace second of second@"):
        live.run("preview")
    live.set(lambda config: config["kubeflow:users"].append(SECOND_USER))
    live.set(lambda config: config["kubeflow:deletableNamespaces"].append("second"))
    assert changed(live.run("up")) == set()
    live.set(lambda config: config["kubeflow:users"].remove(SECOND_USER))
    live.run("up")
    assert not live.stored(SECOND_PROFILE)
    assert changed(live.run("preview")) == set()


def test_a_rotation_of_the_databases_passwords_leaves_every_workload_ready(
    live: LiveStack,
) -> None:
    live.set(lambda config: config["kubeflow:database"].update(rotation=2))
    live.run("up")
    assert changed(live.run("preview")) == set()


def test_a_changed_label_on_every_webhook_configuration_is_accepted(live: LiveStack) -> None:
    """Whoever wrote last: the fields of controllers are theirs, the label is ours."""
    live.program = labelled_webhooks
    outcome = live.run("up")
    updated = {urn for urn in changed(outcome) if "WebhookConfiguration" in urn}
    assert len(updated) == len(changed(outcome)) > 15
    live.run("refresh")
    assert changed(live.run("preview")) == set()


def labelled_webhooks() -> None:
    """The program, with a label more on webhook configurations."""

    def label(
        args: pulumi.ResourceTransformationArgs,
    ) -> pulumi.ResourceTransformationResult | None:
        if not any(kind in args.type_ for kind in WEBHOOK_KINDS):
            return None
        properties: Any = args.props
        metadata = properties["metadata"]
        labels = {**(metadata.get("labels") or {}), "changed": "yes"}
        changed_properties = {**properties, "metadata": {**metadata, "labels": labels}}
        return pulumi.ResourceTransformationResult(changed_properties, args.opts)

    pulumi.runtime.register_stack_transformation(label)
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


def test_destroy_leaves_crds_and_nothing_else(
    live: LiveStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finalizers are taken off by controllers that still run, or the engine would wait for ever."""
    live.program = None
    live.set(lambda config: config.update({"kubeflow:deletionProtection": False}))
    live.run("up")
    # The first `up` is the run that writes the state at each step.
    outcome = live.run("destroy", checkpoints=False)
    assert set(outcome.changes) == {"delete"}
    deadline = time.monotonic() + LEFT_SECONDS
    while (left := live.objects() - live.before) and time.monotonic() < deadline:
        time.sleep(1)
    assert left == set()
    monkeypatch.setenv("KUBECONFIG", str(live.cluster.folder / "kubeconfig.json"))
    server = live.cluster.cluster.kubeconfig["clusters"][0]["cluster"]["server"]
    (found,) = of_cluster({"name": "kubeflow", "endpoint": server}, "aws")
    assert (found.status, found.what) == (Status.KEPT, "CustomResourceDefinitions")


def test_up_again_after_a_destroy_makes_everything_anew(live: LiveStack) -> None:
    """On a cluster that has the CRDs of the first life; its bucket outlives the stack."""
    live.set(lambda config: config["kubeflow:artifacts"].update(bucket="of-the-second-life"))
    before = live.cluster.network.unanswered.copy()
    outcome = live.run("up", checkpoints=False)
    # EKS has made the log group of the control plane again.
    assert set(outcome.changes) == {"create", "update"}
    assert outcome.changes["update"] == 1
    assert live.cluster.network.unanswered == before
    assert changed(live.run("preview")) == set()
