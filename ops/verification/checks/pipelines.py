"""A pipeline of ``examples/``, run twice, and what it leaves in the bucket and the databases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

from ops.cli_errors import Refused
from ops.findings import Finding, good, note, problem
from ops.verification.bucket_objects import keys_below, text_of
from ops.verification.check import Check
from ops.verification.checks.login import SESSION, gateway
from ops.verification.database_rows import Question, ask, users_of
from ops.verification.examples import where_examples_run
from ops.verification.forward import Forward
from ops.verification.pipeline_runs import (
    FIRST,
    PIPELINE,
    ROWS,
    SECOND,
    STEPS,
    Place,
    points,
    succeeded,
    sweep,
)
from ops.verification.platform import Platform
from ops.verification.profile import user_of
from ops.verification.web import Answer
from rendering.parts import Part, Parts
from rendering.release import DatabaseUser

_ARTIFACT = "points"
_ARTIFACTS = "ml-pipeline-ui-artifact"
"""Of each profile (addons/profile-hook/hook.py)."""
_PRINTED = (re.compile(r"^\d+(\.0)? points$", re.M), re.compile(r"^slope \d\.\d{3}$", re.M))
"""The line of each step; its name alone also stands in the log of its driver."""


@where_examples_run(PIPELINE)
def pipeline_run(platform: Platform) -> Iterator[Finding]:
    """The first run, step by step."""
    about = f"{user_of(platform).namespace}/{PIPELINE}"
    ran = FIRST.of(platform)
    if isinstance(ran, str):
        yield problem(about, ran)
        return
    if not ran.executors.executed + ran.executors.cached:
        yield problem(
            about,
            f"run {ran.run} succeeded, and Pipelines has none of its steps: "
            f"{platform.parts.pipelines_persistence.log} has the reason",
        )
        return
    if ran.executors.executed < STEPS:
        yield problem(
            about,
            f"{ran.executors.cached} of its {STEPS} steps were not executed, although no pipeline "
            "of this name was run before: the cache of Pipelines mixes up pipelines",
        )
        return
    yield good(about, f"run {ran.run} executed {STEPS} steps in {ran.seconds:.0f} s")


@where_examples_run(PIPELINE)
def pipeline_cache(platform: Platform) -> Iterator[Finding]:
    """The second run, of which no step is executed."""
    about = f"{user_of(platform).namespace}/{PIPELINE}"
    ran = SECOND.of(platform)
    if isinstance(ran, str):
        yield problem(about, f"the second run: {ran}")
        return
    if ran.executors.cached < STEPS:
        yield problem(
            about,
            f"the same run again executed {ran.executors.executed} of {STEPS} steps: table tasks "
            "of the database mlpipeline has no fingerprint of the first run, "
            f"{platform.parts.pipelines.log} has the reason",
        )
        return
    yield good(
        about, f"the same run again took all {STEPS} steps from the cache, in {ran.seconds:.0f} s"
    )


@where_examples_run(_ARTIFACT)
def pipeline_artifact(platform: Platform) -> Iterator[Finding]:
    """The artifact of the first step, in the bucket and through the UI."""
    about = f"{user_of(platform).namespace}/{_ARTIFACT}"
    ran, place = succeeded(platform), Place.of(platform)
    folder = f"{place.root}{place.workspace.run}/{ran.run}/"
    s3 = platform.client("s3")
    keys = [key for key in keys_below(s3, place.bucket, folder) if key.endswith(f"/{_ARTIFACT}")]
    if not keys:
        yield problem(
            about,
            f"there is no artifact below s3://{place.bucket}/{folder}, although its step "
            f"succeeded: compare defaultPipelineRoot of ConfigMap {place.namespace}/kfp-launcher",
        )
        return
    written = text_of(s3, place.bucket, keys[0])
    if written != points(ROWS):
        yield problem(
            about,
            f"s3://{place.bucket}/{keys[0]} has {len(written)} characters, and not what the step "
            "writes: another program writes into this folder",
        )
        return
    yield good(about, f"s3://{place.bucket}/{keys[0]} has what the step wrote, {ROWS} lines")
    yield from _through_the_ui(platform, place, keys[0], written)


def _through_the_ui(platform: Platform, place: Place, key: str, written: str) -> Iterator[Finding]:
    """The artifact as the dashboard shows it; past the gateway where nobody can log in here."""
    about = f"{place.namespace}/{_ARTIFACT}"
    query = {"source": "s3", "namespace": place.namespace, "bucket": place.bucket, "key": key}
    path = f"/pipeline/artifacts/get?{urlencode(query)}"
    try:
        session = SESSION.of(platform)
    except Refused:
        with Forward.to(platform, platform.parts.pipelines_ui, 80) as forward:
            answer = forward.request(path, headers={"kubeflow-userid": place.user.email})
        way = f"the UI's pod, as {place.user.email}"
    else:
        with gateway(platform) as forward:
            answer = session.get(forward, path)
        way = f"the dashboard, logged in as {place.user.email}"
    if answer.status == 200 and answer.text == written:
        yield good(about, f"is the same through {way}")
    else:
        yield problem(about, _not_shown(place, answer, way))


def _not_shown(place: Place, answer: Answer, way: str) -> str:
    if answer.status == 200:
        return (
            f"through {way} come {len(answer.text)} characters, and not what is in the bucket: "
            f"{place.parts.pipelines_ui.log} has the reason"
        )
    said = " ".join(answer.text.split())[:200]
    begin = f"through {way} the answer is {answer.status}{said and f' ({said})'}"
    if answer.status == 403 and "RBAC" in said:
        return (
            f"{begin}: Istio refuses {place.user.email}; AuthorizationPolicy "
            f"{place.namespace}/ns-owner-access-istio has to admit the owner through "
            f"{place.parts.pipelines_ui.account}"
        )
    return (
        f"{begin}: `kubectl --namespace {place.namespace} logs deployment/{_ARTIFACTS}` has what "
        "S3 answered to the role of default-editor"
    )


@where_examples_run("main.log")
def pipeline_log(platform: Platform) -> Iterator[Finding]:
    """The logs of the steps in the bucket."""
    about = f"{user_of(platform).namespace}/main.log"
    ran, place = succeeded(platform), Place.of(platform)
    if not ran.workflow:
        raise Refused(f"the run {ran.run} has no Workflow any more, whose name the logs are under.")
    folder = f"{place.logs}{ran.workflow}/"
    s3 = platform.client("s3")
    keys = [key for key in keys_below(s3, place.bucket, folder) if key.endswith("/main.log")]
    texts = [text_of(s3, place.bucket, key) for key in keys]
    printed = [line for line in _PRINTED if any(line.search(text) for text in texts)]
    if len(printed) == STEPS:
        yield good(
            about,
            f"{len(keys)} logs are below s3://{place.bucket}/{folder}, with what each step printed",
        )
        return
    found = f"{len(keys)} logs, and what {len(printed)} of {STEPS} steps printed"
    yield problem(
        about,
        f"below s3://{place.bucket}/{folder} are {found}: compare archiveLogs and keyFormat of "
        f"ConfigMap {place.namespace}/artifact-repositories",
    )


@where_examples_run(PIPELINE)
def pipeline_rows(platform: Platform) -> Iterator[Finding]:
    """The rows of the first run, in the databases of Pipelines and of ML Metadata."""
    about = f"{user_of(platform).namespace}/{PIPELINE}"
    ran = succeeded(platform)
    asked = questions(ran.run, users_of(platform))
    answers = ask(platform, [question for question, _ in asked.values()])
    for what, (question, least) in asked.items():
        answer = answers.get((question.component, question.name))
        if answer is None:
            yield note(about, f"{what}: not asked, because an earlier question failed")
        elif answer.error:
            yield problem(about, f"{what}: the database answers {answer.error}")
        else:
            number = int(answer.rows[0][0])
            if number >= least:
                yield good(about, f"{what}: {number} rows of run {ran.run}")
            else:
                yield problem(
                    about,
                    f"{what}: {number} rows of run {ran.run}, at least {least} are expected: "
                    f"{_writers(platform.parts)[what].log} has the reason",
                )


def _writers(parts: Parts) -> dict[str, Part]:
    """What is counted -> the part that writes it."""
    return {
        "run_details": parts.pipelines,
        "tasks": parts.pipelines_persistence,
        "context": parts.metadata,
        "executions": parts.metadata,
    }


def questions(run: str, users: Mapping[str, DatabaseUser]) -> dict[str, tuple[Question, int]]:
    """What is counted -> the question, and the number expected at least.

    kubeflow/pipelines 2.16.0 backend/src/apiserver/model (run.go, task.go); the context of a run
    has the run's ID for its name (backend/src/v2/metadata/client.go), and its root and its steps
    are executions (google/ml-metadata v1.14.0 ml_metadata/util/metadata_source_query_config.cc).

    Args:
        run: ID.
        users: of the release's components.

    Raises:
        Refused: it is none.
    """
    if not run.replace("-", "").isalnum():
        raise Refused(f"the ID of the run, {run!r}, is none of Pipelines.")
    pipelines, metadata = users["ml-pipeline"].database, users["metadata"].database
    joined = (
        f"{metadata}.Association JOIN {metadata}.Context "
        f"ON Context.id = Association.context_id WHERE Context.name = '{run}'"
    )
    counted: tuple[tuple[str, str, str, int], ...] = (
        ("run_details", "ml-pipeline", f"{pipelines}.run_details WHERE UUID = '{run}'", 1),
        ("tasks", "ml-pipeline", f"{pipelines}.tasks WHERE RunUUID = '{run}'", STEPS),
        ("context", "metadata", f"{metadata}.Context WHERE name = '{run}'", 1),
        ("executions", "metadata", joined, STEPS + 1),
    )
    # Letters, digits and hyphens alone are put into a statement.
    return {
        what: (Question(component, what, f"SELECT COUNT(*) FROM {of}"), least)  # noqa: S608
        for what, component, of, least in counted
    }


CHECKS: tuple[Check, ...] = (
    Check(
        "pipeline-run",
        "a run of the example pipeline by a token of default-editor, step by step",
        pipeline_run,
        creates=True,
        sweep=sweep,
    ),
    Check(
        "pipeline-cache",
        "the same run again, whose steps come from the cache",
        pipeline_cache,
        creates=True,
        needs=("pipeline-run",),
    ),
    Check(
        "pipeline-artifact",
        "its artifact, in the bucket and through the dashboard",
        pipeline_artifact,
        creates=True,
        needs=("pipeline-run",),
    ),
    Check(
        "pipeline-log",
        "the log of each of its steps in the bucket",
        pipeline_log,
        creates=True,
        needs=("pipeline-run",),
    ),
    Check(
        "pipeline-rows",
        "its rows in the databases of Pipelines and ML Metadata",
        pipeline_rows,
        creates=True,
        needs=("pipeline-run",),
    ),
)
