"""A pod comes after what writes its Secrets, and after the Job that makes them true."""

from __future__ import annotations

from typing import Any

import pytest

from rendering import ObjectKey
from rendering.credentials import remote_keys
from rendering.objects import Object
from rendering.order import OrderCycle, derive
from tests.rendering.small_objects import needs, obj, space, workload

EXTERNAL = "external-secrets.io/v1"
CLASSES = "secrets-store.csi.x-k8s.io/v1"
DRIVER = "secrets-store.csi.k8s.io"


def external(name: str, key: str = "remote", namespace: str = "n", **spec: Any) -> Object:
    data = [{"secretKey": "k", "remoteRef": {"key": key, "property": "p"}}]
    return obj("ExternalSecret", name, EXTERNAL, namespace, spec={"data": data, **spec})


def provider_class(
    name: str, key: str = "remote", writes: str = "s", namespace: str = "n"
) -> Object:
    spec = {
        "secretObjects": [{"secretName": writes, "type": "Opaque"}],
        "parameters": {"objects": f'- objectName: "{key}"\n  objectType: secretsmanager\n'},
    }
    return obj("SecretProviderClass", name, CLASSES, namespace, spec=spec)


def naming(secret: str, **more: Any) -> dict[str, Any]:
    source = {"secretKeyRef": {"name": secret, "key": "k", **more}}
    return {"containers": [{"env": [{"name": "A", "valueFrom": source}]}]}


def mounting(name: str) -> dict[str, Any]:
    csi = {"driver": DRIVER, "volumeAttributes": {"secretProviderClass": name}}
    return {"volumes": [{"name": "v", "csi": csi}]}


def job(name: str, pod: dict[str, Any], namespace: str = "n") -> Object:
    return obj("Job", name, "batch/v1", namespace, spec={"template": {"spec": pod}})


@pytest.mark.parametrize(
    ("secret", "needed"),
    [
        (external("s"), {"ExternalSecret s"}),
        (external("other", target={"name": "s"}), {"ExternalSecret other"}),
        (external("s", target={"name": "other"}), set[str]()),
        (external("s", namespace="other"), set[str]()),
        (provider_class("c"), {"SecretProviderClass c"}),
        (provider_class("c", writes="other"), set[str]()),
    ],
)
def test_a_pod_comes_after_what_writes_its_secret(secret: Object, needed: set[str]) -> None:
    assert needs([workload("w", naming("s")), secret], "w") == needed


@pytest.mark.parametrize("secret", [external("s"), provider_class("c")])
def test_a_secret_that_a_pod_can_do_without_is_not_waited_for(secret: Object) -> None:
    assert needs([workload("w", naming("s", optional=True)), secret], "w") == set()


def test_a_mounted_class_and_its_driver_come_before_the_pod() -> None:
    driver = obj("CSIDriver", DRIVER, "storage.k8s.io/v1", None)
    objects = [workload("w", mounting("c")), provider_class("c"), driver]
    assert needs(objects, "w") == {f"CSIDriver {DRIVER}", "SecretProviderClass c"}


def test_a_secret_of_the_csi_driver_is_there_once_another_pod_mounts_its_class() -> None:
    objects = [workload("w", naming("s")), workload("sync", mounting("c")), provider_class("c")]
    assert needs(objects, "w") == {"Deployment sync"}
    assert needs(objects, "sync") == {"SecretProviderClass c"}


def test_pods_that_mount_the_class_themselves_do_not_wait_for_each_other() -> None:
    both = naming("s") | mounting("c")
    objects = [workload("a", both), workload("b", both), provider_class("c")]
    assert needs(objects, "a") == needs(objects, "b") == {"SecretProviderClass c"}


