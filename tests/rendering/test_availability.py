"""Which Deployments get a second pod, where it runs, and that every node can still be drained."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from rendering import Object, ObjectKey, Rendered, RenderError, render
from rendering.availability import NODE, PODS, ZONE, elects_leader, refusing_servers, replicate
from rendering.golden import releases
from rendering.objects import containers_of, labels_of
from rendering.prerequisites import Index
from rendering.selectors import matches_selector
from settings.sections import NodeGroupSettings
from tests.rendering.beijing import MANIFESTS, REGISTRY
from tests.rendering.small_objects import obj, service, webhook, workload

# -- the rules ------------------------------------------------------------------------------------


def server(*arguments: str, kind: str = "Deployment", **pod: Any) -> Object:
    """A workload ``w`` of these arguments, complete enough to be replicated."""
    made = workload("w", {"containers": [{"name": "c", "args": list(arguments)}], **pod})
    made["kind"] = kind
    made["spec"] |= {"replicas": 1, "selector": {"matchLabels": {"app": "w"}}}
    return made


def autoscaler(least: int = 1) -> Object:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}
    spec = {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": 5}
    return obj("HorizontalPodAutoscaler", "w", "autoscaling/v2", spec=spec)


def gateway(api: str) -> Object:
    return obj("Gateway", "g", api, spec={"selector": {"app": "w"}})


def configuration(text: str) -> tuple[Object, dict[str, Any]]:
    """A ConfigMap, and the part of a pod spec that mounts it."""
    volume = {"name": "v", "configMap": {"name": "manager"}}
    return obj("ConfigMap", "manager", data={"config.yaml": text}), {"volumes": [volume]}


ELECTING, MOUNTING = configuration("leaderElection:\n  leaderElect: true\n")
ALONE, _ = configuration("leaderElection:\n  leaderElect: false\n")
REFUSING = [service("w"), webhook("hook", "w", "widgets", failurePolicy="Fail")]
FORGIVING = [service("w"), webhook("hook", "w", "widgets", failurePolicy="Ignore")]


@pytest.mark.parametrize(
    ("objects", "pods"),
    [
        ([*REFUSING, server("--leader-elect")], 2),
        ([*REFUSING, server("--leader-elect=true")], 2),
        ([*REFUSING, server("--leader-election=true")], 2),
        ([*REFUSING, server("-enable-leader-election")], 2),
        ([*REFUSING, ELECTING, server(**MOUNTING)], 2),
        ([service("w"), webhook("hook", "w", "widgets"), server("--leader-elect")], 2),
        ([gateway("networking.istio.io/v1"), server()], 2),
        ([*REFUSING, server()], 1),
        ([*REFUSING, server("--leader-elect=false")], 1),
        ([*REFUSING, server("--leader-election-lock-name=x")], 1),
        ([*REFUSING, ALONE, server(**MOUNTING)], 1),
        ([*REFUSING, ELECTING, server()], 1),
        ([*REFUSING, server("--leader-elect", kind="StatefulSet")], 1),
        ([*FORGIVING, server("--leader-elect")], 1),
        ([gateway("gateway.networking.k8s.io/v1"), server()], 1),
        ([server("--leader-elect")], 1),
    ],
)
def test_a_second_pod_is_for_servers_that_are_missed_and_can_have_one(
    objects: list[Object], pods: int
) -> None:
    budgets = replicate(objects, [], ())
    assert objects[-1]["spec"]["replicas"] == pods
    assert len(budgets) == pods - 1


def test_a_listed_deployment_gets_a_second_pod_and_never_fewer_than_upstreams() -> None:
    for upstream, pods in ((None, 2), (1, 2), (2, 2), (3, 3)):
        listed = server()
        listed["spec"]["replicas"] = upstream
        if upstream is None:
            del listed["spec"]["replicas"]
        replicate([listed], [], {"n/w"})
        assert listed["spec"]["replicas"] == pods


def test_a_listed_deployment_that_does_not_exist_is_one_sentence() -> None:
    with pytest.raises(RenderError, match=r"replicated: no Deployment is called n/v: correct or"):
        replicate([server()], [], {"n/w", "n/v"})


@pytest.mark.parametrize(("least", "pods"), [(1, 2), (3, 3)])
def test_an_autoscaler_gets_the_count_and_its_deployment_none(least: int, pods: int) -> None:
    scaled, scaler = server(), autoscaler(least)
    del scaled["spec"]["replicas"]  # as normalised
    replicate([scaled, scaler], [], ())
    assert scaler["spec"]["minReplicas"] == pods
    assert "replicas" not in scaled["spec"]


def test_second_pods_prefer_another_zone_and_another_node() -> None:
    spread, own = server(), server(topologySpreadConstraints=[{"topologyKey": "rack"}])
    for one in (spread, own):
        replicate([one], [], {"n/w"})
    constraints = spread["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [constraint["topologyKey"] for constraint in constraints] == [ZONE, NODE]
    for constraint in constraints:
        assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"
        assert constraint["labelSelector"] == {"matchLabels": {"app": "w"}}
    assert own["spec"]["template"]["spec"]["topologySpreadConstraints"] == [{"topologyKey": "rack"}]


def test_a_deployment_without_a_budget_gets_one_for_exactly_its_pods() -> None:
    (budget,) = replicate([server()], [], {"n/w"})
    assert budget == {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "w", "namespace": "n"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "w"}}},
    }


@pytest.mark.parametrize("limit", [{"minAvailable": "80%"}, {"minAvailable": 0}])
def test_a_budget_of_upstreams_is_not_doubled_and_lets_one_pod_go(limit: dict[str, Any]) -> None:
    selector = {"matchLabels": {"app": "w"}}
    budget = obj("PodDisruptionBudget", "b", "policy/v1", spec={**limit, "selector": selector})
    elsewhere = obj("PodDisruptionBudget", "b", "policy/v1", "m", spec=dict(budget["spec"]))
    assert replicate([server(), budget, elsewhere], [], {"n/w"}) == []
    assert budget["spec"] == {"maxUnavailable": 1, "selector": selector}
    assert elsewhere["spec"] == {**limit, "selector": selector}


# -- the releases ---------------------------------------------------------------------------------

TWO = {
    "26.03": {
        "auth/dex",
        "cert-manager/cert-manager-webhook",
        "istio-system/cluster-local-gateway",
        "istio-system/istio-ingressgateway",
        "istio-system/istiod",
        "knative-serving/activator",
        "knative-serving/net-istio-webhook",
        "knative-serving/webhook",
        "kubeflow-system/jobset-controller-manager",
        "kubeflow-system/kubeflow-trainer-controller-manager",
        "kubeflow/admission-webhook-deployment",
        "kubeflow/kserve-controller-manager",
        "kubeflow/llmisvc-controller-manager",
        "kubeflow/pvcviewer-controller-manager",
        "kubeflow/spark-operator-webhook",
        "metrics-server/metrics-server",
        "oauth2-proxy/oauth2-proxy",
    },
    "1.5.1-aws-b1.0.0": {
        "auth/dex",
        "cert-manager/cert-manager-webhook",
        "istio-system/cluster-local-gateway",
        "istio-system/istio-ingressgateway",
        "istio-system/istiod",
        "knative-eventing/eventing-webhook",
        "knative-eventing/mt-broker-filter",
        "knative-eventing/mt-broker-ingress",
        "knative-serving/activator",
        "knative-serving/istio-webhook",
        "knative-serving/webhook",
        "kubeflow/admission-webhook-deployment",
        "metrics-server/metrics-server",
    },
}
TWO["26.03.1"] = TWO["26.03"] - {"kubeflow/admission-webhook-deployment"} | {
    "kubeflow/poddefaults-webhook-deployment"
}
ALONE_BEHIND_A_REFUSING_WEBHOOK = {
    # No leader election: two would act twice (reasons in each release.yaml).
    "26.03": {"kubeflow/katib-controller"},
    "26.03.1": {"kubeflow/katib-controller", "kubeflow/kserve-localmodel-controller-manager"},
    "1.5.1-aws-b1.0.0": {
        "kserve/kserve-controller-manager",
        "kubeflow/kfserving-controller-manager",
    },
}
each_release = pytest.mark.parametrize("name", [path.name for path in releases(MANIFESTS.parent)])


@cache
def render_of(name: str, high_availability: bool = True) -> Rendered:
    return render(
        MANIFESTS / name,
        partition="aws-cn",
        dns_suffix="amazonaws.com.cn",
        registry=REGISTRY,
        high_availability=high_availability,
    )


def by_key(name: str, high_availability: bool = True) -> dict[ObjectKey, Object]:
    return {ObjectKey.of(each): each for each in render_of(name, high_availability).objects}


def pods_of(objects: dict[ObjectKey, Object]) -> dict[ObjectKey, int]:
    """Deployment or StatefulSet -> the number of its pods; an autoscaler's minimum counts."""
    least = {
        ObjectKey("apps/v1", target["kind"], key.namespace, target["name"]): scaler["spec"]
        for key, scaler in objects.items()
        if key.kind == "HorizontalPodAutoscaler"
        for target in [scaler["spec"]["scaleTargetRef"]]
    }
    return {
        key: least[key]["minReplicas"] if key in least else each["spec"].get("replicas", 1)
        for key, each in objects.items()
        if key.kind in ("Deployment", "StatefulSet")
    }


