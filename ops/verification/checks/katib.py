"""Katib's random search of ``examples/``, from the experiment to the rows of its trials.

kubeflow/katib v0.19.0 pkg/apis/controller/experiments/v1beta1/experiment_types.go for the status;
its rows go with the trials (pkg/controller.v1beta1/trial/trial_controller_util.go,
``clean-metrics-in-db``), which go with the experiment.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.cli_errors import Refused
from ops.findings import Finding, good, problem
from ops.karpenter_status import conditions
from ops.live_cluster import Rejected
from ops.verification.check import Check
from ops.verification.database_rows import rows, users_of
from ops.verification.examples import example, where_examples_run
from ops.verification.once import Once
from ops.verification.platform import Platform
from ops.verification.profile import refuse_used_up_quota, user_of
from ops.verification.waiting import last_lines, obstacles, pods_of, wait, warnings_of

SECONDS = 20 * 60
_FILE = "katib-random.yaml"
_API = "/apis/kubeflow.org/v1beta1"
_EXPERIMENT = "katib.kubeflow.org/experiment"
_MAIN = "training-container"
_COLLECTOR = "metrics-logger-and-collector"
_TRIAL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
Object = Mapping[str, Any]


@dataclass(frozen=True)
class Searched:
    """An experiment that succeeded.

    Attributes:
        name: of the experiment.
        trials: names of those that succeeded.
        seconds: from its creation to its end.
        best: the optimal trial with its metric, as a sentence.
    """

    name: str
    trials: tuple[str, ...]
    seconds: float
    best: str


def ended(experiment: Object) -> str | None:
    """``Succeeded`` or ``Failed``; None: neither."""
    true = {each["type"] for each in conditions(experiment) if each["status"] == "True"}
    return next((kind for kind in ("Failed", "Succeeded") if kind in true), None)


def optimum(experiment: Object) -> str:
    """The optimal trial with its assignments and its metric; empty: the status has none."""
    status = experiment.get("status") or {}
    best = status.get("currentOptimalTrial") or {}
    wanted = experiment["spec"]["objective"]["objectiveMetricName"]
    metrics = (best.get("observation") or {}).get("metrics") or []
    found = next((each for each in metrics if each.get("name") == wanted), None)
    if not best.get("bestTrialName") or found is None:
        return ""
    assigned = ", ".join(
        f"{each['name']}={each['value'][:8]}" for each in best.get("parameterAssignments") or []
    )
    return f"{best['bestTrialName']} with {wanted} {found.get('latest')} ({assigned})"


def _search(platform: Platform) -> Searched | str:
    """The experiment, or why it did not succeed."""
    namespace = user_of(platform).namespace
    workspace, cluster = platform.workspace(namespace), platform.cluster
    begun = time.monotonic()
    try:
        name = str(workspace.create(example(_FILE))["metadata"]["name"])
    except Rejected as rejected:
        return f"{rejected}: {platform.parts.katib.log} has what its webhooks say"
    path = f"{_API}/namespaces/{namespace}/experiments/{name}"
    selector = f"{_EXPERIMENT}={name}"

    def doing() -> str:
        status = (cluster.one(path) or {}).get("status") or {}
        done = f"{status.get('trialsSucceeded', 0)} of {status.get('trials', 0)} trials have ended"
        pods, warnings = pods_of(cluster, namespace, selector), warnings_of(cluster, namespace)
        # While trials of its own hold the quota, the next one waits for them.
        if not pods:
            refuse_used_up_quota(warnings, workspace.run)
        return next(obstacles(pods, warnings), done)

    what = f"the experiment {name} of Katib"

    def over() -> str | None:
        found = cluster.one(path)
        return ended(found) if found else "deleted"

    end = wait(workspace, what, over, SECONDS, doing)
    experiment = cluster.one(path)
    if experiment is None:
        return f"somebody deleted the experiment {name}"
    best = optimum(experiment)
    if end != "Succeeded" or not best:
        return _reason(platform, experiment, end)
    status = experiment["status"]
    trials = tuple(map(str, status.get("succeededTrialList") or ()))
    return Searched(name, trials, time.monotonic() - begun, best)


SEARCH = Once(_search)


def _reason(platform: Platform, experiment: Object, end: str | None) -> str:
    """Why an experiment has no result, by its trials, their pods and its own conditions."""
    cluster, status = platform.cluster, experiment.get("status") or {}
    namespace, name = experiment["metadata"]["namespace"], experiment["metadata"]["name"]
    begin = f"it is {end}" if end else f"it has not ended after {SECONDS} s"
    pods = pods_of(cluster, namespace, f"{_EXPERIMENT}={name}")
    unavailable = status.get("metricsUnavailableTrialList") or []
    trials = {
        str(each["metadata"]["name"]): each
        for each in cluster.all(f"{_API}/namespaces/{namespace}/trials")
    }
    if unavailable or (end == "Succeeded" and not status.get("failedTrialList")):
        trial = next(iter(unavailable), "")
        pod = next((each for each in pods if trial and trial in each["metadata"]["name"]), None)
        printed = last_lines(cluster, pod, _COLLECTOR) if pod else ""
        database = platform.parts.katib_database
        which = f"{trial} has no metric" if trial else "no trial has a metric"
        return (
            f"{begin}, and {which} of the objective"
            f"{printed and f'; the last lines of its collector are {printed}'}: the collector in "
            f"a trial's pod has to reach port 6789 of Service {database.service}, {database.log} "
            "has the rest"
        )
    for trial in status.get("failedTrialList") or []:
        own = conditions(trials.get(trial, {}))
        told = next((each for each in own if each["type"] == "Failed"), {})
        pod = next((each for each in pods if trial in each["metadata"]["name"]), None)
        printed = last_lines(cluster, pod, _MAIN) if pod else ""
        why = next(obstacles([pod], warnings_of(cluster, namespace)), "") if pod else ""
        message = told.get("message") or "without a message"
        return (
            f"{begin}: {trial} failed ({message}){why and f', {why}'}"
            f"{printed and f'; its last lines are {printed}'}: `kubectl --namespace {namespace} "
            f"describe trial {trial}` has more"
        )
    if waiting := next(obstacles(pods, warnings_of(cluster, namespace)), ""):
        return f"{begin}: {waiting}"
    told = next((each for each in conditions(experiment)[::-1] if each["status"] == "True"), {})
    said = told.get("message") or "Katib's controller has not looked at it"
    return f"{begin} ({said}): {platform.parts.katib.log} has the reason"


@where_examples_run(_FILE)
def katib_experiment(platform: Platform) -> Iterator[Finding]:
    """The experiment with its optimal trial."""
    about = f"{user_of(platform).namespace}/{_FILE}"
    searched = SEARCH.of(platform)
    if isinstance(searched, str):
        yield problem(about, searched)
        return
    yield good(
        about,
        f"{len(searched.trials)} trials succeeded in {searched.seconds:.0f} s; the best is "
        f"{searched.best}",
    )


def statement(database: str, trials: Sequence[str]) -> str:
    """Counts the rows of each trial. Raises ``Refused``: a name is none of Kubernetes."""
    if not trials or not all(map(_TRIAL.fullmatch, trials)):
        raise Refused("the experiment names no trials whose rows could be looked for.")
    names = ", ".join(f"'{trial}'" for trial in trials)
    return (
        f"SELECT trial_name, COUNT(*) FROM {database}.observation_logs "  # noqa: S608
        f"WHERE trial_name IN ({names}) GROUP BY trial_name"
    )


@where_examples_run("observation_logs")
def katib_rows(platform: Platform) -> Iterator[Finding]:
    """The metrics of every trial in Katib's database."""
    about = f"{user_of(platform).namespace}/observation_logs"
    searched = SEARCH.of(platform)
    if isinstance(searched, str):
        raise Refused(f"there is no experiment that succeeded: {searched}")
    asked = statement(users_of(platform)["katib"].database, searched.trials)
    counted = {row[0]: int(row[1]) for row in rows(platform, "katib", asked)}
    missing = [trial for trial in searched.trials if not counted.get(trial)]
    if missing:
        yield problem(
            about,
            f"{len(missing)} of {len(searched.trials)} trials have no row, {missing[0]} first: "
            f"{platform.parts.katib_database.log} has the reason",
        )
        return
    yield good(about, f"{sum(counted.values())} rows of {len(searched.trials)} trials")


CHECKS: tuple[Check, ...] = (
    Check(
        "katib-experiment",
        "the random search of the examples, to its optimal trial",
        katib_experiment,
        creates=True,
    ),
    Check(
        "katib-rows",
        "the rows of its trials in observation_logs",
        katib_rows,
        creates=True,
        needs=("katib-experiment",),
    ),
)
