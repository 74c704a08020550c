"""Release 26.03 on a real API server: accepted at once, and left alone by a second apply."""

from __future__ import annotations

from rendering import Object, ObjectKey
from tests.cluster.api_server import CHOSEN, VERSIONS
from tests.cluster.conftest import Journal, NewCluster
from tests.cluster.installation import Installation, differences
from tests.cluster.platform import Platform, contrary
from tests.cluster.stand_ins import webhook_clients


def test_every_object_is_accepted_the_first_time_in_the_derived_order(
    installed: Installation, beijing: Platform, order: list[Object], journal: Journal
) -> None:
    answered, pods = installed.admission.answered, len(installed.pods)
    journal.facts += [
        f"{len(beijing.crds)} CRDs, {len(order)} objects and {pods} pods, each applied once",
        f"{answered.total()} webhook calls to {len(answered)} webhooks",
    ]
    assert installed.cluster.get("/version")["gitVersion"] == f"v{VERSIONS[CHOSEN]}"
    assert len(installed.applied) == len(order) > 550


def test_every_webhook_was_answered_when_it_was_asked(installed: Installation) -> None:
    assert installed.admission.unanswered.total() == 0
    asked = {where.partition("/")[0] for where in installed.admission.answered}
    assert {"cert-manager", "istio-system", "knative-serving", "kubeflow"} <= asked


def test_every_webhook_has_pods_behind_the_service_and_port_it_names(
    installed: Installation, beijing: Platform
) -> None:
    services = {
        f"{service['namespace']}/{service['name']}:{service.get('port', 443)}"
        for obj in [*beijing.crds, *beijing.objects.values()]
        for client in webhook_clients(obj)
        if (service := client.get("service"))
    }
    assert len(services) > 10
    silent = {name for name in services if not installed.backends.answer(*name.split("/"))}
    assert silent == set()


def test_our_own_custom_resources_are_among_them(
    installed: Installation,
) -> None:
    kinds = {key.kind for key in installed.applied}
    ours = {"EC2NodeClass", "ExternalSecret", "NodePool", "Profile", "SecretStore"}
    assert ours <= kinds


def test_a_second_apply_changes_nothing(
    installed: Installation, beijing: Platform, order: list[Object], journal: Journal
) -> None:
    everything = [*beijing.crds, *order]
    with journal.stage(f"again: {len(everything)} dry runs"):
        changed = {
            str(ObjectKey.of(obj)): found
            for obj in everything
            if (found := differences(*installed.again(obj)))
        }
    assert changed == {}


def test_it_is_the_edges_and_not_luck_that_make_the_order_right(
    new_cluster: NewCluster, beijing: Platform, order: list[Object], journal: Journal
) -> None:
    """Pulumi takes whatever the edges allow; here what it would usually take last comes first."""
    unusual = beijing.in_order(contrary)
    assert unusual != order
    with journal.stage("first, in the most contrary order"), new_cluster("contrary") as made:
        made.crds(beijing.crds)
        made.apply_all(unusual)
    assert made.admission.unanswered.total() == 0
