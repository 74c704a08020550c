"""Rules over the platform: release, Kubernetes, Karpenter, image mirror, users."""

from __future__ import annotations

import re
from collections.abc import Iterator

from regions.region import Feature, Region, UnknownRegion
from regions.upstream_registries import LONGEST_PREFIX, OPEN, WITH_LOGIN
from settings.errors import full_key, listed, nearest, told
from settings.facts import Facts, Release, Rules
from settings.node_pools import numbers

KUBERNETES = ("1.32", "1.33", "1.34", "1.35", "1.36")
"""Versions EKS offers (endoflife.date/amazon-eks; 1.31 leaves extended support on 2026-11-26)."""

_PLATFORM_NAMESPACES = frozenset(
    {"auth", "cert-manager", "default", "istio-system", "knative-eventing", "knative-serving"}
    | {"kserve", "kube-node-lease", "kube-public", "kube-system", "kubeflow", "kubeflow-system"}
    | {"karpenter", "oauth2-proxy"}
)


# Of the 4 KiB that all variables of a function share (AWS Lambda quotas, developer guide).
_LONGEST_RULES = 2000

RULES = Rules()


def _minor(version: str) -> tuple[int, ...]:
    return numbers(version)[:2]


@RULES.reads("release")
def _release_exists(f: Facts) -> Iterator[str]:
    name = f.settings.release
    if f.releases and name not in f.releases:
        yield told(
            full_key("release"), name, f"manifests/ has no such folder: use {listed(f.releases)}"
        )


@RULES.reads("release", "artifacts.credentials")
def _release_can_use_credentials(f: Facts) -> Iterator[str]:
    release = f.releases.get(f.settings.release, Release())
    wanted = f.settings.artifacts.credentials
    if release.credentials and wanted not in release.credentials:
        yield told(
            full_key("artifacts.credentials"),
            wanted,
            f"Pipelines {release.pipelines} of release {f.settings.release} cannot use it: "
            f"use {listed(release.credentials)}",
        )


@RULES.reads("release", "cluster.version")
def _kubernetes_is_offered(f: Facts) -> Iterator[str]:
    version = f.settings.cluster.version
    if version not in KUBERNETES and not _needs_older(f.releases.get(f.settings.release), version):
        yield told(
            full_key("cluster.version"),
            version,
            f"EKS does not offer it: use {listed(KUBERNETES)}, in quotes",
        )


@RULES.reads("release", "cluster.version")
def _release_runs_on_kubernetes(f: Facts) -> Iterator[str]:
    version, release = f.settings.cluster.version, f.releases.get(f.settings.release)
    if version not in KUBERNETES or not release or not release.kubernetes_min:
        return
    if not _runs_on(release, version):
        why = "; ".join(_taken_away(release, version))
        yield told(
            full_key("cluster.version"),
            version,
            f"release {f.settings.release} runs on {release.kubernetes_min} to "
            f"{release.kubernetes_max}{f' ({why})' if why else ''}: use one of these",
        )


def _runs_on(release: Release, version: str) -> bool:
    return _minor(release.kubernetes_min) <= _minor(version) <= _minor(release.kubernetes_max)


def _needs_older(release: Release | None, version: str) -> bool:
    """Is it a version of a release that runs on nothing EKS still offers?

    Such a stack is rendered, rehearsed and compared with; only EKS itself refuses to make it.
    """
    return (
        release is not None
        and bool(release.kubernetes_min)
        and _runs_on(release, version)
        and not any(_runs_on(release, offered) for offered in KUBERNETES)
    )


def _taken_away(release: Release, version: str) -> Iterator[str]:
    """Which objects of the release that version of Kubernetes would refuse, and why."""
    for taken_in, apis in release.unserved.items():
        if _minor(taken_in) <= _minor(version):
            for api, names in apis.items():
                yield f"{taken_in} took away {api}, needed by {listed(names, 'and')}"


@RULES.reads("gpuPool.karpenterVersion")
def _karpenter_has_a_folder(f: Facts) -> Iterator[str]:
    version = f.settings.gpu_pool.karpenter_version
    if f.karpenter and version not in f.karpenter:
        yield told(
            full_key("gpuPool.karpenterVersion"),
            version,
            f"manifests/addons/ has no folder karpenter-{version}: use {listed(f.karpenter)}",
        )


@RULES.reads("release", "cluster.version", "gpuPool.karpenterVersion", "gpuPool.enabled")
def _karpenter_serves_kubernetes(f: Facts) -> Iterator[str]:
    pool, version = f.settings.gpu_pool, f.settings.cluster.version
    newest = f.karpenter.get(pool.karpenter_version, Release()).kubernetes_max
    if pool.enabled and _needs_older(f.releases.get(f.settings.release), version):
        yield told(
            full_key("gpuPool.enabled"),
            True,
            f"Karpenter {pool.karpenter_version} does not serve Kubernetes {version}: set it to "
            "false",
        )
    if pool.enabled and newest and _minor(newest) < _minor(version):
        yield told(
            full_key("gpuPool.karpenterVersion"),
            pool.karpenter_version,
            f"it serves Kubernetes up to {newest}, and {full_key('cluster.version')} is {version}: "
            "use a newer one",
        )


