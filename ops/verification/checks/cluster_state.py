"""Checks of the cluster itself: versions, nodes, pools, workloads, volumes, metrics.

All read objects only. Version skew: https://kubernetes.io/releases/version-skew-policy/. Conditions
of Karpenter's objects: kubernetes-sigs/karpenter v1.14.1 pkg/apis/v1/nodepool_status.go and
aws/karpenter-provider-aws v1.14.1 pkg/apis/v1/ec2nodeclass_status.go. Conditions of the built-in
kinds: k8s.io/api apps/v1, autoscaling/v2, batch/v1, core/v1, policy/v1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubernetes.utils import parse_quantity

from components.gpu.karpenter_objects import NAMESPACE as KARPENTER_NAMESPACE
from components.gpu.node_pools import pools_of
from ops.account_calls import aws_call
from ops.cli_errors import Refused
from ops.findings import Finding, good, note, problem
from ops.karpenter_status import conditions
from ops.verification.check import Check
from ops.verification.checks.live_objects import (
    age_minutes,
    by_name,
    condition,
    is_own_namespace,
    is_true,
    listed,
    locked,
    name_of,
    namespace_of,
    of_stack,
    profile_namespaces,
    some,
    source_of,
    time_of,
    why,
)
from ops.verification.platform import Platform
from ops.verification.workspace import LABEL
from ops.version_checks import kubernetes_support, mysql_support
from rendering import release
from rendering.objects import Object, annotations_of, containers_of, labels_of
from settings import MANIFESTS
from settings.errors import listed as in_words
from settings.existing_backend import instance_name
from upgrades.asking import KARPENTER

_NODE_GROUP = "eks.amazonaws.com/nodegroup"
_ZONE = "topology.kubernetes.io/zone"
_MINOR = re.compile(r"v?(\d+)\.(\d+)")
_OLDEST_KUBELET, _OLDEST_KUBELET_BEFORE_1_28 = 3, 2
_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
_ROLLING_MINUTES = 15
"""A new pod of the platform is ready in less, also where its image is pulled first."""
_METRICS_MINUTES = 5
"""metrics-server has the first values of a new pod within two of its rounds of 15 s."""
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""The scheduler writes it on a claim when it has a node for the pod (kubernetes/kubernetes
pkg/scheduler/framework/plugins/volumebinding/binder.go)."""
_EBS, _EFS = "ebs.csi.aws.com", "efs.csi.aws.com"


# -- versions --------------------------------------------------------------------------------------


def _minor(version: str) -> tuple[int, int] | None:
    match = _MINOR.match(version)
    return (int(match[1]), int(match[2])) if match else None


