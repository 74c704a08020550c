"""The check of volumes: StorageClasses, CSI drivers and claims."""

from __future__ import annotations

from collections.abc import Iterator

from ops.findings import Finding, good, note, problem
from ops.verification.check import Check
from ops.verification.checks.live_objects import (
    ROLLING_MINUTES,
    age_minutes,
    by_name,
    listed,
    name_of,
    namespace_of,
)
from ops.verification.platform import Platform
from rendering.objects import annotations_of
from settings.errors import listed as in_words

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""The scheduler writes it on a claim when it has a node for the pod (kubernetes/kubernetes
pkg/scheduler/framework/plugins/volumebinding/binder.go)."""
_EBS, _EFS = "ebs.csi.aws.com", "efs.csi.aws.com"


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
        elif age_minutes(obj) < ROLLING_MINUTES:
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


CHECKS: tuple[Check, ...] = (
    Check("storage", "StorageClasses, CSI drivers and volume claims", storage),
)
