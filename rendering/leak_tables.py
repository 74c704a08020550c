"""Tables of the leak check: what is a leak, and which values of leak_tables.yaml are none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from rendering.cache import table

MARKER = re.compile(r"<<[a-z][a-z0-9.-]*>>")
"""A deploy value: it exists only after creation, and the component binds it."""

_TABLES: Any = table("leak_tables.yaml")

ARN = re.compile(r"\barn:(aws[a-z-]*):")
HOST = re.compile(
    r"(?:\w+://)?(?:[A-Za-z0-9*<>{}$_-]+\.)*(?P<suffix>amazonaws\.(?:com\.cn|com|eu))"
    r"(?![A-Za-z0-9-])[^\s\"',]*"
)
CHINESE_HOST = re.compile(r"[A-Za-z0-9.-]+(?<!amazonaws)\.com\.cn(?![A-Za-z0-9-])")
REGISTRY = re.compile(
    # Not after a slash: there it is a path, below the account's own registry or in a web address.
    r"(?<![\w./-])(?:"
    + "|".join(re.escape(host) for host in _TABLES["public_registries"])
    + r"|[a-z0-9-]+\.pkg\.dev)/[a-z0-9][^\s\"',`]*"
)
VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
TEMPLATE = re.compile(r"\{\{.*?\}\}|\{\{", re.DOTALL)
TRIAL = re.compile(r"\$\{trial[A-Z]\w*[^}]*\}")
EMPTY_HOST = re.compile(r"https?://(?=[:/\s]|$)|^\s*(?:bucket|endpoint):\s*(?:\"\"|'')?\s*$", re.M)
MUST_NOT_BE_EMPTY = re.compile(
    r"(?:db|mysql)Host|bucketName|(?:\w+_)?(?:BUCKET|BUCKET_?NAME)|"
    r"\w*(?:DB|MYSQL|OBJECTSTORE|MINIO)\w*_(?:SERVICE_)?HOST"
)
SUSPICIOUS = re.compile(r"arn:aws|amazonaws|<<|\$\(|\$\{|\{\{|https?://|bucket:|endpoint:|com\.cn")


def is_allowed(values: str, place: str, value: str) -> bool:
    """Whether leak_tables.yaml has a value among its ``values`` of this place."""
    return any(
        fnmatchcase(place, row["place"].replace("[", "[[]"))
        and re.fullmatch(row["value"], value, re.DOTALL)
        for row in _TABLES[values]
    )


CREDENTIALS: Mapping[str, str] = _TABLES["credentials"]
"""Value -> what it is."""
SECRET_CREDENTIALS: Mapping[str, str] = _TABLES["secret_credentials"]
DEFAULT_USER = "user@example.com"
