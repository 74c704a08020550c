"""Rules over the image mirror: who copies from where, and what only copies need."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from pydantic.alias_generators import to_camel

from regions.region import Feature, Region
from regions.upstream_registries import LONGEST_PREFIX, OPEN, WITH_LOGIN
from settings.errors import full_key, refusal, suggestion
from settings.image_mirror import MirrorRule
from settings.mirror_mode import has_policies
from settings.rule_frame import MirrorFacts, Rules
from settings.section import Section

RULES = Rules[MirrorFacts]()

_OF_COPIES = (
    *("when_absent", "inventory_first", "in_flight_minutes", "platform"),
    *("follow_hours", "build_profile", "rotation", "shared_inventory", "domestic_registries"),
    "budgets",
)
_OF_TWO_PARTITIONS = ("build_profile", "rotation", "credentials_secret")
_OF_MIRRORS = (
    *_OF_COPIES,
    *("credentials_secret", "rules", "upstream_credentials"),
    *("enforce", "admission_policy"),
)
_MOST_COMPARED = 50
# Of the 4 KiB that all variables of a function share (AWS Lambda quotas, developer guide).
_LONGEST_RULES = 2000


@RULES.reads("imageMirror.enabled", "region")
def _images_are_reachable(f: MirrorFacts) -> Iterator[str]:
    if f.settings.image_mirror.enabled is False and not f.region.has(Feature.INTERNET_REGISTRIES):
        yield refusal(
            "imageMirror.enabled",
            False,
            f"{f.region.name} cannot reach docker.io, gcr.io, ghcr.io or quay.io, so no pod would "
            "start: set it to true or remove the line",
        )


@RULES.reads("imageMirror.enabled", "imageMirror.buildRegion", "region")
def _builds_reach_the_registries(f: MirrorFacts) -> Iterator[str]:
    chosen, there = f.settings.image_mirror.build_region, f.mirror.build_region
    default = Region.of(f.region.mirror_region)
    reachable = there.has(Feature.INTERNET_REGISTRIES)
    if chosen is None:
        if f.mirror.enabled and not reachable:
            reason = f"no region near {f.region.name} reaches the registries: name one that does"
            yield refusal("imageMirror.buildRegion", "", reason)
    elif f.mirror.cached is not None:
        ecr = f"ECR in {f.region.name} pulls images by itself"
        reason = f"{ecr} and nothing is built: remove the line"
        yield refusal("imageMirror.buildRegion", chosen, reason)
    elif not reachable:
        can = default.has(Feature.INTERNET_REGISTRIES)
        yield refusal(
            "imageMirror.buildRegion",
            chosen,
            f"CodeBuild in the partition {there.partition} cannot reach the registries to copy "
            f"from: {f'use {default.name} or remove the line' if can else 'name another'}",
        )
    elif not there.has_service("codebuild"):
        reason = f"it has no CodeBuild: use {default.name} or remove the line"
        yield refusal("imageMirror.buildRegion", chosen, reason)


@RULES.reads("imageMirror.rules")
def _mirror_rules_fit_an_environment(f: MirrorFacts) -> Iterator[str]:
    length = len(f.settings.image_mirror.rules_json())
    if length > _LONGEST_RULES:
        yield refusal(
            "imageMirror.rules",
            f"{length} characters",
            f"a Lambda function's environment has room for {_LONGEST_RULES}: use patterns, or "
            "fewer rules",
        )


@RULES.reads("imageMirror.rules")
def _every_rule_applies(f: MirrorFacts) -> Iterator[str]:
    rules = f.settings.image_mirror.rules
    for index, rule in enumerate(rules):
        path = ("imageMirror", "rules", index)
        if rule.when_absent and rule.action != "mirror":
            reason = f"it is for copies, and the action is {rule.action}: remove one of them"
            yield refusal((*path, "whenAbsent"), rule.when_absent, reason)
        for number, earlier in enumerate(rules[: min(index, _MOST_COMPARED)]):
            if _covers(earlier, rule):
                other = full_key(("imageMirror", "rules", number))
                reason = f"the first rule that fits applies, and {other} fits all its images"
                yield refusal(path, rule.action, f"{reason}: move this one up, or remove one")
                break


def _covers(earlier: MirrorRule, later: MirrorRule) -> bool:
    """Whether a rule applies to every image to which another one would."""
    registries = earlier.registries or ["*"]
    return all(
        any(_fits(each, pattern, crossing=earlier.action == "deny") for pattern in registries)
        for each in later.registries or ["*"]
    ) and all(
        any(fnmatchcase(each, pattern) for pattern in earlier.namespaces or ["*"])
        for each in later.namespaces or ["*"]
    )


def _fits(registry: str, pattern: str, *, crossing: bool) -> bool:
    """Whether a pattern names all that another one names; see ``webhook.rules``.

    Args:
        registry: the other one.
        pattern: the first.
        crossing: whether ``*`` stands for more than one part.
    """
    if crossing or pattern == "*":
        return fnmatchcase(f"{registry}/", f"{pattern}/*")
    parts = [part for part in pattern.split("/") if part]
    given = registry.split("/")
    return len(parts) <= len(given) and all(map(fnmatchcase, given, parts))


@RULES.reads("imageMirror.admissionPolicy", "cluster.version")
def _kubernetes_has_policies(f: MirrorFacts) -> Iterator[str]:
    version = f.settings.cluster.version
    if f.settings.image_mirror.admission_policy and not has_policies(version):
        reason = f"Kubernetes {version} has no such policies: remove the line"
        yield refusal("imageMirror.admissionPolicy", True, reason)


@RULES.reads("imageMirror.upstreamCredentials", "region")
def _upstream_takes_a_login(f: MirrorFacts) -> Iterator[str]:
    for registry, secret in f.settings.image_mirror.upstream_credentials.items():
        if not f.region.has(Feature.PULL_THROUGH_CACHE):
            reason = f"ECR in {f.region.name} pulls from no public registry by itself: remove it"
        elif registry in OPEN:
            reason = f"{registry} takes no login: remove it"
        elif registry not in WITH_LOGIN:
            hint = suggestion(registry, WITH_LOGIN)
            reason = f"ECR cannot pull from {registry} with a login: {hint}"
        else:
            continue
        yield refusal(("imageMirror", "upstreamCredentials", registry), secret, reason)


@RULES.reads("imageMirror.repositoryPrefix", "imageMirror.enabled", "region")
def _prefix_leaves_room_for_a_registry(f: MirrorFacts) -> Iterator[str]:
    prefix = f.settings.image_mirror.repository_prefix or ""
    if f.mirror.cached is not None and len(prefix) > LONGEST_PREFIX:
        yield refusal(
            "imageMirror.repositoryPrefix",
            prefix,
            f"ECR's pull-through caches in {f.region.name} leave room for {LONGEST_PREFIX} "
            "characters: choose a shorter one",
        )


@RULES.reads("imageMirror", "region")
def _settings_of_copies_need_copies(f: MirrorFacts) -> Iterator[str]:
    mirror = f.settings.image_mirror
    if not f.mirror.enabled:
        names = _OF_MIRRORS if mirror.enabled is None else ()
        here = f"images come from their own registries in {f.region.name} and nothing is copied"
        reason = f"{here}: add {full_key('imageMirror.enabled')}: true, or remove the line"
    elif f.mirror.cached is not None:
        names = _OF_COPIES
        ecr = f"ECR in {f.region.name} pulls images by itself"
        reason = f"{ecr} and nothing is copied: remove the line"
    else:
        names = () if f.mirror.crosses_partitions else _OF_TWO_PARTITIONS
        reason = "images are copied with the stack's own credentials: remove the line"
    for name in names:
        if name in mirror.model_fields_set:
            value = getattr(mirror, name)
            if isinstance(value, Section):
                value = value.model_dump(by_alias=True, exclude_unset=True)
            yield refusal(f"imageMirror.{to_camel(name)}", value, reason)
