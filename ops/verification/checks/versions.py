"""Checks of versions: control plane, nodes, release, Karpenter, and AWS's support of them.

Version skew: https://kubernetes.io/releases/version-skew-policy/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from components.gpu.karpenter_objects import NAMESPACE as KARPENTER_NAMESPACE
from ops.account_calls import aws_call
from ops.cli_errors import Refused
from ops.findings import Finding, good, note, problem
from ops.verification.check import Check
from ops.verification.checks.live_objects import (
    by_name,
    listed,
    locked,
    name_of,
    some,
    source_of,
)
from ops.verification.platform import Platform
from ops.version_checks import kubernetes_support, mysql_support
from rendering import release
from rendering.objects import containers_of
from settings import MANIFESTS
from settings.errors import listed as in_words
from settings.existing_backend import instance_name
from upgrades.asking import KARPENTER

_MINOR = re.compile(r"v?(\d+)\.(\d+)")
_OLDEST_KUBELET, _OLDEST_KUBELET_BEFORE_1_28 = 3, 2


def _minor(version: str) -> tuple[int, int] | None:
    match = _MINOR.match(version)
    return (int(match[1]), int(match[2])) if match else None


def _running(platform: Platform) -> tuple[str, tuple[int, int]]:
    """The version that the API server reports, in full and as major and minor.

    Raises:
        Refused: the answer has none.
    """
    said = str(platform.cluster.answer("GET", "/version", {}).get("gitVersion") or "")
    minor = _minor(said)
    if minor is None:
        raise Refused(
            f"{platform.cluster.host} says the version {said!r}: name a Kubernetes API server in "
            "KUBECONFIG."
        )
    return said, minor


def kubernetes_version(platform: Platform) -> Iterator[Finding]:
    """The control plane has the version of the stack file, on which release and Karpenter run."""
    about = "control plane"
    said, running = _running(platform)
    version = ".".join(map(str, running))
    wanted = platform.settings.cluster.version
    if running == _minor(wanted):
        yield good(about, f"runs {said}; kubeflow:cluster.version is {wanted}")
    elif running > (_minor(wanted) or running):
        yield problem(
            about,
            f"runs {said}, and kubeflow:cluster.version is {wanted}: no `pulumi up` goes back, so "
            f"set it to {version} before the next one, or take the cluster back by hand within "
            "seven days (docs/upgrade.md#kubernetes-as-from-135-to-136)",
        )
    else:
        yield problem(
            about, f"runs {said}, and kubeflow:cluster.version is {wanted}: run `pulumi up`"
        )
    for name, folder in _versioned(platform):
        fits = release.load(MANIFESTS / folder).kubernetes
        if not fits.holds(version):
            ends = f"{fits.min or 'any'} to {fits.max or 'any'}"
            yield problem(
                name, f"runs on Kubernetes {ends}, and the control plane is {version}: use another"
            )


def _versioned(platform: Platform) -> Iterator[tuple[str, str]]:
    settings = platform.settings
    yield f"release {settings.release}", settings.release
    if settings.gpu_pool.enabled:
        version = settings.gpu_pool.karpenter_version
        yield f"Karpenter {version}", f"{KARPENTER}{version}"


def node_versions(platform: Platform) -> Iterator[Finding]:
    """Kubelet and kube-proxy are no newer than the control plane, and not too old for it."""
    said, running = _running(platform)
    most = _OLDEST_KUBELET if running >= (1, 28) else _OLDEST_KUBELET_BEFORE_1_28
    nodes = listed(platform, "Node")
    if not nodes:
        yield problem("nodes", "there is none: look at the node group in the EKS console")
        return
    groups: dict[str, list[str]] = {}
    for node in nodes:
        version = str(node.get("status", {}).get("nodeInfo", {}).get("kubeletVersion") or "")
        groups.setdefault(version, []).append(name_of(node))
    for version, names in sorted(groups.items()):
        yield _skew(
            f"kubelet {version}", version, f"{len(names)} nodes ({some(names)})", said, most
        )
    proxy = by_name(platform, "DaemonSet").get("kube-system/kube-proxy")
    if proxy:
        for container in containers_of(proxy["spec"]["template"]["spec"]):
            tag = str(container["image"]).rpartition(":")[2]
            yield _skew("kube-proxy", tag, "every node", said, most)


def _skew(about: str, version: str, where: str, server: str, most: int) -> Finding:
    own, running = _minor(version), _minor(server)
    if own is None or running is None:
        return note(about, f"no version is known of {where}")
    behind = running[1] - own[1]
    if own == running:
        return good(about, f"as the control plane: {version} on {where}")
    if behind < 0:
        return problem(
            about,
            f"{version} on {where} is newer than the control plane ({server}), which Kubernetes "
            "does not support: upgrade the control plane by kubeflow:cluster.version",
        )
    if behind > most:
        return problem(
            about,
            f"{version} on {where} is {behind} minor versions older than the control plane "
            f"({server}), and Kubernetes supports {most}: run `pulumi up`, and delete old nodes of "
            "Karpenter's with `kubectl delete nodeclaim`",
        )
    return note(
        about,
        f"{version} on {where} is {behind} minor versions older than the control plane ({server}): "
        "`pulumi up` replaces those of the node group, Karpenter's go when they are empty",
    )


def release_version(platform: Platform) -> Iterator[Finding]:
    """Every workload of the release runs the images of the release's lock."""
    settings = platform.settings
    about, wrong, right = f"release {settings.release}", list[Finding](), set[str]()
    workloads = {
        kind: by_name(platform, kind) for kind in ("Deployment", "StatefulSet", "DaemonSet")
    }
    for source, places in locked(settings).items():
        for place in places:
            name = f"{place.kind} {place.name}"
            workload = workloads[place.kind].get(place.name)
            if workload is None:
                if place.of_release:
                    wrong.append(
                        problem(
                            name,
                            f"{settings.release} has it, and the cluster does not: run `pulumi up`",
                        )
                    )
                continue
            images = {
                str(each["name"]): str(each.get("image") or "")
                for each in containers_of(workload["spec"]["template"]["spec"])
            }
            image = images.get(place.container, "")
            running = source_of(platform, image)
            if running is not None and str(running) == source:
                right.add(name)
            else:
                has = f"runs {image}" if image else f"has no container {place.container}"
                wrong.append(
                    problem(name, f"{has}, and {settings.release} has {source}: run `pulumi up`")
                )
    if len(wrong) > len(right):
        yield problem(
            about,
            f"{len(wrong)} of its images are not what runs, such as {wrong[0].about}, which "
            f"{wrong[0].sentence}",
        )
        return
    yield from wrong
    if not wrong:
        yield good(about, f"{len(right)} workloads run the images of its lock")


