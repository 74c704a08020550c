"""That this tier can fail: wrong orders, wrong fields and absent backends are refused.

One empty API server for all of it; each test has a namespace of its own.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
import yaml

from rendering import Object, ObjectKey
from rendering.objects import pod_template
from tests.cluster.client import Refused
from tests.cluster.conftest import CURRENT, NewCluster
from tests.cluster.installation import Installation
from tests.cluster.platform import Platform, usual

pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")

UNANSWERED = "failed calling webhook"
GROUPS = ("cert-manager.io", "external-secrets.io", "karpenter.sh", "karpenter.k8s.aws")

GADGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.tests.example.com}
spec:
  group: tests.example.com
  names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList}
  scope: Namespaced
  versions:
    - {name: v1, served: true, storage: true, schema: &any {openAPIV3Schema: {type: object}}}
    - {name: v2, served: true, storage: false, schema: *any}
  conversion:
    strategy: Webhook
    webhook:
      conversionReviewVersions: [v1]
      clientConfig: {service: {namespace: converted, name: gadgets, path: /convert}}
"""
BACKEND = """
{apiVersion: v1, kind: Service, metadata: {name: gadgets}, spec:
  {selector: {app: gadgets}, ports: [{port: 443}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: gadgets}
spec:
  selector: {matchLabels: {app: gadgets}}
  template:
    metadata: {labels: {app: gadgets}}
    spec: {containers: [{name: gadgets, image: gadgets}]}
"""


def objects(text: str, namespace: str) -> list[Object]:
    made: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    return [{**obj, "metadata": {**obj["metadata"], "namespace": namespace}} for obj in made]


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def config_map(namespace: str, **fields: Any) -> Object:
    metadata = {"name": "some", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **fields}


@pytest.fixture(scope="module")
def empty(new_cluster: NewCluster, whole: Platform) -> Generator[Installation]:
    """An API server that knows a few kinds and has no objects."""
    ours = [crd for crd in whole.crds if crd["spec"]["group"] in GROUPS]
    with new_cluster("empty") as made:
        made.crds([*ours, yaml.safe_load(GADGETS)])
        yield made


def test_a_certificate_before_the_pods_behind_its_webhook_is_refused(
    empty: Installation, whole: Platform
) -> None:
    certificate = whole.key("Certificate", "katib-webhook-cert")
    needed = whole.with_needs(certificate)
    in_order = [obj for obj in whole.in_order(usual) if ObjectKey.of(obj) in needed]
    backends = [obj for obj in in_order if obj["metadata"]["name"] == "cert-manager-webhook"]
    (workload,) = [obj for obj in backends if pod_template(obj) is not None]
    judged = [obj for obj in in_order if ObjectKey.of(obj).group == "cert-manager.io"]
    empty.apply_all(obj for obj in in_order if obj is not workload and obj not in judged)
    with pytest.raises(Refused, match=f"cert-manager.io/v1/.*{UNANSWERED}"):
        empty.apply_all(judged)
    empty.apply_all([workload, *judged])
    assert empty.applied[-1] == certificate


def test_an_object_before_its_namespace_is_refused(empty: Installation) -> None:
    with pytest.raises(Refused, match='namespaces "late" not found'):
        empty.apply(config_map("late"))
    empty.apply_all([namespace("late"), config_map("late")])


def test_a_pod_before_its_service_account_is_refused(empty: Installation) -> None:
    _, workload = objects(BACKEND, "accounts")
    workload["spec"]["template"]["spec"]["serviceAccountName"] = "absent"
    empty.apply(namespace("accounts"))
    with pytest.raises(Refused, match=r'Deployment accounts/gadgets.*"absent" not found'):
        empty.apply(workload)


@pytest.mark.parametrize(
    ("source", "made_by"),
    [
        ("secretRef", {"apiVersion": "v1", "kind": "Secret"}),
        ("configMapRef", {"apiVersion": "v1", "kind": "ConfigMap"}),
    ],
)
def test_a_pod_before_what_its_containers_read_is_refused(
    empty: Installation, source: str, made_by: Object
) -> None:
    where = f"read-{source.lower()}"
    _, workload = objects(BACKEND, where)
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    container["envFrom"] = [{source: {"name": "read"}}]
    empty.apply(namespace(where))
    with pytest.raises(Refused, match=f"gadgets would wait for {made_by['kind']} read"):
        empty.apply(workload)
    empty.apply_all([{**made_by, "metadata": {"name": "read", "namespace": where}}, workload])


def test_a_custom_resource_before_its_crd_is_refused(empty: Installation, whole: Platform) -> None:
    with pytest.raises(Refused, match=r"the API server serves no /apis/kubeflow\.org/v1"):
        empty.apply(next(obj for obj in whole.objects.values() if obj["kind"] == "Profile"))


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("ConfigMap", ("misspelt",)),
        ("NodePool", ("spec", "misspelt")),
        ("EC2NodeClass", ("spec", "metadataOptions", "misspelt")),
        ("ExternalSecret", ("spec", "target", "misspelt")),
        ("SecretStore", ("spec", "provider", "aws", "misspelt")),
        ("Issuer", ("spec", "misspelt")),
    ],
)
def test_a_field_nobody_knows_is_refused(
    empty: Installation, whole: Platform, kind: str, path: tuple[str, ...]
) -> None:
    obj = next(
        {**obj, "metadata": {**obj["metadata"], "namespace": "default"}}
        if key.namespace
        else dict(obj)
        for key, obj in whole.objects.items()
        if key.kind == kind
    )
    *parents, field = path
    holder: Object = obj
    for parent in parents:
        holder[parent] = dict(holder[parent])
        holder = holder[parent]
    holder[field] = "value"
    with pytest.raises(Refused, match=rf"{kind} .*\.{'.'.join(path)}.*(unknown|not declared)"):
        empty.apply(obj)


def test_a_conversion_webhook_is_asked_only_once_its_pods_are_there(empty: Installation) -> None:
    (gadget,) = objects(
        "{apiVersion: tests.example.com/v2, kind: Gadget, metadata: {name: one}}", "converted"
    )
    empty.apply(namespace("converted"))
    with pytest.raises(Refused, match="conversion webhook"):
        empty.apply(gadget)
    empty.apply_all([*objects(BACKEND, "converted"), gadget])
    assert empty.admission.answered["converted/gadgets:443/convert"] > 0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ports": [{"port": 9443}]}, "it has no port 443"),
        ({"selector": {"app": "others"}}, "it selects no pod"),
        ({"selector": {}}, "it selects nothing"),
    ],
)
def test_a_service_answers_only_with_the_port_and_the_pods_that_are_asked_for(
    empty: Installation, change: dict[str, Any], why: str
) -> None:
    where = f"silent-{'-'.join(why.split())}"
    service, workload = objects(BACKEND, where)
    service["spec"] |= change
    empty.apply_all([namespace(where), service, workload])
    assert not empty.backends.answer(where, "gadgets:443"), why
