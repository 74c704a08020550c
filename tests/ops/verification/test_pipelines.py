"""The pipeline of examples/ on a stand-in for Pipelines that refuses what Pipelines refuses."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from ops import targets
from ops.cli_errors import Refused
from ops.findings import Finding, Level
from ops.verification import pipeline_runs
from ops.verification.bucket_objects import delete_folder
from ops.verification.check import Check
from ops.verification.checks import gpu, katib, pipelines
from ops.verification.checks import serving as model_serving
from ops.verification.checks.pipelines import CHECKS
from ops.verification.database_rows import Answer, Question
from ops.verification.names import PREFIX
from ops.verification.pipeline_runs import sweep
from ops.verification.pipelines_api import ApiFailed, Executors, Pipelines, step_of
from ops.verification.profile import QuotaUsedUp, user_of
from tests.ops.command import kf
from tests.ops.verification.deep_platform import (
    ACCOUNT,
    ALICE,
    RUN,
    Cluster,
    DeepPlatform,
    settings_of,
)
from tests.ops.verification.gateway_server import Gateway
from tests.ops.verification.gateway_server import serving as gateway_serving
from tests.ops.verification.pipelines_server import Server, points, serving
from tests.ops.verification.test_login import GATEWAY, PASSWORD, store_passwords

BUCKET = f"kubeflow-{ACCOUNT}-cn-north-1"
API, UI = "kubeflow/service/ml-pipeline:8888", "kubeflow/service/ml-pipeline-ui:80"
ROOT = f"s3://{BUCKET}/private-artifacts/alice/v2/artifacts"
BY_NAME: Mapping[str, Check] = {check.name: check for check in CHECKS}


@dataclass
class Deep:
    """A platform with Pipelines, the bucket and the gateway."""

    whole: DeepPlatform
    server: Server
    gateway: Gateway

    def found(self, name: str) -> list[Finding]:
        return list(BY_NAME[name].examine(self.whole.platform))

    def problems(self, name: str) -> str:
        found = self.found(name)
        assert found
        return "\n".join(each.sentence for each in found if each.level is Level.PROBLEM)


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aws: None) -> Generator[Deep]:
    whole = DeepPlatform(tmp_path, monkeypatch)
    s3: Any = boto3.client("s3", region_name="cn-north-1")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "cn-north-1"})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    whole.cluster.put(
        "/api/v1/namespaces/alice/configmaps",
        {"metadata": {"name": "kfp-launcher"}, "data": {"defaultPipelineRoot": ROOT}},
    )
    gateway = Gateway({ALICE: PASSWORD}, {ALICE: ["alice"]})
    with serving(Server(whole.cluster, BUCKET)) as server, gateway_serving(gateway):
        whole.kubectl.leads({API: server.port, GATEWAY: gateway.port})
        store_passwords({ALICE: PASSWORD})
        yield Deep(whole, server, gateway)


def keys() -> list[str]:
    """Every version of every object, and every marker."""
    s3: Any = boto3.client("s3", region_name="cn-north-1")
    listed = s3.list_object_versions(Bucket=BUCKET)
    return [each["Key"] for kind in ("Versions", "DeleteMarkers") for each in listed.get(kind, [])]


def shown(deep: Deep) -> None:
    """The gateway's UI has the artifacts of the bucket."""
    deep.gateway.artifacts = {key: points(100) for key in keys() if key.endswith("/points")}


# -- all is right ---------------------------------------------------------------------------------


@pytest.mark.check("pipeline-run", broken=False)
@pytest.mark.check("pipeline-cache", broken=False)
@pytest.mark.check("pipeline-log", broken=False)
def test_the_example_runs_and_its_second_run_comes_from_the_cache(deep: Deep) -> None:
    for name in ("pipeline-run", "pipeline-cache", "pipeline-log"):
        assert deep.problems(name) == "", name
    first, second = deep.server.runs.values()
    assert first["pipeline_spec"]["pipelineInfo"]["name"] == RUN
    assert (first["display_name"], second["display_name"]) == (RUN, f"{RUN}-again")
    assert first["service_account"] == "default-editor"
    (told,) = deep.found("pipeline-run")
    assert told.sentence.startswith(f"run {first['run_id']} executed 2 steps in ")
    (told,) = deep.found("pipeline-cache")
    assert told.sentence.startswith("the same run again took all 2 steps from the cache, in ")
    assert len(deep.server.runs) == 2
    said = " ".join(deep.whole.alice.said)
    assert f"the pipeline run {RUN} (step make-points)" in said
    workflows = [path for path in deep.whole.alice.adopted if "/workflows/" in path]
    assert len(workflows) == 2


