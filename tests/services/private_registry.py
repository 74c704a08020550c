"""A real registry that answers those who log in."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bcrypt

from tests.services.registry import registry

USER, PASSWORD = "robot", "a-token-of-one-registry"


@dataclass(frozen=True)
class Private:
    """A registry with one image, for one user.

    Attributes:
        host: of the registry.
        digest: of its image.
    """

    host: str
    digest: str

    @property
    def image(self) -> str:
        return f"{self.host}/team/app:v1"


@contextmanager
def private_registry(folder: Path) -> Generator[Private]:
    """Serves until the end of the block; ``folder`` gets its data and log."""
    with registry(folder) as open_to_all:
        digest = open_to_all.push("team/app", "v1", layers=1)
    users = f"{USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}"
    with registry(folder, users=users) as running:
        yield Private(running.host, digest)
