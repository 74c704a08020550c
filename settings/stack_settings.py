"""The settings of one stack, read and checked.

Three ways in: :func:`load` inside a Pulumi program, :func:`from_stack_file` without an engine
(rehearsal, command line) and :func:`from_mapping` for plain values. Each either returns
:class:`Settings` or raises :class:`SettingsError` with every problem at once, each one sentence
with the key as in the stack file, the value and the way out. That somebody has access to the
cluster is checked last, of a whole stack file only.

Names in a stack file are camelCase (``kubeflow:nodeGroup`` with ``instanceType``), in Python they
are snake_case. No setting is a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError

from regions.region import EXAMPLE_REGION, Region
from settings import (
    plain_values,
    rules_access,
    rules_aws,
    rules_data,
    rules_mirror,
    rules_platform,
    rules_pools,
)
from settings.errors import AWS, NAMESPACE, SettingsError, encrypted, from_pydantic, full_key
from settings.errors import Path as Place
from settings.facts import Facts, karpenter_releases, releases
from settings.section import MANIFESTS
from settings.sections import Settings
from settings.stack_file import read_stack_file, structured


def _aliases(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


SECTIONS: tuple[str, ...] = tuple(name for name in _aliases(Settings) if name != AWS)
"""The keys of a stack file, without their namespace, beside those of Pulumi's AWS provider."""


def _names_at(path: tuple[str | int, ...]) -> list[str]:
    """The settings that are possible in the place of the last part of a path."""
    if len(path) == 1:
        return list(SECTIONS)
    model: type[BaseModel] = Settings
    parts = iter(path[:-1])
    for part in parts:
        types = {field.alias: field.annotation for field in model.model_fields.values()}
        annotation = types.get(str(part))
        model = next(_models_in(annotation), model)
        if get_origin(annotation) is dict:
            next(parts, None)  # a name of the user's own
    return _aliases(model)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The models in a type: ``list[Taint] | None`` -> ``Taint``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _is_setting(path: Place) -> bool:
    """Whether a path leads to a setting, or to an entry of one."""
    annotation: object = Settings
    for part in path:
        model = next(_models_in(annotation), None)
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        elif not isinstance(part, int):
            fields = model.model_fields.values() if model else ()
            annotation = next((field.annotation for field in fields if field.alias == part), None)
            if annotation is None:
                return False
    return True


def _remove_wrong_value(raw: dict[str, Any], path: tuple[str | int, ...]) -> str:
    """Removes a wrong value from ``raw`` (a list as a whole); returns its dotted path."""
    section, depth = raw, 0
    while depth < len(path) - 1 and isinstance(section.get(str(path[depth])), dict):
        section = section[str(path[depth])]
        depth += 1
    if str(path[depth]) not in section:  # missing, or named by pydantic alone: the whole section
        section, depth = raw, 0
    section.pop(str(path[depth]), None)
    return ".".join(str(part) for part in path[: depth + 1])


def from_mapping(
    raw: Mapping[str, object], *, manifests: Path = MANIFESTS, problems: Iterable[str] = ()
) -> Settings:
    """The settings in plain values.

    Args:
        raw: keys are section names without namespace; an empty section is a default.
        manifests: the folder of the releases.
        problems: of the same stack, from before its values were read.

    Raises:
        SettingsError: with these problems and all others.
    """
    given = {key: value for key, value in raw.items() if value not in (None, "")}
    unreadable = list(plain_values.problems(given, _is_setting))
    too_deep = {path[0] for path, _ in unreadable if len(path) == 1}
    rest = deepcopy({key: value for key, value in given.items() if key not in too_deep})
    all_problems = [*problems, *(sentence for _, sentence in unreadable)]
    broken = {_remove_wrong_value(rest, tuple(path)) for path, _ in unreadable}
    if "region" in broken:
        rest["region"] = EXAMPLE_REGION
    # Each round removes what is wrong, so that the rules check all the rest.
    while True:
        try:
            settings = Settings.model_validate(rest)
            break
        except ValidationError as error:
            for detail in cast(list[dict[str, Any]], error.errors(include_url=False)):
                path = tuple(detail["loc"])
                refused = ".".join(map(str, path)) in broken
                if refused and detail["type"] == "missing":
                    pass  # it was wrong, and is reported
                elif path == ("region",) and detail["type"] == "missing":
                    all_problems.append(
                        f"{full_key('region')} is missing: add the region of the stack, "
                        f"for example `{full_key('region')}: {EXAMPLE_REGION}`."
                    )
                else:
                    all_problems.append(from_pydantic(detail, _names_at(path)))
                wrong = _remove_wrong_value(rest, path)
                if detail["type"] != "extra_forbidden":
                    broken.add(wrong)
            rest.setdefault("region", EXAMPLE_REGION)
    facts = _facts(settings, manifests)
    for rules in (rules_platform, rules_mirror, rules_pools, rules_aws, rules_data):
        all_problems += rules.RULES.problems(facts, frozenset(broken))
    if all_problems:
        raise SettingsError(list(dict.fromkeys(all_problems)))
    return settings


def _facts(settings: Settings, manifests: Path) -> Facts:
    region = Region.of(settings.region)
    return Facts(settings, region, releases(manifests), karpenter_releases(manifests))


def _deployable(settings: Settings, manifests: Path = MANIFESTS) -> Settings:
    """The settings of a whole stack file, in which whoever deploys has access to the cluster."""
    problems = rules_access.RULES.problems(_facts(settings, manifests), frozenset())
    if problems:
        raise SettingsError(problems)
    return settings


def load() -> Settings:
    """The settings of the stack being deployed, from the engine's configuration.

    Raises:
        SettingsError: also for keys of the namespace that are no settings.
    """
    from pulumi.runtime.config import CONFIG, get_config, get_config_env, is_config_secret

    prefix = f"{NAMESPACE}:"
    keys = {key for key in (*CONFIG.get(), *get_config_env()) if key.startswith((prefix, AWS))}
    raw: dict[str, object] = {}
    provider: dict[str, object] = {}
    problems: list[str] = []
    for key in sorted(keys | {full_key(section) for section in SECTIONS}):
        value: object = get_config(key)
        if is_config_secret(key):
            problems.append(encrypted(key))
            continue
        if value is not None:
            section = provider if key.startswith(AWS) else raw
            section[key.partition(":")[2]] = structured(value)
    return _deployable(from_mapping({**raw, AWS: provider or None}, problems=problems))


def from_stack_file(path: Path, *, manifests: Path = MANIFESTS) -> Settings:
    """The settings in a stack file, read without an engine.

    Raises:
        SettingsError: also for a file that is missing, no YAML, or of another namespace.
    """
    raw, problems = read_stack_file(path, SECTIONS)
    return _deployable(from_mapping(raw, manifests=manifests, problems=problems), manifests)
