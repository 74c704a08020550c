"""The plan files: order, bytes, diagram, and no secret."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import yaml
from pulumi.runtime.proto.resource_pb2 import RegisterResourceRequest

from rehearsal import plan, protocol
from rehearsal.architecture import counts, diagram, edges
from rehearsal.recording import Planned, Recorder

PREFIX = "urn:pulumi:dev::kubeflow::"


def planned(type_: str, name: str, *needs: Planned, within: str = "", **inputs: Any) -> Planned:
    chain = f"kubeflow:platform:{within}${type_}" if within else type_
    request = RegisterResourceRequest(
        type=type_,
        name=name,
        dependencies=[need.urn for need in needs],
        custom=True,
        object=protocol.to_struct(inputs),
    )
    return Planned(f"{PREFIX}{chain}::{name}", request)


def obj(kind: str, name: str, *needs: Planned, **rest: Any) -> Planned:
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **rest}
    return planned(f"kubernetes:core/v1:{kind}", name, *needs, within="KubeflowManifests", **body)


BUCKET = planned("aws:s3/bucket:Bucket", "bucket", within="Backend", bucket="b")
ROLE = planned("aws:iam/role:Role", "role", BUCKET, within="Backend")
SPACE = obj("Namespace", "zoo")
CRDS = planned(plan.CRD_RESOURCE, "crds", SPACE, within="KubeflowManifests", bundle="abc")
POD = obj("Pod", "ape", SPACE, ROLE, CRDS)
EVERYTHING = [BUCKET, ROLE, SPACE, CRDS, POD]


def crds_of(bundle: str) -> str:
    return f"---\nkind: CustomResourceDefinition\nmetadata:\n  name: {bundle}\n"


def test_objects_come_after_what_they_need_and_crds_at_their_place() -> None:
    text = plan.kubernetes_yaml(plan.in_dependency_order(EVERYTHING), crds_of)
    names = [document["metadata"]["name"] for document in yaml.safe_load_all(text)]
    assert names == ["zoo", "abc", "ape"]


def test_a_resource_comes_after_its_parent() -> None:
    parent = obj("ConfigMap", "zebra")
    child = obj("ConfigMap", "ant")
    child.request.parent = parent.urn
    assert plan.in_dependency_order([child, parent]) == [parent, child]


def test_the_same_plan_gives_the_same_bytes_in_whatever_order_it_was_recorded(
    tmp_path: Path,
) -> None:
    def written(folder: Path, resources: list[Planned]) -> list[bytes]:
        images = {"b": "y", "a": "x"}
        return [path.read_bytes() for path in plan.write(folder, resources, images, crds_of)]

    shuffled = random.Random(7).sample(EVERYTHING, len(EVERYTHING))  # noqa: S311
    assert written(tmp_path / "one", EVERYTHING) == written(tmp_path / "two", shuffled)
    assert (tmp_path / "one" / "images.txt").read_text() == "a -> x\nb -> y\n"


def test_secrets_are_masked_and_the_code_of_dynamic_resources_is_left_out() -> None:
    data = protocol.secret({"password": "correct-horse"})
    (row,) = json.loads(plan.plan_json([planned("t", "n", __provider="gASV", data=data)], {}))
    assert row["inputs"] == {"data": "[secret]"}


def test_a_remote_component_is_planned_once_with_the_plain_values_of_its_provider() -> None:
    kind, recorder = "eks:index:Cluster", Recorder()
    output = {protocol.SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4", "value": "vpc-1"}
    for vpc, needs in (("vpc-1", []), (output, ["vpc"])):
        inputs = protocol.to_struct({"vpcId": vpc})
        request = RegisterResourceRequest(type=kind, object=inputs, dependencies=needs)
        recorder.add(request, "urn")
    (component,) = recorder.resources
    assert (component.inputs, component.dependencies) == ({"vpcId": "vpc-1"}, ("vpc",))


def test_a_file_of_the_project_is_named_by_its_path_inside_it() -> None:
    asset = {"path": str(plan.PROJECT / "webhook" / "mirror.py")}
    (row,) = json.loads(plan.plan_json([planned("t", "n", code=asset)], {}))
    assert row["inputs"] == {"code": {"path": "webhook/mirror.py"}}


def test_the_diagram_counts_what_each_component_makes_and_needs() -> None:
    assert counts(EVERYTHING) == {
        "Backend": {"AWS": 2},
        "KubeflowManifests": {"Kubernetes": 2, "own": 1},
    }
    assert edges(EVERYTHING) == {("KubeflowManifests", "Backend"): 1}
    drawn = diagram(EVERYTHING).splitlines()
    assert '  KubeflowManifests["<b>KubeflowManifests</b><br/>2 Kubernetes · 1 own"]' in drawn
    assert "  KubeflowManifests -->|1| Backend" in drawn


def test_regions_count_apart_when_a_plan_has_several() -> None:
    there = [planned("pulumi:providers:aws", name, region=name) for name in ("r-1", "r-2")]
    resources = [planned("aws:x:X", provider.name) for provider in there]
    for provider, resource in zip(there, resources, strict=True):
        resource.request.provider = f"{provider.urn}::id"
    assert counts([*there, *resources])[""] == {"AWS r-1": 1, "AWS r-2": 1}
