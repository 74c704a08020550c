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

from collections.abc import Iterable, Mapping
from pathlib import Path

from regions.region import Region
from settings import (
    rules_access,
    rules_aws,
    rules_data,
    rules_mirror,
    rules_platform,
    rules_pools,
)
from settings.checked_values import aliases, read
from settings.errors import AWS, NAMESPACE, SettingsError, encrypted, full_key
from settings.facts import Facts, karpenter_releases, releases
from settings.section import MANIFESTS
from settings.sections import Settings
from settings.stack_file import read_stack_file, structured

SECTIONS: tuple[str, ...] = tuple(name for name in aliases(Settings) if name != AWS)
"""The keys of a stack file, without their namespace, beside those of Pulumi's AWS provider."""


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
    settings, found, broken = read(Settings, raw, SECTIONS)
    all_problems = [*problems, *found]
    facts = _facts(settings, manifests)
    for rules in (rules_platform, rules_mirror, rules_pools, rules_aws, rules_data):
        all_problems += rules.RULES.problems(facts, broken)
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