@RULES.reads("imageMirror.enabled", "imageMirror.buildRegion", "region")
def _mirror_reaches_the_registries(f: Facts) -> Iterator[str]:
    mirror, here = f.settings.image_mirror, f.region
    reach = here.has(Feature.INTERNET_REGISTRIES)
    if mirror.enabled is False and not reach:
        yield told(
            full_key("imageMirror.enabled"),
            False,
            f"{here.name} cannot reach docker.io, gcr.io, ghcr.io or quay.io, so no pod would "
            "start: set it to true or remove the line",
        )
    if mirror.build_region is None:
        if f.mirror.enabled and not Region.of(here.mirror_region).has(Feature.INTERNET_REGISTRIES):
            yield told(
                full_key("imageMirror.buildRegion"),
                "",
                f"{here.name} has no region near it that reaches the registries: name one",
            )
        return
    try:
        there = Region.of(mirror.build_region)
    except UnknownRegion as error:
        reason = str(error).partition(" is ")[2]
        yield told(full_key("imageMirror.buildRegion"), mirror.build_region, reason)
        return
    if f.mirror.cached is not None:
        yield told(
            full_key("imageMirror.buildRegion"),
            there.name,
            f"ECR in {here.name} pulls images by itself and nothing is built: remove the line",
        )
    elif not there.has(Feature.INTERNET_REGISTRIES):
        way = "remove the line" if there.partition == here.partition and not reach else ""
        default = Region.of(here.mirror_region)
        use = f"use {default.name}" if default.has(Feature.INTERNET_REGISTRIES) else "name another"
        yield told(
            full_key("imageMirror.buildRegion"),
            there.name,
            f"CodeBuild in the partition {there.partition} cannot reach the registries it should "
            f"copy from: {use}{f' or {way}' if way else ''}",
        )


@RULES.reads("imageMirror.rules")
def _mirror_rules_fit_an_environment(f: Facts) -> Iterator[str]:
    length = len(f.settings.image_mirror.rules_json())
    if length > _LONGEST_RULES:
        yield told(
            full_key("imageMirror.rules"),
            f"{length} characters",
            f"a Lambda function's environment has room for {_LONGEST_RULES}: use patterns, or "
            "fewer rules",
        )


@RULES.reads("imageMirror.upstreamCredentials", "region")
def _upstream_takes_a_login(f: Facts) -> Iterator[str]:
    # The secret's name is left out of the sentences: by its key it might be the secret itself.
    for registry, secret in f.settings.image_mirror.upstream_credentials.items():
        key = full_key(("imageMirror", "upstreamCredentials", registry))
        if not f.region.has(Feature.PULL_THROUGH_CACHE):
            why = f"ECR in {f.region.name} pulls from no public registry by itself: remove it"
            yield told(key, secret, why)
        elif registry in OPEN:
            yield told(key, secret, f"{registry} takes no login: remove it")
        elif registry not in WITH_LOGIN:
            hint = nearest(registry, WITH_LOGIN)
            yield told(key, secret, f"ECR cannot pull from {registry} with a login: {hint}")


@RULES.reads("imageMirror.repositoryPrefix", "imageMirror.enabled", "region")
def _prefix_leaves_room_for_a_registry(f: Facts) -> Iterator[str]:
    mirror = f.settings.image_mirror
    if f.mirror.cached is not None and len(mirror.repository_prefix) > LONGEST_PREFIX:
        yield told(
            full_key("imageMirror.repositoryPrefix"),
            mirror.repository_prefix,
            f"ECR's pull-through caches in {f.region.name} leave room for {LONGEST_PREFIX} "
            "characters: choose a shorter one",
        )


@RULES.reads("users")
def _users_are_distinct(f: Facts) -> Iterator[str]:
    if not f.settings.users:
        yield told(full_key("users"), "", "nobody could log in: add an email and a namespace")
    emails: dict[str, int] = {}
    namespaces: dict[str, int] = {}
    for index, user in enumerate(f.settings.users):
        for name, value, seen in (
            ("email", user.email, emails),
            ("namespace", user.namespace, namespaces),
        ):
            first = seen.setdefault(value.lower(), index)
            if first != index:
                yield told(
                    full_key(("users", index, name)),
                    value,
                    f"{full_key(('users', first))} has it already: change or remove one",
                )
        if user.namespace in _PLATFORM_NAMESPACES or user.namespace.startswith("kube-"):
            yield told(
                full_key(("users", index, "namespace")),
                user.namespace,
                "the platform lives there itself: choose another, for example "
                + re.sub(r"[^a-z0-9]+", "-", f"kubeflow-{user.email.lower()}").strip("-"),
            )