@each_release
def test_these_deployments_have_two_pods_and_all_others_are_as_without_the_setting(
    name: str,
) -> None:
    pods, before = pods_of(by_key(name)), pods_of(by_key(name, high_availability=False))
    assert {key.full_name for key, number in pods.items() if number == PODS} == TWO[name]
    rest = {key: number for key, number in pods.items() if key.full_name not in TWO[name]}
    assert rest == {key: before[key] for key in rest}


@each_release
def test_whoever_stays_alone_behind_a_refusing_webhook_elects_no_leader(name: str) -> None:
    index = Index(by_key(name), render_of(name).crds)
    alone = {key for key in refusing_servers(index) if key.full_name not in TWO[name]}
    assert {key.full_name for key in alone} == ALONE_BEHIND_A_REFUSING_WEBHOOK[name]
    assert [key for key in alone if elects_leader(key, index)] == []


@each_release
def test_no_deployment_of_an_autoscaler_states_a_count(name: str) -> None:
    objects = by_key(name)
    scalers = [each for key, each in objects.items() if key.kind == "HorizontalPodAutoscaler"]
    assert len(scalers) == 5
    for scaler in scalers:
        target = scaler["spec"]["scaleTargetRef"]
        namespace = scaler["metadata"]["namespace"]
        scaled = objects[ObjectKey("apps/v1", "Deployment", namespace, target["name"])]
        assert "replicas" not in scaled["spec"]
        assert scaler["spec"]["minReplicas"] == PODS <= scaler["spec"]["maxReplicas"]


