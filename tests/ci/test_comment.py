"""docs/ci/comment.py against forges that refuse: one comment, updated, of text from anybody."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from docs.ci import comment
from tests.ci.forges import OURS, RUN, SHA, TOKEN, Answer, State, archive, github, gitlab

MARKER = "<!-- kubeflow-on-eks: plan -->"
REPORT = "# Plan\n\n- database: **replaced**\n"


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that would have been waited."""
    seconds: list[float] = []
    monkeypatch.setattr(comment.time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[State]:
    """A run of a fork's pull request 7 has ended, with a report."""
    with github() as state:
        state.artifact = archive({"plan.md": REPORT.encode(), "plan.html": b"<p>"})
        monkeypatch.setenv("GITHUB_API_URL", state.root)
        monkeypatch.setenv("GITHUB_REPOSITORY", "acme/platform")
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
        monkeypatch.delenv("GITLAB_CI", raising=False)
        event(tmp_path)
        yield state


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Generator[State]:
    with gitlab() as state:
        monkeypatch.setenv("CI_API_V4_URL", state.root)
        monkeypatch.setenv("CI_PROJECT_ID", "42")
        monkeypatch.setenv("CI_MERGE_REQUEST_IID", "7")
        monkeypatch.setenv("CI_COMMIT_SHA", SHA)
        monkeypatch.setenv("CI_JOB_URL", "https://gitlab.example.cn/acme/platform/-/jobs/1")
        monkeypatch.setenv("KF_GITLAB_TOKEN", TOKEN)
        monkeypatch.setenv("GITLAB_CI", "true")
        yield state


def event(folder: Path, **values: Any) -> None:
    run = {
        "id": RUN,
        "event": "pull_request",
        "conclusion": "success",
        "head_sha": SHA,
        "head_branch": "topic",
        "head_repository": {"full_name": "zhang/platform", "owner": {"login": "zhang"}},
        "html_url": "https://github.example.com/acme/platform/actions/runs/77",
        "pull_requests": [],
    }
    (folder / "event.json").write_text(json.dumps({"workflow_run": {**run, **values}}))


def text_of(thing: dict[str, Any]) -> str:
    return str(thing["body"]).replace("\r\n", "\n")


# -- GitHub ---------------------------------------------------------------------------------------


def test_the_first_report_is_posted_and_the_next_replaces_it(hub: State) -> None:
    assert comment.main(["pull-request"]) == 0
    assert hub.changed() == ["POST /repos/acme/platform/issues/7/comments"]
    (only,) = hub.comments
    marker, head, *rest = text_of(only).splitlines()
    assert marker == MARKER
    assert head.startswith(
        "0123456, by the pull request's own code, of a fork · [run, HTML](https:"
    )
    assert "\n".join(rest).strip() == REPORT.strip()

    hub.artifact = archive({"plan.md": b"Nothing changes."})
    assert comment.main(["pull-request"]) == 0
    assert len(hub.comments) == 1
    assert hub.changed()[1:] == ["PATCH /repos/acme/platform/issues/comments/1"]
    assert "Nothing changes." in text_of(only)
    assert "database" not in text_of(only)


def test_an_equal_report_changes_nothing(hub: State) -> None:
    comment.main(["pull-request"])
    assert comment.main(["pull-request"]) == 0
    assert len(hub.changed()) == 1


def test_the_comment_is_found_behind_hundreds_of_others(hub: State) -> None:
    hub.comments = [
        {"id": n, "number": 7, "user": {"login": "wang"}, "body": "ok"} for n in range(1, 231)
    ]
    hub.comments.append({"id": 231, "number": 7, "user": {"login": OURS}, "body": MARKER})
    assert comment.main(["pull-request"]) == 0
    assert hub.changed() == ["PATCH /repos/acme/platform/issues/comments/231"]


def test_somebody_elses_comment_with_the_marker_is_left_alone(hub: State) -> None:
    hub.comments = [{"id": 1, "number": 7, "user": {"login": "mallory"}, "body": MARKER}]
    comment.main(["pull-request"])
    assert hub.comments[0]["body"] == MARKER
    assert len(hub.comments) == 2


def test_the_artifact_cannot_choose_the_pull_request(hub: State) -> None:
    hub.pulls = {7: ("zhang:topic", SHA), 8: ("acme:main", "f" * 40), 9: ("wang:topic", SHA)}
    hub.artifact = archive({"plan.md": b"8\n", "number": b"8", "pr.json": b'{"number": 8}'})
    comment.main(["pull-request"])
    assert {each["number"] for each in hub.comments} == {7}


@pytest.mark.parametrize(
    "values",
    [{"head_sha": "e" * 40}, {"event": "push"}, {"head_branch": "another"}],
    ids=["moved on", "no pull request", "another branch"],
)
def test_without_a_pull_request_at_that_commit_nothing_is_posted(
    hub: State, tmp_path: Path, values: dict[str, Any]
) -> None:
    event(tmp_path, **values)
    assert comment.main(["pull-request"]) == 0
    assert hub.changed() == []


def test_a_branchs_name_reaches_the_api_as_text(hub: State, tmp_path: Path) -> None:
    branch = "x&state=all$(id)/../é?"
    hub.pulls = {7: (f"zhang:{branch}", SHA)}
    event(tmp_path, head_branch=branch)
    assert comment.main(["pull-request"]) == 0
    assert len(hub.comments) == 1


def broken_lzma() -> bytes:
    """An archive with a compression whose data is wrong."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as written:
        written.writestr("plan.md", "x" * 500)
    data = file.getvalue()
    return data[:45] + bytes(each ^ 0xFF for each in data[45:60]) + data[60:]


@pytest.mark.parametrize(
    "artifact",
    [
        *(None, b"no zip", archive({"other.md": b"x"}), archive({"plan.md": b"x" * 999})[:-40]),
        *(broken_lzma(), archive({"plan.md": b"x"}).replace(b"PK\x01\x02", b"PK\x01\x02\xff" * 9)),
    ],
    ids=["none", "no zip", "no report", "cut", "lzma", "offset"],
)
def test_a_run_without_a_report_replaces_the_old_plan(
    hub: State, tmp_path: Path, artifact: bytes | None
) -> None:
    comment.main(["pull-request"])
    hub.artifact = artifact
    event(tmp_path, conclusion="failure")
    assert comment.main(["pull-request"]) == 0
    assert "There is no plan of 0123456: the run ended as `failure`." in text_of(hub.comments[0])


def test_an_expired_report_is_none(hub: State) -> None:
    hub.expired = True
    assert comment.main(["pull-request"]) == 0
    assert "There is no plan of 0123456" in text_of(hub.comments[0])


def test_a_report_of_a_gigabyte_is_cut_before_it_is_read(hub: State) -> None:
    hub.artifact = archive({"plan.md": b"| row |\n" * (8 << 20)})
    assert comment.main(["pull-request"]) == 0
    body = text_of(hub.comments[0])
    assert len(body) < 65_536
    assert body.endswith("The rest is in the HTML file of the run.\n")


def test_an_archive_above_the_limit_is_refused(
    hub: State, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(comment, "_LARGEST_ANSWER", 1000)
    hub.pulls = {7: ("zhang:topic", SHA)}
    hub.artifact = b"x" * 1001
    assert comment.main(["pull-request"]) == 2
    assert "is larger than 1000 bytes" in capsys.readouterr().err
    assert hub.changed() == []


PULLS = "GET /repos/acme/platform/pulls is refused with"
RIGHTS = "it needs the permissions `actions: read` and `pull-requests: write`."
FORK = "Resource not accessible by integration"


@pytest.mark.parametrize(
    ("status", "message", "way_out"),
    [
        (401, "Bad credentials", "the token is wrong or has ended: renew it."),
        (403, FORK, f"the token may not do this: {RIGHTS}"),
        (404, "Not Found", f"there is no such thing, or the token may not see it: {RIGHTS}"),
        (422, "Validation Failed", "see the message."),
    ],
)
def test_a_refusal_is_one_sentence_and_comes_once(
    hub: State, capsys: pytest.CaptureFixture[str], status: int, message: str, way_out: str
) -> None:
    hub.refusals = [Answer(status, {"message": message})]
    assert comment.main(["pull-request"]) == 2
    assert capsys.readouterr().err == f"{PULLS} {status} ({message}): {way_out}\n"
    assert len(hub.calls) == 1


def test_an_answer_that_is_no_json_is_one_line(
    hub: State, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.refusals = [Answer(400, b"<html>\nno")]
    assert comment.main(["pull-request"]) == 2
    assert capsys.readouterr().err == f"{PULLS} 400 (<html> no): see the message.\n"


def test_the_read_only_token_of_a_fork_is_explained(
    hub: State, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.readonly = True
    assert comment.main(["pull-request"]) == 2
    assert "needs the permissions `actions: read` and `pull-requests: write`" in (
        capsys.readouterr().err
    )
    assert hub.comments == []


def test_a_wrong_token_is_no_secret_in_the_sentence(
    hub: State, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_other")
    assert comment.main(["pull-request"]) == 2
    assert "ghs_other" not in capsys.readouterr().err


SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Answer(403, SECONDARY, retry_after="3"), 3.0),
        (Answer(429, SECONDARY, retry_after="3"), 3.0),
        (Answer(403, SECONDARY), 60.0),
        (Answer(502, b"Bad Gateway"), 2.0),
    ],
    ids=["retry-after", "429", "advice", "502"],
)
def test_a_limit_is_waited_for(
    hub: State, waited: list[float], answer: Answer, seconds: float
) -> None:
    hub.refusals = [answer]
    assert comment.main(["pull-request"]) == 0
    assert waited == [seconds]
    assert len(hub.comments) == 1


def test_a_limit_without_an_end_ends_after_four_attempts(hub: State, waited: list[float]) -> None:
    hub.refusals = [Answer(403, SECONDARY, retry_after="1")] * 9
    assert comment.main(["pull-request"]) == 2
    assert len(hub.calls) == 4


def test_a_limit_of_an_hour_is_not_waited_for(hub: State, waited: list[float]) -> None:
    hub.refusals = [Answer(403, SECONDARY, retry_after="3600")]
    assert comment.main(["pull-request"]) == 2
    assert waited == []


def test_a_post_that_may_have_succeeded_is_not_repeated(hub: State, waited: list[float]) -> None:
    hub.artifact = None
    comment.main(["pull-request"])
    hub.comments.clear()
    reads = [call for call in hub.calls if call.startswith("GET")]
    hub.calls.clear()
    hub.refusals = _Later(len(reads), Answer(502, b"Bad Gateway"))
    assert comment.main(["pull-request"]) == 2
    assert len(hub.changed()) == 1


class _Later(list[Answer]):
    """A refusal after some calls that are answered."""

    def __init__(self, answered: int, answer: Answer) -> None:
        super().__init__([answer])
        self.answered = answered

    def __bool__(self) -> bool:
        self.answered -= 1
        return self.answered == -1


# -- hostile text ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        (b"cc @acme/admins", "cc @\u200bacme/admins"),
        (b"`@all` and `@wang", "`@\u200ball` and `@\u200bwang"),
        (b"_@octocat_ \xc3\xa9@octocat", "_@\u200boctocat_ \u00e9@\u200boctocat"),
        (
            b"&#64;octocat &#x40;wang &commat;all",
            "&#64;\u200boctocat &#x40;\u200bwang &commat;\u200ball",
        ),
        (b"<p>&#064octocat @&#111;ctocat", "<p>&#064\u200boctocat @\u200b&#111;ctocat"),
        (b"@@ title @@ a&#64;b &#640;x", "@@ title @@ a&#64;b &#640;x"),
        (b"/close\n  /merge\n/ root", "\u200b/close\n  \u200b/merge\n/ root"),
        (b"busybox@sha256:abc /usr/bin", "busybox@sha256:abc /usr/bin"),
        (b"a\x00b\x1b[31m\xe2\x80\xaec", "ab[31mc"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"one\r\ntwo", "one\ntwo"),
        (b"${{ secrets.TOKEN }} `$(id)`", "${{ secrets.TOKEN }} `$(id)`"),
    ],
)
def test_text_of_anybody_notifies_and_commands_nobody(hostile: bytes, shown: str) -> None:
    assert comment.harmless(hostile) == shown


def test_a_long_text_ends_at_a_line_with_its_fence_closed() -> None:
    text = comment.harmless(b"# Plan\n```diff\n" + "+ 行 row\n".encode() * 9000)
    assert len(text.encode()) <= comment.LONGEST + 100
    assert text.count("```") == 2
    assert text.splitlines()[-3:] == ["```", "", "The rest is in the HTML file of the run."]


# -- GitLab ---------------------------------------------------------------------------------------


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "plan.md"
    path.write_text(REPORT)
    return path


def test_a_plan_that_was_not_made_replaces_the_note_of_an_older_one(
    lab: State, report: Path
) -> None:
    comment.main(["merge-request", str(report)])
    report.unlink()
    assert comment.main(["merge-request", str(report)]) == 0
    assert "There is no plan of 0123456: see the pipeline's job kf-plan." in text_of(
        lab.comments[0]
    )
    assert len(lab.comments) == 1


def test_the_note_of_a_merge_request_is_posted_and_updated(lab: State, report: Path) -> None:
    lab.comments = [{"id": 1, "author": {"id": 6}, "body": MARKER}]
    assert comment.main(["merge-request", str(report)]) == 0
    assert lab.comments[0]["body"] == MARKER
    assert comment.main(["merge-request", str(report)]) == 0
    report.write_text("/close\n")
    assert comment.main(["merge-request", str(report)]) == 0
    assert lab.changed() == [
        "POST /projects/42/merge_requests/7/notes",
        "PUT /projects/42/merge_requests/7/notes/2",
    ]
    assert lab.comments[1]["body"].endswith("\n\n\u200b/close\n")


def test_gitlab_refuses_in_one_sentence(
    lab: State, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.readonly = True
    assert comment.main(["merge-request", str(report)]) == 2
    assert "a project access token with the role Reporter and the scope `api`" in (
        capsys.readouterr().err
    )


def test_a_variable_that_is_not_set_is_named(
    lab: State, report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KF_GITLAB_TOKEN", "")
    assert comment.main(["merge-request", str(report)]) == 2
    assert capsys.readouterr().err == (
        "KF_GITLAB_TOKEN is not set: see docs/pull-requests.md for the job that sets it.\n"
    )


def test_a_forge_out_of_reach_is_named(
    lab: State, report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI_API_V4_URL", "http://127.0.0.1:1")
    assert comment.main(["merge-request", str(report)]) == 2
    assert capsys.readouterr().err.startswith("http://127.0.0.1:1 cannot be reached: ")


# -- the issue about a drift ----------------------------------------------------------------------

ABOUT = ["issue", "--about", "drift of live", "--title", "Stack live is not as its state says"]


@pytest.mark.parametrize(
    ("forge", "open_", "text"),
    [("hub", "open", "body"), ("lab", "opened", "description")],
    ids=["GitHub", "GitLab"],
)
def test_one_issue_is_opened_updated_and_closed(
    request: pytest.FixtureRequest, report: Path, forge: str, open_: str, text: str
) -> None:
    state: State = request.getfixturevalue(forge)
    of_others = {
        "number": 3,
        "iid": 3,
        "user": {"login": "mallory"},
        "author": {"id": 6},
        "state": open_,
        text: "<!-- kubeflow-on-eks: drift of live -->",
    }
    state.issues = [dict(of_others)]
    assert comment.main(ABOUT) == 0
    assert state.changed() == []
    assert comment.main([*ABOUT, "--file", str(report)]) == 0
    report.write_text("# worse\n")
    assert comment.main([*ABOUT, "--file", str(report)]) == 0
    assert len(state.issues) == 2
    assert "# worse" in state.issues[1][text]
    assert comment.main(ABOUT) == 0
    assert state.issues[1]["state"] == "closed"
    assert state.issues[0] == of_others
    assert comment.main([*ABOUT, "--file", str(report)]) == 0
    assert len(state.issues) == 3