@pytest.mark.parametrize(
    ("spec", "needed"),
    [
        ({"secretStoreRef": {"name": "st"}}, {"SecretStore st"}),
        ({"secretStoreRef": {"name": "st", "kind": "SecretStore"}}, {"SecretStore st"}),
        ({"secretStoreRef": {"name": "c", "kind": "ClusterSecretStore"}}, {"ClusterSecretStore c"}),
        ({"dataFrom": [{"sourceRef": {"storeRef": {"name": "st"}}}]}, {"SecretStore st"}),
    ],
)
def test_an_external_secret_comes_after_its_stores(spec: dict[str, Any], needed: set[str]) -> None:
    stores = [
        obj("SecretStore", "st", EXTERNAL),
        obj("SecretStore", "st", EXTERNAL, "other"),
        obj("ClusterSecretStore", "c", EXTERNAL, None),
    ]
    assert needs([external("s", **spec), *stores], "s") == needed


def test_a_store_comes_after_the_account_it_logs_in_as() -> None:
    auth = {"jwt": {"serviceAccountRef": {"name": "a", "namespace": "other"}}}
    spec = {"provider": {"aws": {"auth": auth}}}
    accounts = [obj("ServiceAccount", "a"), obj("ServiceAccount", "a", namespace="other")]
    own = obj("SecretStore", "st", EXTERNAL, spec=spec)
    shared = obj("ClusterSecretStore", "st", EXTERNAL, None, spec=spec)
    needed = derive([own, shared, *accounts]).prerequisites
    assert [key.namespace for key in needed[ObjectKey.of(own)]] == ["n"]
    assert [key.namespace for key in needed[ObjectKey.of(shared)]] == ["other"]


@pytest.mark.parametrize(
    ("reader", "keys"),
    [
        (external("s", "a"), {"a"}),
        (external("s", dataFrom=[{"extract": {"key": "b"}}]), {"remote", "b"}),
        (external("s", data=None, dataFrom=[{"find": {"name": {"regexp": ".*"}}}]), set[str]()),
        (provider_class("c", "<<secret.x>>"), {"<<secret.x>>"}),
        (
            obj("SecretProviderClass", "c", CLASSES, spec={"parameters": {"objects": "a: [not"}}),
            set[str](),
        ),
        (obj("SecretProviderClass", "c", CLASSES, spec={"provider": "vault"}), set[str]()),
        (obj("ConfigMap", "c"), set[str]()),
    ],
)
def test_what_is_read_outside_the_cluster(reader: Object, keys: set[str]) -> None:
    assert remote_keys(reader) == keys


BY_OPERATOR = [workload("w", naming("s")), external("s")]
BY_DRIVER = [workload("w", naming("s") | mounting("c")), provider_class("c")]


@pytest.mark.parametrize("reading", [BY_OPERATOR, BY_DRIVER])
@pytest.mark.parametrize(
    ("making", "first"),
    [
        ([job("init", naming("t"), "other"), external("t", namespace="other")], True),
        (
            [job("init", mounting("d"), "other"), provider_class("d", namespace="other")],
            True,
        ),
        ([job("init", naming("t"), "other"), external("t", "else", namespace="other")], False),
    ],
)
def test_a_job_that_reads_the_same_remote_secret_comes_first(
    reading: list[Object], making: list[Object], first: bool
) -> None:
    assert ("Job init" in needs([*reading, *making], "w")) is first


def test_jobs_that_read_the_same_secret_do_not_wait_for_each_other() -> None:
    objects = [job("a", naming("s")), job("b", naming("s")), external("s")]
    assert needs(objects, "a") == needs(objects, "b") == {"ExternalSecret s"}


def test_a_job_comes_after_the_pod_that_fetches_its_secret_although_both_read_it() -> None:
    objects = [job("init", naming("s")), workload("sync", mounting("c")), provider_class("c")]
    assert needs(objects, "init") == {"Deployment sync"}
    assert needs(objects, "sync") == {"SecretProviderClass c"}


def test_pods_whose_secrets_are_fetched_by_each_other_are_a_cycle() -> None:
    objects = [
        workload("a", naming("t") | mounting("c")),
        workload("b", naming("s") | mounting("d")),
        provider_class("c", writes="s"),
        provider_class("d", writes="t"),
        space("n"),
    ]
    with pytest.raises(OrderCycle) as cycle:
        derive(objects)
    assert [key.name for key in cycle.value.members] == ["a", "b"]
