"""A pipeline of ``examples/``, run twice by a token of the profile, and what it leaves."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from components.objects.pod_reasons import reason_of
from ops.account_calls import CallFailed
from ops.cli_errors import Refused
from ops.findings import Finding, good, note, problem
from ops.live_cluster import LiveCluster
from ops.verification.bucket_objects import delete_folder, folders_below, keys_below, text_of
from ops.verification.check import Check
from ops.verification.checks.login import SESSION, gateway
from ops.verification.database_rows import Question, ask, users_of
from ops.verification.examples import example, unsupported
from ops.verification.forward import Forward
from ops.verification.names import PREFIX, run_of
from ops.verification.once import Once
from ops.verification.pipelines_api import (
    PORT,
    ApiFailed,
    Executors,
    Pipelines,
    failed,
    final_state,
    step_of,
)
from ops.verification.platform import Platform
from ops.verification.profile import refuse_exceeded_quota, user_of
from ops.verification.waiting import last_lines, obstacles, pods_of, wait, warnings_of
from ops.verification.web import Answer
from ops.verification.workspace import Workspace, alive
from rendering.parts import Part, Parts
from rendering.release import DatabaseUser
from settings.sections import User

RUN_SECONDS = 15 * 60
"""Of the first run: a node may have to pull four images."""
CACHED_SECONDS = 5 * 60
"""Of the second one, whose drivers run and whose steps do not."""
_PIPELINE = "pipeline/line.yaml"
_STEPS = 2
_ROWS = 100
_ARTIFACT = "points"
_ARTIFACTS = "ml-pipeline-ui-artifact"
"""Of each profile (addons/profile-hook/hook.py)."""
_PRINTED = (re.compile(r"^\d+(\.0)? points$", re.M), re.compile(r"^slope \d\.\d{3}$", re.M))
"""The line of each step; its name alone also stands in the log of its driver."""
_WORKFLOWS = "/apis/argoproj.io/v1alpha1"


@dataclass(frozen=True)
class Ran:
    """A run that ended well.

    Attributes:
        run: ID.
        experiment: ID.
        workflow: name of Argo's object.
        seconds: from its creation to its end.
        executors: of its steps.
    """

    run: str
    experiment: str
    workflow: str
    seconds: float
    executors: Executors


class NoPipelineRoot(Refused):
    """A profile has no place for artifacts."""


class RunFailed(Exception):
    """A run did not succeed; the message is a sentence with the reason and the way out."""


@dataclass(frozen=True)
class Place:
    """Where the runs of a verification are.

    Attributes:
        cluster: of the platform.
        user: whose profile.
        workspace: of the profile.
        bucket: of its pipeline root.
        root: key of the folder of its artifacts, with ``/`` at its end; empty: the bucket itself.
        logs: key of the folder of its workflows' logs, likewise.
        parts: of the release.
    """

    cluster: LiveCluster
    user: User
    workspace: Workspace
    bucket: str
    root: str
    logs: str
    parts: Parts

    @classmethod
    def of(cls, platform: Platform) -> Place:
        """Of the platform's user. Raises ``Refused``."""
        user = user_of(platform)
        path = f"/api/v1/namespaces/{user.namespace}/configmaps/kfp-launcher"
        launcher = platform.cluster.one(path)
        root = str(((launcher or {}).get("data") or {}).get("defaultPipelineRoot") or "")
        if not root.startswith("s3://"):
            raise NoPipelineRoot(
                f"ConfigMap {user.namespace}/kfp-launcher has no pipeline root: "
                f"{platform.parts.pipelines_profiles.log} has the reason."
            )
        bucket, _, key = root.removeprefix("s3://").partition("?")[0].partition("/")
        logs = f"{platform.settings.artifacts.prefix}/{user.namespace}/"
        workspace = platform.workspace(user.namespace)
        folder = key.strip("/")
        root = f"{folder}/" if folder else ""
        return cls(platform.cluster, user, workspace, bucket, root, logs, platform.parts)

    @property
    def namespace(self) -> str:
        """Of the profile."""
        return self.user.namespace


def forward_of(platform: Platform) -> Forward:
    """A way to the API server of Pipelines."""
    return Forward.to(platform, platform.parts.pipelines, PORT)


