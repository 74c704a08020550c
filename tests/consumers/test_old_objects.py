"""Objects of the release before, as the types of Argo and Trainer of the default release read them.

What the API server makes of them: tests/cluster/test_old_objects.py. Of KServe 0.18 no registry has
the types; Katib's are the same in both releases.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rendering.objects import Object
from settings import MANIFESTS
from tests.cluster.api_server import built
from tests.consumers.programs import OLD_OBJECTS
from tests.releases import DEFAULT
from upgrades.table import Stored, of_release

OBJECTS = Path(__file__).parents[1] / "upgrade"
KINDS = {
    "cronworkflows": "CronWorkflow",
    "workflowtemplates": "WorkflowTemplate",
    "clusterworkflowtemplates": "ClusterWorkflowTemplate",
    "trainjobs": "TrainJob",
    "trainingruntimes": "TrainingRuntime",
    "clustertrainingruntimes": "ClusterTrainingRuntime",
}
# Argo 3.7.3 too reads nothing of a cache but its name (workflow/controller/operator.go).
READ_BY_NEITHER = ("memoize.cache.configMap.key", "memoize.cache.configMap.optional")


def condition(name: str) -> Mapping[str, Stored]:
    """What the upgrade asks the cluster for, by resource."""
    (found,) = (
        each for each in of_release(MANIFESTS / DEFAULT).ways["26.03"].before if each.name == name
    )
    return {each.resource: each for each in found.objects}


def ask(question: str, objects: Iterable[Object] = ()) -> list[Any]:
    """The answers of the program, one per line."""
    done = subprocess.run(
        [str(built(OLD_OBJECTS, print)), question],
        input="".join(f"{json.dumps(each)}\n" for each in objects),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def with_field(kind: str, path: str, value: object) -> Object:
    """An object with one field."""
    found: Any = value
    for name in reversed(path.split(".")):
        found = {name: found}
    return {"kind": kind, **found}


def test_the_upgrade_asks_for_every_field_that_argo_reads_no_more() -> None:
    (lost,) = ask("lost")
    asked = condition("argo")
    assert {KINDS[name] for name in asked} == {*lost} - {"Workflow"}, "Workflows have ended"
    for name, stored in asked.items():
        gone = {path for path in lost[KINDS[name]] if not path.endswith(READ_BY_NEITHER)}
        assert {*stored.having} == gone


def test_no_field_that_the_upgrade_asks_for_is_known_to_trainer() -> None:
    for name, stored in condition("trainer").items():
        objects = [with_field(KINDS[name], path, {}) for path in stored.having]
        unknown = [f'unknown field "{path}"' for path in stored.having]
        assert ask("read", objects) == [[each] for each in unknown], name


def test_one_text_for_a_number_of_processes_is_no_trainjob() -> None:
    (path,) = condition("trainer")["trainjobs"].texts
    (read, refused) = ask("read", [with_field("TrainJob", path, each) for each in (4, "auto")])
    assert read == []
    (told,) = refused
    assert "cannot unmarshal string" in told


@pytest.mark.parametrize("file", ["users.yaml", "old_objects.yaml"])
def test_other_objects_of_users_are_read_whole(file: str) -> None:
    objects: list[Object] = [
        each
        for each in yaml.safe_load_all((OBJECTS / file).read_text("utf-8"))
        if each["kind"] in {"Workflow", *KINDS.values()}
    ]
    assert len(objects) > 1
    answers = zip(objects, ask("read", objects), strict=True)
    told = {each["metadata"]["name"]: answer for each, answer in answers if answer}
    # Of a run that has ended; nothing takes its lock any more.
    ended = {"cached-fghij": ['unknown field "spec.synchronization.mutex"']}
    assert told == (ended if file == "old_objects.yaml" else {})
