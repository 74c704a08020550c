"""Webhook configurations whose own servers write into them: left alone, and still changeable.

The writers are emulated after their sources (``rehearsal.sample_outputs.controllers``); who owns
which field, and what a conflict is, the real API server decides. Objects are sent as the Kubernetes
provider of Pulumi sends them: server-side apply without force (pulumi-kubernetes
provider/pkg/await/await.go, ssaUpdate).
"""

from __future__ import annotations

import copy
from collections.abc import Generator

import pytest

from rehearsal.sample_outputs.controllers import written_back
from rendering import Object
from rendering.objects import WEBHOOK_KINDS
from tests.cluster.client import Cluster, Refused
from tests.cluster.conftest import NewCluster
from tests.cluster.installation import differences
from tests.cluster.platform import Platform

OURS = "pulumi-kubernetes-1a2b3c4d"
RULES = [
    {"apiGroups": ["x"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["things"]}
]


@pytest.fixture(scope="module")
def server(new_cluster: NewCluster) -> Generator[Cluster]:
    """An API server without any object; it never asks webhooks about their own configuration."""
    with new_cluster("written-back") as made:
        yield made.cluster


@pytest.fixture
def configurations(server: Cluster, whole: Platform) -> Generator[list[Object]]:
    """The webhook configurations of the platform; none is on the server yet."""
    found = [obj for key, obj in whole.objects.items() if key.kind in WEBHOOK_KINDS]
    assert len(found) > 15
    yield found
    remove(server, found)


def remove(server: Cluster, configurations: list[Object]) -> None:
    for path in {server.collection(obj) for obj in configurations}:
        server.delete(path)


def controllers_write(server: Cluster, obj: Object) -> Object:
    """What is stored once the configuration's own server or a CA injector has seen it."""
    written = written_back(server.read(obj))
    if written is not None:
        manager, changed = written
        server.replace(changed, manager=manager)
    return server.read(obj)


def applied_and_written(server: Cluster, configurations: list[Object]) -> list[Object]:
    for obj in configurations:
        server.apply(obj, manager=OURS)
    return [controllers_write(server, obj) for obj in configurations]


def test_every_webhook_gets_its_authority_from_somebody_else_or_from_us(
    server: Cluster, configurations: list[Object]
) -> None:
    for stored in applied_and_written(server, configurations):
        assert all(hook["clientConfig"].get("caBundle") for hook in stored["webhooks"])


def test_an_unchanged_configuration_is_left_as_the_controllers_wrote_it(
    server: Cluster, configurations: list[Object]
) -> None:
    stored = applied_and_written(server, configurations)
    for obj, before in zip(configurations, stored, strict=True):
        assert differences(before, server.apply(obj, manager=OURS, dry_run=True).body) == []


def test_a_changed_configuration_is_accepted_and_what_controllers_wrote_stays(
    server: Cluster, configurations: list[Object]
) -> None:
    stored = applied_and_written(server, configurations)
    for obj, before in zip(configurations, stored, strict=True):
        changed = copy.deepcopy(obj)
        changed["metadata"].setdefault("labels", {})["changed"] = "yes"
        server.apply(changed, manager=OURS)
        after = controllers_write(server, obj)
        assert after["metadata"]["labels"]["changed"] == "yes"
        assert after["webhooks"] == before["webhooks"]


def test_a_cluster_that_was_made_with_upstreams_own_values_comes_to_the_same(
    server: Cluster, configurations: list[Object]
) -> None:
    """As an earlier version of the program made it; the fields are the controllers' by now."""
    fresh = applied_and_written(server, configurations)
    remove(server, configurations)
    earlier = copy.deepcopy(configurations)
    for obj in earlier:
        for hook in obj["webhooks"]:
            hook |= {"failurePolicy": "Ignore", "rules": RULES}
    applied_and_written(server, earlier)
    now = applied_and_written(server, configurations)
    assert [obj["webhooks"] for obj in now] == [obj["webhooks"] for obj in fresh]


def test_a_value_that_a_controller_has_overwritten_refuses_every_change(
    server: Cluster, configurations: list[Object]
) -> None:
    """What left-out fields are for; the emulated writers do make the API server refuse."""
    (obj,) = [each for each in configurations if each["metadata"]["name"].startswith("istio-valid")]
    upstream = copy.deepcopy(obj)
    for hook in upstream["webhooks"]:
        hook["failurePolicy"] = "Ignore"
    applied_and_written(server, [upstream])
    with pytest.raises(Refused, match=r'conflicts? with "pilot-discovery"[^{]*failurePolicy'):
        server.apply(upstream, manager=OURS, dry_run=True)
