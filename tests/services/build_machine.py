"""A machine of CodeBuild in a folder: the build specification's own commands, and a real crane.

Only ``aws`` is a stand-in: it hands out a registry password, and the key pair that the build reads
across partitions, and keeps what the table of copies is told. The guard of the sources is let into
registries of the test (``guarded_sources``).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from components.mirror.buildspec import buildspec
from tests.services.copied_images import await_until
from tests.services.guarded_sources import SOURCES

PREFIX = "kubeflow"
PUSH_KEY = "secret-key-that-pushes"
ROLE_KEY = "secret-key-of-the-role"
BUILD_SECONDS = 600

_PYTHON = f"""#!/bin/bash
if [ "$1" = "$PYTHONPATH/components/mirror/guard.py" ]; then
  shift
  set -- {Path(__file__).with_name("guarded_sources.py")} "$@"
fi
exec {sys.executable} "$@"
"""
_AWS = """#!/bin/bash
echo "$1 $2" >> "$MACHINE/calls"
case "$1 $2" in
  "secretsmanager get-secret-value")
    echo "$4 $AWS_SECRET_ACCESS_KEY" >> "$MACHINE/secrets-read"
    if [ ! -d "$MACHINE/logins" ] || [ "$4" = "${CREDENTIALS_SECRET:-}" ]; then
      cat "$MACHINE/secret"
    elif [ -f "$MACHINE/logins/$4" ]; then
      cat "$MACHINE/logins/$4"
    else
      echo "An error occurred (ResourceNotFoundException) when calling the operation: $4" >&2
      exit 254
    fi ;;
  "dynamodb update-item") echo "$4 $AWS_SECRET_ACCESS_KEY" >> "$MACHINE/told" ;;
  "ecr get-login-password") echo "password-of-$AWS_SECRET_ACCESS_KEY" ;;
  "ecr create-repository") echo "$4 $AWS_SECRET_ACCESS_KEY" >> "$MACHINE/repositories" ;;
  "ecr put-lifecycle-policy") ;;
  *) echo "aws $*: not expected" >&2; exit 2 ;;
esac
"""


@dataclass(frozen=True)
class BuildMachine:
    """Runs builds that push to one registry.

    Attributes:
        folder: its programs, its home and its secret.
        registry: host of the registry that receives copies; the build may write below ``PREFIX``.
    """

    folder: Path
    registry: str

    @classmethod
    def set_up(cls, folder: Path, crane: Path, registry: str) -> BuildMachine:
        """A new machine, on which ``crane`` is where the install phase would put it."""
        programs = folder / "programs"
        programs.mkdir(parents=True)
        (programs / "crane").symlink_to(crane)
        for name, text in {"aws": _AWS, "python3": _PYTHON}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        secret = {"accessKeyId": "AKIAPUSH", "secretAccessKey": PUSH_KEY}
        (folder / "secret").write_text(json.dumps(secret))
        machine = cls(folder, registry)
        machine.admit({})
        return machine

    def admit(self, sources: Mapping[str, int], **bounds: float) -> None:
        """Lets the guard into registries of the test: host and port -> the port on 127.0.0.1."""
        given = {"connect": dict(sources), "bounds": bounds}
        (self.folder / SOURCES).write_text(json.dumps(given))

    @property
    def repositories(self) -> list[str]:
        """The repositories that a build made."""
        file = self.folder / "repositories"
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line.rpartition(" ")[0])["repositoryName"] for line in lines]

    def target(self, name: str) -> str:
        """Where the copy of ``name`` belongs."""
        return f"{self.registry}/{PREFIX}/{name}"

    @property
    def told(self) -> list[tuple[dict[str, Any], str]]:
        """Each request to the table, and the key it was made with."""
        file = self.folder / "told"
        lines = file.read_text().splitlines() if file.exists() else []
        return [
            (json.loads(request), key) for request, _, key in (x.rpartition(" ") for x in lines)
        ]

    def install(self, **more: str) -> CompletedProcess[str]:
        """The install phase."""
        return self._phase("install", more)

    def copy(self, *pairs: tuple[str, str], **more: str) -> CompletedProcess[str]:
        """The build phase, for pairs of source and target; stops it after ``BUILD_SECONDS``."""
        self._admit_sources(pairs)
        return self._phase("build", {**_images(pairs), **more})

    @contextmanager
    def copying(self, *pairs: tuple[str, str]) -> Generator[Callable[[], None]]:
        """The build phase while it runs; the block gets what ends all of it at once.

        CodeBuild does so too: a build that is stopped, or over its time, loses its container.
        """
        self._admit_sources(pairs)
        with subprocess.Popen(
            ["bash", "-c", command("build")],
            env=self._environment(_images(pairs)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as build:

            def end() -> None:
                assert build.poll() is None, "the build has ended by itself"
                os.killpg(build.pid, signal.SIGKILL)
                build.wait(timeout=BUILD_SECONDS)
                await_until(lambda: not _members(build.pid), "the whole group has ended")

            try:
                yield end
            finally:
                if build.poll() is None:
                    os.killpg(build.pid, signal.SIGKILL)

    def _admit_sources(self, pairs: tuple[tuple[str, str], ...]) -> None:
        """Lets the guard into what is at a port of 127.0.0.1, as the registries of tests are."""
        hosts = {source.partition("/")[0] for source, _ in pairs}
        given = json.loads((self.folder / SOURCES).read_text())
        local = {
            host: int(host.partition(":")[2]) for host in hosts if host.startswith("127.0.0.1:")
        }
        self.admit({**local, **given["connect"]}, **given["bounds"])

    def _phase(self, name: str, variables: dict[str, str]) -> CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command(name)],
            env=self._environment(variables),
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_SECONDS,
        )

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        return {
            "PATH": f"{self.folder / 'programs'}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "MACHINE": str(self.folder),
            "AWS_SECRET_ACCESS_KEY": ROLE_KEY,
            "TARGET_REGISTRY": f"{self.registry}/{PREFIX}",
            "TARGET_REGION": "cn-north-1",
            "RETRY_SECONDS": "0",
            **specification()["env"]["variables"],
            **variables,
        }


def command(phase: str) -> str:
    """The one command of a phase, as CodeBuild reads it."""
    (only,) = specification()["phases"][phase]["commands"]
    return only


def specification() -> dict[str, Any]:
    return json.loads(buildspec())


def _images(pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {"IMAGES": "\n".join(f"{source} {target}" for source, target in pairs)}


def _members(group: int) -> list[str]:
    """Processes of a group that still run."""
    found: list[str] = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            # "pid (name) state parent group ..."; a name may hold spaces and brackets itself.
            state, _, of_group = file.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended
            continue
        if int(of_group) == group and state != "Z":
            found.append(file.parent.name)
    return found