def pipeline(name: str) -> dict[str, Any]:
    """The example under a name of its own, by which also the cache tells pipelines apart.

    kubeflow/pipelines 2.16.0 backend/src/v2/driver/cache.go: a step that a user has run before is
    another pipeline's, and nobody's later run finds a step of this one, whose artifact is deleted.
    """
    made = example(_PIPELINE)
    made["pipelineInfo"] = {**made["pipelineInfo"], "name": name}
    return made


def points(rows: int) -> str:
    """What the first step of the example writes."""
    numbers = random.Random(1)  # noqa: S311 - the example's own
    return "".join(f"{each} {3 * each + numbers.uniform(-1, 1)}\n" for each in range(rows))


def _first(platform: Platform) -> Ran | str:
    """The first run, or why it did not succeed; what it leaves is taken away at the end."""
    place = Place.of(platform)
    name = place.workspace.run
    try:
        with forward_of(platform) as forward:
            api = Pipelines.of(platform, forward, place.namespace)
            api.experiments(name)
            what = f"the experiment {name} of Pipelines"
            place.workspace.undo(what, lambda: clean(platform, name))
            experiment = api.create_experiment(name)
            return _run(place, api, experiment, name, RUN_SECONDS)
    except (RunFailed, ApiFailed) as failure:
        return str(failure)


def _second(platform: Platform) -> Ran | str:
    """The same run again, or why it did not succeed."""
    place, before = Place.of(platform), _succeeded(platform)
    name = f"{place.workspace.run}-again"
    try:
        with forward_of(platform) as forward:
            api = Pipelines.of(platform, forward, place.namespace)
            return _run(place, api, before.experiment, name, CACHED_SECONDS)
    except (RunFailed, ApiFailed) as failure:
        return str(failure)


FIRST = Once(_first)
SECOND = Once(_second)


def _run(place: Place, api: Pipelines, experiment: str, name: str, seconds: float) -> Ran:
    """Runs the example to its end.

    Raises:
        RunFailed: it did not succeed, or not in time.
        ApiFailed: Pipelines refuses it.
        Refused: something else is missing.
    """
    begun = time.monotonic()
    compiled = pipeline(place.workspace.run)
    run = api.create_run(name, experiment, compiled, {"rows": _ROWS})
    selector = f"pipeline/runid={run}"
    workflow = _workflow(place, selector)

    def pods() -> list[dict[str, Any]]:
        return pods_of(place.cluster, place.namespace, selector)

    def doing() -> str:
        here = pods()
        if not here:
            _refuse_used_up_quota(place, workflow)
        waiting = obstacles(here, warnings_of(place.cluster, place.namespace), step_of)
        running = [step_of(pod) for pod in here if pod["status"].get("phase") == "Running"]
        return next(iter([*waiting, *running]), "")

    def ended() -> str | None:
        try:
            return final_state(api.run(run))
        except ApiFailed as failure:
            # Its pod may be replaced meanwhile.
            if failure.status < 500:
                raise
            return None

    what = f"the pipeline run {name}"
    state = wait(place.workspace, what, ended, seconds, doing)
    answer = api.run(run)
    if state != "SUCCEEDED":
        raise RunFailed(_reason(place, answer, pods(), seconds if state is None else 0))
    return Ran(run, experiment, workflow, time.monotonic() - begun, Executors.of(answer))


def _workflow(place: Place, selector: str) -> str:
    """Argo's object of a run, which now ends with the verification; empty: it is not there."""
    path = f"{_WORKFLOWS}/namespaces/{place.namespace}/workflows"
    for each in place.cluster.all(path, labelSelector=selector):
        name = str(each["metadata"]["name"])
        place.workspace.adopt(f"{path}/{name}")
        return name
    return ""


def _refuse_used_up_quota(place: Place, workflow: str) -> None:
    """Ends a wait for pods that a quota does not admit.

    Argo tries again and writes the words of Kubernetes to the node (argo-workflows v3.7.3
    workflow/controller/operator.go, requeueIfTransientErr; util/errors/errors.go).

    Raises:
        QuotaUsedUp
    """
    path = f"{_WORKFLOWS}/namespaces/{place.namespace}/workflows/{workflow}"
    found = (place.cluster.one(path) if workflow else None) or {}
    for node in ((found.get("status") or {}).get("nodes") or {}).values():
        refuse_exceeded_quota(str(node.get("message") or ""))


