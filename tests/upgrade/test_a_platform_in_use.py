"""26.03 with users' objects in it becomes 26.03.1, on a real API server with the real provider.

The tests are one story on one cluster, in the order of the file; what is real and what is played is
that of the tier test-live.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from advisories.sentences import refusals
from advisories.table import of_release as advisories_of
from rehearsal.engine import EngineFailure, Outcome
from rendering import Object, ObjectKey, render
from settings import MANIFESTS
from tests.cluster.client import Refused
from tests.live.stack import LiveStack
from tests.live.test_a_stack_from_first_to_last_day import LEFT_SECONDS, changed
from tests.rendering.beijing import REGISTRY, ROTATION, rendered
from tests.upgrade import users
from upgrades.table import Upgrade, matches
from upgrades.table import of_release as ways_to

OLD, NEW = "26.03", "26.03.1"
CONFIRMED = ["llm", "snapshot"]
"""Conditions that do not hold here: there is an LLMInferenceService, and no RDS that answers."""
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
REPLACED = "jobset-webhook-service.kubeflow-system"
"""The server of webhooks whose Deployment is replaced (upgrade.yaml, ``replaced``)."""
NEW_WEBHOOK = "certificate signed by unknown authority"
"""Of a webhook that is new: its controller writes the authority in the moment after."""
FILLED_BY_THE_OLD_SERVER = {
    "ClusterTrainingRuntime of-the-company": [".spec.mlPolicy.torch.numProcPerNode: 'auto' is None"]
}
"""What no user wrote, and Trainer 2.2 has no more (upgrade.yaml, ``filled``)."""
LONGEST_OUTAGE = 60
"""Seconds; on a machine that is slow, half of the whole upgrade."""


@dataclass
class Story:
    """What one test leaves to the next.

    Attributes:
        objects: of users, before the upgrade.
        shown: how many resources the preview has, by operation.
        work: what users were refused during it.
        unanswered: connections to webhooks' servers that broke during it, by host.
        seconds: that it took.
    """

    objects: dict[str, Object] = field(default_factory=dict[str, Object])
    shown: Mapping[str, int] = field(default_factory=dict[str, int])
    work: users.Work = field(default_factory=users.Work)
    unanswered: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0


@pytest.fixture(scope="module")
def story() -> Story:
    return Story()


def way() -> Upgrade:
    """The declared way."""
    return ways_to(MANIFESTS / NEW).ways[OLD]


def choose(live: LiveStack, release: str) -> None:
    """Sets the release and accepts its advisories."""
    accepted = sorted(refusals(release, advisories_of(MANIFESTS / release)))
    live.set(
        lambda config: config.update(
            {"kubeflow:release": release, "kubeflow:acceptedAdvisories": accepted}
        )
    )


def test_the_old_release_is_in_use(live: LiveStack, story: Story) -> None:
    choose(live, OLD)
    assert set(live.run("up", checkpoints=False).changes) == {"create"}
    users.make(live.cluster.cluster, users.objects())
    story.objects = users.settled(live.cluster.cluster)
    assert len(story.objects) > 80


def test_what_could_be_lost_refuses_the_upgrade_until_somebody_has_seen_to_it(
    live: LiveStack,
) -> None:
    users.make(live.cluster.cluster, users.in_the_way())
    choose(live, NEW)
    types = live.cluster.cluster.generations(_CRDS)
    with pytest.raises(EngineFailure) as refused:
        live.run("up", checkpoints=False)
    assert live.cluster.cluster.generations(_CRDS) == types
    sentences = str(refused.value)
    named = set(re.findall(r"the ([A-Z]\w+ [\w/-]+)(?=,| and | exists?:)", sentences))
    assert named == {
        *(users.called(obj) for obj in users.in_the_way()),
        "LLMInferenceService team-a/qwen",
        "LLMInferenceServiceConfig team-b/own",
    }
    users.remove(live.cluster.cluster, users.in_the_way())
    live.set(lambda config: config.update({"kubeflow:upgradeConfirmed": CONFIRMED}))


def test_a_preview_shows_the_upgrade_to_an_api_server_with_the_old_types(
    live: LiveStack, story: Story
) -> None:
    """It shows every object to that server but those with fields that the old types lack."""
    types = live.cluster.cluster.generations(_CRDS)
    outcome = live.run("preview")
    assert live.cluster.cluster.generations(_CRDS) == types
    assert len(replaced(outcome)) == len(way().replaced)
    shown = {urn.rpartition("::")[2]: done for urn, done in outcome.operations.items()}
    awaiting = [each.partition(" ")[2] for each in way().awaits_crds]
    done = {shown[name] for name in shown if matches(name, awaiting)}
    assert done == {"create", "update"}
    story.shown = outcome.changes


def replaced(outcome: Outcome) -> list[str]:
    """The objects that are deleted and created."""
    return [
        urn.rpartition("::")[2]
        for urn, operation in outcome.operations.items()
        if operation == "replace" and "kubernetes:" in urn
    ]


def test_the_upgrade_replaces_what_is_declared_and_nothing_else(
    live: LiveStack, story: Story
) -> None:
    before = live.cluster.network.unanswered.copy()
    begun = time.monotonic()
    with users.at_work(live.cluster.cluster) as story.work:
        outcome = live.run("up", checkpoints=False)
    story.seconds = time.monotonic() - begun
    assert outcome.changes == story.shown
    story.unanswered = live.cluster.network.unanswered - before
    names = replaced(outcome)
    declared = [each.object.partition(" ")[2] for each in way().replaced]
    assert all(matches(name, declared) for name in names)
    assert len(names) == len(declared)


def test_nobody_lost_an_object_or_a_field_of_one(live: LiveStack, story: Story) -> None:
    after = users.stored(live.cluster.cluster)
    assert users.lost(story.objects, after) == FILLED_BY_THE_OLD_SERVER
    written = [
        name
        for name, obj in story.objects.items()
        if obj["metadata"]["resourceVersion"] != after[name]["metadata"]["resourceVersion"]
    ]
    assert written == []


def test_users_went_on_working_all_the_time(story: Story) -> None:
    """Each webhook has a server at any moment, but for the one that is replaced."""
    work = story.work
    assert work.rounds > 5
    assert {*story.unanswered} <= {f"{REPLACED}.svc"}
    assert {*work.unserved} <= {"/".join(reversed(REPLACED.split(".")))}
    sentences = [sentence for found in work.refused.values() for _, sentence in found]
    assert [each for each in sentences if REPLACED not in each and NEW_WEBHOOK not in each] == []
    longest = max(LONGEST_OUTAGE, story.seconds / 2)
    assert {kind: work.outage(kind) for kind in work.refused if work.outage(kind) > longest} == {}


def test_nothing_of_the_old_release_alone_is_left_but_what_is_declared(live: LiveStack) -> None:
    gone = only_in_old()
    assert len(gone) > 40
    secrets = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {**obj["metadata"], "name": name}}
        for obj in gone
        if (name := obj.get("spec", {}).get("target", {}).get("name"))
    ]
    deadline = time.monotonic() + LEFT_SECONDS
    while left := [str(ObjectKey.of(obj)) for obj in [*gone, *secrets] if live.stored(obj)]:
        assert time.monotonic() < deadline, left
        time.sleep(1)
    kept = [
        f"{obj['metadata']['namespace']}/{obj['spec']['secretName']}"
        for obj in gone
        if obj["kind"] == "Certificate"
    ]
    (declared,) = [each.what for each in way().stays if each.what.startswith("Secrets ")]
    assert sorted(kept) == sorted(re.findall(r"kubeflow/[\w-]+", declared))


def only_in_old() -> list[Object]:
    """What the old release renders to and the new one does not, as this stack has both."""
    new = render(
        MANIFESTS / NEW,
        partition="aws-cn",
        dns_suffix="amazonaws.com.cn",
        registry=REGISTRY,
        optional_parts=(),
    )
    keys = {ObjectKey.of(obj) for obj in new.objects}
    gone = [obj for obj in rendered(OLD).objects if ObjectKey.of(obj) not in keys]
    return json.loads(json.dumps(gone).replace(ROTATION, "1"))


def test_a_preview_afterwards_changes_nothing(live: LiveStack) -> None:
    # What the state has of an object may be older than the object: the provider reads what a watch
    # has seen by then.
    live.run("refresh")
    assert changed(live.run("preview")) == set()


def test_what_is_stored_by_the_new_release_forbids_the_way_back_in_place(live: LiveStack) -> None:
    """Of the CRDs whose objects are stored in another version; so a way back is another stack."""
    crds = {crd["metadata"]["name"]: crd for crd in rendered(OLD).crds}
    assert way().crds
    for each in way().crds:
        with pytest.raises(Refused, match=f"storedVersions.*{each.storage}"):
            live.cluster.cluster.apply(crds[each.name], manager="kubeflow-crds", dry_run=True)