def _running(platform: Platform) -> tuple[str, tuple[int, int]]:
    """What the API server says of itself, and its minor version.

    Raises:
        Refused: it says no version.
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


# -- nodes and pools -------------------------------------------------------------------------------


def nodes(platform: Platform) -> Iterator[Finding]:
    """Nodes are ready, without pressure, as many as the stack file says, in several zones."""
    every, settings = listed(platform, "Node"), platform.settings.node_group
    healthy = 0
    for node in every:
        troubles = list(_node_troubles(node))
        healthy += not troubles
        yield from troubles
        if node["spec"].get("unschedulable") and not troubles:
            yield note(
                name_of(node),
                "takes no new pods (cordoned): `kubectl uncordon` it when its work is done",
            )
    about = f"node group {settings.name}"
    group = [node for node in every if labels_of(node).get(_NODE_GROUP) == settings.name]
    ready = sum(is_true(node, "Ready") for node in group)
    if ready < settings.min:
        yield problem(
            about,
            f"{ready} nodes are ready, and kubeflow:nodeGroup.min is {settings.min}: look at its "
            "health issues in the EKS console (quota, no capacity, a node that cannot join)",
        )
    elif len(group) > settings.max:
        yield note(
            about,
            f"{len(group)} nodes, and kubeflow:nodeGroup.max is {settings.max}: an update"
            " of its nodes may be under way",
        )
    zones = Counter(zone for node in group if (zone := labels_of(node).get(_ZONE)))
    if len(zones) < 2 and settings.highly_available and ready >= settings.min:
        where = next(iter(zones), "no known zone")
        yield note(
            about,
            f"all {len(group)} nodes are in {where}: the platform stops with that zone; EKS "
            "balances zones when it starts nodes, so end some of them",
        )
    if healthy == len(every) and ready >= settings.min:
        spread = ", ".join(f"{count} in {zone}" for zone, count in sorted(zones.items()))
        yield good("nodes", f"all {len(every)} are ready; of {about}: {spread or len(group)}")


def _node_troubles(node: Object) -> Iterator[Finding]:
    about = name_of(node)
    since = node["metadata"].get("deletionTimestamp")
    if since:
        # Karpenter's finalizer keeps it while it is drained; its kubelet ends before the object.
        yield note(about, f"leaves the cluster since {since}: look again")
        return
    if not is_true(node, "Ready"):
        starting = age_minutes(node) < _ROLLING_MINUTES
        way_out = "it is new, look again" if starting else "look at it with `kubectl describe node`"
        sentence = f"is not ready ({why(condition(node, 'Ready'))}): {way_out}"
        yield (note if starting else problem)(about, sentence)
        return
    for pressure in _PRESSURES:
        if is_true(node, pressure):
            yield problem(
                about,
                f"reports {pressure} ({why(condition(node, pressure))}), so that pods are evicted "
                "or refused: end what fills it, or set larger machines or disks in "
                "kubeflow:nodeGroup",
            )


def node_pools(platform: Platform) -> Iterator[Finding]:
    """Every pool of the stack file is in the cluster, ready, and below its limit."""
    wanted = {pool.name for pool in pools_of(platform.settings, platform.context.region)}
    live, classes = by_name(platform, "NodePool"), by_name(platform, "EC2NodeClass")
    if not wanted and not live:
        yield good("node pools", "not part of the stack: kubeflow:gpuPool.enabled is false")
        return
    for name in sorted(wanted - live.keys()):
        yield problem(
            f"NodePool {name}", "the stack file has it, and the cluster does not: run `pulumi up`"
        )
    for name in sorted(live.keys() - wanted):
        yield note(
            f"NodePool {name}",
            "the cluster has it, and the stack file does not: `kubectl delete nodepool` ends it "
            "and its nodes",
        )
    for name, pool in sorted(live.items()):
        troubles = [*_pool_troubles(pool, classes), *_limits(pool)]
        yield from troubles
        if not troubles:
            yield good(f"NodePool {name}", f"ready; {_use(pool)}")


def _pool_troubles(pool: Object, classes: Mapping[str, Object]) -> Iterator[Finding]:
    about = f"NodePool {name_of(pool)}"
    named = pool["spec"]["template"]["spec"]["nodeClassRef"]
    if named.get("kind", "EC2NodeClass") != "EC2NodeClass":
        return  # of EKS Auto Mode
    reference = named["name"]
    node_class = classes.get(reference)
    if node_class is None:
        yield problem(
            about, f"names the EC2NodeClass {reference}, which does not exist: run `pulumi up`"
        )
        return
    if not is_true(node_class, "Ready"):
        reasons = _unmet(node_class)
        yield problem(
            f"EC2NodeClass {reference}",
            f"is not ready ({reasons or 'no condition: Karpenter has not looked at it'}), so that "
            "no node of it starts: correct that, and look at Karpenter's log with `kubectl -n "
            f"{KARPENTER_NAMESPACE} logs deploy/karpenter`",
        )
        return
    if not is_true(pool, "Ready"):
        yield problem(
            about,
            f"is not ready ({_unmet(pool) or 'no condition: Karpenter has not looked at it'}): run "
            "`pulumi up`, or correct the pool in the stack file",
        )
    joined = condition(pool, "NodeRegistrationHealthy")
    if joined.get("status") == "False":
        yield note(
            about,
            f"its last nodes did not join the cluster ({why(joined)}): read their console output "
            "in EC2",
        )


def _unmet(obj: Object) -> str:
    """Why a condition of Karpenter's objects is not met; ``Ready`` sums up the others."""
    failed = [each for each in conditions(obj) if each.get("status") == "False"]
    named = [each for each in failed if each["type"] not in ("Ready", "NodeRegistrationHealthy")]
    return "; ".join(f"{each['type']}: {why(each)}" for each in named or failed)


