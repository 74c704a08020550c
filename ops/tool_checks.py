"""The programs that deploy and operate a stack: present, and of a version that works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import version as installed

from packaging.version import Version

from ops.checks import Subject
from ops.findings import Finding, good, note, problem
from ops.parallel import in_order
from settings.errors import full_key, listed
from toolchain.tools import KUBERNETES_PLUGIN_OF_EKS, PULUMI_OLDEST

ABOUT = "programs"

_SECONDS = 10
_NUMBER = re.compile(r"\d+\.\d+\.\d+")


def plugins() -> list[tuple[str, str]]:
    """Name and version of every plugin that ``pulumi up`` of the stack loads."""
    own = [(name, installed(f"pulumi-{name}")) for name in ("aws", "eks", "kubernetes")]
    return [*own, ("kubernetes", KUBERNETES_PLUGIN_OF_EKS)]


def tool_findings(stack: Subject) -> Iterator[Finding]:
    """Findings about every program, which run side by side."""
    checks: tuple[Callable[[Subject], Finding | None], ...] = (
        _pulumi,
        _language_host,
        _plugins,
        _aws,
        _kubectl,
    )
    yield from filter(None, in_order(checks, lambda check: check(stack), len(checks), ""))


def _pulumi(_: Subject) -> Finding:
    oldest = ".".join(map(str, PULUMI_OLDEST))
    way_out = f"install the official Pulumi CLI, {oldest} or newer"
    printed = _printed("pulumi", "version")
    if printed is None:
        return problem(ABOUT, f"pulumi is not on PATH, which deploys: {way_out}")
    number = _NUMBER.search(printed)
    if number and Version(number[0]).release < PULUMI_OLDEST:
        return problem(ABOUT, f"pulumi is {number[0]}, too old for the program: {way_out}")
    return _good("pulumi", number)


def _language_host(_: Subject) -> Finding:
    name = "pulumi-language-python"
    if shutil.which(name):
        return good(ABOUT, f"{name} is on PATH")
    way_out = "install the official Pulumi CLI, which includes it"
    return problem(ABOUT, f"{name} is not on PATH, which runs the program: {way_out}")


def _plugins(_: Subject) -> Finding | None:
    printed = _printed("pulumi", "plugin", "ls", "--json")
    if printed is None:
        return None
    try:
        present = json.loads(printed)
    except ValueError:
        present = []
    found = {(each["name"], each.get("version", "").removeprefix("v")) for each in present}
    missing = [" ".join(each) for each in plugins() if each not in found]
    if not missing:
        return good(ABOUT, f"pulumi has the plugins {_listed(plugins())}")
    return note(
        ABOUT,
        f"pulumi has no plugin {listed(missing, 'and')} yet, and downloads it when it runs: "
        "without access to GitHub, set a mirror (step 4 of README.md)",
    )


def _listed(names: list[tuple[str, str]]) -> str:
    return listed((" ".join(each) for each in names), "and")


def _aws(_: Subject) -> Finding:
    way_out = "install AWS CLI v2"
    printed = _printed("aws", "--version")
    if printed is None:
        return problem(ABOUT, f"aws is not on PATH, which gets tokens for the cluster: {way_out}")
    number = _NUMBER.search(printed)
    if number and number[0].startswith("1."):
        return problem(ABOUT, f"aws is {number[0]}, of which AWS ends the support: {way_out}")
    return _good("aws", number)


def _kubectl(stack: Subject) -> Finding:
    wanted = stack.settings.cluster.version
    way_out = f"install kubectl {wanted}"
    printed = _printed("kubectl", "version", "--client", "--output=json")
    if printed is None:
        return problem(ABOUT, f"kubectl is not on PATH, which shows the dashboard: {way_out}")
    number = re.search(r'"gitVersion": *"v(\d+)\.(\d+)', printed)
    # https://kubernetes.io/releases/version-skew-policy/#kubectl
    if number and abs(int(number[2]) - int(wanted.split(".")[1])) > 1:
        reason = (
            f"kubectl is {number[1]}.{number[2]}, and {full_key('cluster.version')} is {wanted}"
        )
        return note(ABOUT, f"{reason}, more than one minor version apart: {way_out}")
    return good(ABOUT, f"kubectl {f'{number[1]}.{number[2]} ' if number else ''}is on PATH")


def _good(program: str, number: re.Match[str] | None) -> Finding:
    return good(ABOUT, f"{program} {f'{number[0]} ' if number else ''}is on PATH")


def _printed(program: str, *arguments: str) -> str | None:
    """What a program prints, empty where it fails; None where it is not on PATH."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run(
            [path, *arguments], capture_output=True, encoding="utf-8", timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout + done.stderr if done.returncode == 0 else ""
