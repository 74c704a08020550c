"""Questions to the database, asked by a pod in the namespace of the Job ``database-init``.

The pod is that Job's own with another command, so that image, option files, authorities and
security are those with which the platform made its users, in every release and behind a mirror.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.cli_errors import Refused
from ops.verification.finished_jobs import output_of
from ops.verification.platform import Platform
from program import database_users
from rendering.release import DatabaseUser

NAMESPACE = "kubeflow-database"
Row = tuple[str, ...]
_SCRIPT = Path(__file__).with_suffix(".sh")
_FOLDER = "/etc/database-secrets"
_JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
_INIT = re.compile(r"database-init-(\d+)")
_SECONDS = 300
_SERVER = re.compile(r"ERROR \d+ ")
"""The start of the client's sentence about an error with a number."""
_OF_A_JOB = re.compile(r"(batch\.kubernetes\.io/)?(controller-uid|job-name)")
"""Labels by which a Job knows its pods (k8s.io/api batch/v1, well_known_labels.go)."""
# MySQL manual, mysql-command-options.html, --raw: what batch mode escapes.
_ESCAPED = re.compile(r"\\([nt0\\])")
_CHARACTERS = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


@dataclass(frozen=True)
class Question:
    """A statement that one component's user runs.

    Attributes:
        component: of the release, whose user asks.
        name: of the question, among those of the component.
        plain: whether the connection is one without TLS.
    """

    component: str
    name: str
    statement: str
    plain: bool = False


@dataclass(frozen=True)
class Answer:
    """The rows of a statement, or why there are none.

    Attributes:
        error: the client's sentence, ``ERROR 1045 (28000): ...``; empty: the statement ran.
    """

    rows: tuple[Row, ...] = ()
    error: str = ""


Answers = Mapping[tuple[str, str], Answer]
"""By component and name; a question that was not asked after an error is absent."""


@dataclass(frozen=True)
class InitJob:
    """The Job ``database-init`` of the platform.

    Attributes:
        rotation: the number in its name.
        failed: whether it has ended without success.
        template: of its pod.
    """

    rotation: int
    failed: bool
    template: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Of the Job, and of the Secret with the passwords that it sets."""
        return f"database-init-{self.rotation}"


class InitJobMissing(Refused):
    """The platform has no Job ``database-init``."""


def users_of(platform: Platform) -> dict[str, DatabaseUser]:
    """Component of the release that the platform has -> its user."""
    return database_users(platform.settings)


def init_job(platform: Platform) -> InitJob:
    """The newest one.

    Raises:
        InitJobMissing
        Refused: there is no right to read it.
    """
    jobs = {
        int(match[1]): job
        for job in platform.cluster.all(_JOBS)
        if (match := _INIT.fullmatch(job["metadata"]["name"]))
    }
    if not jobs:
        wanted = f"database-init-{platform.settings.database.rotation}"
        raise InitJobMissing(
            f"namespace {NAMESPACE} has no Job {wanted}, which makes the users of the database: "
            "`pulumi up --refresh` makes it again."
        )
    rotation = max(jobs)
    conditions = (jobs[rotation].get("status") or {}).get("conditions") or []
    failed = any(each["type"] == "Failed" and each["status"] == "True" for each in conditions)
    return InitJob(rotation, failed, jobs[rotation]["spec"]["template"])


def ask(platform: Platform, questions: Sequence[Question]) -> Answers:
    """Runs the statements in one pod, each with a connection of its own.

    Raises:
        Refused: the pod cannot be made or does not end (``JobFailed``), or the answer is cut off.
    """
    job = job_of(init_job(platform), questions)
    printed = output_of(platform, NAMESPACE, job, "the answers of the database")
    return answers(printed, {each.component for each in questions})


def rows(platform: Platform, component: str, statement: str) -> list[list[str]]:
    """What a statement of a component's user returns.

    Args:
        platform: whose database is asked.
        component: whose user asks.
        statement: text of the program, since it is in the Job as it is.

    Raises:
        Refused: the pod cannot be made or does not end, or the statement fails.
    """
    answer = ask(platform, [Question(component, "rows", statement)])[component, "rows"]
    if answer.error:
        raise Refused(f"the database answers {component}: {answer.error}.")
    return [list(row) for row in answer.rows]


def job_of(init: InitJob, questions: Iterable[Question]) -> dict[str, Any]:
    """The Job that asks.

    Args:
        init: whose pod it has.
        questions: whose statements are arguments of its container.
    """
    template, spec = init.template, init.template["spec"]
    (container,) = spec["containers"]
    arguments = [
        text
        for each in questions
        for text in (each.component, each.name, "plain" if each.plain else "tls", each.statement)
    ]
    script = _SCRIPT.read_text("utf-8")
    command = ["bash", "-c", script, "database-rows", _FOLDER, *arguments]
    metadata = template.get("metadata") or {}
    labels = {
        key: value
        for key, value in (metadata.get("labels") or {}).items()
        if not _OF_A_JOB.fullmatch(key)
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "database-rows-", "namespace": NAMESPACE},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": _SECONDS,
            "template": {
                "metadata": {"labels": labels, "annotations": metadata.get("annotations") or {}},
                "spec": {**spec, "containers": [{**container, "command": command}]},
            },
        },
    }


def answers(printed: str, components: Collection[str]) -> Answers:
    """What the script has printed.

    Raises:
        Refused: its last line is missing, or a line is of none of the components.
    """
    lines = printed.splitlines()
    if not lines or lines[-1] != "end":
        raise Refused("the answers of the database are cut off: run the command again.")
    found: dict[tuple[str, str], Answer] = {}
    for line in lines[:-1]:
        component, name, kind, *columns = line.split("\t")
        if component not in components:
            raise Refused(f"the answers of the database name {component!r}: run the command again.")
        before = found.get((component, name), Answer())
        if kind == "row":
            row = tuple(map(_unescaped, columns))
            before = Answer((*before.rows, row))
        elif kind == "error":
            # The server's error comes after warnings of the client, and before more words of it.
            sentence, told = "\t".join(columns), before.error
            if not told or (_SERVER.match(sentence) and not _SERVER.match(told)):
                before = Answer(error=sentence)
        found[component, name] = before
    return found


def _unescaped(column: str) -> str:
    return _ESCAPED.sub(lambda match: _CHARACTERS[match[1]], column)