def _limits(pool: Object) -> Iterator[Finding]:
    used = (pool.get("status") or {}).get("resources") or {}
    for resource, limit in (pool["spec"].get("limits") or {}).items():
        taken = parse_quantity(used.get(resource, 0))
        if taken > parse_quantity(limit):
            yield note(
                f"NodePool {name_of(pool)}",
                f"its nodes have {used[resource]} {resource}, "
                f"and its limit is {limit}: Karpenter starts no more",
            )
        elif taken and taken == parse_quantity(limit):
            yield note(
                f"NodePool {name_of(pool)}",
                f"all {limit} {resource} of its limit are in use"
                ": further pods wait; `./kf verify --only gpu-holders` lists who holds them",
            )


def _use(pool: Object) -> str:
    used = (pool.get("status") or {}).get("resources") or {}
    limits = (pool["spec"].get("limits") or {}).items()
    return ", ".join(f"{used.get(name, 0)} of {limit} {name} in use" for name, limit in limits)


# -- workloads -------------------------------------------------------------------------------------


def workloads(platform: Platform) -> Iterator[Finding]:
    """Deployments, StatefulSets and DaemonSets of the platform have the pods they ask for."""
    yield from _namespaces(platform)
    right, users = 0, profile_namespaces(platform)
    moving = sum(_comes_or_goes(node) for node in listed(platform, "Node"))
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        for obj in listed(platform, kind):
            trouble = _few_pods(obj, moving)
            if trouble is None:
                right += 1
                continue
            sentence, rolling = trouble
            about = f"{kind} {name_of(obj)}"
            serious = is_own_namespace(platform, namespace_of(obj)) and not rolling
            if namespace_of(obj) in users:
                sentence = f"{sentence}; its user sees it in the dashboard"
            yield (problem if serious else note)(about, sentence)
    yield good("workloads", f"{right} have all their pods")


def _namespaces(platform: Platform) -> Iterator[Finding]:
    """Namespaces of the platform that are being deleted, with what keeps them."""
    for name, obj in by_name(platform, "Namespace").items():
        if "deletionTimestamp" not in obj["metadata"] or not is_own_namespace(platform, name):
            continue
        # kubernetes/kubernetes v1.35.0 pkg/controller/namespace/deletion/status_condition_utils.go
        kept = [each for each in conditions(obj) if each.get("status") == "True"]
        told = "; ".join(f"{each['type']}: {why(each)}" for each in kept) or "nothing keeps it"
        yield problem(
            f"Namespace {name}",
            f"is being deleted since {obj['metadata']['deletionTimestamp']}, so that nothing new "
            f"starts there ({told}): let that end, then run `pulumi up --refresh`",
        )


def _comes_or_goes(node: Object) -> bool:
    """Whether pods of DaemonSets on a node are just starting, or end with it."""
    return bool(node["metadata"].get("deletionTimestamp")) or age_minutes(node) < _ROLLING_MINUTES


