"""The readers of KServe's and Knative's settings, and the login of Argo's and Katib's look-ups.

``python -m tests.services.serving_programs`` builds it beforehand: a small Go program around their
own packages, in the releases that we install. The Python packages of KServe's storage initializer
are in a virtual environment of their own, because their versions are those of its image.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console

from rendering.release import folder_digest
from tests.cluster.api_server import built
from tests.services.python_packages import interpreter
from toolchain.go_programs import GoProgram, Say
from toolchain.tools import ToolMissing

_HERE = Path(__file__).parent / "serving"


def _pinned(requirement: str) -> str:
    return re.findall(rf"{re.escape(requirement)} v([\d.]+)", (_HERE / "go.mod").read_text())[0]


# The digest is part of the version, since the program is ours and changes without a new KServe.
SETTINGS_READER = GoProgram(
    name="serving-settings",
    version=f"{_pinned('github.com/kserve/kserve')}-{folder_digest(_HERE)[:12]}",
    module=_HERE,
    package=".",
    variables={},
    takes="about a minute on two cores",
)


def environment_by_kserve(config_map: Mapping[str, Any]) -> dict[str, str]:
    """The variables that KServe gives a storage initializer whose account carries a role.

    Args:
        config_map: ``inferenceservice-config`` as the cluster has it.
    """
    return json.loads(_read_settings(config_map, "environment"))


def left_to_the_kubelet(config_map: Mapping[str, Any], images: Sequence[str]) -> dict[str, bool]:
    """Image -> whether Knative starts it by its tag, without asking its registry for a digest.

    Args:
        config_map: ``config-deployment`` as the cluster has it.
        images: references with a tag, or without one.
    """
    answers = json.loads(_read_settings(config_map, "skipped", *images))
    return dict(zip(images, answers, strict=True))


def domain_of_services(config_map: Mapping[str, Any]) -> str:
    """The domain of Knative's services without a label.

    Args:
        config_map: ``config-domain`` as the cluster has it.
    """
    return json.loads(_read_settings(config_map, "domain"))


def registry_user(host: str, environment: Mapping[str, str]) -> str:
    """The user by whom a look-up of entrypoints logs in to a registry of ECR.

    Args:
        host: of the registry.
        environment: of the controller's pod.
    """
    return json.loads(_read_settings({}, "login", host, environment=environment))


def storage_initializer(version: str, say: Say) -> Path:
    """The Python that has the storage initializer's packages, from the cache or installed.

    Args:
        version: of KServe, one of those that the releases install.
        say: gets one line before an installation.

    Raises:
        ToolMissing: pip could not install them; with its last line.
    """
    packages = Path(__file__).with_name(f"storage-initializer-{version}.txt")
    return interpreter(packages, f"KServe's storage initializer {version}", say)


@cache
def _settings_reader() -> Path:
    return built(SETTINGS_READER, print)


def _read_settings(
    config_map: Mapping[str, Any], *question: str, environment: Mapping[str, str] | None = None
) -> str:
    done = subprocess.run(
        [str(_settings_reader()), *question],
        env=environment,
        input=json.dumps(config_map),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


if __name__ == "__main__":
    _console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        built(SETTINGS_READER, _console.print)
    except ToolMissing as missing:
        _console.print(str(missing), style="red")
        sys.exit(2)