@pytest.mark.check("pipeline-artifact", broken=False)
def test_the_artifact_is_the_same_in_the_bucket_and_in_the_dashboard(deep: Deep) -> None:
    deep.found("pipeline-run")
    shown(deep)
    in_bucket, in_dashboard = deep.found("pipeline-artifact")
    assert "has what the step wrote, 100 lines" in in_bucket.sentence
    assert in_dashboard.sentence == f"is the same through the dashboard, logged in as {ALICE}"
    assert "GET /pipeline/artifacts/get" in deep.gateway.asked


@pytest.mark.parametrize(
    ("root", "folder"),
    [
        (ROOT, "private-artifacts/alice/v2/artifacts/"),
        (f"s3://{BUCKET}", ""),
        (f"s3://{BUCKET}/", ""),
        (f"s3://{BUCKET}/runs/?region=cn-north-1", "runs/"),
    ],
)
def test_the_folder_of_artifacts_is_below_the_pipeline_root(
    deep: Deep, root: str, folder: str
) -> None:
    deep.whole.cluster.put(
        "/api/v1/namespaces/alice/configmaps",
        {"metadata": {"name": "kfp-launcher"}, "data": {"defaultPipelineRoot": root}},
    )
    place = pipeline_runs.Place.of(deep.whole.platform)
    assert (place.bucket, place.root) == (BUCKET, folder)


def test_where_nobody_logs_in_by_password_the_uis_own_pod_is_asked(
    deep: Deep, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep.gateway.provider = "login.feishu.example"
    deep.found("pipeline-run")
    with gateway_serving(Gateway({}, {"": ["alice"]}, open=True)) as ui:
        ui.artifacts = {key: points(100) for key in keys() if key.endswith("/points")}
        deep.whole.kubectl.leads({UI: ui.port})
        _, through = deep.found("pipeline-artifact")
    assert through.sentence == f"is the same through the UI's pod, as {ALICE}"


def test_what_the_check_expects_is_what_the_examples_own_program_writes() -> None:
    assert pipeline_runs.points(100) == points(100)


class Database:
    """Answers to questions about a run: numbers of rows, in the order of the questions."""

    def __init__(self, *counts: int | str) -> None:
        self.counts = counts
        self.asked = list[Question]()

    def __call__(self, platform: Any, questions: list[Question]) -> dict[tuple[str, str], Answer]:
        self.asked = questions
        return {
            (question.component, question.name): Answer(error=count)
            if isinstance(count, str)
            else Answer(rows=((str(count),),))
            for question, count in zip(questions, self.counts, strict=False)
        }


@pytest.mark.check("pipeline-rows", broken=False)
def test_the_runs_rows_are_in_both_databases(deep: Deep, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(1, 9, 1, 3)
    monkeypatch.setattr(pipelines, "ask", database)
    told = [each.sentence for each in deep.found("pipeline-rows")]
    (run,) = deep.server.runs
    assert told == [
        f"run_details: 1 rows of run {run}",
        f"tasks: 9 rows of run {run}",
        f"context: 1 rows of run {run}",
        f"executions: 3 rows of run {run}",
    ]
    assert [each.component for each in database.asked] == ["ml-pipeline"] * 2 + ["metadata"] * 2
    assert all(f"'{run}'" in each.statement for each in database.asked)


OF_EXAMPLES = [*CHECKS, *katib.CHECKS, *gpu.CHECKS, *model_serving.CHECKS]


@pytest.mark.parametrize("check", OF_EXAMPLES, ids=lambda check: check.name)
def test_release_1_5_1_is_told_why_there_is_nothing_to_check(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = targets.settings_of("cn-north-1-kf151")
    whole = DeepPlatform(tmp_path, monkeypatch, old)
    (told,) = check.examine(whole.platform)
    assert told.level is Level.GOOD
    assert told.sentence.startswith("not run, because ")
    assert whole.cluster.objects == {}
    sweep(whole.platform)
    assert whole.kubectl.calls == []


# -- something is broken --------------------------------------------------------------------------

PULL = {
    "phase": "Pending",
    "containerStatuses": [
        {
            "name": "main",
            "image": "docker.io/library/python:3.11",
            "state": {
                "waiting": {
                    "reason": "ImagePullBackOff",
                    "message": 'Back-off pulling image "docker.io/library/python:3.11"',
                }
            },
        }
    ],
}
UNPLACED = {
    "phase": "Pending",
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient cpu.",
        }
    ],
}


@pytest.mark.check("pipeline-run", broken=True)
@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (
            {"stuck": PULL},
            [
                "the run is RUNNING after 900 s: step make-points: container main waits: ",
                "nodes do not reach docker.io: set kubeflow:imageMirror.enabled to true",
            ],
        ),
        ({"stuck": UNPLACED}, ["step make-points: no node takes it: 0/3 nodes are available"]),
        (
            {"fails": "fit-line"},
            [
                "the run ended FAILED: step fit-line failed, container main ended (exit code 1",
                "its last lines are `password=***` `Traceback (most recent call last):` `Value",
                "kubectl --namespace alice logs kf-verify-1a2b3c4d0a06-",
            ],
        ),
        ({"rights": {"alice": set[str]()}}, ["answers 403 to GET experiments", "kubeflow-edit"]),
        ({"refuses": {"POST runs": 500}}, ["answers 500 to POST runs", "deployment/ml-pipeline"]),
        ({"refuses": {"POST experiments": 401}}, ["401", "does not take the token of default-e"]),
        ({"lists_tasks": False}, ["succeeded, and Pipelines has none of its steps: `kubectl"]),
        ({"silent": True}, ["the run is PENDING after 900 s", "deployment/workflow-controller`"]),
    ],
)
def test_a_run_that_does_not_succeed_has_its_reason(
    deep: Deep, broken: Mapping[str, Any], told: list[str]
) -> None:
    for name, value in broken.items():
        setattr(deep.server, name, value)
    said = deep.problems("pipeline-run")
    for part in told:
        assert part in said
    assert "hunter2" not in said
    assert "/default-editor/pipelines" not in said