def karpenter_version(platform: Platform) -> Iterator[Finding]:
    """Karpenter's controller is the version of the stack file."""
    about, settings = "Karpenter", platform.settings.gpu_pool
    if not settings.enabled:
        yield good(about, "not part of the stack: kubeflow:gpuPool.enabled is false")
        return
    wanted = settings.karpenter_version
    found = by_name(platform, "Deployment").get(f"{KARPENTER_NAMESPACE}/karpenter")
    if found is None:
        yield problem(
            about,
            f"there is no Deployment {KARPENTER_NAMESPACE}/karpenter, so no GPU node starts: run "
            "`pulumi up`",
        )
        return
    images = [str(each["image"]) for each in containers_of(found["spec"]["template"]["spec"])]
    sources = [source_of(platform, image) for image in images]
    if wanted in [(source.tag or "").removeprefix("v") for source in sources if source]:
        yield good(about, f"runs {wanted}, as kubeflow:gpuPool.karpenterVersion says")
    else:
        yield problem(
            about,
            f"runs {in_words(images, 'and')}, and kubeflow:gpuPool.karpenterVersion is {wanted}: "
            "run `pulumi up`",
        )


def support_ends(platform: Platform) -> Iterator[Finding]:
    """The running versions are in AWS's support, by the project's dated table."""
    _, running = _running(platform)
    version = ".".join(map(str, running))
    yield kubernetes_support(version) or note(
        "Kubernetes",
        f"the end of support of {version} is unknown to settings/support_ends.yaml: `./kf doctor` "
        "asks AWS",
    )
    engine, where = _engine(platform)
    major = ".".join(engine.split(".")[:2])
    found = mysql_support(major)
    if found is None:
        sentence = f"the end of support of {major} is unknown to settings/support_ends.yaml"
        yield note("MySQL", f"{sentence}: `./kf doctor` asks AWS")
    else:
        yield Finding(found.level, found.about, f"{found.sentence} ({where})")


def _engine(platform: Platform) -> tuple[str, str]:
    """Version of the database's engine, and how it is known."""
    own = platform.settings.database.engine_version
    name = instance_name(platform.context.cluster)
    try:
        with aws_call("rds:DescribeDBInstances"):
            answer = platform.client("rds").describe_db_instances(DBInstanceIdentifier=name)
    except Refused:
        return own, "by the stack file, AWS was not asked"
    (instance,) = answer["DBInstances"]
    return str(instance["EngineVersion"]), f"RDS runs {instance['EngineVersion']} in {name}"


CHECKS: tuple[Check, ...] = (
    Check("kubernetes-version", "the control plane's version", kubernetes_version),
    Check("node-versions", "the versions of kubelets and kube-proxy", node_versions),
    Check("release-version", "the images of the release's workloads", release_version),
    Check("karpenter-version", "the image of Karpenter's controller", karpenter_version),
    Check("support-ends", "AWS's support of Kubernetes and MySQL", support_ends),
)
