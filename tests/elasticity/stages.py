"""How kwok lets nodes and pods live: its own stages, as its module has them, with two changes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from rendering import Object
from tests.elasticity.programs import KWOK, sources

TAKES = "elasticity.test/takes"
"""Annotation of a pod of a Job: so many seconds after its start it succeeds."""

_STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)


def configuration() -> str:
    """kwok's configuration file: the options that its flags lack, and the changed stages."""
    folder = sources(KWOK) / "kustomize" / "stage"
    return configuration_of(_stage(folder / name) for name in _STAGES)


def configuration_of(stages: Iterable[Object]) -> str:
    """kwok's configuration file with these stages."""
    options = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        # Four of each are the default: pods would start at some 100 a second.
        "options": {"podPlayStageParallelism": 32, "nodePlayStageParallelism": 32},
    }
    return yaml.safe_dump_all([options, *stages])


def _stage(path: Path) -> Object:
    stage: dict[str, Any] = yaml.safe_load(path.read_text())
    spec = stage["spec"]
    if path.stem == "node-initialize":
        # The provider makes nodes whose capacity is what the pods waiting for them ask. A kubelet
        # reports all that the machine has, and the NodePool's limit counts that.
        spec["next"]["statusTemplate"] = _changed(
            spec["next"]["statusTemplate"], "with .status.capacity", "with .status.allocatable"
        )
    elif path.stem == "pod-complete":
        # Training takes time; the stage itself ends a Job's pod at once. A moment, not a duration:
        # kwok looks at its pods again now and then, and would begin to wait anew.
        takes = f'.metadata.annotations["{TAKES}"] | tonumber'
        source = f"(.status.startTime | fromdateiso8601) + ({takes}) | todateiso8601"
        spec["delay"] = {"durationMilliseconds": 0, "durationFrom": {"expressionFrom": source}}
    return stage


def _changed(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise ValueError(f"kwok's stage no longer has {old!r} exactly once")
    return text.replace(old, new)