def test_a_quota_that_is_used_up_ends_the_run_at_once(deep: Deep) -> None:
    deep.server.silent = True
    told = "pods is forbidden: exceeded quota: profile-quota, requested: cpu=1"

    def refused(cluster: Cluster) -> None:
        for path, obj in cluster.objects.items():
            if "/workflows/" in path:
                obj["status"] = {"nodes": {"a": {"phase": "Pending", "message": told}, "b": {}}}

    deep.whole.cluster.plays.append(refused)
    with pytest.raises(QuotaUsedUp, match=r"is used up \(exceeded quota: profile-quota, req"):
        deep.found("pipeline-run")
    assert deep.whole.cluster.now < 60


def test_a_run_that_failed_is_not_run_again_for_the_next_check(deep: Deep) -> None:
    deep.server.fails = "fit-line"
    deep.problems("pipeline-run")
    for name in ("pipeline-cache", "pipeline-artifact", "pipeline-log", "pipeline-rows"):
        with pytest.raises(Refused, match="there is no run that succeeded: the run ended FAILED"):
            deep.found(name)
    assert len(deep.server.runs) == 1


def test_a_token_without_its_audience_or_of_another_profile_is_refused(deep: Deep) -> None:
    """The stand-in does as Pipelines does, so the checks above prove something."""
    forward = pipeline_runs.forward_of(deep.whole.platform)
    parts = deep.whole.platform.parts
    with forward:
        for token, status in (
            ("", 401),
            ("alice/default-editor/https://kubernetes.default.svc", 401),
            ("bob/default-editor/pipelines.kubeflow.org", 403),
            ("alice/default/pipelines.kubeflow.org", 403),
        ):
            api = Pipelines(forward, token, "alice", parts.pipelines)
            with pytest.raises(ApiFailed) as failed:
                api.create_experiment("mine")
            assert failed.value.status == status


