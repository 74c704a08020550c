"""Resources of plans as CloudFormation templates, and what cfn-lint finds in them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from tests.judges.findings import Finding
from tests.judges.plans import Planned

TABLE: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
_NAMES_FROM = "us-east-1"
"""The region whose schemas give the names of properties: it has every type."""
# What is left are the schemas, enumerations and limits of resources. The others are about templates
# (parameters, outputs, deletion policies) or compare resources of one template: here several plans
# of a region share one, and several resources of CloudFormation stand for one of AWS (E3019: equal
# names, E3060: overlapping subnets, E3064: endpoints of one service).
_ABOUT_TEMPLATES = [
    "E2",
    "E3010",
    "E3019",
    "E3060",
    "E3064",
    "E4",
    "E6",
    "E7",
    "E8",
    "W1",
    "W2",
    "W3010",
    "W3011",
    "W4",
    "W6",
    "W7",
    "W8",
]


class Untranslated(Exception):
    """A type or a property that cloudformation.yaml does not decide."""


def findings(resources: Iterable[Planned]) -> Iterator[Finding]:
    """What cfn-lint finds, each resource judged once by the schemas of its own region."""
    templates: dict[str, dict[str, tuple[Planned, dict[str, Any]]]] = {}
    for resource in resources:
        if (written := translated(resource)) is not None:
            text = json.dumps(written, sort_keys=True)
            templates.setdefault(resource.region, {})[text] = resource, written
    for region, template in templates.items():
        yield from _linted(region, list(template.values()))


def _linted(region: str, resources: list[tuple[Planned, dict[str, Any]]]) -> Iterator[Finding]:
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {f"R{number}": written for number, (_, written) in enumerate(resources)},
    }
    config = ManualArgs(regions=[region], include_checks=["I3510"], ignore_checks=_ABOUT_TEMPLATES)
    for match in lint(json.dumps(template), config=config):
        place = [str(each) for each in getattr(match, "path", None) or []]
        subject = resources[int(place[1][1:])][0] if len(place) > 1 else None
        name = f"{subject.type} {subject.name}" if subject else ""
        yield Finding(match.rule.id, name, f"{'.'.join(place[2:])}: {match.message}")


def translated(resource: Planned) -> dict[str, Any] | None:
    """The resource as CloudFormation writes it; None for a type that it has not.

    Raises:
        Untranslated: the type, or one of its properties, is not in cloudformation.yaml.
    """
    if resource.type in TABLE["without"]:
        return None
    row = TABLE["types"].get(resource.type)
    if row is None:
        raise Untranslated(f"{resource.type} is not in cloudformation.yaml")
    return {
        "Type": row["as"],
        "Properties": _Writer(resource.type, row).properties(resource.inputs),
    }


@cache
def _schema(type_: str) -> dict[str, Any]:
    return PROVIDER_SCHEMA_MANAGER.get_resource_schema(_NAMES_FROM, type_).schema


class _Writer:
    def __init__(self, type_: str, row: Mapping[str, Any]) -> None:
        self.type = type_
        self.names: dict[str, str] = row.get("names", {})
        self.absent: dict[str, str] = row.get("absent", {})
        self.extra: dict[str, Any] = row.get("with", {})
        self.as_type: str = row["as"]
        self.root = _schema(self.as_type)

    def properties(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        written: dict[str, Any] = copy.deepcopy(self.extra)
        self._object(inputs, self.root, "", written)
        return written

    def _object(
        self, value: Mapping[str, Any], schema: Mapping[str, Any], at: str, written: dict[str, Any]
    ) -> None:
        for key, item in value.items():
            path = f"{at}{key}"
            if item is None or key.startswith("__") or path in self.absent:
                continue
            name = self.names[path] if path in self.names else self._name(key, schema, path)
            if not name:
                self._object(item, schema, f"{path}.", written)
                continue
            place, here = name.split("."), schema
            target: Any = written
            for number, step in enumerate(place):
                here = self._below(here, step, path)
                last = number == len(place) - 1
                if last:
                    content = self._value(item, here, path)
                else:
                    content = [] if place[number + 1].isdigit() else {}
                if isinstance(target, list):
                    if len(target) <= int(step):
                        target.append(content)
                    target = target[int(step)]
                elif last:
                    target[step] = content
                else:
                    target = target.setdefault(step, content)

    def _name(self, key: str, schema: Mapping[str, Any], path: str) -> str:
        kind = self.as_type.rpartition("::")[2]
        for name in self._properties(schema):
            if name.lower() in (key.lower(), f"db{key}".lower(), f"{kind}{key}".lower()):
                return name
        raise Untranslated(f"{self.type}: {path} is not in cloudformation.yaml")

    def _properties(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._resolved(schema).get("properties", {})

    def _below(self, schema: Mapping[str, Any], step: str, path: str) -> Mapping[str, Any]:
        if step.isdigit():
            return self._resolved(schema).get("items", {})
        if step not in self._properties(schema):
            raise Untranslated(f"{self.type}: {path} leads to {step}, which CloudFormation has not")
        return self._properties(schema)[step]

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self.root["definitions"][schema["$ref"].rpartition("/")[2]]
        # A list of a form of its own, or any object: the list.
        one = schema.get("oneOf")
        return self._resolved(one[0]) if one and "type" not in schema else schema

    def _mapping(self, value: Mapping[str, Any], schema: Mapping[str, Any], at: str) -> Any:
        if schema.get("type") == "array":
            return [{"Key": key, "Value": item} for key, item in value.items()]
        if "properties" not in schema:
            return dict(value)
        written: dict[str, Any] = {}
        self._object(value, schema, f"{at}.", written)
        return written

    def _value(self, value: Any, schema: Mapping[str, Any], at: str) -> Any:
        schema = self._resolved(schema)
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if isinstance(value, Mapping):
            return self._mapping(value, schema, at)
        if isinstance(value, list) and "properties" in schema:
            return self._value(value[0], schema, at)
        if isinstance(value, list):
            return [self._value(item, schema.get("items", {}), at) for item in value]
        if isinstance(value, str) and "object" in kinds and value[:1] == "{":
            return json.loads(value)
        if len(one := schema.get("properties", {})) == 1:
            return {next(iter(one)): value}
        # A number of a plan is a float.
        return int(value) if isinstance(value, float) and value.is_integer() else value
