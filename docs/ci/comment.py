"""Posts a report as the one comment of a pull or merge request, or as one issue, and updates it.

``pull-request`` runs in a workflow of the event ``workflow_run``, from the default branch, with a
token that may write. The report comes from a run of the pull request's own code, so it is text of
somebody unknown: it is read from the artifact's zip in memory, up to a limit, reaches no shell, and
notifies and commands nobody. Which pull request it belongs to is told by the forge, never by the
artifact. ``merge-request`` and ``issue`` take a file.

The standard library alone, so that a job needs no packages:
``python3 -m docs.ci.comment pull-request``.
"""

from __future__ import annotations

import argparse
import io
import json
import lzma
import os
import re
import ssl
import struct
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import Path
from typing import Any

ARTIFACT = "kf-plan"
REPORT = "plan.md"
LONGEST = 60_000
"""Bytes of a report. GitHub refuses a body above 65,536 characters (422)."""
_LARGEST_ANSWER = 32 << 20
_PAGES = 20
_ATTEMPTS = 4
_LONGEST_WAIT_SECONDS = 120.0
_ANSWER_SECONDS = 30
_MARKER = "<!-- kubeflow-on-eks: {} -->"
_AUTHOR = "github-actions[bot]"
"""Who posts with the token of a job."""

# A mention notifies people and teams; a word before the sign makes it an image's digest. Forges
# look for mentions in rendered text, so the sign or the name's first letter may be an entity.
_MENTION = re.compile(
    r"(?<![A-Za-z0-9])(?:@|&#0*64(?:;|(?!\d))|&#[xX]0*40(?:;|(?![0-9A-Fa-f]))|&commat;)(?=[\w&])"
)
# GitLab runs lines such as `/merge` with the rights of whoever posts them.
_COMMAND = re.compile(r"^(\s*)/(?=[A-Za-z])", re.MULTILINE)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_NOTHING_WIDE = "\u200b"


class Refused(Exception):
    """The forge refused a call; the message is one sentence with the way out."""