def _reason(place: Place, run: dict[str, Any], pods: list[dict[str, Any]], seconds: float) -> str:
    """Why a run did not succeed; ``seconds``: it was not at its end after so many."""
    state = run.get("state") or "without a state"
    begin = f"the run is {state} after {seconds:.0f} s" if seconds else f"the run ended {state}"
    warnings = warnings_of(place.cluster, place.namespace)
    if pod := failed(pods):
        why = reason_of(pod, warnings)
        printed = last_lines(place.cluster, dict(pod), "main")
        sentence = f"{begin}: {step_of(pod)} failed, {why.sentence if why else 'without a reason'}"
        name = pod["metadata"]["name"]
        way_out = f"`kubectl --namespace {place.namespace} logs {name} --container main` has more"
        return f"{sentence}{printed and f'; its last lines are {printed}'}: {way_out}"
    if waiting := next(obstacles(pods, warnings, step_of), ""):
        return f"{begin}: {waiting}"
    message = str((run.get("error") or {}).get("message") or "")
    if pods:
        way_out = place.parts.pipelines_persistence.log
        sentence = "its pods have ended, and Pipelines does not know it"
        return f"{begin}: {message or sentence}: {way_out} has the reason"
    way_out = place.parts.workflows.log
    return f"{begin}: {message or 'it has no pod'}: {way_out} has the reason"


def pipeline_run(platform: Platform) -> Iterator[Finding]:
    """The first run, step by step."""
    about = f"{user_of(platform).namespace}/{_PIPELINE}"
    if reason := unsupported(platform):
        yield good(about, reason)
        return
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
    if ran.executors.executed < _STEPS:
        yield problem(
            about,
            f"{ran.executors.cached} of its {_STEPS} steps were not executed, although no pipeline "
            "of this name was run before: the cache of Pipelines mixes up pipelines",
        )
        return
    yield good(about, f"run {ran.run} executed {_STEPS} steps in {ran.seconds:.0f} s")


def pipeline_cache(platform: Platform) -> Iterator[Finding]:
    """The second run, of which no step is executed."""
    about = f"{user_of(platform).namespace}/{_PIPELINE}"
    if reason := unsupported(platform):
        yield good(about, reason)
        return
    ran = SECOND.of(platform)
    if isinstance(ran, str):
        yield problem(about, f"the second run: {ran}")
        return
    if ran.executors.cached < _STEPS:
        yield problem(
            about,
            f"the same run again executed {ran.executors.executed} of {_STEPS} steps: table tasks "
            "of the database mlpipeline has no fingerprint of the first run, "
            f"{platform.parts.pipelines.log} has the reason",
        )
        return
    yield good(
        about, f"the same run again took all {_STEPS} steps from the cache, in {ran.seconds:.0f} s"
    )


def pipeline_artifact(platform: Platform) -> Iterator[Finding]:
    """The artifact of the first step, in the bucket and through the UI."""
    about = f"{user_of(platform).namespace}/{_ARTIFACT}"
    if reason := unsupported(platform):
        yield good(about, reason)
        return
    ran, place = _succeeded(platform), Place.of(platform)
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
    if written != points(_ROWS):
        yield problem(
            about,
            f"s3://{place.bucket}/{keys[0]} has {len(written)} characters, and not what the step "
            "writes: another program writes into this folder",
        )
        return
    yield good(about, f"s3://{place.bucket}/{keys[0]} has what the step wrote, {_ROWS} lines")
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


