"""What a verification makes: owned from the first moment, taken away at the end.

What Kubernetes does with the anchor is in tests/live/test_verification_killed.py, on the real one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from ops.cli_errors import Refused
from ops.current_cluster import Unreachable
from ops.live_cluster import LiveCluster, Rejected, Unavailable
from ops.verification import progress, workspace
from ops.verification.progress import Progress
from ops.verification.workspace import Workspaces, alive, sweep
from rendering.release import stand_alone
from settings import MANIFESTS
from tests.ops.api_of_lists import kubeconfig, serving
from tests.ops.verification.stored_objects import StoredObjects

CONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "made", "labels": {"app": "a"}},
}
JOBS = "/apis/batch/v1/namespaces/alice/jobs"
CONFIGS = "/api/v1/namespaces/alice/configmaps"


@pytest.fixture
def api() -> Generator[StoredObjects]:
    with serving(StoredObjects({})) as started:
        yield started


@pytest.fixture
def workspaces(
    api: StoredObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[Workspaces]:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, api.url)))
    made = Workspaces(LiveCluster(), Progress())
    yield made
    made.delete()


def test_an_object_is_named_labelled_and_owned_by_the_anchor(
    api: StoredObjects, workspaces: Workspaces
) -> None:
    space = workspaces("alice")
    assert re.fullmatch(r"kf-verify-[0-9a-f]{12}", space.run)
    created = space.create(CONFIG)
    anchor = api.objects[f"{JOBS}/{space.run}"]
    assert created["metadata"]["name"] == f"{space.run}-made"
    assert created["metadata"]["namespace"] == "alice"
    assert created["metadata"]["labels"] == {"app": "a", "kubeflow-on-eks/verify": space.run}
    (owner,) = created["metadata"]["ownerReferences"]
    assert owner["uid"] == anchor["metadata"]["uid"]
    assert owner["blockOwnerDeletion"] is True
    spec = anchor["spec"]
    assert (spec["parallelism"], spec["completions"], spec["ttlSecondsAfterFinished"]) == (0, 1, 0)
    assert spec["activeDeadlineSeconds"] == workspace.AHEAD_SECONDS == 120
    assert "made" in CONFIG["metadata"]["name"], "what is given is not changed"


def test_nothing_is_made_before_the_first_object(
    api: StoredObjects, workspaces: Workspaces
) -> None:
    space = workspaces("alice")
    assert space.wait("an answer", lambda: "it", 1) == "it"
    assert workspaces.delete() == workspaces.await_end() == []
    assert api.objects == {}
    assert not workspaces.made


def test_one_anchor_per_namespace(api: StoredObjects, workspaces: Workspaces) -> None:
    for namespace in ("alice", "bob", "alice"):
        workspaces(namespace).create({**CONFIG, "metadata": {"generateName": f"{namespace}-"}})
        api.objects.pop(f"/api/v1/namespaces/{namespace}/configmaps/x", None)
        api.objects = {at: obj for at, obj in api.objects.items() if "/jobs/" in at}
    assert sorted(api.objects) == [
        f"/apis/batch/v1/namespaces/{each}/jobs/{workspaces.run}" for each in ("alice", "bob")
    ]


def test_a_generated_name_has_the_prefix(workspaces: Workspaces) -> None:
    space = workspaces("alice")
    created = space.create({**CONFIG, "metadata": {"generateName": "made-"}})
    assert created["metadata"]["name"] == f"{space.run}-made-x7k2p"


def test_the_image_of_the_anchor_is_in_every_inventory() -> None:
    for name in stand_alone(MANIFESTS):
        if not name.startswith("addons/"):
            text = (MANIFESTS / name / "images.lock").read_text("utf-8")
            assert f"- source: {workspace.IMAGE}\n" in text, name


def test_at_the_end_what_was_undone_comes_first_and_the_last_one_before_the_others(
    api: StoredObjects, workspaces: Workspaces
) -> None:
    space, order = workspaces("alice"), list[str]()
    space.create(CONFIG)

    def fail() -> None:
        order.append("fails")
        raise Refused("the API of Pipelines does not answer: try again.")

    def fault() -> None:
        raise KeyError("secret")

    space.undo("the run a", lambda: order.append("first"))
    space.undo("the run b", fail)
    space.undo("the run c", fault)
    space.undo("the run d", lambda: order.append(str(bool(api.objects))))
    left = workspaces.delete()
    assert order == ["True", "fails", "first"]
    assert left == [
        "the run c stays (KeyError): `./kf verify --clean`.",
        "the run b stays: the API of Pipelines does not answer: try again.",
    ]
    assert api.deleted == [(f"{JOBS}/{space.run}", {"propagationPolicy": "Foreground"})]
    assert workspaces.delete() == []


def test_an_undo_shows_other_verifications_that_this_one_lives(workspaces: Workspaces) -> None:
    workspaces("alice").undo("a row", lambda: None)
    assert alive(workspaces.cluster) == {workspaces.run}


def test_an_object_of_another_program_is_adopted_with_its_other_owners(
    api: StoredObjects, workspaces: Workspaces
) -> None:
    other = {"kind": "Workflow", "name": "w", "uid": "1"}
    api.objects[f"{CONFIGS}/other"] = {
        "kind": "ConfigMap",
        "metadata": {
            "name": "other",
            "labels": {"a": "b"},
            "resourceVersion": "7",
            "ownerReferences": [other],
        },
    }
    space = workspaces("alice")
    space.adopt(f"{CONFIGS}/other")
    metadata = api.objects[f"{CONFIGS}/other"]["metadata"]
    assert metadata["labels"] == {"a": "b", "kubeflow-on-eks/verify": space.run}
    assert [each["name"] for each in metadata["ownerReferences"]] == ["w", space.run]


def test_an_object_that_its_controller_writes_meanwhile_is_adopted_all_the_same(
    api: StoredObjects, workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = {"name": "other", "resourceVersion": "7"}
    api.objects[f"{CONFIGS}/other"] = {"kind": "ConfigMap", "metadata": metadata}
    space, conflicts = workspaces("alice"), iter([409, 409])
    right = workspaces.cluster.patch

    def patch(path: str, change: Any) -> dict[str, Any]:
        status = next(conflicts, 0)
        if status:
            raise Rejected("the object has been modified", status)
        return right(path, change)

    monkeypatch.setattr(workspaces.cluster, "patch", patch)
    space.adopt(f"{CONFIGS}/other")
    metadata = api.objects[f"{CONFIGS}/other"]["metadata"]
    assert metadata["labels"] == {"kubeflow-on-eks/verify": space.run}
    conflicts = iter([422])
    with pytest.raises(Rejected):
        space.adopt(f"{CONFIGS}/other")


def test_an_object_goes_before_the_end_where_a_check_is_done_with_it(
    api: StoredObjects, workspaces: Workspaces
) -> None:
    space = workspaces("alice")
    space.create(CONFIG)
    space.delete(CONFIG)
    assert f"{CONFIGS}/{space.run}-made" not in api.objects
    space.delete(CONFIG)


def test_what_is_still_there_after_the_wait_is_named_with_a_command(
    api: StoredObjects, workspaces: Workspaces
) -> None:
    space = workspaces("alice")
    space.create(CONFIG)
    api.stays.add(f"{JOBS}/{space.run}")
    assert workspaces.delete() == []
    (sentence,) = workspaces.await_end(0.2)
    assert f"ConfigMap alice/{space.run}-made is being deleted and still there: " in sentence
    assert f"`kubectl --namespace alice get configmaps {space.run}-made --output yaml`" in sentence
    api.objects.pop(f"{CONFIGS}/{space.run}-made")
    (sentence,) = workspaces.await_end(0.1)
    assert f"get jobs.batch {space.run} --output" in sentence


def test_an_anchor_that_cannot_be_deleted_is_left_to_its_deadline(
    api: StoredObjects, workspaces: Workspaces
) -> None:
    space = workspaces("alice")
    space.create(CONFIG)
    api.refusals[f"{JOBS}/{space.run}"] = 503
    (sentence,) = workspaces.delete()
    assert "Kubernetes deletes them within 120 seconds" in sentence
    assert workspaces.await_end() == []


# -- The heartbeat --------------------------------------------------------------------------------


def until(reached: Callable[[], object]) -> None:
    limit = time.monotonic() + 60
    while not reached() and time.monotonic() < limit:
        time.sleep(0.02)
    assert reached()


def test_the_deadline_is_moved_on_while_the_verification_runs(
    api: StoredObjects, workspaces: Workspaces
) -> None:
    workspaces.ahead = 1
    space = workspaces("alice")
    space.create(CONFIG)
    path = f"{JOBS}/{space.run}"
    until(lambda: api.objects[path]["spec"]["activeDeadlineSeconds"] >= 2)
    workspaces.delete()
    beating = workspaces._beating  # pyright: ignore[reportPrivateUsage]
    assert beating
    beating.join(60)
    assert not beating.is_alive()


def test_an_anchor_that_is_gone_ends_the_waiting_with_the_reason(
    api: StoredObjects, workspaces: Workspaces
) -> None:
    workspaces.ahead = 1
    space = workspaces("alice")
    space.create(CONFIG)
    del api.objects[f"{JOBS}/{space.run}"]
    with pytest.raises(
        Refused, match=rf"somebody deleted the Job {space.run}: run the check again"
    ):
        space.wait("what never comes", lambda: None, 10)
    with pytest.raises(Refused, match="somebody deleted"):
        space.create(CONFIG)


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_cannot_answer_for_a_moment_is_asked_again(
    api: StoredObjects, workspaces: Workspaces, status: int
) -> None:
    answers = iter([Unavailable("busy."), Unreachable("gone."), None, "there"])

    def done() -> str | None:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert workspaces("alice").wait("it", done, 5) == "there"
    api.refusals["/api/v1/pods"] = status
    with pytest.raises(Unavailable):
        workspaces.cluster.all("/api/v1/pods")


def test_a_server_that_is_silent_for_a_minute_is_given_up(
    workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert workspace._PATIENCE_SECONDS == 60  # pyright: ignore[reportPrivateUsage]
    clock = Clock(monkeypatch)

    def silent() -> str | None:
        raise Unreachable("it is gone.")

    with pytest.raises(Unreachable):
        workspaces("alice").wait("it", silent, 600)
    assert 60 < clock.now < 70


def test_a_wait_ends_in_its_time_and_counts_as_waited(
    workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    assert workspaces("alice").wait("it", lambda: None, 20) is None
    assert clock.now == pytest.approx(20)
    assert workspaces.progress.waited == pytest.approx(20)


class Clock:
    """The time of a wait, which goes on with each pause alone."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        for module in (workspace, progress):
            patch.setattr(module, "time", self)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_what_is_waited_for_is_read_anew(api: StoredObjects, workspaces: Workspaces) -> None:
    space, cluster = workspaces("alice"), workspaces.cluster
    pods = "/api/v1/namespaces/alice/pods"

    def there() -> str | None:
        found = cluster.all(pods)
        api.objects[f"{pods}/a"] = {"metadata": {"name": "a"}}
        return "it" if found else None

    with cluster.remembering():
        assert cluster.all(pods) == cluster.all(pods) == []
        assert sum(path == pods for path, _ in api.asked) == 1
        assert space.wait("a pod", there, 5) == "it"
    before = len(api.asked)
    cluster.all(pods)
    cluster.all(pods)
    assert len(api.asked) == before + 2