@dataclass(frozen=True)
class Forge:
    """The API of GitHub or GitLab.

    Args:
        root: URL before the paths, without a slash at the end.
        headers: with the token.
        rights: what the token must be allowed to do, for the sentence of a refusal.
        certificates: a file of authorities beside the system's own, of a company's GitLab.
    """

    root: str
    headers: Mapping[str, str]
    rights: str
    certificates: str | None = None

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON of an answer.

        Raises:
            Refused: after up to four attempts where the forge asks to come back later.
        """
        data = json.dumps(body).encode() if body is not None else None
        return json.loads(self._answer(method, f"{self.root}/{path}", data) or b"null")

    def pages(self, path: str) -> Iterator[dict[str, Any]]:
        """Every element of a list that comes in pages of 100."""
        separator = "&" if "?" in path else "?"
        for page in range(1, _PAGES + 1):
            rows: list[dict[str, Any]] = self.call(
                "GET", f"{path}{separator}per_page=100&page={page}"
            )
            yield from rows
            if len(rows) < 100:
                return

    def file(self, url: str) -> bytes:
        """A file behind the API, up to a limit; the storage it redirects to gets no token."""
        return self._answer("GET", url, None)

    def _answer(self, method: str, url: str, data: bytes | None) -> bytes:
        for attempt in range(1, _ATTEMPTS + 1):
            request = urllib.request.Request(url, data, method=method)  # noqa: S310 - of the forge
            for name, value in self.headers.items():
                request.add_unredirected_header(name, value)
            if data is not None:
                request.add_header("Content-Type", "application/json")
            try:
                with urllib.request.urlopen(  # noqa: S310 - as above
                    request, timeout=_ANSWER_SECONDS, context=self._context()
                ) as answer:
                    content = answer.read(_LARGEST_ANSWER + 1)
            except urllib.error.HTTPError as error:
                text = error.read(10_000).decode("utf-8", "replace")
                seconds = _seconds_to_wait(method, error.code, error.headers, text, attempt)
                if seconds is None or attempt == _ATTEMPTS:
                    raise Refused(self._sentence(method, url, error.code, text)) from None
                time.sleep(seconds)
            except OSError as error:
                reason = getattr(error, "reason", error)
                raise Refused(f"{self.root} cannot be reached: {reason}.") from None
            else:
                if len(content) > _LARGEST_ANSWER:
                    raise Refused(f"{url} is larger than {_LARGEST_ANSWER} bytes.")
                return content
        raise AssertionError

    def _context(self) -> ssl.SSLContext | None:
        if not self.certificates:
            return None
        context = ssl.create_default_context()
        context.load_verify_locations(self.certificates)
        return context

    def _sentence(self, method: str, url: str, status: int, text: str) -> str:
        call = f"{method} {urllib.parse.urlsplit(url).path}"
        try:
            message = str(json.loads(text).get("message") or text)
        except (ValueError, AttributeError):
            message = text
        message = " ".join(message.split())[:300] or "no message"
        way_out = {
            401: "the token is wrong or has ended: renew it.",
            403: f"the token may not do this: it needs {self.rights}.",
            404: f"there is no such thing, or the token may not see it: it needs {self.rights}.",
        }.get(status, "see the message.")
        return f"{call} is refused with {status} ({message}): {way_out}"


def _seconds_to_wait(
    method: str, status: int, headers: Message, text: str, attempt: int
) -> float | None:
    """How long the forge asks to wait before another attempt; None: another one is no use.

    GitHub answers a secondary rate limit by 403 or 429, with ``retry-after`` or with the advice to
    wait a minute (docs.github.com, "Rate limits for the REST API"). A POST after a 5xx could
    make a second comment.
    """
    limited = status == 429 or (
        status == 403 and ("retry-after" in headers or "rate limit" in text.lower())
    )
    if not limited and (status < 500 or method == "POST"):
        return None
    try:
        seconds = float(headers.get("retry-after") or "")
    except ValueError:
        remaining = headers.get("x-ratelimit-remaining")
        reset = headers.get("x-ratelimit-reset") or ""
        if limited and remaining == "0" and reset.isdigit():
            seconds = int(reset) - time.time()
        else:
            seconds = 60.0 if limited else 2.0**attempt
    return max(0.0, seconds) if seconds <= _LONGEST_WAIT_SECONDS else None


def harmless(report: bytes) -> str:
    """The text of a report that may come from anybody, as Markdown that notifies nobody.

    Images and links stay: a forge loads images through its own proxy, and a reader sees a link.
    """
    text = _CONTROLS.sub("", report.decode("utf-8", "replace").replace("\r\n", "\n"))
    text = _COMMAND.sub(rf"\1{_NOTHING_WIDE}/", _MENTION.sub(rf"\g<0>{_NOTHING_WIDE}", text))
    whole = text.encode()
    if len(whole) <= LONGEST:
        return text
    lines = whole[:LONGEST].decode("utf-8", "ignore").splitlines()[:-1]
    fences = sum(line.lstrip().startswith("```") for line in lines)
    end = ["```"] if fences % 2 else []
    return "\n".join([*lines, *end, "", "The rest is in the HTML file of the run."])


def _body(marker: str, head: str, text: str) -> str:
    return f"{_MARKER.format(marker)}\n{head}\n\n{text.strip()}\n"


def _same(first: str, second: str) -> bool:
    return first.replace("\r\n", "\n").strip() == second.replace("\r\n", "\n").strip()


# -- GitHub ---------------------------------------------------------------------------------------


def _github(rights: str) -> Forge:
    return Forge(
        root=_variable("GITHUB_API_URL").rstrip("/"),
        headers={
            "Authorization": f"Bearer {_variable('GITHUB_TOKEN')}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "kubeflow-on-eks",
        },
        rights=rights,
    )


def _mine(thing: Mapping[str, Any], marker: str) -> bool:
    """Whether a comment or issue was made here: anybody could write the marker."""
    login = (thing.get("user") or {}).get("login")
    return login == _AUTHOR and str(thing.get("body") or "").startswith(_MARKER.format(marker))


def pull_request() -> str:
    """Posts the report of the run that the event names."""
    run: dict[str, Any] = json.loads(Path(_variable("GITHUB_EVENT_PATH")).read_text("utf-8"))[
        "workflow_run"
    ]
    if run["event"] != "pull_request":
        return f"The run was started by {run['event']}: nothing to post."
    repository = f"repos/{_variable('GITHUB_REPOSITORY')}"
    forge = _github("the permissions `actions: read` and `pull-requests: write`")
    sha = str(run["head_sha"])
    # `workflow_run.pull_requests` is empty for a fork's.
    source: dict[str, Any] = run.get("head_repository") or {}
    owner = (source.get("owner") or {}).get("login", "")
    query = urllib.parse.urlencode({"state": "open", "head": f"{owner}:{run['head_branch']}"})
    numbers = [
        int(each["number"])
        for each in forge.pages(f"{repository}/pulls?{query}")
        if each["head"]["sha"] == sha
    ]
    if not numbers:
        return f"No open pull request is at {sha[:7]} any more: nothing to post."
    text = _report_of(forge, f"{repository}/actions/runs/{int(run['id'])}/artifacts", sha, run)
    fork = "" if source.get("full_name") == _variable("GITHUB_REPOSITORY") else ", of a fork"
    head = f"{sha[:7]}, by the pull request's own code{fork} · [run, HTML]({run['html_url']})"
    done = [_comment(forge, repository, number, _body("plan", head, text)) for number in numbers]
    return " ".join(done)


def _report_of(forge: Forge, artifacts: str, sha: str, run: Mapping[str, Any]) -> str:
    found = forge.call("GET", f"{artifacts}?name={ARTIFACT}&per_page=100")["artifacts"]
    urls = [str(each["archive_download_url"]) for each in found if not each.get("expired")]
    report = _report(forge.file(urls[-1])) if urls else None
    if report is None:
        return f"There is no plan of {sha[:7]}: the run ended as `{run['conclusion']}`."
    return harmless(report)


def _report(archive: bytes) -> bytes | None:
    """The report in an artifact; None where it has none, or is no zip."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            return zipfile.ZipFile.open(files, REPORT).read(2 * LONGEST)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError):
        return None
    except (LookupError, ValueError, ArithmeticError, RuntimeError, OSError):
        # What the module raises for offsets and names that make no sense.
        return None