def pipeline_log(platform: Platform) -> Iterator[Finding]:
    """The logs of the steps in the bucket."""
    about = f"{user_of(platform).namespace}/main.log"
    if reason := unsupported(platform):
        yield good(about, reason)
        return
    ran, place = _succeeded(platform), Place.of(platform)
    if not ran.workflow:
        raise Refused(f"the run {ran.run} has no Workflow any more, whose name the logs are under.")
    folder = f"{place.logs}{ran.workflow}/"
    s3 = platform.client("s3")
    keys = [key for key in keys_below(s3, place.bucket, folder) if key.endswith("/main.log")]
    texts = [text_of(s3, place.bucket, key) for key in keys]
    printed = [line for line in _PRINTED if any(line.search(text) for text in texts)]
    if len(printed) == _STEPS:
        yield good(
            about,
            f"{len(keys)} logs are below s3://{place.bucket}/{folder}, with what each step printed",
        )
        return
    found = f"{len(keys)} logs, and what {len(printed)} of {_STEPS} steps printed"
    yield problem(
        about,
        f"below s3://{place.bucket}/{folder} are {found}: compare archiveLogs and keyFormat of "
        f"ConfigMap {place.namespace}/artifact-repositories",
    )


def pipeline_rows(platform: Platform) -> Iterator[Finding]:
    """The rows of the first run, in the databases of Pipelines and of ML Metadata."""
    about = f"{user_of(platform).namespace}/{_PIPELINE}"
    if reason := unsupported(platform):
        yield good(about, reason)
        return
    ran = _succeeded(platform)
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
        ("tasks", "ml-pipeline", f"{pipelines}.tasks WHERE RunUUID = '{run}'", _STEPS),
        ("context", "metadata", f"{metadata}.Context WHERE name = '{run}'", 1),
        ("executions", "metadata", joined, _STEPS + 1),
    )
    # Letters, digits and hyphens alone are put into a statement.
    return {
        what: (Question(component, what, f"SELECT COUNT(*) FROM {of}"), least)  # noqa: S608
        for what, component, of, least in counted
    }


def clean(platform: Platform, name: str) -> None:
    """Takes away the experiment of a verification, its runs, artifacts and logs.

    The rows of ML Metadata stay, as those of every run that is deleted.

    Args:
        platform: where it ran, with its user.
        name: of the verification.

    Raises:
        Refused: not all could be taken away.
    """
    with _reached(platform) as forward:
        _clean(platform, Place.of(platform), forward, name)


def _clean(platform: Platform, place: Place, forward: Forward, name: str) -> None:
    """As ``clean``, through an open way."""
    api = Pipelines.of(platform, forward, place.namespace)
    for each in api.experiments(name):
        if each.get("display_name") == name:
            api.delete_experiment(str(each["experiment_id"]))
    s3 = platform.client("s3")
    for folder in _folders(s3, place):
        if run_of(folder) == name:
            delete_folder(s3, place.bucket, folder)


def sweep(platform: Platform) -> None:
    """What verifications that were killed have left in any profile. Raises as ``clean``."""
    if unsupported(platform):
        return
    s3 = platform.client("s3")
    with _reached(platform) as forward:
        for user in platform.settings.users:
            own = replace(platform, user=user.email)
            # A profile without Pipelines has no runs of it.
            with suppress(NoPipelineRoot):
                place = Place.of(own)
                for name in sorted(_left(own, place, forward, s3) - alive(platform.cluster)):
                    _clean(own, place, forward, name)


def _left(platform: Platform, place: Place, forward: Forward, s3: Any) -> set[str]:
    """The verifications that have experiments or folders in the profile of the user."""
    api = Pipelines.of(platform, forward, place.namespace)
    names = [str(each.get("display_name")) for each in api.experiments(PREFIX)]
    # Whoever may not read the bucket cannot have written there either.
    with suppress(CallFailed):
        names += _folders(s3, place)
    return {name for name in map(run_of, names) if name}


def _folders(s3: Any, place: Place) -> list[str]:
    """The folders in the bucket that verifications have made in the profile."""
    both = (place.root, place.logs)
    return [each for at in both for each in folders_below(s3, place.bucket, f"{at}{PREFIX}")]


@contextmanager
def _reached(platform: Platform) -> Generator[Forward]:
    """A way to Pipelines, whose refusals are ``Refused``."""
    try:
        with forward_of(platform) as forward:
            yield forward
    except ApiFailed as failure:
        raise Refused(f"{failure}.") from None


def _succeeded(platform: Platform) -> Ran:
    """The first run. Raises ``Refused``: there is none that succeeded."""
    ran = FIRST.of(platform)
    if isinstance(ran, str):
        raise Refused(f"there is no run that succeeded: {ran}.")
    return ran


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