def _few_pods(obj: Object, moving: int) -> tuple[str, bool] | None:
    """Why a workload has too few ready pods, and whether that is expected to pass.

    Args:
        obj: the workload.
        moving: how many nodes come or go; a DaemonSet is short of a pod on each.
    """
    status, metadata = obj.get("status") or {}, obj["metadata"]
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        seen = age_minutes(obj) < _ROLLING_MINUTES
        return "its controller has not looked at its last change yet: look again", seen
    if obj["kind"] == "DaemonSet":
        asked, ready = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
    else:
        asked, ready = obj["spec"].get("replicas", 1), status.get("readyReplicas", 0)
    if obj["kind"] != "DaemonSet" and asked == 0 and of_stack(obj):
        return "somebody scaled it to 0: run `pulumi up`, or `kubectl scale` it", False
    if ready >= asked:
        return None
    if obj["kind"] == "DaemonSet" and asked - ready <= moving:
        return f"{ready} of {asked} pods are ready, and {moving} nodes come or go: look again", True
    progress = condition(obj, "Progressing")
    failed = progress.get("status") == "False" or condition(obj, "ReplicaFailure")
    since = time_of(progress.get("lastUpdateTime") or metadata.get("creationTimestamp"))
    rolling = not failed and since is not None and _minutes_since(obj, progress) < _ROLLING_MINUTES
    # As many as its strategy wants at least: an autoscaler has added one, or a node was drained.
    rolling = rolling or (not failed and is_true(obj, "Available"))
    # Of a StatefulSet, which has no such conditions, one pod at a time is replaced.
    updates = status.get("currentRevision") != status.get("updateRevision")
    rolling = rolling or (updates and asked - ready == 1 < asked)
    because = condition(obj, "ReplicaFailure") or (progress if failed else {})
    reason = f" ({why(because)})" if because else ""
    way_out = (
        "it rolls out, look again"
        if rolling
        else "the check of pods says why each one is not ready"
    )
    return f"{ready} of {asked} pods are ready{reason}: {way_out}", rolling


def _minutes_since(obj: Object, progress: Mapping[str, Any]) -> float:
    updated = progress.get("lastUpdateTime")
    if not updated:
        return age_minutes(obj)
    return age_minutes({"metadata": {"creationTimestamp": updated}})


def disruption_budgets(platform: Platform) -> Iterator[Finding]:
    """Every budget lets a node be drained: it allows at least one eviction when all pods are up."""
    right = 0
    for obj in listed(platform, "PodDisruptionBudget"):
        status = obj.get("status") or {}
        expected, desired = status.get("expectedPods", 0), status.get("desiredHealthy", 0)
        if expected and desired >= expected:
            rule = {
                key: obj["spec"][key]
                for key in ("minAvailable", "maxUnavailable")
                if key in obj["spec"]
            }
            ((key, value),) = rule.items() or (("minAvailable", "?"),)
            yield note(
                name_of(obj),
                f"{key} {value} of {expected} pods never lets one be evicted, so that draining its "
                "node (an upgrade, Karpenter) waits for ever: run one more pod, or set "
                "maxUnavailable to 1",
            )
        else:
            right += 1
    yield good("disruption budgets", f"{right} let one pod at a time be evicted")


def platform_jobs(platform: Platform) -> Iterator[Finding]:
    """Jobs of the platform have done their work; the one that makes database users above all."""
    done = 0
    for obj in listed(platform, "Job"):
        if not is_own_namespace(platform, namespace_of(obj)) or LABEL in labels_of(obj):
            continue  # of a user, or of a verification
        about = f"Job {name_of(obj)}"
        if is_true(obj, "Failed") and not of_stack(obj):
            # Of a CronJob, whose next one may succeed, or of other software in kube-system.
            yield note(
                about,
                f"failed ({why(condition(obj, 'Failed'))}), and is none of the stack's own: read "
                f"`kubectl -n {namespace_of(obj)} logs job/{obj['metadata']['name']}`",
            )
        elif is_true(obj, "Failed"):
            yield problem(
                about,
                f"failed ({why(condition(obj, 'Failed'))}): read `kubectl -n {namespace_of(obj)} "
                f"logs job/{obj['metadata']['name']}`, correct that, delete the Job and run "
                "`pulumi up`",
            )
        elif is_true(obj, "Complete"):
            done += 1
        else:
            yield note(about, f"is at work since {(obj.get('status') or {}).get('startTime', '?')}")
    rotation = platform.settings.database.rotation
    name = f"kubeflow-database/database-init-{rotation}"
    if name not in by_name(platform, "Job"):
        yield problem(
            f"Job {name}",
            f"is not there, so that the database users of kubeflow:database.rotation {rotation} "
            "may be missing: run `pulumi up`",
        )
    yield good("jobs", f"{done} of the platform are complete")


