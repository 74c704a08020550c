"""Runs of the example pipeline by a token of a profile: made, awaited, and taken away."""

from __future__ import annotations

import random
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from components.objects.pod_reasons import reason_of
from ops.account_calls import CallFailed
from ops.cli_errors import Refused
from ops.live_cluster import LiveCluster
from ops.verification.bucket_objects import delete_folder, folders_below
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
from ops.verification.workspace import Workspace, alive
from rendering.parts import Parts
from settings.users import User

RUN_SECONDS = 15 * 60
"""Of the first run: a node may have to pull four images."""
CACHED_SECONDS = 5 * 60
"""Of the second one, whose drivers run and whose steps do not."""
PIPELINE = "pipeline/line.yaml"
STEPS = 2
ROWS = 100
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
    """The example under a name of its own, which is part of the cache's key too.

    kubeflow/pipelines 2.16.0 backend/src/v2/driver/cache.go: a step that a user has run before is
    another pipeline's, and nobody's later run finds a step of this one, whose artifact is deleted.
    """
    made = example(PIPELINE)
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
    place, before = Place.of(platform), succeeded(platform)
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
    run = api.create_run(name, experiment, compiled, {"rows": ROWS})
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


def succeeded(platform: Platform) -> Ran:
    """The first run. Raises ``Refused``: there is none that succeeded."""
    ran = FIRST.of(platform)
    if isinstance(ran, str):
        raise Refused(f"there is no run that succeeded: {ran}.")
    return ran