@pytest.mark.check("pipeline-cache", broken=True)
def test_a_step_that_is_executed_again_is_a_problem(deep: Deep) -> None:
    deep.server.caches = False
    assert deep.problems("pipeline-run") == ""
    said = deep.problems("pipeline-cache")
    assert said.startswith("the same run again executed 2 of 2 steps: table tasks of the database")


@pytest.mark.check("pipeline-artifact", broken=True)
def test_an_artifact_that_is_not_there_is_a_problem(deep: Deep) -> None:
    deep.server.writes_artifacts = False
    said = deep.problems("pipeline-artifact")
    assert f"there is no artifact below {ROOT}/{RUN}/" in said
    assert "compare defaultPipelineRoot of ConfigMap alice/kfp-launcher" in said


@pytest.mark.check("pipeline-artifact", broken=True)
@pytest.mark.parametrize(
    ("status", "told"),
    [
        (403, "the answer is 403 (RBAC: access denied): Istio refuses alice@example.com"),
        (500, "the answer is 500 (Access Denied): `kubectl --namespace alice logs deployment/ml-"),
    ],
)
def test_an_artifact_that_the_dashboard_does_not_show_is_a_problem(
    deep: Deep, status: int, told: str
) -> None:
    deep.gateway.artifact_status = status
    assert told in deep.problems("pipeline-artifact")


def test_an_artifact_with_another_content_is_a_problem(deep: Deep) -> None:
    deep.found("pipeline-run")
    shown(deep)
    deep.gateway.artifacts = dict.fromkeys(deep.gateway.artifacts, "0 0\n")
    said = deep.problems("pipeline-artifact")
    assert "come 4 characters, and not what is in the bucket" in said
    s3: Any = boto3.client("s3", region_name="cn-north-1")
    (key,) = deep.gateway.artifacts
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"0 0\n")
    assert "and not what the step writes" in deep.problems("pipeline-artifact")


@pytest.mark.check("pipeline-log", broken=True)
def test_logs_that_are_not_archived_are_a_problem(deep: Deep) -> None:
    deep.server.writes_logs = False
    said = deep.problems("pipeline-log")
    assert "are 1 logs, and what 0 of 2 steps printed: compare archiveLogs and keyFormat" in said


@pytest.mark.check("pipeline-rows", broken=True)
@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ((0, 9, 1, 3), "run_details: 0 rows of run"),
        ((1, 0, 1, 3), "deployment/ml-pipeline-persistenceagent` has the reason"),
        ((1, 9, 1, 1), "executions: 1 rows of run"),
        (("ERROR 1045 (28000): Access denied",), "run_details: the database answers ERROR 1045"),
    ],
)
def test_rows_that_are_missing_are_named_with_who_writes_them(
    deep: Deep, monkeypatch: pytest.MonkeyPatch, counts: tuple[int | str, ...], told: str
) -> None:
    monkeypatch.setattr(pipelines, "ask", Database(*counts))
    assert told in deep.problems("pipeline-rows")


def test_without_a_pipeline_root_nothing_is_begun(deep: Deep) -> None:
    deep.whole.cluster.objects.clear()
    with pytest.raises(Refused, match="alice/kfp-launcher has no pipeline root"):
        deep.found("pipeline-run")
    assert deep.server.asked == []


# -- and taken away -------------------------------------------------------------------------------


def foreign(deep: Deep) -> list[str]:
    """What is nobody's verification's: an experiment and objects whose names are near."""
    names = ["mine", "kf-verify-mine", "my-kf-verify-1a2b3c4d0a06", "kf-verify-1a2b3c4d0a065"]
    # A date, a commit, and a minute: hexadecimal, and of nobody.
    names += ["kf-verify-20261129", "kf-verify-1a2b3c4d", "kf-verify-202611292043"]
    for number, name in enumerate(names):
        made = {"experiment_id": f"foreign-{number}", "display_name": name, "namespace": "alice"}
        deep.server.experiments[made["experiment_id"]] = made
    s3: Any = boto3.client("s3", region_name="cn-north-1")
    for name in names:
        for folder in ("v2/artifacts/", ""):
            key = f"private-artifacts/alice/{folder}{name}/file"
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"mine")
    return sorted(keys())


