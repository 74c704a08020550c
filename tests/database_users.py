"""The users of the database that a release has."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from rendering.database_users import users_of
from rendering.release import DatabaseUser, load
from settings import MANIFESTS
from tests.releases import DEFAULT


@cache
def users(
    release: str = DEFAULT, optional_parts: tuple[str, ...] | None = None
) -> Mapping[str, DatabaseUser]:
    """Component -> its user, with those of the optional parts; None: of all."""
    return users_of(load(MANIFESTS / release), optional_parts)
