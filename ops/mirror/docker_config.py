"""A Docker configuration for one run: the user's logins, and the login to the target if it is ECR.

It is deleted with the run: the login to ECR is written neither to the user's key ring nor to the
user's file.
Format: docs.docker.com/reference/cli/docker/#docker-cli-configuration-file-configjson-properties.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from images.reference import DOCKER_HUB, HUB_ALIASES
from ops.cli_errors import Refused
from rendering.cache import write_atomically

# The key of Docker Hub's login in every client (moby/moby registry/config.go).
_DOCKER_HUB_KEY = "https://index.docker.io/v1/"


def with_login(
    config: Mapping[str, Any], sources: Iterable[str], target: str, token: str
) -> dict[str, Any]:
    """The configuration of a run.

    Args:
        config: the user's own.
        sources: hosts that are read.
        target: the host that is written to; its other logins and helpers are left out.
        token: its login, ``user:password`` in base64.

    Returns:
        A store for all hosts becomes a helper for each source: it is read and never written.
    """
    auths, helpers = (_by_crane(config.get(name)) for name in ("auths", "credHelpers"))
    store = config.get("credsStore")
    if store:
        for host in sources:
            helpers.setdefault(_DOCKER_HUB_KEY if host == DOCKER_HUB else host, store)
    for logins in (auths, helpers):
        logins.pop(target, None)
        logins.pop(f"https://{target}", None)
    auths[target] = {"auth": token}
    headers = {"HttpHeaders": config["HttpHeaders"]} if "HttpHeaders" in config else {}
    return {"auths": auths, "credHelpers": helpers, **headers}


@contextmanager
def own_logins() -> Generator[Path]:
    """A folder with the user's own logins alone, until the end of the block.

    Raises:
        Refused: see ``user_config``.
    """
    config = dict(user_config())
    for name in ("auths", "credHelpers"):
        config[name] = _by_crane(config.get(name))
    with TemporaryDirectory(prefix="kf-docker-") as folder:
        replace_config(Path(folder), config)
        yield Path(folder)


def _by_crane(logins: object) -> dict[str, Any]:
    """The logins with the one of Docker Hub under the key by which crane looks it up.

    `podman login docker.io` writes the registry's plain name (containers/image
    pkg/docker/config/config.go), which go-containerregistry does not ask for
    (pkg/authn/keychain.go).
    """
    found: dict[str, Any] = dict(cast("Mapping[str, Any]", logins or {}))
    for key in [*found]:
        host = re.sub("^https?://", "", key).partition("/")[0]
        if host in (DOCKER_HUB, *HUB_ALIASES) and key != _DOCKER_HUB_KEY:
            found.setdefault(_DOCKER_HUB_KEY, found.pop(key))
    return found


def user_config() -> Mapping[str, Any]:
    """Docker's configuration of the user, else Podman's logins, else nothing.

    Raises:
        Refused: the file is not a JSON object; its content is not quoted.
    """
    docker = os.environ.get("DOCKER_CONFIG")
    podman, runtime = os.environ.get("REGISTRY_AUTH_FILE"), os.environ.get("XDG_RUNTIME_DIR")
    files = [
        Path(docker) / "config.json" if docker else Path.home() / ".docker" / "config.json",
        *([Path(podman)] if podman else []),
        *([Path(runtime) / "containers" / "auth.json"] if runtime else []),
    ]
    for file in filter(Path.is_file, files):
        try:
            config: object = json.loads(file.read_bytes())
        except ValueError:
            config = None
        if not isinstance(config, dict):
            raise Refused(f"{file} is not a JSON object: repair it, or log in again.")
        return cast(dict[str, Any], config)
    return {}


def replace_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write crane's configuration, for this user alone, while crane may read the previous one."""
    write_atomically(folder / "config.json", json.dumps(config).encode())
