"""A stack's outputs as somebody pastes them into a shell, where `aws` and `kubectl` are stand-ins.

The stand-ins record what they were called with and refuse every option and every form that the
program of that name does not know.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COMMANDS = {"dashboard", "login", "verify"}
DOCUMENTS = {"kubeconfig"}
_CALLS = "calls.jsonl"

# Options as `aws help` and `kubectl help` have them for these subcommands.
_STAND_IN = r"""#!{python}
import argparse, json, pathlib, re, sys

def form(pattern):
    def parse(text):
        if not re.fullmatch(pattern, text):
            raise argparse.ArgumentTypeError(f"{{text!r}} is not of the form {{pattern}}")
        return text
    return parse

name = r"[a-z0-9][a-z0-9.-]*"
strict = dict(allow_abbrev=False)
aws = argparse.ArgumentParser("aws", **strict)
services = aws.add_subparsers(required=True)
eks = services.add_parser("eks", **strict).add_subparsers(required=True)
update = eks.add_parser("update-kubeconfig", **strict)
update.add_argument("--region", required=True, type=form(name))
update.add_argument("--name", required=True, type=form(r"[A-Za-z0-9][A-Za-z0-9_-]*"))
secrets = services.add_parser("secretsmanager", **strict).add_subparsers(required=True)
get = secrets.add_parser("get-secret-value", **strict)
get.add_argument("--region", required=True, type=form(name))
get.add_argument("--secret-id", required=True, type=form(r"arn:[a-z-]+:secretsmanager:\S+"))
get.add_argument("--query", choices=["SecretString"])
get.add_argument("--output", choices=["json", "text"])

kubectl = argparse.ArgumentParser("kubectl", **strict)
kubectl.add_argument("-n", "--namespace", type=form(name))
verbs = kubectl.add_subparsers(required=True)
forward = verbs.add_parser("port-forward", **strict)
forward.add_argument("target", type=form("(svc|pod|deployment)/" + name))
forward.add_argument("ports", nargs="+", type=form(r"\d+:\d+"))
wait = verbs.add_parser("wait", **strict)
wait.add_argument("kind", type=form("pods?|deployments?"))
wait.add_argument("--for", required=True, type=form("condition=(Ready|Available)"))
wait.add_argument("--all", action="store_true", required=True)
wait.add_argument("-A", "--all-namespaces", action="store_true")
wait.add_argument("--field-selector", type=form(r"status\.phase!?=[A-Z][a-z]+"))
wait.add_argument("--timeout", type=form(r"\d+[smh]"))

program = pathlib.Path(sys.argv[0]).name
(aws if program == "aws" else kubectl).parse_args(sys.argv[1:])
with (pathlib.Path(sys.argv[0]).parent / "{calls}").open("a") as calls:
    calls.write(json.dumps([program, *sys.argv[1:]]) + "\n")
"""


def paste(exports: Mapping[str, Any], folder: Path) -> dict[str, list[list[str]]]:
    """Fails unless every output is good for pasting; the calls of each command, in order.

    A command is one line that the shell runs to its end; a document is JSON; anything else is one
    word, as `pulumi stack output` prints it, or a mapping to such words.

    Args:
        exports: outputs as the program exports them.
        folder: an empty one, for the stand-ins.
    """
    words = {name: value for name, value in exports.items() if name not in COMMANDS | DOCUMENTS}
    for value in words.values():
        for text in value.values() if isinstance(value, Mapping) else [value]:
            assert shlex.split(text) == [text]
    for name in DOCUMENTS:
        assert json.loads(exports[name])
    return {name: _calls(exports[name], folder) for name in sorted(COMMANDS)}


def _calls(command: str, folder: Path) -> list[list[str]]:
    assert len(command.splitlines()) == 1
    assert shlex.split(command)[0] in {"aws", "kubectl"}
    for program in ("aws", "kubectl"):
        (folder / program).write_text(_STAND_IN.format(python=sys.executable, calls=_CALLS))
        (folder / program).chmod(0o700)
    (folder / _CALLS).write_text("")
    run = subprocess.run(
        [str(shutil.which("bash")), "--norc", "-c", command],
        env={"PATH": str(folder), "LANG": os.environ.get("LANG", "C.UTF-8")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, ""), run.stderr
    return [json.loads(line) for line in (folder / _CALLS).read_text().splitlines()]
