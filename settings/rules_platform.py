"""Rules over the platform: release, Kubernetes, Karpenter's version, users."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

import yaml
from packaging.version import Version

from settings.errors import full_key, listed, refusal
from settings.facts import Facts, Release
from settings.files import read_text
from settings.rule_frame import Rules
from settings.section import PROJECT
from settings.stack_file import MOST_BYTES
from settings.support_ends import KUBERNETES
from settings.users import binding_name

_RESERVED = frozenset[str](
    yaml.safe_load(Path(__file__).with_name("reserved_namespaces.yaml").read_text("utf-8"))
)

_LONGEST_NAME = 253

RULES = Rules[Facts]()


@RULES.reads("release")
def _release_exists(f: Facts) -> Iterator[str]:
    name = f.settings.release
    if f.releases and name not in f.releases:
        way_out = f"use {listed(f.releases)}{_example(name, f.releases)}"
        yield refusal("release", name, f"manifests/ has no such folder: {way_out}")


def _example(start: str, names: Iterable[str]) -> str:
    """The stack file of this folder with the release of a name that begins like this one."""
    for file in sorted(PROJECT.glob("Pulumi.*.yaml")):
        with suppress(OSError, UnicodeDecodeError):
            text = read_text(file, MOST_BYTES)
            for name in names:
                if name.startswith(start) and f'kubeflow:release: "{name}"' in text:
                    return f" ({file.name} has {name})"
    return ""


@RULES.reads("release", "patches")
def _release_declares_patches(f: Facts) -> Iterator[str]:
    release = f.settings.release
    declared = f.releases.get(release, Release()).patches
    for name, version in f.settings.patches.items():
        if name not in declared:
            known = f"has those of {listed(declared, 'and')}" if declared else "has none"
            similar = get_close_matches(name.lower(), declared, n=1)
            way_out = f"did you mean {similar[0]}?" if similar else "remove it"
            yield refusal(("patches", name), version, f"release {release} {known}: {way_out}")
        elif version not in declared[name].versions:
            way_out = f"use {listed(declared[name].versions)}, or remove it"
            reason = f"release {release} declares other versions"
            yield refusal(("patches", name), version, f"{reason}: {way_out}")


@RULES.reads("release", "acceptedAdvisories")
def _accepted_advisories_are_of_the_release(f: Facts) -> Iterator[str]:
    release = f.releases.get(f.settings.release)
    for index, name in enumerate(f.settings.accepted_advisories if release else ()):
        if release and name not in release.advisories:
            reason = f"release {f.settings.release} has no such advisory in its list: remove it"
            yield refusal(("acceptedAdvisories", index), name, reason)


@RULES.reads("release", "upgradeConfirmed", "gpuPool.karpenterVersion")
def _confirmed_conditions_are_of_the_release(f: Facts) -> Iterator[str]:
    release = f.releases.get(f.settings.release)
    karpenter = f.karpenter.get(f.settings.gpu_pool.karpenter_version, Release())
    known = sorted({*release.conditions, *karpenter.conditions}) if release else []
    for index, name in enumerate(f.settings.upgrade_confirmed if release else ()):
        if name not in known:
            others = f"use {listed(known)}" if known else "remove it"
            reason = f"an upgrade to {f.settings.release} has no such condition: {others}"
            yield refusal(("upgradeConfirmed", index), name, reason)


@RULES.reads("release", "pipelines.v1")
def _release_can_leave_v1_out(f: Facts) -> Iterator[str]:
    release, pipelines = f.releases.get(f.settings.release), f.settings.pipelines
    written = "v1" in pipelines.model_fields_set
    if release and written and not pipelines.v1 and not release.asks_for("pipelines.v1"):
        able = listed(name for name, each in f.releases.items() if each.asks_for("pipelines.v1"))
        reason = f"release {f.settings.release} always has these servers: remove it, or use {able}"
        yield refusal("pipelines.v1", False, reason)


@RULES.reads("release", "modelCatalog.enabled")
def _release_has_a_catalog(f: Facts) -> Iterator[str]:
    key, release = "modelCatalog.enabled", f.releases.get(f.settings.release)
    if release and f.settings.model_catalog.enabled and not release.asks_for(key):
        able = listed(name for name, each in f.releases.items() if each.asks_for(key))
        reason = f"release {f.settings.release} has no catalog of models: remove it, or use {able}"
        yield refusal(key, True, reason)


@RULES.reads("release", "artifacts.credentials")
def _release_can_use_credentials(f: Facts) -> Iterator[str]:
    release = f.releases.get(f.settings.release, Release())
    kind = f.settings.artifacts.credentials
    if release.credentials and kind not in release.credentials:
        yield refusal(
            "artifacts.credentials",
            kind,
            f"Pipelines {release.pipelines} of release {f.settings.release} cannot use it: "
            f"use {listed(release.credentials)}",
        )


@RULES.reads("release", "cluster.version")
def _release_and_eks_have_the_version(f: Facts) -> Iterator[str]:
    version, release = f.settings.cluster.version, f.releases.get(f.settings.release)
    if version not in KUBERNETES:
        if not _needs_older(release, version):
            reason = f"EKS does not offer it: use {listed(KUBERNETES)}, in quotes"
            yield refusal("cluster.version", version, reason)
    elif release and release.kubernetes_min and not _runs_on(release, version):
        removed = "; ".join(_removed_apis(release, version))
        yield refusal(
            "cluster.version",
            version,
            f"release {f.settings.release} runs on {release.kubernetes_min} to "
            f"{release.kubernetes_max}{f' ({removed})' if removed else ''}: use one of these",
        )


def _runs_on(release: Release, version: str) -> bool:
    return Version(release.kubernetes_min) <= Version(version) <= Version(release.kubernetes_max)


def _needs_older(release: Release | None, version: str) -> bool:
    """Whether the release runs on this version, and on none that EKS still offers.

    Such a stack is rendered, rehearsed and compared with; only EKS itself refuses to make it.
    """
    return (
        release is not None
        and bool(release.kubernetes_min)
        and _runs_on(release, version)
        and not any(_runs_on(release, offered) for offered in KUBERNETES)
    )


def _removed_apis(release: Release, version: str) -> Iterator[str]:
    """Which objects of the release that version of Kubernetes would refuse, and why."""
    for removed_in, apis in release.unserved.items():
        if Version(removed_in) <= Version(version):
            for api, names in apis.items():
                yield f"{removed_in} removed {api}, needed by {listed(names, 'and')}"


@RULES.reads("gpuPool.karpenterVersion")
def _karpenter_has_a_folder(f: Facts) -> Iterator[str]:
    version = f.settings.gpu_pool.karpenter_version
    if f.karpenter and version not in f.karpenter:
        reason = f"manifests/addons/ has no folder karpenter-{version}: use {listed(f.karpenter)}"
        yield refusal("gpuPool.karpenterVersion", version, reason)


@RULES.reads("release", "cluster.version", "gpuPool.karpenterVersion", "gpuPool.enabled")
def _karpenter_serves_kubernetes(f: Facts) -> Iterator[str]:
    pool, version = f.settings.gpu_pool, f.settings.cluster.version
    newest = f.karpenter.get(pool.karpenter_version, Release()).kubernetes_max
    if pool.enabled and _needs_older(f.releases.get(f.settings.release), version):
        karpenter = f"Karpenter {pool.karpenter_version}"
        reason = f"{karpenter} does not support Kubernetes {version}: set it to false"
        yield refusal("gpuPool.enabled", True, reason)
    if pool.enabled and newest and Version(newest) < Version(version):
        yield refusal(
            "gpuPool.karpenterVersion",
            pool.karpenter_version,
            f"it supports Kubernetes up to {newest}, and {full_key('cluster.version')} is "
            f"{version}: use a newer one",
        )


@RULES.reads("users")
def _users_are_distinct(f: Facts) -> Iterator[str]:
    if not f.settings.users:
        yield refusal("users", "", "nobody could log in: add an email and a namespace")
    first: dict[tuple[str, str], int] = {}
    for index, user in enumerate(f.settings.users):
        for name, value in (("email", user.email), ("namespace", user.namespace)):
            other = first.setdefault((name, value), index)
            if other != index:
                way_out = "change or remove one"
                if name == "namespace":
                    shared = full_key(("users", other, "contributors"))
                    way_out = f"choose another, and list {user.email} in {shared} to share that one"
                reason = f"{full_key(('users', other))} has it already: {way_out}"
                yield refusal(("users", index, name), value, reason)
        if user.namespace in _RESERVED or user.namespace.startswith("kube-"):
            free = re.sub(r"[^a-z0-9]+", "-", f"kubeflow-{user.email}").strip("-")
            reason = f"the platform itself uses it: choose another, for example {free}"
            yield refusal(("users", index, "namespace"), user.namespace, reason)


@RULES.reads("users")
def _contributors_can_log_in(f: Facts) -> Iterator[str]:
    emails = {user.email for user in f.settings.users}
    for index, user in enumerate(f.settings.users):
        names: dict[str, str] = {}
        for place, email in enumerate(user.contributors):
            key = ("users", index, "contributors", place)
            other = names.setdefault(binding_name(email), email)
            if email == user.email:
                yield refusal(key, email, "the namespace is this user's own: remove it")
            elif email not in emails:
                reason = "no user has this address, so nobody could log in with it: add it to "
                yield refusal(key, email, f"{reason}{full_key('users')} too, with a namespace")
            elif len(binding_name(email)) > _LONGEST_NAME:
                reason = "Kubernetes has no name for so long an address: use a shorter one"
                yield refusal(key, email, reason)
            elif other != email:
                reason = f"Kubeflow has one name ({binding_name(email)}) for it and {other}"
                yield refusal(key, email, f"{reason}: remove one of them")


@RULES.reads("packages.proxy")
def _exceptions_have_a_proxy(f: Facts) -> Iterator[str]:
    proxy = f.settings.packages.proxy
    if proxy.no_proxy and not (proxy.http or proxy.https):
        reason = "without a proxy it has no effect: set kubeflow:packages.proxy.https, or remove it"
        yield refusal("packages.proxy.noProxy", listed(proxy.no_proxy, "and"), reason)
