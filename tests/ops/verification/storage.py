"""A platform for the checks of database and bucket: lists of a cluster, and pods that print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from ops.account_calls import client
from ops.findings import Finding, Level
from ops.live_cluster import LiveCluster
from ops.verification.check import Check
from ops.verification.platform import Platform
from ops.verification.workspace import Workspace
from settings import from_mapping
from settings.context import StackContext
from tests.ops.account import Answers, session

ACCOUNT = "123456789012"
"""moto's."""
NAMESPACE = "kubeflow-database"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
Printing = Callable[[Mapping[str, Any]], str]
"""What the pod of a Job prints."""


@dataclass
class PlayedCluster:
    """Lists by path; the status of Jobs that a workspace has made."""

    lists: dict[str, list[Mapping[str, Any]]] = field(
        default_factory=dict[str, list[Mapping[str, Any]]]
    )
    end: str = "Complete"

    def all(self, path: str, **selected: str) -> list[Mapping[str, Any]]:
        return self.lists.get(path, [])

    def answer(self, method: str, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        assert (method, query) == ("GET", {})
        # k8s.io/api batch/v1, JobConditionType, in the order in which the controller adds them.
        before = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}.get(self.end)
        types = [before, self.end] if before else []
        return {"status": {"conditions": [{"type": each, "status": "True"} for each in types]}}


@dataclass
class PlayedWorkspace:
    """Runs no pod; its Jobs end as the cluster says."""

    namespace: str
    printing: Printing | str
    created: list[Mapping[str, Any]]
    run: str = "kf-verify-1a2b3c4d0a06"

    def create(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        assert "generateName" in obj["metadata"], "a second Job of that name would be a conflict"
        self.created.append(obj)
        name = f"{self.run}-{obj['metadata']['generateName']}{len(self.created)}"
        return {**obj, "metadata": {**obj["metadata"], "name": name}}

    def wait(self, what: str, done: Callable[[], str | None], seconds: float) -> str | None:
        assert 0 < seconds <= 600
        return done()

    def logs(self, job: str) -> str:
        assert job.startswith(self.run)
        return self.printing if isinstance(self.printing, str) else self.printing(self.created[-1])


@dataclass
class Storage:
    """The platform and what was made on it."""

    platform: Platform
    cluster: PlayedCluster
    created: list[Mapping[str, Any]]


def init_job(rotation: int = 1, *, failed: bool = False) -> dict[str, Any]:
    """The Job ``database-init`` as the API server returns it, as far as it is read."""
    labels = {"app": "database-init", "batch.kubernetes.io/job-name": "x", "controller-uid": "u"}
    spec = {
        "restartPolicy": "Never",
        "containers": [{"name": "database-init", "image": "mysql:8.4.11", "command": ["bash"]}],
    }
    conditions = [{"type": "Failed" if failed else "Complete", "status": "True"}]
    return {
        "metadata": {"name": f"database-init-{rotation}"},
        "spec": {"template": {"metadata": {"labels": labels}, "spec": spec}},
        "status": {"conditions": conditions},
    }


def storage(
    region: str = "cn-north-1",
    *,
    answers: Answers | None = None,
    printing: Printing | str = "",
    **sections: Any,
) -> Storage:
    """A platform in an account on moto.

    Args:
        region: of the stack.
        answers: of AWS, where moto has none.
        printing: what every pod prints.
        sections: of the stack file.
    """
    settings = from_mapping({"region": region, **sections})
    made = session(answers)
    cluster, created = PlayedCluster({JOBS: [init_job()]}), list[Mapping[str, Any]]()

    def workspace(namespace: str) -> Workspace:
        return cast("Workspace", PlayedWorkspace(namespace, printing, created))

    platform = Platform(
        stack=region,
        settings=settings,
        context=StackContext.of(settings, ACCOUNT, {}),
        cluster=cast("LiveCluster", cluster),
        client=lambda service: client(settings, made, service),
        workspace=workspace,
    )
    return Storage(platform, cluster, created)


def found(check: Check | Callable[[Platform], Any], platform: Platform) -> list[Finding]:
    """The findings of a check; one that is right has at least one, as sentences of one line."""
    examine = check.examine if isinstance(check, Check) else check
    findings: list[Finding] = list(examine(platform))
    assert findings
    for each in findings:
        assert "\n" not in each.sentence
        assert "\n" not in each.about
        assert not each.sentence.endswith(".")
    return findings


def passes(findings: list[Finding]) -> bool:
    return all(each.level is Level.GOOD for each in findings)


def sentences(findings: list[Finding], level: Level = Level.PROBLEM) -> list[str]:
    """``about: sentence`` of each finding of a level."""
    return [f"{each.about}: {each.sentence}" for each in findings if each.level is level]