@each_release
def test_every_node_can_be_drained(name: str) -> None:
    """The eviction API refuses a pod that has two budgets, and one whose budget permits none."""
    objects = by_key(name)
    pods = pods_of(objects)
    budgets = {key: o["spec"] for key, o in objects.items() if key.kind == "PodDisruptionBudget"}
    protected: Counter[str] = Counter()
    for budget, spec in budgets.items():
        assert spec["maxUnavailable"] == 1
        assert "minAvailable" not in spec
        for key in pods:
            labels = labels_of(objects[key]["spec"]["template"])
            if key.namespace == budget.namespace and matches_selector(spec["selector"], labels):
                protected[key.full_name] += 1
    assert protected == dict.fromkeys(TWO[name], 1)


@each_release
def test_the_metrics_api_appears_after_its_server_and_goes_before_it(name: str) -> None:
    """Without a server it would keep every namespace from being deleted; deletion is in reverse."""
    prerequisites = render_of(name).prerequisites
    (api,) = [key for key in prerequisites if key.kind == "APIService"]
    metrics = ObjectKey("apps/v1", "Deployment", "metrics-server", "metrics-server")
    assert metrics in prerequisites[api]
    assert not [key for key, needs in prerequisites.items() if api in needs]


# -- room for them --------------------------------------------------------------------------------

MEBIBYTES = {"Ki": 2**-10, "Mi": 1, "Gi": 2**10}
NODE_ROOM = (3920 - 200, 14_700 - 200)
"""Milli-CPUs and MiB for pods on an m5.xlarge: 4 CPUs less 80 m, some 15,700 MiB less 255 + 11 * 58
and 100 MiB (awslabs/amazon-eks-ami, nodeadm/internal/kubelet/config.go), less some 200 of each for
EKS' own DaemonSets."""


def sidecar(objects: Mapping[ObjectKey, Object]) -> Mapping[str, Any]:
    """The part of Istio's injected container that requests resources."""
    key = ObjectKey("v1", "ConfigMap", "istio-system", "istio-sidecar-injector")
    return json.loads(objects[key]["data"]["values"])["global"]["proxy"]


def requested(container: Mapping[str, Any]) -> tuple[float, float]:
    requests = (container.get("resources") or {}).get("requests") or {}
    cpu, memory = str(requests.get("cpu", 0)), str(requests.get("memory", 0))
    milli = float(cpu[:-1]) if cpu.endswith("m") else float(cpu) * 1000
    return milli, float(memory[:-2]) * MEBIBYTES[memory[-2:]] if memory[:-2] else 0


def test_the_default_node_group_has_room_for_all_pods_on_one_node_fewer() -> None:
    objects = by_key("26.03")
    injected = {
        key.name
        for key, each in objects.items()
        if key.kind == "Namespace" and labels_of(each).get("istio-injection") == "enabled"
    }
    # Karpenter's two pods and the image mirror's (components/gpu/chart.py, addons/image-mirror).
    cpu, memory = 2 * 500 + 2 * 50, 2 * 1024 + 2 * 96
    for key, number in pods_of(objects).items():
        template = objects[key]["spec"]["template"]
        requests = [requested(container) for container in containers_of(template["spec"])]
        if labels_of(template).get("sidecar.istio.io/inject", "true") == "true" and (
            key.namespace in injected
        ):
            requests.append(requested(sidecar(objects)))
        cpu += number * sum(one for one, _ in requests)
        memory += number * sum(one for _, one in requests)
    nodes = NodeGroupSettings().min - 1
    assert cpu < nodes * NODE_ROOM[0]
    assert memory < nodes * NODE_ROOM[1]
