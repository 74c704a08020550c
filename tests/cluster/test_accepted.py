"""Each release on real API servers: accepted at once, and left alone by a second apply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from rendering import Object, ObjectKey
from rendering.objects import Path, spelled
from tests.cluster.api_server import VERSIONS
from tests.cluster.conftest import Journal, NewCluster
from tests.cluster.installation import Installation, differences
from tests.cluster.platform import Platform, contrary, stack_on
from tests.cluster.stand_ins import redirected, webhook_clients


def containers_in(value: Any, way: Path = ()) -> Iterator[Path]:
    """The way to each list and each mapping inside a JSON value, empty ones too."""
    if isinstance(value, (dict, list)):
        yield way
        inner = cast("Object", value).items() if isinstance(value, dict) else enumerate(value)
        for step, child in cast("Iterable[tuple[str | int, Any]]", inner):
            yield from containers_in(child, (*way, step))


def test_every_object_is_accepted_the_first_time_in_the_derived_order(
    installed: Installation, version: str, whole: Platform, order: list[Object], journal: Journal
) -> None:
    answered, pods = installed.admission.answered, len(installed.pods)
    journal.facts.append(
        f"{VERSIONS[version]}: {len(whole.crds)} CRDs, {len(order)} objects and {pods} pods, each "
        f"applied once; {answered.total()} webhook calls to {len(answered)} webhooks"
    )
    assert installed.cluster.get("/version")["gitVersion"] == f"v{VERSIONS[version]}"
    assert len(installed.applied) == len(order) > 550


ASKED = {
    # Knative's server itself writes the rules of its webhooks, so here nobody asks them.
    "cn-north-1": {"cert-manager", "istio-system", "kubeflow"},
    "cn-north-1-kf151": {"cert-manager", "istio-system"},
}
"""Namespaces whose webhooks judge something of the platform itself."""


def test_every_webhook_was_answered_when_it_was_asked(
    installed: Installation, version: str
) -> None:
    assert installed.admission.unanswered.total() == 0
    asked = {where.partition("/")[0] for where in installed.admission.answered}
    assert asked >= ASKED[stack_on(version)]


def test_every_webhook_has_pods_behind_the_service_and_port_it_names(
    installed: Installation, whole: Platform
) -> None:
    services = {
        f"{service['namespace']}/{service['name']}:{service.get('port', 443)}"
        for obj in [*whole.crds, *whole.objects.values()]
        for client in webhook_clients(obj)
        if (service := client.get("service"))
    }
    assert len(services) >= 10
    silent = {name for name in services if not installed.backends.answer(*name.split("/"))}
    assert silent == set()


OURS = {
    "cn-north-1": {"EC2NodeClass", "ExternalSecret", "NodePool", "Profile", "SecretStore"},
    "cn-north-1-kf151": {"Profile", "SecretProviderClass"},
}


def test_our_own_custom_resources_are_among_them(installed: Installation, version: str) -> None:
    assert OURS[stack_on(version)] <= {key.kind for key in installed.applied}


def test_a_second_apply_changes_nothing(
    installed: Installation, version: str, whole: Platform, order: list[Object], journal: Journal
) -> None:
    everything = [*whole.crds, *order]
    with journal.stage(f"{version}: again, {len(everything)} dry runs"):
        changed = {
            str(ObjectKey.of(obj)): found
            for obj in everything
            if (found := differences(*installed.again(obj)))
        }
    assert changed == {}


def test_every_list_and_map_is_stored_that_is_given(
    installed: Installation, order: list[Object]
) -> None:
    """One that is not would differ at every preview, as an empty ``ClusterRole.rules`` did."""
    lost = {
        f"{ObjectKey.of(obj)}: {spelled(way)}"
        for obj in order
        for given in [redirected(obj, installed.admission)]
        for way in {*containers_in(given)} - {*containers_in(installed.cluster.read(obj))}
    }
    assert lost == set()


def test_it_is_the_edges_and_not_luck_that_make_the_order_right(
    new_cluster: NewCluster, version: str, whole: Platform, order: list[Object], journal: Journal
) -> None:
    """Pulumi takes whatever the edges allow; here what it would usually take last comes first."""
    unusual = whole.in_order(contrary)
    assert unusual != order
    with journal.stage(f"{version}: first, in the most contrary order"), new_cluster("c") as made:
        made.crds(whole.crds)
        made.apply_all(unusual)
    assert made.admission.unanswered.total() == 0
