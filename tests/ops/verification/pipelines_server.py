"""The API server of Pipelines as its source says, and what Argo and the launcher do for a run.

kubeflow/pipelines 2.16.0: backend/api/v2beta1 (run.proto, experiment.proto, filter.proto),
backend/src/apiserver/common/utils.go (``CustomMarshaler``: unknown fields are errors),
backend/src/apiserver/server (run_server.go, experiment_server.go) and resource/resource_manager.go
(``IsAuthorized``) for who may, backend/src/apiserver/template/v2_template.go for names;
backend/src/v2/driver/cache.go for the cache, backend/src/v2/compiler/argocompiler for the tasks.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import boto3
import yaml

from tests.examples import FOLDER
from tests.ops.verification.deep_platform import Cluster
from tests.services.tunnels import served

Object = dict[str, Any]
AUDIENCE = "pipelines.kubeflow.org"
_API = "/apis/v2beta1/"
_RUN_FIELDS = {
    *("experiment_id", "display_name", "description", "pipeline_spec", "runtime_config"),
    *("pipeline_version_reference", "pipeline_version_id", "service_account"),
}
_EXPERIMENT_FIELDS = {"display_name", "description", "namespace"}
_OPERATIONS = {"EQUALS", "NOT_EQUALS", "IN", "IS_SUBSTRING"}
_KEYS = {"id", "experiment_id", "name", "display_name", "namespace", "storage_state"}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13}
STEPS = ("make-points", "fit-line")


class Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Server:
    """Experiments and runs, and what is wrong with them.

    Attributes:
        cluster: gets Workflows and pods.
        bucket: of artifacts.
        rights: namespace of a default-editor -> namespaces in which it may.
        stuck: a step's pod has this status instead of running.
        fails: a step whose program fails.
        caches: whether a step that was executed is found again.
        writes_artifacts: whether the launcher does.
        writes_logs: whether Argo's executor does, of steps; likewise of drivers.
        refuses: method and collection -> status.
        silent: whether the state of a run is never reported.
        lists_tasks: whether the steps of a run are reported.
    """

    cluster: Cluster
    bucket: str
    rights: dict[str, set[str]] = field(
        default_factory=lambda: {"alice": {"alice"}, "bob": {"bob"}}
    )
    stuck: Object | None = None
    fails: str = ""
    caches: bool = True
    writes_artifacts: bool = True
    writes_logs: bool = True
    writes_drivers_logs: bool = True
    refuses: dict[str, int] = field(default_factory=dict[str, int])
    silent: bool = False
    lists_tasks: bool = True
    experiments: dict[str, Object] = field(default_factory=dict[str, Object])
    runs: dict[str, Object] = field(default_factory=dict[str, Object])
    executed: set[str] = field(default_factory=set[str])
    asked: list[str] = field(default_factory=list[str])
    polls: dict[str, int] = field(default_factory=dict[str, int])
    port: int = 0

    # -- requests -------------------------------------------------------------------------------

    def answer(
        self, method: str, path: str, query: Mapping[str, str], token: str, body: Object | None
    ) -> Object:
        collection, _, name = path.removeprefix(_API).partition("/")
        self.asked.append(f"{method} {collection}")
        if status := self.refuses.get(f"{method} {collection}"):
            raise Refusal(status, "Internal Server Error")
        if method == "POST":
            assert body is not None
            create = self._create_run if collection == "runs" else self._create_experiment
            return create(token, body)
        if name:
            return self._one(method, collection, name, token)
        return self._listed(collection, query, token)

    def _create_experiment(self, token: str, body: Object) -> Object:
        _known(body, _EXPERIMENT_FIELDS)
        namespace = body.get("namespace") or ""
        self._authorize(token, namespace, "experiment")
        if not body.get("display_name"):
            raise Refusal(400, "experiment's name cannot be empty")
        for each in self.experiments.values():
            if (each["display_name"], each["namespace"]) == (body["display_name"], namespace):
                raise Refusal(409, f"The name {body['display_name']} already exists.")
        made = {"experiment_id": str(uuid4()), "storage_state": "AVAILABLE", **body}
        self.experiments[made["experiment_id"]] = made
        return made

    def _create_run(self, token: str, body: Object) -> Object:
        _known(body, _RUN_FIELDS)
        _known(body.get("runtime_config") or {}, {"parameters", "pipeline_root"})
        if not body.get("display_name"):
            raise Refusal(400, "The run name is empty. Please specify a valid name")
        experiment = self.experiments.get(body.get("experiment_id", ""))
        if experiment is None:
            raise Refusal(404, "ResourceNotFoundError: Experiment not found.")
        namespace = experiment["namespace"]
        self._authorize(token, namespace, "run")
        name = ((body.get("pipeline_spec") or {}).get("pipelineInfo") or {}).get("name", "")
        if not _NAME.fullmatch(name):
            raise Refusal(400, "pipelineInfo.name is empty or invalid")
        run = {**body, "run_id": str(uuid4()), "state": "PENDING", "storage_state": "AVAILABLE"}
        self.runs[run["run_id"]] = run
        workflow = f"{name}-{run['run_id'][:5]}"
        self.cluster.put(
            f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows",
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Workflow",
                "metadata": {"name": workflow, "labels": {"pipeline/runid": run["run_id"]}},
            },
        )
        return run

    def _one(self, method: str, collection: str, name: str, token: str) -> Object:
        stored = self.runs if collection == "runs" else self.experiments
        if name not in stored:
            raise Refusal(404, f"ResourceNotFoundError: {collection} {name} not found.")
        found = stored[name]
        namespace = found.get("namespace") or self.experiments[found["experiment_id"]]["namespace"]
        self._authorize(token, namespace, collection)
        if method == "DELETE":
            del stored[name]
            if collection == "runs":
                self._forget(namespace, name)
            return {}
        if collection == "runs" and not self.silent:
            self.polls[name] = self.polls.get(name, 0) + 1
            self._advance(found, namespace, self.polls[name])
        return found

    def _forget(self, namespace: str, run: str) -> None:
        for path, obj in list(self.cluster.objects.items()):
            labels = obj["metadata"].get("labels") or {}
            if labels.get("pipeline/runid") == run and f"/namespaces/{namespace}/" in path:
                del self.cluster.objects[path]

    def _listed(self, collection: str, query: Mapping[str, str], token: str) -> Object:
        if collection == "runs":
            experiment = self.experiments.get(query.get("experiment_id", ""))
            if experiment is None:
                raise Refusal(404, "Failed to list runs due to error fetching namespace")
            self._authorize(token, experiment["namespace"], "runs")
            mine = [
                each
                for each in self.runs.values()
                if each["experiment_id"] == experiment["experiment_id"]
            ]
            return {"runs": mine, "total_size": len(mine)} if mine else {}
        self._authorize(token, query.get("namespace", ""), "experiments")
        wanted = [
            each for each in self.experiments.values() if each["namespace"] == query["namespace"]
        ]
        for predicate in json.loads(query.get("filter", "{}")).get("predicates", []):
            if predicate["operation"] not in _OPERATIONS or predicate["key"] not in _KEYS:
                raise Refusal(400, f"Unrecognized operation or key: {predicate}")
            text = predicate["string_value"]
            assert predicate["operation"] == "IS_SUBSTRING"
            wanted = [each for each in wanted if text in each["display_name"]]
        # Two on a page, whatever is asked for: a server may give fewer.
        start = int(query.get("page_token") or 0)
        more = {"next_page_token": str(start + 2)} if len(wanted) > start + 2 else {}
        return {"experiments": wanted[start : start + 2], "total_size": len(wanted), **more}

    def _authorize(self, token: str, namespace: str, what: str) -> None:
        parts = token.removeprefix("Bearer ").split("/")
        if not token.startswith("Bearer ") or len(parts) != 3 or parts[2] != AUDIENCE:
            raise Refusal(
                401,
                "Failed to check authorization. User identity is empty in the request header",
            )
        if not namespace:
            raise Refusal(400, f"A {what} cannot have an empty namespace in multi-user mode")
        if namespace not in self.rights.get(parts[0], set()) or parts[1] != "default-editor":
            user = f"system:serviceaccount:{parts[0]}:{parts[1]}"
            raise Refusal(403, f"User '{user}' is not authorized with reason:  (request: {what})")

    # -- Argo and the launcher ------------------------------------------------------------------

    def _advance(self, run: Object, namespace: str, poll: int) -> None:
        if run["state"] in ("SUCCEEDED", "FAILED"):
            if poll > 8:
                run["run_details"] = {"task_details": self._tasks(run)}
            return
        cached = self.caches and self._key(run) in self.executed
        if poll == 1:
            driver = self._pod(run, namespace, "root-driver", {"phase": "Succeeded"})
            if self.writes_drivers_logs:
                printed = "I1129 input ComponentSpec:{slope NUMBER_DOUBLE}, 100 points\n"
                self._write(f"{self._logs(run, namespace)}/{driver}/main.log", printed)
            return
        run["state"] = "RUNNING"
        if cached:
            run["cached"] = True
        else:
            ready = {"conditions": [{"type": "Ready", "status": "True"}]}
            status = self.stuck or {"phase": "Running", **ready}
            self._pod(run, namespace, f"root.{STEPS[0]}.executor", status)
            if self.stuck or poll < 6:
                return
            self._end(run, namespace)
        if run["state"] == "RUNNING":
            run["state"] = "SUCCEEDED"
            self.executed.add(self._key(run))
            # The run is reported before its tasks.
            run["run_details"] = {"task_details": self._tasks(run, ended=False)}

    def _key(self, run: Object) -> str:
        parameters = (run.get("runtime_config") or {}).get("parameters")
        return json.dumps([run["pipeline_spec"], parameters], sort_keys=True)

    def _end(self, run: Object, namespace: str) -> None:
        parameters = (run.get("runtime_config") or {}).get("parameters") or {}
        rows = int(parameters.get("rows", 100))
        for step in STEPS:
            failed = step == self.fails
            ended = {"exitCode": 1, "reason": "Error"} if failed else {"exitCode": 0}
            status = {
                "phase": "Failed" if failed else "Succeeded",
                "containerStatuses": [{"name": "main", "state": {"terminated": ended}}],
            }
            pod = self._pod(run, namespace, f"root.{step}.executor", status)
            printed = f"{rows} points\n" if step == STEPS[0] else "slope 2.999\n"
            if failed:
                printed = (
                    "starting\npassword=hunter2\nTraceback (most recent call last):\n"
                    "ValueError: no points\n"
                )
                run["state"] = "FAILED"
            self.cluster.printed[namespace, pod, "main"] = printed
            if self.writes_logs:
                self._write(f"{self._logs(run, namespace)}/{pod}/main.log", printed)
            if failed:
                return
        if self.writes_artifacts:
            name = run["pipeline_spec"]["pipelineInfo"]["name"]
            root = f"private-artifacts/{namespace}/v2/artifacts/{name}/{run['run_id']}"
            self._write(f"{root}/{STEPS[0]}/{uuid4()}/points", points(rows))

    def _write(self, key: str, text: str) -> None:
        s3: Any = boto3.client("s3", region_name="cn-north-1")
        s3.put_object(Bucket=self.bucket, Key=key, Body=text.encode())

    def _logs(self, run: Object, namespace: str) -> str:
        return f"private-artifacts/{namespace}/{self._workflow(run)}/2026/11/29"

    def _workflow(self, run: Object) -> str:
        return f"{run['pipeline_spec']['pipelineInfo']['name']}-{run['run_id'][:5]}"

    def _pod(self, run: Object, namespace: str, node: str, status: Object) -> str:
        workflow = self._workflow(run)
        name = f"{workflow}-{node.replace('.', '-')}"
        path = f"/api/v1/namespaces/{namespace}/pods"
        image = "docker.io/library/python:3.11"
        self.cluster.put(
            path,
            {
                "metadata": {
                    "name": name,
                    "labels": {"pipeline/runid": run["run_id"]},
                    "annotations": {"workflows.argoproj.io/node-name": f"{workflow}.{node}"},
                },
                "spec": {"containers": [{"name": "main", "image": image}]},
                "status": status,
            },
        )
        return name

    def _tasks(self, run: Object, *, ended: bool = True) -> list[Object]:
        if not self.lists_tasks:
            return []
        names = ["root", "root-driver", *STEPS, *(f"{step}-driver" for step in STEPS)]
        details = [{"display_name": name, "state": "SUCCEEDED"} for name in names]
        last = "SKIPPED" if run.get("cached") else "SUCCEEDED"
        executors = [{"display_name": "executor", "state": last} for _ in STEPS]
        if not ended:
            executors[-1]["state"] = "RUNNING"
        return [*details, *executors]


def points(rows: int) -> str:
    """What make-points of examples/pipeline/line.py writes; the example's own program is asked."""
    spec = yaml.safe_load((FOLDER / "pipeline/line.yaml").read_text())
    container = spec["deploymentSpec"]["executors"]["exec-make-points"]["container"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "points"
        program = container["command"][2]
        subprocess.run([sys.executable, "-c", program, str(rows), str(file)], check=True)
        return file.read_text()


def _known(body: Mapping[str, Any], fields: set[str]) -> None:
    for name in body:
        if name not in fields:
            raise Refusal(400, f'proto: (line 1:2): unknown field "{name}"')


@contextmanager
def serving(server: Server) -> Generator[Server]:
    """Serves on a free port until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_DELETE(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self._answer(json.loads(self.rfile.read(length)))

        def _answer(self, body: Object | None) -> None:
            asked = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(asked.query).items()}
            token = self.headers.get("Authorization", "")
            status = 200
            try:
                told = server.answer(self.command, asked.path, query, token, body)
            except Refusal as refusal:
                status = refusal.status
                told = {"code": _CODES[status], "message": str(refusal), "details": []}
            text = json.dumps({key: told[key] for key in told if key != "cached"}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    with served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as running:
        server.port = running.server_address[1]
        yield server