# -- volumes and metrics ---------------------------------------------------------------------------


def storage(platform: Platform) -> Iterator[Finding]:
    """One default StorageClass, the drivers, and every claim bound."""
    yield from _classes(platform)
    yield from _drivers(platform)
    mounted = {
        f"{namespace_of(pod)}/{volume['persistentVolumeClaim']['claimName']}"
        for pod in listed(platform, "Pod")
        for volume in pod["spec"].get("volumes") or []
        if "persistentVolumeClaim" in volume
    }
    late = {
        name
        for name, obj in by_name(platform, "StorageClass").items()
        if obj.get("volumeBindingMode") == "WaitForFirstConsumer"
    }
    bound = 0
    for obj in listed(platform, "PersistentVolumeClaim"):
        phase, name = (obj.get("status") or {}).get("phase"), name_of(obj)
        used_class = obj["spec"].get("storageClassName")
        if phase == "Bound":
            bound += 1
        elif phase == "Lost":
            yield problem(
                name, "its volume is gone: restore it from a snapshot, or delete the claim"
            )
        elif used_class in late and name not in mounted:
            yield note(name, f"waits for its first pod, as the class {used_class} says")
        elif age_minutes(obj) < _ROLLING_MINUTES:
            yield note(name, f"is {phase or 'new'}, for {age_minutes(obj):.0f} minutes: look again")
        elif used_class in late and _SELECTED_NODE not in annotations_of(obj):
            yield note(
                name, "waits for its pod, which no node takes yet: see the check of pods, gpu-pods"
            )
        elif used_class is None:
            yield problem(
                name, "has no class, because none was the default when it was made: name one in it"
            )
        elif not used_class:
            yield problem(
                name,
                'has the class "", and no volume that somebody made fits it: make that volume, or '
                "name a class",
            )
        elif used_class not in by_name(platform, "StorageClass"):
            have = in_words(sorted(by_name(platform, "StorageClass"))) or "no class"
            yield problem(
                name, f"names the StorageClass {used_class}, which does not exist: use {have}"
            )
        else:
            yield problem(
                name,
                f"is {phase}, and a pod waits for it: read `kubectl -n {namespace_of(obj)} "
                f"describe pvc {obj['metadata']['name']}`",
            )
    yield good("volume claims", f"{bound} are bound")


def _classes(platform: Platform) -> Iterator[Finding]:
    about = "StorageClass"
    classes = by_name(platform, "StorageClass")
    defaults = sorted(
        name for name, obj in classes.items() if annotations_of(obj).get(_DEFAULT_CLASS) == "true"
    )
    if defaults == ["gp3"]:
        yield good(about, f"gp3 is the default of {len(classes)}")
    elif not defaults:
        yield problem(
            about,
            "none is the default, so claims without a class wait for ever: run "
            "`pulumi up`, which makes gp3 the default",
        )
    else:
        yield note(
            about,
            f"the default is {in_words(defaults, 'and')}, and the stack makes gp3: of several the "
            "newest is used (remove the annotation "
            f"{_DEFAULT_CLASS} from those you do not mean)",
        )
    if platform.settings.shared_files.enabled and "efs" not in classes:
        yield problem(
            about, "efs is missing, and kubeflow:sharedFiles.enabled is true: run `pulumi up`"
        )


