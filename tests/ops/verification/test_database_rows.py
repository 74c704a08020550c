"""The Job that asks the database: its pod, its arguments, and what it prints."""

from __future__ import annotations

import pytest

from components.objects.kubernetes_objects import bind
from ops.cli_errors import Refused
from ops.verification.database_rows import Answer, InitJob, Question, answers, job_of, rows
from tests.ops.verification.storage import storage
from tests.rendering.beijing import Release, rendered

QUESTION = Question("katib", "one", "SELECT 1", plain=True)


def test_the_pod_is_that_of_the_job_that_makes_the_users() -> None:
    (init,) = Release(rendered("addons/database-init")).all("Job")
    init = bind(init, {"database.rotation": "4", "image.prefix": "registry.example"})
    template = init["spec"]["template"]
    # Kubernetes' own labels, which another Job must not have.
    named = {"batch.kubernetes.io/controller-uid": "u", "job-name": "database-init-4"}
    live = {**template, "metadata": {"labels": {**template["metadata"]["labels"], **named}}}
    job = job_of(InitJob(4, failed=False, template=live), [QUESTION])
    made = job["spec"]["template"]
    assert made["metadata"]["labels"] == template["metadata"]["labels"]
    (before,), (after,) = template["spec"]["containers"], made["spec"]["containers"]
    assert {**made["spec"], "containers": []} == {**template["spec"], "containers": []}
    assert {**after, "command": before["command"]} == before
    assert after["command"][:2] == ["bash", "-c"]
    assert after["command"][4:] == ["/etc/database-secrets", "katib", "one", "plain", "SELECT 1"]
    assert job["spec"]["backoffLimit"] == 0


def test_rows_are_split_at_tabs_and_unescaped() -> None:
    printed = (
        "katib\ttwo\trow\ta\\tb\\n\\\\n\tc\nkatib\ttwo\trow\t\nkatib\ttwo\tdone\n"
        "cache\tnone\tdone\nend\n"
    )
    assert answers(printed, ["katib", "cache"]) == {
        ("katib", "two"): Answer((("a\tb\n\\n", "c"), ("",))),
        ("cache", "none"): Answer(),
    }


def test_of_an_error_the_sentence_of_the_server_counts() -> None:
    printed = (
        "katib\tone\terror\tmysql: [Warning] something\n"
        "katib\tone\terror\tERROR 1045 (28000): Access denied\nkatib\tone\terror\tmore\nend\n"
    )
    assert answers(printed, ["katib"]) == {
        ("katib", "one"): Answer(error="ERROR 1045 (28000): Access denied")
    }
    # MariaDB's client about a missing file.
    printed = "katib\tone\terror\tCould not open\nkatib\tone\terror\tFatal error\nend\n"
    assert answers(printed, ["katib"]) == {("katib", "one"): Answer(error="Could not open")}


@pytest.mark.parametrize("printed", ["", "katib\tone\trow\t1\n", "\nend of\n", "a\tb\tc\nend\n"])
def test_answers_that_are_cut_off_are_refused(printed: str) -> None:
    with pytest.raises(Refused, match="the answers of the database"):
        answers(printed, ["katib"])


def test_rows_of_one_statement_come_as_lists() -> None:
    made = storage(printing="katib\trows\trow\ta\tb\nkatib\trows\tdone\nend\n")
    assert rows(made.platform, "katib", "SELECT 'a', 'b'") == [["a", "b"]]
    failing = storage(printing="katib\trows\terror\tERROR 1146 (42S02): no\nend\n")
    with pytest.raises(Refused, match=r"answers katib: ERROR 1146 \(42S02\): no\.$"):
        rows(failing.platform, "katib", "SELECT 1 FROM x")