def test_the_end_takes_all_of_it_away_and_nothing_else(deep: Deep) -> None:
    before = foreign(deep)
    deep.found("pipeline-run")
    deep.found("pipeline-cache")
    assert len(keys()) > len(before)
    deep.whole.alice.end()
    assert sorted(keys()) == before
    assert deep.server.runs == {}
    assert [each for each in deep.server.experiments if not each.startswith("foreign")] == []
    assert len(deep.server.experiments) == 7
    assert not [path for path in deep.whole.cluster.objects if "/workflows/" in path]
    assert not [path for path in deep.whole.cluster.objects if "/pods/" in path]


def anchor(deep: Deep, run: str) -> None:
    """As the workspace of a verification that runs makes it."""
    deep.whole.cluster.put(
        "/apis/batch/v1/namespaces/alice/jobs",
        {
            "metadata": {"name": run, "labels": {"kubeflow-on-eks/verify-anchor": "true"}},
            "spec": {"activeDeadlineSeconds": 120},
        },
    )


@pytest.mark.parametrize("lives", [True, False])
def test_what_a_killed_verification_left_goes_with_the_next_one(deep: Deep, lives: bool) -> None:
    before = foreign(deep)
    deep.found("pipeline-run")
    left = sorted(keys())
    if lives:
        anchor(deep, RUN)
    sweep(deep.whole.platform)
    assert sorted(keys()) == (left if lives else before)
    assert len(deep.server.runs) == int(lives)
    assert len(deep.server.experiments) == 7 + int(lives)


def test_what_was_left_in_another_profile_goes_too(deep: Deep) -> None:
    root = ROOT.replace("alice", "bob")
    deep.whole.cluster.put(
        "/api/v1/namespaces/bob/configmaps",
        {"metadata": {"name": "kfp-launcher"}, "data": {"defaultPipelineRoot": root}},
    )
    bob = replace(deep.whole.platform, user="bob@example.com")
    (told,) = BY_NAME["pipeline-run"].examine(bob)
    assert told.level is Level.GOOD
    assert keys()
    sweep(deep.whole.platform)
    assert (keys(), deep.server.runs, deep.server.experiments) == ([], {}, {})


def test_a_folder_of_another_name_is_never_deleted() -> None:
    for folder in ("", "private-artifacts/alice/", "private-artifacts/alice/kf-verify-mine"):
        with pytest.raises(ValueError, match="is no folder of a verification"):
            delete_folder(None, BUCKET, folder)


# -- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "step"),
    [
        ("line-x.root.make-points.executor", "step make-points"),
        ("line-x.root.make-points-driver", "step make-points (its driver)"),
        ("line-x.root-driver", "step root (its driver)"),
        ("line-x", "step line-x"),
    ],
)
def test_a_pod_is_named_by_its_step(node: str, step: str) -> None:
    annotations = {"workflows.argoproj.io/node-name": node}
    assert step_of({"metadata": {"name": "p", "annotations": annotations}}) == step


def test_executed_and_cached_steps_are_counted_by_their_executors() -> None:
    details = [
        {"display_name": "executor", "state": state}
        for state in ("SUCCEEDED", "SKIPPED", "RUNNING", "FAILED")
    ]
    run = {
        "run_details": {"task_details": [*details, {"display_name": "root", "state": "RUNNING"}]}
    }
    assert Executors.of(run) == Executors(executed=2, cached=1, open=1)
    assert Executors.of({}) == Executors(0, 0, 0)


def test_a_user_who_is_named_runs_in_his_own_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = DeepPlatform(tmp_path, monkeypatch, settings_of()).platform
    assert user_of(platform).namespace == "alice"
    assert user_of(replace(platform, user="Bob@example.com")).namespace == "bob"
    with pytest.raises(Refused, match="is nobody of kubeflow:users: name alice@"):
        user_of(replace(platform, user="eve@x.cn"))


def test_a_user_of_nobody_is_refused_before_the_cluster_is_asked() -> None:
    done = kf("verify", "--stack", "cn-north-1", "--deep", "--user", "eve@x.cn")
    assert (done.exit_code, done.stdout) == (2, "")
    told = "--user eve@x.cn is nobody of kubeflow:users: name user@example.com."
    assert " ".join(done.stderr.split()) == told


def test_the_names_that_are_swept_are_those_that_are_made() -> None:
    assert RUN.startswith(PREFIX)
    assert json.dumps(pipeline_runs.pipeline(RUN))
