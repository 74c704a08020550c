"""A Docker configuration of one run's own: the person's logins, and the target's beside them.

Nothing of it stays: a login to ECR neither ends up in the person's key ring nor in their file.
Format: docs.docker.com/reference/cli/docker/#docker-cli-configuration-file-configjson-properties.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from images.reference import DOCKER_HUB
from ops.cli_errors import Refused

# The key under which every client keeps Docker Hub's login (moby/moby registry/config.go).
_DOCKER_HUB_KEY = "https://index.docker.io/v1/"


def own_config(person: Mapping[str, Any], sources: Iterable[str], target: str) -> dict[str, Any]:
    """The configuration of a run.

    Args:
        person: the person's own configuration.
        sources: hosts that are read.
        target: the host whose login is written into the file made of this.

    Returns:
        The logins and helpers, except the target's. A store for all hosts becomes a helper for each
        source: so it is asked, and gets nothing to keep.
    """
    auths: dict[str, Any] = dict(person.get("auths") or {})
    helpers: dict[str, Any] = dict(person.get("credHelpers") or {})
    store = person.get("credsStore")
    if store:
        for host in sources:
            key = _DOCKER_HUB_KEY if host == DOCKER_HUB else host
            helpers.setdefault(key, store)
    for known in (auths, helpers):
        known.pop(target, None)
        known.pop(f"https://{target}", None)
    return {
        key: value
        for key, value in (
            ("auths", auths),
            ("credHelpers", helpers),
            ("HttpHeaders", person.get("HttpHeaders")),
        )
        if value
    }


def persons_config() -> Mapping[str, Any]:
    """Docker's configuration of whoever runs this, else Podman's logins, else nothing.

    Raises:
        Refused: the file is no JSON object; what it holds is not quoted.
    """
    for path in _places():
        if path.is_file():
            try:
                read: object = json.loads(path.read_bytes())
            except ValueError:
                read = None
            if not isinstance(read, dict):
                raise Refused(f"{path} is no JSON object: repair it, or log in again.")
            return cast(dict[str, Any], read)
    return {}


def _places() -> list[Path]:
    docker = os.environ.get("DOCKER_CONFIG")
    podman, runtime = os.environ.get("REGISTRY_AUTH_FILE"), os.environ.get("XDG_RUNTIME_DIR")
    return [
        Path(docker) / "config.json" if docker else Path.home() / ".docker" / "config.json",
        *([Path(podman)] if podman else []),
        *([Path(runtime) / "containers" / "auth.json"] if runtime else []),
    ]


@contextmanager
def private_folder(config: Mapping[str, Any]) -> Generator[Path]:
    """A folder for ``DOCKER_CONFIG`` that only this user can read, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="kf-docker-") as made:
        file = Path(made) / "config.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(config))
        yield Path(made)