def _comment(forge: Forge, repository: str, number: int, body: str) -> str:
    for comment in forge.pages(f"{repository}/issues/{number}/comments"):
        if _mine(comment, "plan"):
            path = f"{repository}/issues/comments/{int(comment['id'])}"
            if not _same(comment["body"], body):
                forge.call("PATCH", path, {"body": body})
            return f"The comment of #{number} is updated."
    forge.call("POST", f"{repository}/issues/{number}/comments", {"body": body})
    return f"A comment is posted on #{number}."


def _github_issue(title: str, marker: str, text: str | None) -> str:
    repository = f"repos/{_variable('GITHUB_REPOSITORY')}"
    forge = _github("the permission `issues: write`")
    opened = [
        each
        for each in forge.pages(f"{repository}/issues?state=open")
        if "pull_request" not in each and _mine(each, marker)
    ]
    paths = [f"{repository}/issues/{int(each['number'])}" for each in opened]
    body = _body(marker, "", text or "")
    if text is None:
        for path in paths:
            forge.call("PATCH", path, {"state": "closed", "state_reason": "completed"})
        return f"{len(paths)} issues closed."
    if paths:
        forge.call("PATCH", paths[0], {"title": title, "body": body})
        return "The issue is updated."
    forge.call("POST", f"{repository}/issues", {"title": title, "body": body})
    return "An issue is opened."