# -- Refusals -------------------------------------------------------------------------------------


def test_an_anchor_that_the_server_rejects_is_told_and_nothing_is_to_delete(
    api: StoredObjects, workspaces: Workspaces
) -> None:
    words = 'jobs.batch "x" is forbidden: exceeded quota: q'
    api.rejections[JOBS] = (403, words)
    with pytest.raises(Rejected, match="exceeded quota: q") as told:
        workspaces("alice").create(CONFIG)
    assert told.value.status == 403
    assert not workspaces.made


def test_a_missing_right_is_told_apart_from_a_rejection(
    api: StoredObjects, workspaces: Workspaces
) -> None:
    api.rejections[JOBS] = (403, 'jobs.batch is forbidden: User "a" cannot create resource "jobs"')
    with pytest.raises(Refused, match=r"kubeflow:cluster\.admins"):
        workspaces("alice").create(CONFIG)


def test_an_anchor_of_a_request_without_answer_is_found_by_its_name(
    api: StoredObjects, workspaces: Workspaces
) -> None:
    space = workspaces("alice")
    other = Workspaces(workspaces.cluster, Progress())
    other.run = space.run
    other("alice").create(CONFIG)
    created = space.create({**CONFIG, "metadata": {"name": "second"}})
    (owner,) = created["metadata"]["ownerReferences"]
    assert owner["uid"] == api.objects[f"{JOBS}/{space.run}"]["metadata"]["uid"]
    other.delete()


