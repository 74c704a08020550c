"""Objects of a year ago, on a real API server that gets the types of the next release."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from rendering.objects import Object
from tests.cluster.conftest import CURRENT, NewCluster
from tests.releases import DEFAULT
from tests.upgrade.users import lost
from tests.upgrades.test_tables import WAYS, crds

pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")
OLD_OBJECTS = Path(__file__).parents[1] / "upgrade/old_objects.yaml"
# Written by the API server itself, into every runtime for torch (`filled` in upgrade.yaml).
FILLED = {"TrainingRuntime own": [".spec.mlPolicy.torch.numProcPerNode: 'auto' is None"]}
TEAM: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}}


def test_objects_of_a_year_ago_stay_as_they_are_and_can_be_written(
    new_cluster: NewCluster, version: str
) -> None:
    """Nothing refuses them, before and after; no field of theirs is lost at a read or a write."""
    (old,) = (old for old, new in WAYS if new == DEFAULT)
    objects: list[Object] = list(yaml.safe_load_all(OLD_OBJECTS.read_text("utf-8")))
    with new_cluster(f"old-objects-{version}") as made:
        cluster = made.cluster
        made.crds(list(crds(old).values()))
        cluster.create(TEAM)
        for obj in objects:
            cluster.create(obj)
        before = {name(obj): cluster.read(obj) for obj in objects}
        made.crds(list(crds(DEFAULT).values()))
        read = {name(obj): cluster.read(obj) for obj in objects}
        assert lost(before, read) == FILLED
        for obj in objects:
            changed = copy.deepcopy(read[name(obj)])
            changed["metadata"].setdefault("labels", {})["written"] = "again"
            cluster.replace(changed, manager="test")
            assert lost({"": changed}, {"": cluster.read(obj)}) == {}, name(obj)


def name(obj: Object) -> str:
    return f"{obj['kind']} {obj['metadata']['name']}"
