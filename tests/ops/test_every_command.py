"""All commands feel like one: help, options, formats, width, pipes, exit codes, Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import benchmarks.__main__
import ops.__main__
import rehearsal.__main__
from ops import targets
from terminal import application, output
from tests.adoption import old_facts
from tests.ops import waiting_pods
from tests.ops.api_of_lists import ApiOfLists, Lists, kubeconfig, serving
from tests.ops.command import kf
from tests.test_help import ALL

ESCAPE = "\x1b"
USERS = "/apis/kubeflow.org/v1/profiles"
BUNDLE = "made.bundle.tar"

LISTING = {
    "doctor": ("doctor", "--offline"),
    "images list": ("images", "list"),
    "bundle verify": ("bundle", "verify", BUNDLE),
    "users": ("users",),
    "verify": ("verify", "--only", "running"),
    "adopt": ("adopt", "--from", "cluster.json", "--from", "snapshots.json"),
}
"""Commands that list rows, with what they need; the others of them, which call AWS or a registry,
are asked in their own tests (leftovers, images check)."""


def commands() -> Iterator[tuple[typer.Typer, tuple[str, ...], Any]]:
    for parameter in ALL:
        app, words, command = parameter.values
        if not hasattr(command, "commands"):
            yield app, words, command  # pyright: ignore[reportReturnType]


OURS = [
    pytest.param(app, words, command, id=" ".join(words) or "benchmarks")
    for app, words, command in commands()
]
WITH_STACK = [each for each in OURS if any(p.name == "stack" for p in each.values[2].params)]  # pyright: ignore[reportAttributeAccessIssue]

NEEDED: dict[tuple[str, ...], tuple[str, ...]] = {("plan",): ("--base", "HEAD")}
"""What a command needs beside its stack."""

SEVERAL_OR_NONE = (("images", "lock"), ("plan",))
"""Commands whose stack may be left out."""


# -- Help -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("app", "words", "command"), OURS)
def test_help_fits_80_columns_and_has_an_example_that_runs(
    app: typer.Typer, words: Sequence[str], command: Any
) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"}).stdout
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    (example,) = re.findall(r"^ +Example: `(.+)`$", shown, re.MULTILINE)
    called = shlex.split(re.sub(r"^source <\((.*)\)$", r"\1", example).partition(" | ")[0])
    program = next(at for at in (1, 3) if called[:at] in (["./kf"], ["python", "-m", *called[2:3]]))
    assert tuple(called[program : program + len(words)]) == tuple(words)
    options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    assert {word for word in called if word.startswith("--")} <= options


def test_the_version_is_that_of_the_project_without_git(tmp_path: Path) -> None:
    for option in ("--version", "-V"):
        done = kf(option)
        assert (done.exit_code, done.stdout) == (0, f"kf {ops.version()}\n")
    copy = tmp_path / "tarball"
    (copy / "ops").mkdir(parents=True)
    (copy / "ops" / "__init__.py").write_text((targets.PROJECT / "ops/__init__.py").read_text())
    (copy / "pyproject.toml").write_text('[project]\nversion = "9.8.7"\n')
    code = "import ops; print(ops.version())"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=True
    )
    assert run.stdout == "9.8.7\n"


# -- Options --------------------------------------------------------------------------------------


def test_the_option_stack_is_the_same_everywhere() -> None:
    options = [
        parameter
        for each in WITH_STACK
        for parameter in each.values[2].params  # pyright: ignore[reportAttributeAccessIssue]
        if parameter.name == "stack" and each.values[1] not in SEVERAL_OR_NONE
    ]
    assert len(options) > 10
    assert {(each.help, each.default, each.metavar, each.envvar) for each in options} == {
        ("The stack: Pulumi.<stack>.yaml.", "cn-north-1", "STACK", "KF_STACK")
    }


@pytest.mark.parametrize(("app", "words", "command"), WITH_STACK)
def test_an_unknown_stack_is_the_same_sentence_everywhere(
    app: typer.Typer, words: Sequence[str], command: Any
) -> None:
    needed = NEEDED.get(tuple(words), ())
    done = CliRunner().invoke(app, [*words, *needed, "--stack", "cn-nort-1"])
    assert done.exit_code == 2, done.output
    stacks = "cn-north-1, cn-north-1-kf151, cn-northwest-1, us-gov-west-1 and us-west-2"
    sentence = (
        "Pulumi.cn-nort-1.yaml does not exist: did you mean Pulumi.cn-north-1.yaml? "
        f"The stacks are {stacks}.\n"
    )
    assert (done.stdout, done.stderr) == ("", sentence)


def test_a_stack_like_no_other_is_told_which_there_are() -> None:
    done = kf("users", "--stack", "quux")
    assert done.stderr.startswith("Pulumi.quux.yaml does not exist: the stacks are cn-north-1, ")


def test_the_stack_of_the_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KF_STACK", "quux")
    assert "Pulumi.quux.yaml does not exist" in kf("users").stderr


@pytest.mark.parametrize(("app", "words", "command"), OURS)
def test_a_wrong_option_is_bad_input(app: typer.Typer, words: Sequence[str], command: Any) -> None:
    assert CliRunner().invoke(app, [*words, "--quux"]).exit_code == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["doctor", "—offline"], "'—offline' has EM DASH (U+2014) for a hyphen: write --offline."),
        (["users", "-–help"], "'-–help' has EN DASH (U+2013) for a hyphen: write --help."),
        (["−h"], "'−h' has MINUS SIGN (U+2212) for a hyphen: write -h."),
        (
            ["doctor\xa0--stack", "x"],
            "'doctor\\xa0--stack' has NO-BREAK SPACE (U+00A0) for a space: write doctor --stack.",
        ),
        (
            ["users", "--stack\u3000x"],
            "'--stack\\u3000x' has IDEOGRAPHIC SPACE (U+3000) for a space: write --stack x.",
        ),
    ],
)
def test_signs_of_a_web_page_are_told(
    words: Sequence[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["kf", *words])
    with pytest.raises(SystemExit) as end:
        application.run(ops.__main__.app, "kf")
    assert end.value.code == 2
    assert capsys.readouterr() == ("", f"{sentence}\n")


def test_a_value_may_have_such_signs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["kf", "advisories", "--from", "一—二\u3000三.json"])
    with pytest.raises(SystemExit):
        application.run(ops.__main__.app, "kf")
    assert " for a " not in capsys.readouterr().err


# -- Formats --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, str]]:
    """What the commands of LISTING need, as environment: a cluster, and a bundle."""
    folder = tmp_path_factory.mktemp("every")
    lists: Lists = {
        USERS: [],
        "/api/v1/pods": [waiting_pods.pod(16)],
        "/api/v1/events": [],
        "/apis/karpenter.sh/v1/nodepools": [waiting_pods.pool()],
        "/apis/karpenter.sh/v1/nodeclaims": [],
        "/api/v1/resourcequotas": [],
        "/apis/rbac.authorization.k8s.io/v1/rolebindings": [],
    }
    made = kf("bundle", "create", "--out", str(folder / BUNDLE))
    assert made.exit_code == 0, made.output
    old_facts.write(folder, old_facts.copy())
    with serving(ApiOfLists(lists, adds=[waiting_pods.TOLERATION])) as api:
        config = kubeconfig(folder, api.url)
        yield {"KUBECONFIG": str(config), "FOLDER": str(folder), "COLUMNS": "80"}


@pytest.mark.parametrize("command", LISTING)
def test_each_format_is_complete_and_quiet_in_a_pipe(
    command: str, surroundings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = LISTING[command]
    monkeypatch.setattr(output.results, "_width", 80)
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(surroundings["FOLDER"])
    shown = {format_: kf(*words, "--format", format_) for format_ in ("json", "text", "table")}
    rows = json.loads(shown["json"].stdout)
    assert rows, shown["json"].stderr
    helped = " ".join(kf(*command.split(), "--help").stdout.split())
    assert all(re.search(rf"\b{key}\b", helped) for row in rows for key in row)
    assert len(shown["text"].stdout.splitlines()) == len(rows)
    lines = shown["table"].stdout.splitlines()
    assert len(lines) > len(rows)
    assert [line for line in lines if len(line) > 80] == []
    for done in shown.values():
        assert done.exit_code == shown["json"].exit_code
        assert done.exit_code in (0, 1)
        assert ESCAPE not in done.stdout + done.stderr
        assert not re.search("[\u2500-\u257f]", done.stdout + done.stderr)
    assert kf(*words).stdout == shown["text"].stdout


def test_the_image_list_is_about_a_line_per_image_in_80_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(output.results, "_width", 80)
    done = kf("images", "list", "--format", "table")
    rows = len(kf("images", "list", "--format", "text").stdout.splitlines())
    assert len(done.stdout.splitlines()) < 1.2 * rows
    assert "--format text has them" in done.stderr
    monkeypatch.setattr(output.results, "_width", 600)
    wide = kf("images", "list", "--format", "table")
    assert wide.stdout.split(maxsplit=4)[:4] == ["needed", "source", "where", "target"]
    assert "--format text has them" not in wide.stderr


def on_a_terminal(words: Sequence[str], environment: dict[str, str]) -> str:
    """What a terminal shows of a command."""
    child, end = pty.fork()
    if child == 0:
        # No other thread of this process is needed here.
        os.execve(sys.executable, [sys.executable, "-m", "ops", *words], environment)  # noqa: S606
    shown = b""
    try:
        while select.select([end], [], [], 120)[0]:
            shown += os.read(end, 65536)
    except OSError:
        pass  # the end of a terminal
    finally:
        os.close(end)
        os.waitpid(child, 0)
    return shown.decode()


@pytest.mark.parametrize("no_color", [None, "1"])
def test_colours_are_for_terminals_without_no_color(no_color: str | None) -> None:
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(targets.PROJECT)}
    environment.pop("NO_COLOR", None)
    if no_color:
        environment["NO_COLOR"] = no_color
    shown = on_a_terminal(["doctor", "--offline"], environment)
    assert shown.splitlines()[-1]
    assert "about" in shown
    assert (ESCAPE in shown) is (no_color is None)


# -- Ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "format_"), [("doctor", "json"), ("images list", "text"), ("doctor", "table")]
)
def test_a_reader_that_has_ended_ends_the_command_without_words(
    command: str, format_: str, surroundings: dict[str, str]
) -> None:
    words = [*LISTING[command], "--format", format_]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "ops", *words],
        cwd=targets.PROJECT,
        env={**os.environ, **surroundings},
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def catches_ctrl_c(process: subprocess.Popen[str]) -> bool:
    """Whether a program has a handler of its own (proc(5), SigCgt)."""
    status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
    (caught,) = re.findall(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)
    return bool(int(caught, 16) >> (signal.SIGINT - 1) & 1)


def await_begin(process: subprocess.Popen[str], silent: socket.socket) -> None:
    """Returns once the command has begun: while Python starts, Ctrl-C has Python's own words.

    Python has a handler from its start on, and the command's first line takes it away.
    """
    started, limit = False, time.monotonic() + 120
    while not (started and not catches_ctrl_c(process)):
        started = started or catches_ctrl_c(process)
        # Later than that: it already asks the cluster.
        if select.select([silent], [], [], 0.001)[0]:
            return
        assert time.monotonic() < limit


@pytest.mark.parametrize("after", [0, 0.6, 3])
def test_ctrl_c_ends_a_command_at_any_moment_without_a_traceback(
    after: float, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig(tmp_path, url))}
        process = subprocess.Popen(
            [targets.PROJECT / "kf", "verify"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        await_begin(process, silent)
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=300)
    assert process.returncode in (130, -signal.SIGINT), (out, errors)
    assert "Traceback" not in errors
    assert out == ""


def test_the_page_explains_every_exit_code() -> None:
    codes = re.findall(
        r"^[A-Z_]+ = (\d+)$",
        (targets.PROJECT / "terminal/exit_codes.py").read_text("utf-8"),
        re.MULTILINE,
    )
    for page in ("docs/command-line.md", "docs/command-line.zh-CN.md"):
        text = (targets.PROJECT / page).read_text("utf-8")
        assert re.findall(r"^\| (\d+) \|", text, re.MULTILINE) == ["0", *codes]
        for name in ops.__main__.COMMANDS:
            assert f"`./kf {name}" in text, (page, name)


APPS = (ops.__main__.app, rehearsal.__main__.app, benchmarks.__main__.app)


def test_every_program_of_a_person_is_in_these_tests() -> None:
    assert {id(each.values[0]) for each in OURS} >= {id(app) for app in APPS}