def test_a_kind_that_is_not_served_is_one_sentence(workspaces: Workspaces) -> None:
    trial = {"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": {"name": "a"}}
    with pytest.raises(Refused, match=r"serves no Experiment of kubeflow\.org/v1beta1: .*CRD"):
        workspaces("alice").create(trial)


def test_logs_are_of_the_first_pod_of_a_job(api: StoredObjects, workspaces: Workspaces) -> None:
    space = workspaces("alice")
    assert space.logs("copy") == ""
    for name, day in (("b", 2), ("a", 1)):
        metadata = {
            "name": name,
            "labels": {"job-name": f"{space.run}-copy"},
            "creationTimestamp": f"2026-11-0{day}T00:00:00Z",
        }
        api.objects[f"/api/v1/namespaces/alice/pods/{name}"] = {"metadata": metadata}
        api.texts[f"/api/v1/namespaces/alice/pods/{name}/log"] = f"of {name}\n"
    assert space.logs("copy") == space.logs(f"{space.run}-copy") == "of a\n"


# -- The sweep ------------------------------------------------------------------------------------


def anchor(name: str, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "alice",
            "labels": {workspace.ANCHOR: "true", workspace.LABEL: name},
            "creationTimestamp": "2020-01-01T00:00:00Z",
        },
        "spec": {"activeDeadlineSeconds": 120},
        "status": status,
    }