# -- GitLab ---------------------------------------------------------------------------------------


def _gitlab() -> Forge:
    return Forge(
        root=f"{_variable('CI_API_V4_URL').rstrip('/')}/projects/{_variable('CI_PROJECT_ID')}",
        headers={"PRIVATE-TOKEN": _variable("KF_GITLAB_TOKEN"), "User-Agent": "kubeflow-on-eks"},
        rights="a project access token with the role Reporter and the scope `api`",
        certificates=os.environ.get("CI_SERVER_TLS_CA_FILE") or None,
    )


def _note(file: Path) -> str:
    if file.is_file():
        return harmless(file.read_bytes())
    return f"There is no plan of {_variable('CI_COMMIT_SHA')[:7]}: see the pipeline's job kf-plan."


def _own_id(forge: Forge) -> int:
    everything = replace(forge, root=_variable("CI_API_V4_URL").rstrip("/"))
    return int(everything.call("GET", "user")["id"])


def merge_request(text: str) -> str:
    """Posts the report as a note of the job's merge request."""
    forge, request = _gitlab(), _variable("CI_MERGE_REQUEST_IID")
    own, notes = _own_id(forge), f"merge_requests/{request}/notes"
    head = f"{_variable('CI_COMMIT_SHA')[:7]} · [job, HTML]({_variable('CI_JOB_URL')})"
    body = _body("plan", head, text)
    for note in forge.pages(notes):
        if note["author"]["id"] == own and note["body"].startswith(_MARKER.format("plan")):
            if not _same(note["body"], body):
                forge.call("PUT", f"{notes}/{int(note['id'])}", {"body": body})
            return f"The note of !{request} is updated."
    forge.call("POST", notes, {"body": body})
    return f"A note is posted on !{request}."


def _gitlab_issue(title: str, marker: str, text: str | None) -> str:
    forge = _gitlab()
    own = _own_id(forge)
    opened = [
        f"issues/{int(each['iid'])}"
        for each in forge.pages("issues?state=opened")
        if each["author"]["id"] == own
        and str(each.get("description") or "").startswith(_MARKER.format(marker))
    ]
    if text is None:
        for path in opened:
            forge.call("PUT", path, {"state_event": "close"})
        return f"{len(opened)} issues closed."
    made = {"title": title, "description": _body(marker, "", text)}
    if opened:
        forge.call("PUT", opened[0], made)
        return "The issue is updated."
    forge.call("POST", "issues", made)
    return "An issue is opened."


# -- the command ----------------------------------------------------------------------------------


def _variable(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise Refused(f"{name} is not set: see docs/pull-requests.md for the job that sets it.")
    return value


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code is 0, or 2 after one sentence."""
    parser = argparse.ArgumentParser(prog="python3 -m docs.ci.comment", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("pull-request", help="GitHub: the report of the run that ended")
    note = commands.add_parser("merge-request", help="GitLab: a report as a note")
    note.add_argument("file", type=Path)
    issue = commands.add_parser("issue", help="one issue: opened, updated, or closed")
    issue.add_argument("--about", required=True, help="what tells this issue from others")
    issue.add_argument("--title", default="")
    issue.add_argument("--file", type=Path, help="the text; without it the issue is closed")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "pull-request":
            done = pull_request()
        elif chosen.command == "merge-request":
            done = merge_request(_note(chosen.file))
        else:
            file: Path | None = chosen.file
            text = harmless(file.read_bytes()) if file else None
            post = _gitlab_issue if os.environ.get("GITLAB_CI") else _github_issue
            done = post(chosen.title, chosen.about, text)
    except Refused as refused:
        sys.stderr.write(f"{refused}\n")
        return 2
    sys.stdout.write(f"{done}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
