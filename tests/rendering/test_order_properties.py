"""Any set of objects has an order in which nothing comes too early, or a cycle that is named.

A plan says which of some workloads fetch secrets for each other, judge each other, control each
other's custom resources and prepare each other's credentials; the objects are made from it, and so
is the answer to "who needs whom", without the code that derives orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from rendering import ObjectKey
from rendering.objects import Object
from rendering.order import Order, OrderCycle, derive
from tests.rendering.small_objects import obj, service, webhook

BOUNDED = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
GROUP = "external-secrets.io"
EXTERNAL = f"{GROUP}/v1"
CLASSES = "secrets-store.csi.x-k8s.io/v1"
RBAC = "rbac.authorization.k8s.io/v1"

apps = st.integers(min_value=0, max_value=4)
some_apps = st.frozensets(apps, max_size=3)


@dataclass(frozen=True)
class App:
    """A workload and what it has to do with others, named by their numbers."""

    job: bool
    remote: str | None
    """The remote secret it reads through an ExternalSecret of its own."""
    fetched_by: frozenset[int]
    """Workloads whose mounts make Secrets that its pods name."""
    judged: frozenset[int] | None
    """Workloads that its webhook judges."""
    controls: bool
    """May it write the status of ExternalSecrets?"""


plans = st.lists(
    st.builds(
        App,
        job=st.booleans(),
        remote=st.sampled_from([None, "one", "two"]),
        fetched_by=some_apps,
        judged=st.one_of(st.none(), some_apps),
        controls=st.sampled_from([False, False, True]),
    ),
    min_size=1,
    max_size=5,
)


def key(kind: str, number: int) -> tuple[str, str]:
    return kind, f"{kind.lower()}-{number}"


def named(object_key: ObjectKey) -> tuple[str, str]:
    return object_key.kind, object_key.name


def objects_of(plan: list[App]) -> list[Object]:
    made: list[Object] = [obj("ClusterRole", "control", RBAC, None, rules=[_CONTROL])]
    for number, app in enumerate(plan):
        secrets = [f"of-{other}" for other in app.fetched_by if other < len(plan)]
        mounts = {"driver": "secrets-store.csi.k8s.io"}
        mounts |= {"volumeAttributes": {"secretProviderClass": f"secretproviderclass-{number}"}}
        pod: dict[str, Any] = {
            "serviceAccountName": f"account-{number}",
            "volumes": [{"name": "v", "csi": mounts}],
        }
        written = [{"secretName": f"of-{number}"}]
        name = f"secretproviderclass-{number}"
        made.append(obj("SecretProviderClass", name, CLASSES, spec={"secretObjects": written}))
        if app.remote:
            secrets.append(f"externalsecret-{number}")
            data = [{"secretKey": "k", "remoteRef": {"key": app.remote}}]
            made.append(obj(*key("ExternalSecret", number), EXTERNAL, spec={"data": data}))
        pod["containers"] = [{"envFrom": [{"secretRef": {"name": name}} for name in secrets]}]
        template = {"metadata": {"labels": {"app": f"service-{number}"}}, "spec": pod}
        kind, api = ("Job", "batch/v1") if app.job else ("Deployment", "apps/v1")
        made.append(obj(*key(kind, number), api, spec={"template": template}))
        made.append(service(f"service-{number}"))
        if app.judged is not None:
            values = [f"service-{other}" for other in app.judged]
            chosen = {"matchExpressions": [{"key": "app", "operator": "In", "values": values}]}
            hook, served_by = f"hook-{number}", f"service-{number}"
            made.append(webhook(hook, served_by, "pods", objectSelector=chosen))
        if app.controls:
            account = {"kind": "ServiceAccount", "name": f"account-{number}", "namespace": "n"}
            made.append(
                obj(
                    *key("RoleBinding", number),
                    RBAC,
                    roleRef={"kind": "ClusterRole", "name": "control"},
                    subjects=[account],
                )
            )
    return made


_CONTROL = {"apiGroups": [GROUP], "resources": ["externalsecrets/status"], "verbs": ["update"]}

Pairs = set[tuple[tuple[str, str], tuple[str, str]]]


def edges_of(plan: list[App]) -> tuple[Pairs, Pairs]:
    """(who cannot be without whom, who had better wait for whom)"""
    must: Pairs = set()
    should: Pairs = set()
    pods = [key("Job" if app.job else "Deployment", number) for number, app in enumerate(plan)]
    for number, app in enumerate(plan):
        pod = pods[number]
        must.add((pod, key("SecretProviderClass", number)))
        for other in app.fetched_by & set(range(len(plan))) - {number}:
            must.add((pod, key("SecretProviderClass", other)))
            if not plan[other].job:
                must.add((pod, pods[other]))
        if app.remote:
            must.add((pod, key("ExternalSecret", number)))
            should |= {
                (key("ExternalSecret", number), pods[other])
                for other, controller in enumerate(plan)
                if controller.controls and not controller.job
            }
            should |= {
                (pod, pods[other])
                for other, job in enumerate(plan)
                if job.job and job.remote == app.remote and not app.job
            }
        if app.judged is not None:
            hook = ("ValidatingWebhookConfiguration", f"hook-{number}")
            must |= {(hook, pod), (hook, ("Service", f"service-{number}"))}
            should |= {(pods[other], hook) for other in app.judged if other < len(plan)}
        if app.controls:
            must |= {
                (pod, key("RoleBinding", number)),
                (key("RoleBinding", number), ("ClusterRole", "control")),
            }
    return must, should


def outcome(objects: list[Object]) -> Order | OrderCycle:
    try:
        return derive(objects)
    except OrderCycle as cycle:
        return cycle


def reachable(edges: Pairs, start: tuple[str, str]) -> set[tuple[str, str]]:
    seen: set[tuple[str, str]] = set()
    waiting = [start]
    while waiting:
        here = waiting.pop()
        found = {need for dependent, need in edges if dependent == here} - seen
        seen |= found
        waiting.extend(found)
    return seen


@BOUNDED
@given(plans)
def test_everything_comes_after_what_it_needs_or_a_cycle_is_named(plan: list[App]) -> None:
    must, should = edges_of(plan)
    found = outcome(objects_of(plan))
    if isinstance(found, OrderCycle):
        members = [named(member) for member in found.members]
        assert len(set(members)) == len(members) >= 2
        links = set(zip(members, [*members[1:], members[0]], strict=True))
        assert links <= must | should
        # One that only had better wait gives way; it takes two to wait for each other.
        assert len(links - must) != 1
        return
    place = {named(ObjectKey.of(item)): index for index, item in enumerate(found.objects)}
    edges = {
        (named(one), named(need)) for one, all_ in found.prerequisites.items() for need in all_
    }
    assert len(place) == len(objects_of(plan))
    assert edges <= must | should
    for dependent, need in must | edges:
        assert place[need] < place[dependent]
    for dependent, need in should - {(one, one) for one in place}:
        # The other way round only where what should come first needs the other itself.
        assert place[need] < place[dependent] or dependent in reachable(edges, need)


@BOUNDED
@given(plans, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(plan: list[App], chance: Any) -> None:
    objects = objects_of(plan)
    first = outcome(objects)
    chance.shuffle(objects)
    again = outcome(objects)
    if isinstance(first, OrderCycle):
        assert isinstance(again, OrderCycle)
        assert again.members == first.members
    else:
        assert again == first


@pytest.mark.parametrize("result", [Order, OrderCycle])
def test_the_plans_lead_to_both(result: type) -> None:
    any_one = settings(BOUNDED, phases=[Phase.generate])
    assert find(plans, lambda plan: isinstance(outcome(objects_of(plan)), result), settings=any_one)