def _drivers(platform: Platform) -> Iterator[Finding]:
    wanted = [_EBS, *([_EFS] if platform.settings.shared_files.enabled else [])]
    found = by_name(platform, "CSIDriver")
    for driver in wanted:
        if driver in found:
            yield good("CSI drivers", f"{driver} is there")
        else:
            yield problem(
                "CSI drivers",
                f"{driver} is missing, so no volume of it is made or "
                "mounted: run `pulumi up`, and look at the add-on in the EKS console",
            )


def metrics(platform: Platform) -> Iterator[Finding]:
    """metrics.k8s.io answers for the nodes, and every autoscaler has the values it scales by."""
    about = "metrics.k8s.io"
    namespace, _, name = platform.parts.metrics.deployments[0].partition("/")
    service = by_name(platform, "APIService").get("v1beta1.metrics.k8s.io")
    if service is None:
        yield problem(about, "nothing serves it, so that no autoscaler works: run `pulumi up`")
        return
    state = condition(service, "Available")
    if state.get("status") != "True":
        yield problem(
            about,
            f"does not answer ({why(state)}): look at `kubectl -n {namespace} get pods`",
        )
        return
    measured = platform.cluster.all("/apis/metrics.k8s.io/v1beta1/nodes")
    old = [node for node in listed(platform, "Node") if age_minutes(node) >= _METRICS_MINUTES]
    missing = sorted({name_of(node) for node in old} - {name_of(each) for each in measured})
    if missing:
        yield problem(
            about,
            f"has nothing of {some(missing)}: {name} does not reach the kubelet there; read "
            f"{platform.parts.metrics.log}",
        )
    else:
        yield good(about, f"measures {len(measured)} nodes")
    yield from _autoscalers(platform, listed(platform, "HorizontalPodAutoscaler"))


def _autoscalers(platform: Platform, autoscalers: Iterable[Object]) -> Iterator[Finding]:
    right = 0
    for obj in autoscalers:
        active, able = condition(obj, "ScalingActive"), condition(obj, "AbleToScale")
        bad = next((each for each in (able, active) if each.get("status") == "False"), None)
        if bad is None and active:
            right += 1
        elif bad is not None and bad.get("reason") == "ScalingDisabled":
            right += 1  # its workload has no replicas, on purpose
        elif age_minutes(obj) < _METRICS_MINUTES or bad is None:
            yield note(name_of(obj), "has no values yet: look again")
        else:
            own = is_own_namespace(platform, namespace_of(obj))
            yield (problem if own else note)(
                name_of(obj),
                f"does not scale ({why(bad)}): look at its pods with `kubectl -n "
                f"{namespace_of(obj)} top pods`",
            )
    yield good("autoscalers", f"{right} have the values they scale by")


CHECKS: tuple[Check, ...] = (
    Check("kubernetes-version", "the control plane's version", kubernetes_version),
    Check("node-versions", "the versions of kubelets and kube-proxy", node_versions),
    Check("release-version", "the images of the release's workloads", release_version),
    Check("karpenter-version", "the image of Karpenter's controller", karpenter_version),
    Check("support-ends", "AWS's support of Kubernetes and MySQL", support_ends),
    Check("nodes", "conditions, number and zones of nodes", nodes),
    Check("node-pools", "NodePools and EC2NodeClasses of Karpenter", node_pools),
    Check("workloads", "ready pods of Deployments, StatefulSets and DaemonSets", workloads),
    Check("disruption-budgets", "PodDisruptionBudgets and what they allow", disruption_budgets),
    Check("platform-jobs", "Jobs of the platform", platform_jobs),
    Check("storage", "StorageClasses, CSI drivers and volume claims", storage),
    Check("metrics", "the metrics API and autoscalers", metrics),
)
