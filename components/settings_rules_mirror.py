"""Rules over the image mirror's ways: across partitions, and from the control plane to it."""

from __future__ import annotations

from collections.abc import Iterator

from components.region import UnknownRegion
from components.settings_facts import Facts, Rules
from components.settings_sentences import full_key, told

RULES = Rules()

_CREDENTIALS = full_key("imageMirror.credentials")

# What tells how to copy, by the name in the stack file.
_OF_COPIES = {
    "when_absent": "whenAbsent",
    "inventory_first": "inventoryFirst",
    "in_flight_minutes": "inFlightMinutes",
    "platform": "platform",
    "follow_hours": "followHours",
    "build_profile": "buildProfile",
    "rotation": "rotation",
}


def _crosses(f: Facts) -> bool:
    try:
        return f.settings.image_mirror.crosses(f.region)
    except UnknownRegion:  # another rule's matter
        return True


@RULES.reads("imageMirror", "region")
def _only_copies_are_told_how(f: Facts) -> Iterator[str]:
    mirror = f.settings.image_mirror
    if mirror.cached(f.region) is None:
        return
    for name in (each for each in _OF_COPIES if each in mirror.model_fields_set):
        yield told(
            full_key(f"imageMirror.{_OF_COPIES[name]}"),
            getattr(mirror, name),
            f"ECR in {f.region.name} pulls images by itself and nothing is copied: remove the line",
        )


@RULES.reads("imageMirror.credentials", "imageMirror.enabled", "imageMirror.buildRegion", "region")
def _sessions_replace_keys(f: Facts) -> Iterator[str]:
    chosen = f.settings.image_mirror.credentials
    if chosen == "web-identity" and not _crosses(f):
        yield told(
            _CREDENTIALS,
            chosen,
            f"no image crosses a partition's border to {f.region.name}, so there is no key that "
            "sessions could replace: remove the line",
        )


@RULES.reads(
    *("imageMirror.credentials", "imageMirror.enabled", "imageMirror.buildRegion", "region"),
    *("imageMirror.transport", "imageMirror.inventoryFirst"),
)
def _sessions_come_from_a_pod(f: Facts) -> Iterator[str]:
    mirror = f.settings.image_mirror
    if mirror.credentials != "web-identity" or not _crosses(f):
        return
    if not mirror.in_cluster(f.region):
        yield told(
            full_key("imageMirror.transport"),
            mirror.transport or "",
            f"with {_CREDENTIALS} {mirror.credentials} a pod beside those that answer admissions "
            "hands sessions over: set it to in-cluster",
        )
    if mirror.inventory_first:
        yield told(
            full_key("imageMirror.inventoryFirst"),
            True,
            f"with {_CREDENTIALS} {mirror.credentials} nothing is copied before pods run: set it "
            "to false, and run `./kf images mirror` before `pulumi up`",
        )


@RULES.reads("imageMirror.transport", "imageMirror.enabled", "cluster.controlPlaneEgress", "region")
def _private_api_is_reached(f: Facts) -> Iterator[str]:
    mirror = f.settings.image_mirror
    private = mirror.wanted(f.region) and mirror.transport == "private-api"
    if private and f.settings.cluster.control_plane_egress is None:
        yield told(
            full_key("imageMirror.transport"),
            mirror.transport,
            "the control plane reaches nothing in the VPC that is outside the cluster, unless "
            f"{full_key('cluster.controlPlaneEgress')} is customer-routed (for good): set that, or "
            "use in-cluster",
        )