def test_a_sweep_deletes_what_has_ended_and_nothing_else(
    api: StoredObjects, workspaces: Workspaces
) -> None:
    workspaces("alice").create(CONFIG)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    young = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 140))
    deleting = anchor("deleting")
    deleting["metadata"]["deletionTimestamp"] = now
    job_of_a_user = {"metadata": {"name": "train", "namespace": "alice", "labels": {}}}
    for each in (
        anchor("old", startTime="2020-01-01T00:00:00Z"),
        anchor("failed", startTime=now, conditions=[{"type": "Failed", "status": "True"}]),
        anchor("alive", startTime=now),
        anchor("late", startTime=young),
        anchor("never-started"),
        deleting,
        job_of_a_user,
    ):
        api.objects[f"{JOBS}/{each['metadata']['name']}"] = each
    assert alive(workspaces.cluster) == {workspaces.run, "alive", "late"}
    sweep(workspaces.cluster)
    assert sorted(path.rpartition("/")[2] for path, _ in api.deleted) == [
        *("failed", "never-started", "old")
    ]
    assert {query["propagationPolicy"] for _, query in api.deleted} == {"Foreground"}


def test_a_webhook_that_does_not_answer_is_told_in_the_servers_words(
    api: StoredObjects, workspaces: Workspaces
) -> None:
    words = (
        'Internal error occurred: failed calling webhook "validator.experiment.katib.kubeflow.org":'
        ' no endpoints available for service "katib-controller"'
    )
    space = workspaces("alice")
    space.create(CONFIG)
    api.rejections[CONFIGS] = (500, words)
    with pytest.raises(Rejected, match="no endpoints available for service"):
        space.create({**CONFIG, "metadata": {"name": "another"}})
    api.rejections[CONFIGS] = (500, "etcdserver: request timed out")
    with pytest.raises(Unavailable):
        space.create({**CONFIG, "metadata": {"name": "another"}})
