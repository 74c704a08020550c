"""Runs a command of the AWS CLI by botocore's models, as the CLI itself parses it.

A parameter is its member's name with hyphens, a list takes words up to the next parameter, a
boolean is ``--name`` or ``--no-name`` (awscli, clidriver.py and argprocess.py).
"""

from __future__ import annotations

import shlex
from typing import Any

from botocore import xform_name

from tests.ops.leftover_things import client_of


def run(command: str) -> None:
    """Runs ``aws ... && aws ...``; words that are not of the model are errors."""
    for step in command.split(" && "):
        _run_one(shlex.split(step))


def _run_one(words: list[str]) -> None:
    assert words.pop(0) == "aws"
    if words[0] == "--profile":
        del words[:2]
    assert words.pop(0) == "--region"
    region, service, operation, *words = words
    client = client_of({"s3api": "s3"}.get(service, service), region)
    method = operation.replace("-", "_")
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
    members = {xform_name(name, "-"): (name, shape) for name, shape in _members(model).items()}
    parameters: dict[str, Any] = {}
    while words:
        option = words.pop(0).removeprefix("--")
        until = next((at for at, word in enumerate(words) if word.startswith("--")), len(words))
        values, words = words[:until], words[until:]
        negated = option.removeprefix("no-") if option not in members else option
        name, shape = members[negated]
        match shape.type_name:
            case "boolean":
                assert not values
                parameters[name] = option == negated
            case "list":
                parameters[name] = values
            case "integer":
                parameters[name] = int(*values)
            case "string":
                (parameters[name],) = values
            case other:
                raise AssertionError(f"{option} is a {other}")
    getattr(client, method)(**parameters)


def _members(model: Any) -> dict[str, Any]:
    return model.input_shape.members if model.input_shape else {}
