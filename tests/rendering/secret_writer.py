"""What the External Secrets Operator writes for an ExternalSecret: as much of it as ours use.

The expressions are those of Go's text/template with ``fromJson``; anything else is an error here,
so that a template which uses more is noticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rendering import Object
from tests.database_users import users

Remote = Mapping[str, Mapping[str, str]]
"""Name of a secret in Secrets Manager -> the JSON object it holds."""

ADDRESS = {"host": "db.example.rds.cn-north-1.amazonaws.com.cn", "port": "3306"}
CATALOG = "<<secret.model-catalog>>"
OF_CATALOG: Remote = {
    CATALOG: {
        "host": "catalog.example.rds.cn-north-1.amazonaws.com.cn",
        "port": "5432",
        "username": "kubeflow",
        "password": "passwordOfcatalog",
        "database": "modelcatalog",
    }
}
"""The login of Hub's catalog, in an instance of its own."""
REMOTE: Remote = {
    **OF_CATALOG,
    "<<secret.database-master>>": {
        **ADDRESS,
        "username": "kubeflow",
        "password": "passwordOfmaster",
    },
    **{
        f"<<secret.{component}>>": {
            **ADDRESS,
            "username": user.user,
            "password": f"passwordOf{user.user}",
            "database": user.database,
        }
        for component, user in users("26.03.1").items()
    },
}
"""Secrets Manager as the stack fills it, with passwords that a test can look for."""

_EXPRESSION = re.compile(r"\{\{ (.+?) (-?)\}\}")


def written(external_secret: Object, remote: Remote) -> dict[str, str]:
    """Key -> text of the Secret; a remote secret that ``remote`` lacks is a KeyError."""
    spec: dict[str, Any] = external_secret["spec"]
    values: dict[str, str] = {}
    for entry in spec.get("dataFrom", []):
        values |= remote[entry["extract"]["key"]]
    for entry in spec.get("data", []):
        values[entry["secretKey"]] = json.dumps(remote[entry["remoteRef"]["key"]])
    template = spec["target"].get("template")
    if template is None:
        return values
    return {key: _filled(text, values) for key, text in template["data"].items()}


def _filled(text: str, values: Mapping[str, str]) -> str:
    variables: dict[str, dict[str, str]] = {}

    def expand(match: re.Match[str]) -> str:
        expression = match[1]
        if assignment := re.fullmatch(r"\$(\w+) := fromJson \.(\w+)", expression):
            variables[assignment[1]] = json.loads(values[assignment[2]])
            return "\0" if match[2] else ""
        if field := re.fullmatch(r"\$(\w+)\.(\w+)", expression):
            return variables[field[1]][field[2]]
        if field := re.fullmatch(r"\(fromJson \.(\w+)\)\.(\w+)", expression):
            return json.loads(values[field[1]])[field[2]]
        if value := re.fullmatch(r"\.(\w+)", expression):
            return values[value[1]]
        raise AssertionError(f"{expression} is an expression that no ExternalSecret of ours used")

    # "-}}" takes the white space behind it away
    return re.sub(r"\0\s*", "", _EXPRESSION.sub(expand, text))
