"""The settings of one stack, read and checked.

Three ways in: :func:`load` inside a Pulumi program, :func:`from_stack_file` without an engine
(rehearsal, command line) and :func:`from_mapping` for plain values. Each either returns
:class:`Settings` or raises :class:`SettingsError` with every problem at once, each one sentence
that names the key as the stack file writes it, the value and the way out.

Names in a stack file are camelCase (``kubeflow:nodeGroup`` with ``instanceType``), here they are
snake_case. No setting is a secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from regions.region import EXAMPLE_REGION, Region, known_regions
from settings import rules_aws, rules_mirror, rules_platform, rules_pools
from settings.errors import NAMESPACE, full_key, told_encrypted, translated
from settings.facts import Facts, karpenter_releases, releases
from settings.node_pools import Budget, NodePoolSettings, Taint
from settings.section import MANIFESTS
from settings.sections import MirrorRule, Settings, User
from settings.stack_file import StackFileError, read_stack_file


class SettingsError(Exception):
    """A stack that cannot be built; ``problems`` holds one full sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _aliases(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


SECTIONS: tuple[str, ...] = tuple(_aliases(Settings))
"""The keys of a stack file, without their namespace."""

_TEXTS = ("region", "accountId", "release", "bundles")
"""Those that hold a text; the engine hands the others over as JSON."""

_LISTED: Mapping[str, type[BaseModel]] = {"taints": Taint, "budgets": Budget}


def _names_at(path: tuple[str | int, ...]) -> list[str]:
    """The names known beside the last part of a path, for did-you-mean."""
    if len(path) == 1:
        return list(SECTIONS)
    by_alias = {field.alias: field.annotation for field in Settings.model_fields.values()}
    kind = by_alias.get(str(path[0]))
    if path[0] == "users":
        kind = User
    elif path[:2] == ("imageMirror", "rules"):
        kind = MirrorRule
    elif path[0] == "nodePools" and len(path) > 2:
        kind = NodePoolSettings
    for part in path[1:-1]:
        kind = _LISTED.get(str(part), kind)
    return _aliases(kind) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _plain(value: object) -> Any:
    """A deep copy in dicts and lists, every key a text: YAML reads `on` and `1` as other things."""
    if isinstance(value, Mapping):
        items = cast(Mapping[object, object], value).items()
        return {str(key): _plain(inner) for key, inner in items}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in cast(list[object], value)]
    return value


def _without(raw: dict[str, Any], path: tuple[str | int, ...]) -> str:
    """Take a wrong value out of ``raw`` in place (a list as a whole); return its dotted path."""
    places: list[dict[str, Any]] = [raw]
    for part in path[:-1]:
        inner: Any = places[-1].get(str(part))
        if not isinstance(inner, dict):
            break
        places.append(cast(dict[str, Any], inner))
    name = str(path[len(places) - 1])
    if name not in places[-1]:  # pydantic named a place that is not there: give up the section
        places, name = [raw], str(path[0])
    places[-1].pop(name, None)
    return ".".join([*(str(part) for part in path[: len(places) - 1]), name])


def from_mapping(raw: Mapping[str, object], *, manifests: Path = MANIFESTS) -> Settings:
    """Check plain values. Keys are section names without namespace; an empty section is a default.

    manifests: where releases are looked up. Raises SettingsError with every problem found.
    """
    rest = {key: _plain(value) for key, value in raw.items() if value not in (None, "")}
    problems: list[str] = []
    broken: set[str] = set()
    # Each round takes out what was wrong, so that the rules still see all that is right.
    while True:
        try:
            settings = Settings.model_validate(rest)
            break
        except ValidationError as error:
            for detail in cast(list[dict[str, Any]], error.errors(include_url=False)):
                path = tuple(detail["loc"])
                if path == ("region",) and detail["type"] == "missing":
                    problems.append(
                        f"{full_key('region')} is missing: say where the stack lives, "
                        f"for example `{full_key('region')}: {EXAMPLE_REGION}`."
                    )
                else:
                    problems.append(translated(detail, _names_at(path)))
                wrong = _without(rest, path)
                if detail["type"] != "extra_forbidden":
                    broken.add(wrong)
            rest.setdefault("region", known_regions()[0])
    facts = Facts(
        settings, Region.of(settings.region), releases(manifests), karpenter_releases(manifests)
    )
    for rules in (
        rules_platform,
        rules_mirror,
        rules_pools,
        rules_aws,
    ):
        problems += rules.RULES.problems(facts, frozenset(broken))
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    return settings


def load() -> Settings:
    """The settings of the stack being deployed, from the engine's configuration.

    Raises SettingsError, also for keys of the namespace that are no settings.
    """
    from pulumi.runtime.config import (
        CONFIG,
        get_config,
        get_config_env,
        is_config_secret,
    )

    names = {*SECTIONS}
    for key in (*CONFIG.get(), *get_config_env()):
        namespace, _, name = key.partition(":")
        if namespace == NAMESPACE:
            names.add(name)
    raw: dict[str, object] = {}
    problems: list[str] = []
    for name in sorted(names):
        key = f"{NAMESPACE}:{name}"
        value: object = get_config(key)
        if is_config_secret(key):
            problems.append(told_encrypted(key))
            continue
        if isinstance(value, str) and name not in _TEXTS:
            with suppress(json.JSONDecodeError):  # plain text: the models refuse it with its key
                value = json.loads(value)
        if value is not None:
            raw[name] = value
    return _checked(raw, problems, MANIFESTS)


def from_stack_file(path: Path, *, manifests: Path = MANIFESTS) -> Settings:
    """The settings a stack file holds, read without an engine.

    Raises SettingsError, also for a file that is missing, no YAML, or of another namespace.
    """
    try:
        raw, problems = read_stack_file(path, SECTIONS)
    except StackFileError as error:
        raise SettingsError([str(error)]) from None
    return _checked(raw, problems, manifests)


def _checked(raw: Mapping[str, object], problems: list[str], manifests: Path) -> Settings:
    try:
        settings = from_mapping(raw, manifests=manifests)
    except SettingsError as error:
        raise SettingsError([*problems, *error.problems]) from None
    if problems:
        raise SettingsError(problems)
    return settings
