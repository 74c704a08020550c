"""A notebook's pod between the two webhooks for PodDefaults, on a real API server.

Both are there from the moment in which 26.03.1 has made its own until 26.03's is deleted, and that
is one of the last things that an upgrade does.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pytest

from rendering import Object
from tests.cluster.api_server import CHOSEN, api_server, kube_apiserver
from tests.cluster.client import Cluster, Refused
from tests.live.cluster import through
from tests.live.egress import Egress, egress
from tests.rendering.beijing import kubeflow, rendered
from tests.rendering.profile_hooks import objects
from tests.upgrade.pod_defaults import webhook

NAMESPACE = "team-a"
WEBHOOKS = {
    "26.03": "admission-webhook-mutating-webhook-configuration",
    "26.03.1": "poddefaults-webhook-mutating-webhook-configuration",
}
SERVICES = {"26.03": "admission-webhook-service", "26.03.1": "poddefaults-webhook-service"}
CRD = "poddefaults.kubeflow.org"
TOKEN = "access-ml-pipeline"
_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_SECONDS = 120


@dataclass(frozen=True)
class Platform:
    """An API server with a profile's namespace, and the network to its webhooks."""

    cluster: Cluster
    network: Egress

    def has_webhooks_of(self, releases: Sequence[str]) -> None:
        """Those and no others, once the API server calls them."""
        self.cluster.delete(_CONFIGURATIONS)
        services: set[str] = set()
        for release in releases:
            made = kubeflow(release).get("MutatingWebhookConfiguration", WEBHOOKS[release])
            made = json.loads(json.dumps(made))
            for hook in made["webhooks"]:
                authority = self.network.authority.file.read_bytes()
                hook["clientConfig"]["caBundle"] = base64.b64encode(authority).decode()
            services.add(SERVICES[release])
            self.cluster.apply(made)
        deadline = time.monotonic() + _SECONDS
        while self._called() != services:
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def _called(self) -> set[str]:
        """Services that are asked about a pod without PodDefaults."""
        self.network.answered.clear()
        pod = notebook()
        del pod["metadata"]["labels"]
        with suppress(Refused):  # the API server does not see the Service yet
            self.cluster.create(pod, dry_run=True)
        return {host.partition(".")[0] for host in self.network.answered}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Generator[Platform]:
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "network").mkdir()
    with egress(folder / "network") as network:
        selector = folder / "egress.yaml"
        selector.write_text(json.dumps(through(network)))
        program = kube_apiserver(CHOSEN[-1], print)
        more = (f"--egress-selector-config-file={selector}",)
        with api_server(program, folder, more=more) as kubeconfig:
            cluster = Cluster(kubeconfig)
            answers = webhook(cluster)
            network.lookup = lambda _host: answers
            _fill(cluster)
            yield Platform(cluster, network)


def _fill(cluster: Cluster) -> None:
    (crd,) = (crd for crd in rendered("26.03").crds if crd["metadata"]["name"] == CRD)
    cluster.apply(crd)
    labels = {"app.kubernetes.io/part-of": "kubeflow-profile"}
    metadata = {"name": NAMESPACE, "labels": labels}
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kubeflow"}})
    for release, name in SERVICES.items():
        cluster.apply(kubeflow(release).get("Service", name))
    account = {"name": "default", "namespace": NAMESPACE}
    cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    token = objects("26.03", name=NAMESPACE)[f"PodDefault {TOKEN}"]
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            cluster.create(token)
        except Refused:  # the kind is not served yet
            assert time.monotonic() < deadline
            time.sleep(0.2)
        else:
            return


def notebook() -> Object:
    """As the notebook controller makes its pod, with what the form has chosen."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "analysis-0", "namespace": NAMESPACE, "labels": {TOKEN: "true"}},
        "spec": {"containers": [{"name": "analysis", "image": "registry.example/notebook:1"}]},
    }


@pytest.mark.parametrize(
    "releases", [["26.03"], ["26.03", "26.03.1"], ["26.03.1"]], ids=["before", "between", "after"]
)
def test_a_notebook_starts_with_the_token_for_pipelines(
    platform: Platform, releases: Sequence[str]
) -> None:
    platform.has_webhooks_of(releases)
    pod = platform.cluster.create(notebook(), dry_run=True).body
    assert [each["name"] for each in pod["spec"]["volumes"]].count(TOKEN) == 1
    (container,) = pod["spec"]["containers"]
    assert [each["name"] for each in container["volumeMounts"]].count(TOKEN) == 1
