"""What is asked before an upgrade, and what a stack without a way is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rendering.await_annotations import PATCH_FORCE
from tests.rendering.beijing import MANIFESTS
from upgrades.asking import KARPENTER, Unanswered, old_release, refusal, unmet
from upgrades.table import NONE, Upgrade, of_release

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
WAYS = of_release(MANIFESTS / "26.03.1")
WAY = WAYS.ways["26.03"]
MARK = WAY.known_by
ARGO = "argoproj.io/v1alpha1"
TRAINER = "trainer.kubeflow.org/v1alpha1"
SERVING, RUNTIMES = "serving.kserve.io/v1beta1", "serving.kserve.io/v1alpha1"
PATH = {"env": [{"name": "HOME"}, {"name": "PYTHONPATH", "value": "/app"}]}


def named(name: str, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "team-a", "name": name}, **fields}


@dataclass
class Played:
    """A platform that answers from a table."""

    taken: datetime | None = NOW - timedelta(hours=1)
    held: Mapping[tuple[str, str], list[dict[str, Any]]] = field(
        default_factory=dict[tuple[str, str], list[dict[str, Any]]]
    )
    silent: str = ""

    def objects(self, api: str, resource: str) -> Iterable[Mapping[str, Any]]:
        if self.silent:
            raise Unanswered(self.silent)
        return self.held.get((api, resource), [])

    def newest_snapshot(self) -> datetime | None:
        return self.taken


def said(platform: Played, *confirmed: str, way: Upgrade = WAY) -> list[str]:
    return list(unmet(way, platform, confirmed, NOW))


def test_a_platform_with_a_snapshot_and_nothing_in_the_way_is_upgraded() -> None:
    assert said(Played()) == []


def served(**spec: Any) -> dict[str, Any]:
    return {"spec": spec}


def torch(**policy: Any) -> dict[str, Any]:
    return {"spec": {"mlPolicy": {"torch": policy}}}


def in_a_step(template: dict[str, Any]) -> dict[str, Any]:
    """A template of Workflows whose second group of steps has a template of its own in it."""
    steps = [[{"name": "one"}], [{"name": "two"}, {"name": "three", "inline": template}]]
    return {"spec": {"templates": [{"name": "main", "steps": steps}]}}


def sync(field: str) -> dict[str, Any]:
    return {"synchronization": {field: {"name": "one"}}}


@pytest.mark.parametrize(
    ("taken", "sentence"),
    [
        (None, "there is none: take one (docs/backup-and-restore.md#take), or add snapshot to"),
        (NOW - timedelta(hours=24, minutes=1), "the newest is of 2026-11-29 11:59 UTC: take one"),
    ],
)
def test_a_snapshot_is_of_the_last_day(taken: datetime | None, sentence: str) -> None:
    (found,) = said(Played(taken=taken))
    assert "needs a snapshot of the database from the last day, because Pipelines 2.17.0" in found
    assert sentence in found
    assert said(Played(taken=taken), "snapshot") == []
    assert said(Played(taken=NOW - timedelta(hours=24))) == []


@pytest.mark.parametrize("page", ["upgrade.md", "upgrade.zh-CN.md"])
def test_the_page_shows_what_a_preview_says(page: str) -> None:
    """Word for word, apart from the line breaks: an old snapshot, a run, and the way back."""
    at_work = {("argoproj.io/v1alpha1", "workflows"): [named("train-x2x4q")]}
    sentences = said(Played(taken=NOW - timedelta(hours=30), held=at_work))
    back = refusal("26.03.1", "26.03", of_release(MANIFESTS / "26.03"))
    text = " ".join((MANIFESTS.parent / "docs" / page).read_text("utf-8").split())
    assert len(sentences) == 2
    for sentence in (*sentences, str(back)):
        assert sentence in text


@pytest.mark.parametrize(
    ("api", "resource", "fields", "in_the_way"),
    [
        (ARGO, "workflows", {}, "runs"),
        (ARGO, "workflows", {"status": {"phase": "Running"}}, "runs"),
        (ARGO, "workflows", {"status": {"phase": "Error"}}, ""),
        (ARGO, "cronworkflows", {"spec": {"schedule": "0 2 * * *"}}, "argo"),
        (ARGO, "cronworkflows", {"spec": {"schedules": ["0 2 * * *"]}}, ""),
        (ARGO, "cronworkflows", {"spec": {"workflowSpec": sync("mutex")}}, "argo"),
        (ARGO, "workflowtemplates", {"spec": sync("mutexes")}, ""),
        (ARGO, "workflowtemplates", {"spec": {"templates": [{}, sync("semaphore")]}}, "argo"),
        (ARGO, "workflowtemplates", in_a_step(sync("mutex")), "argo"),
        (ARGO, "workflowtemplates", in_a_step(sync("mutexes")), ""),
        (ARGO, "clusterworkflowtemplates", {"spec": {"templateDefaults": sync("mutex")}}, "argo"),
        ("serving.kserve.io/v1alpha1", "llminferenceservices", {"spec": {}}, "llm"),
        (TRAINER, "trainjobs", {"spec": {"labels": {}}}, "trainer"),
        (TRAINER, "trainjobs", {"spec": {"trainer": {"numProcPerNode": "auto"}}}, "trainer"),
        (TRAINER, "trainjobs", {"spec": {"trainer": {"numProcPerNode": 2}}}, ""),
        (TRAINER, "trainjobs", {"spec": {"runtimeRef": {}}}, ""),
        (SERVING, "inferenceservices", served(predictor={"model": PATH}), "serving"),
        (SERVING, "inferenceservices", served(predictor={"initContainers": [{}, PATH]}), "serving"),
        (
            SERVING,
            "inferenceservices",
            served(predictor={"workerSpec": {"containers": [PATH]}}),
            "serving",
        ),
        (SERVING, "inferenceservices", served(transformer={"containers": [PATH]}), "serving"),
        (SERVING, "inferenceservices", served(explainer={"art": PATH}), "serving"),
        (SERVING, "inferenceservices", served(predictor={"model": {"env": [{"name": "A"}]}}), ""),
        (SERVING, "inferenceservices", served(predictor={"model": {"name": "PYTHONPATH"}}), ""),
        (RUNTIMES, "servingruntimes", served(containers=[PATH]), "serving"),
        (RUNTIMES, "clusterservingruntimes", served(workerSpec={"containers": [PATH]}), "serving"),
        (RUNTIMES, "clusterservingruntimes", served(containers=[{}]), ""),
        # The API server of 26.03 writes it into every runtime for torch.
        (TRAINER, "trainingruntimes", torch(numProcPerNode="auto"), ""),
        (TRAINER, "trainingruntimes", torch(numProcPerNode="gpu"), "trainer"),
        (TRAINER, "trainingruntimes", torch(numProcPerNode="auto", elasticPolicy={}), "trainer"),
        (
            TRAINER,
            "clustertrainingruntimes",
            {"spec": {"mlPolicy": {"torch": {"numProcPerNode": 1}}}},
            "trainer",
        ),
    ],
)
def test_objects_of_users_are_in_the_way(
    api: str, resource: str, fields: dict[str, Any], in_the_way: str
) -> None:
    platform = Played(held={(api, resource): [named("one", **fields)]})
    found = said(platform)
    assert len(found) == bool(in_the_way)
    (kind,) = {
        each.kind for part in WAY.before for each in part.objects if each.resource == resource
    }
    assert all(f"; the {kind} team-a/one exists: " in each for each in found)
    assert all(f"or add {in_the_way} to kubeflow:upgradeConfirmed." in each for each in found)
    assert said(platform, *filter(None, [in_the_way])) == []


def test_the_runtimes_of_the_release_itself_are_not_in_the_way() -> None:
    own = named("one", spec={"mlPolicy": {"torch": {"numProcPerNode": 1}}})
    own["metadata"]["annotations"] = {PATCH_FORCE: "true"}
    assert said(Played(held={(TRAINER, "clustertrainingruntimes"): [own]})) == []


def test_what_has_no_namespace_has_its_name_alone() -> None:
    runtime = {"metadata": {"name": "one"}, "spec": {"mlPolicy": {"torch": {"elasticPolicy": {}}}}}
    (found,) = said(Played(held={(TRAINER, "clustertrainingruntimes"): [runtime]}))
    assert "; the ClusterTrainingRuntime one exists: " in found


@pytest.mark.parametrize(
    ("api", "resource", "metadata", "sentence"),
    [
        (TRAINER, "clustertrainingruntimes", {"name": "jax-distributed"}, True),
        (TRAINER, "clustertrainingruntimes", {"name": "of-a-team"}, False),
        ("apps/v1", "deployments", {"namespace": "kubeflow", "name": "dashboard"}, True),
        ("apps/v1", "deployments", {"namespace": "team-a", "name": "dashboard"}, False),
        (
            "apps/v1",
            "deployments",
            {"namespace": "kubeflow", "name": "dashboard", "annotations": {PATCH_FORCE: "true"}},
            False,
        ),
    ],
)
def test_a_name_that_the_release_takes_is_in_the_way_where_a_user_has_it(
    api: str, resource: str, metadata: dict[str, Any], sentence: bool
) -> None:
    held = {(api, resource): [{"metadata": metadata, "spec": {}}]}
    found = said(Played(held=held))
    assert len(found) == sentence
    assert all(f"{metadata['name']} exists: keep what you need" in each for each in found)
    assert said(Played(held=held), "names") == []


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (1, "the Workflow team-a/0 exists"),
        (2, "the Workflow team-a/0 and the Workflow team-a/1 exist"),
        (3, "the Workflow team-a/0, the Workflow team-a/1 and the Workflow team-a/2 exist"),
        (5, "the Workflow team-a/0, the Workflow team-a/1, the Workflow team-a/2 and 2 more exist"),
    ],
)
def test_three_are_named_and_the_others_counted(count: int, names: str) -> None:
    held = [named(str(number)) for number in range(count)]
    (found,) = said(Played(held={(ARGO, "workflows"): held}))
    assert f"; {names}: let it end" in found


def test_what_could_not_be_asked_is_not_taken_for_granted() -> None:
    found = said(Played(silent="the API server does not answer"))
    assert len(found) == 6
    assert all("it could not be asked (the API server does not answer)" in each for each in found)
    others = {each.name for each in WAY.before} - {"snapshot"}
    assert said(Played(silent="no"), *others) == []


# -- which release a stack has ---------------------------------------------------------------------

NEWS = {"release": "26.03.1", "digests": {"a": "2", "b": "1"}}


@pytest.mark.parametrize(
    ("olds", "old"),
    [
        ({}, None),
        ({"release": "26.03.1", "digests": {"a": "1"}}, "26.03.1"),
        ({"release": "26.03", "digests": {"a": "1"}}, "26.03"),
        ({"digests": {"a": "1", MARK: "1"}}, "26.03"),
        ({"digests": {"a": "1", "b": "1"}}, "26.03.1"),
        ({"digests": {"a": "1"}}, "26.03.1"),
        ({"digests": {"a": "1", "c": "1"}}, ""),
    ],
    ids=["new", "named", "older", "recognised", "all CRDs", "some of the CRDs", "others"],
)
def test_the_release_of_a_state(olds: dict[str, Any], old: str | None) -> None:
    assert old_release(olds, NEWS, WAYS) == old


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("26.03", "26.03.1", None),
        ("26.03.1", "26.03.1", None),
        ("1.5.1-aws-b1.0.0", "26.03.1", "from 26.03 only. Set it back to 1.5.1-aws-b1.0.0, or"),
        (
            "",
            "26.03.1",
            "the stack has another release: there is a way to 26.03.1 from 26.03 only.",
        ),
        ("26.03.1", "26.03", "there is a way to 26.03 from none. Set it back to 26.03.1, or move"),
    ],
)
def test_a_way_that_is_not_declared_is_refused(old: str, new: str, sentence: str | None) -> None:
    found = refusal(old, new, of_release(MANIFESTS / new))
    assert (found is None) == (sentence is None)
    assert sentence is None or sentence in (found or "")


def test_the_refusal_of_a_version_of_karpenter_names_its_own_setting() -> None:
    new = f"{KARPENTER}1.14.1"
    assert refusal(f"{KARPENTER}1.14.0", new, of_release(MANIFESTS / new)) is None
    assert refusal(f"{KARPENTER}1.15.0", new, of_release(MANIFESTS / new)) == (
        "kubeflow:gpuPool.karpenterVersion is 1.14.1, and the stack has 1.15.0: there is a way to "
        "1.14.1 from 1.14.0 only. Set it back to 1.15.0, and see "
        "docs/upgrade.md#karpenter-and-the-image-of-gpu-machines."
    )


def test_a_release_without_ways_leaves_its_own_stacks_alone() -> None:
    assert refusal("1.5.1-aws-b1.0.0", "1.5.1-aws-b1.0.0", NONE) is None
