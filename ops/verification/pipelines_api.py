"""The API of Pipelines in one profile, as a program of that profile uses it, and what it answers.

kubeflow/pipelines 2.16.0: backend/api/v2beta1/run.proto and experiment.proto for the messages;
backend/src/apiserver/common/utils.go (``CustomMarshaler``) for their JSON, which refuses unknown
fields; backend/src/v2/compiler/argocompiler/container.go for the tasks that a step becomes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from ops.verification.forward import Forward
from ops.verification.platform import Platform
from rendering.parts import Part

AUDIENCE = "pipelines.kubeflow.org"
ACCOUNT = "default-editor"
PORT = 8888
_API = "/apis/v2beta1"
_TOKEN_SECONDS = 3600
_PAGE = 100
FINAL_STATES = ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED")
"""Of ``RuntimeState`` in run.proto: a run or task in one of them changes no more."""
_EXECUTOR = "executor"
"""Display name of the task that is the pod of a step; Argo skips it where the driver found the
step's result in the cache."""


class ApiFailed(Exception):
    """Pipelines refuses a request; the message is a sentence with the way out.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class Executors(NamedTuple):
    """How many steps of a run were executed and how many were not, because their result existed."""

    executed: int
    cached: int
    open: int

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> Executors:
        """Of a run as the API has it."""
        details = (run.get("run_details") or {}).get("task_details") or []
        states = [each.get("state") for each in details if each.get("display_name") == _EXECUTOR]
        cached = states.count("SKIPPED")
        ended = sum(state in FINAL_STATES for state in states)
        return cls(executed=ended - cached, cached=cached, open=len(states) - ended)


def token(platform: Platform, namespace: str) -> str:
    """A token of ``default-editor``, as the kubelet puts into a notebook. Raises ``Refused``."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{ACCOUNT}/token"
    spec = {"audiences": [AUDIENCE], "expirationSeconds": _TOKEN_SECONDS}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return str(platform.cluster.answer("POST", path, {}, body)["status"]["token"])


class Pipelines:
    """Experiments and runs of one profile.

    Args:
        forward: to the API server of Pipelines.
        bearer: a token of the profile.
        namespace: of the profile.
        part: the API server of Pipelines, for the ways out.
    """

    def __init__(self, forward: Forward, bearer: str, namespace: str, part: Part) -> None:
        self._forward, self._bearer, self._namespace = forward, bearer, namespace
        self._part = part

    @classmethod
    def of(cls, platform: Platform, forward: Forward, namespace: str) -> Pipelines:
        """With a token of its own. Raises ``Refused``."""
        return cls(forward, token(platform, namespace), namespace, platform.parts.pipelines)

    def create_experiment(self, name: str) -> str:
        """Makes an experiment; returns its ID."""
        body = {"display_name": name, "namespace": self._namespace}
        return str(self._ask("POST", "experiments", body)["experiment_id"])

    def create_run(
        self, name: str, experiment: str, pipeline: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> str:
        """Begins a run; returns its ID.

        Args:
            name: of the run.
            experiment: ID.
            pipeline: as the SDK compiles it.
            parameters: its inputs.
        """
        body = {
            "display_name": name,
            "experiment_id": experiment,
            "pipeline_spec": pipeline,
            "runtime_config": {"parameters": dict(parameters)},
            "service_account": ACCOUNT,
        }
        return str(self._ask("POST", "runs", body)["run_id"])

    def run(self, run: str) -> dict[str, Any]:
        """A run."""
        return self._ask("GET", f"runs/{run}")

    def runs(self, experiment: str) -> list[dict[str, Any]]:
        """The runs of an experiment."""
        return list(self._all("runs", experiment_id=experiment))

    def experiments(self, part: str) -> list[dict[str, Any]]:
        """The experiments whose name contains a text."""
        predicate = {"key": "name", "operation": "IS_SUBSTRING", "string_value": part}
        filtered = json.dumps({"predicates": [predicate]})
        return list(self._all("experiments", namespace=self._namespace, filter=filtered))

    def delete_experiment(self, experiment: str) -> None:
        """Deletes an experiment with its runs, and what those have in the cluster."""
        for run in self.runs(experiment):
            self._gone(f"runs/{run['run_id']}")
        self._gone(f"experiments/{experiment}")

    def _gone(self, path: str) -> None:
        try:
            self._ask("DELETE", path)
        except ApiFailed as failure:
            if failure.status != 404:
                raise

    def _all(self, collection: str, **query: str) -> Iterator[dict[str, Any]]:
        page = ""
        while True:
            asked = {**query, "page_size": str(_PAGE), **({"page_token": page} if page else {})}
            answer = self._ask("GET", f"{collection}?{urlencode(asked)}")
            yield from answer.get(collection) or []
            page = answer.get("next_page_token") or ""
            if not page:
                return

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._bearer}"}
        answer = self._forward.request(f"{_API}/{path}", method=method, headers=headers, json=body)
        told = answer.json
        if answer.status == 200 and isinstance(told, dict):
            return told
        message = told.get("message") if isinstance(told, dict) else answer.text
        raise ApiFailed(
            self._sentence(method, path.partition("?")[0], answer.status, str(message or "")),
            answer.status,
        )

    def _sentence(self, method: str, path: str, status: int, message: str) -> str:
        short = " ".join(message.split())[:300]
        said = f"Pipelines answers {status} to {method} {path}{short and f' ({short})'}"
        who = f"{ACCOUNT} of {self._namespace}"
        match status:
            case 401:
                return (
                    f"{said}: it does not take the token of {who}; Deployment "
                    f"{self._part.deployments[0]} needs the audience {AUDIENCE} and the right to "
                    "create tokenreviews"
                )
            case 403:
                return (
                    f"{said}: RoleBinding {ACCOUNT} in {self._namespace} has to give {who} the "
                    "ClusterRole kubeflow-edit; `kubectl describe profile "
                    f"{self._namespace}` shows whether the profile controller made it"
                )
            case _:
                return f"{said}: {self._part.log} has the reason"


def step_of(pod: Mapping[str, Any]) -> str:
    """The step of a pipeline that a pod of a run is for, by Argo's name of the node.

    argo-workflows v3.7.3 workflow/common/common.go (``AnnotationKeyNodeName``):
    ``line-x7k2p.root.make-points.executor``, and ``...root.make-points-driver`` for what prepares
    it.
    """
    annotations = pod["metadata"].get("annotations") or {}
    node = str(annotations.get("workflows.argoproj.io/node-name") or pod["metadata"]["name"])
    parts = [part for part in node.split(".")[1:] if part not in ("root", _EXECUTOR)]
    name = parts[-1] if parts else node.rpartition(".")[2]
    return f"step {name.removesuffix('-driver')}" + (
        " (its driver)" if name.endswith("-driver") else ""
    )


def final_state(run: Mapping[str, Any]) -> str | None:
    """The state of a run that changes no more, with those of its steps; None before."""
    state = str(run.get("state") or "")
    # The persistence agent reports a run before its tasks (report_server.go, reportWorkflow).
    return state if state in FINAL_STATES and not Executors.of(run).open else None


def failed(pods: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first pod that failed."""
    return next((pod for pod in pods if (pod.get("status") or {}).get("phase") == "Failed"), None)
