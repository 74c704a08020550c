"""Rows of plans and sides of a review, as a rehearsal writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from review.review import Review, review
from review.sides import Finding, Side

KUBERNETES_PROVIDER = "urn:pulumi:test::kubeflow::pulumi:providers:kubernetes::cluster-kubernetes"
SETTINGS = {"kubeflow:region": "cn-north-1", "kubeflow:cluster": {"name": "kubeflow"}}


def urn_of(type_: str, name: str, component: str = "") -> str:
    chain = f"kubeflow:platform:{component}${type_}" if component else type_
    return f"urn:pulumi:test::kubeflow::{chain}::{name}"


def row(
    type_: str,
    name: str,
    operation: str = "same",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    *,
    replacing: Sequence[str] = (),
    protect: bool = False,
    retain: bool = False,
    provider: str = "",
    dependencies: Sequence[str] = (),
    component: str = "",
) -> dict[str, Any]:
    """One row of the head's plan; ``before`` and ``after`` are inputs."""
    made: dict[str, Any] = {
        "urn": urn_of(type_, name, component),
        "type": type_,
        "name": name,
        "parent": "",
        "provider": provider,
        "dependencies": list(dependencies),
        "inputs": dict(after or {}),
        "operation": operation,
        "protect": protect,
        "retain": retain,
    }
    if operation in ("update", "replace", "delete"):
        made |= {"before": dict(before or {}), "replacing": list(replacing)}
    return made


def kubernetes(
    kind: str, name: str, operation: str = "same", *, namespace: str = "kubeflow", **more: Any
) -> dict[str, Any]:
    """A row of an object; ``before`` and ``after`` are what it has beside its name."""
    kind_of = {
        "Profile": "kubeflow.org/v1",
        "Namespace": "core/v1",
        "ConfigMap": "core/v1",
        "Secret": "core/v1",
        "Service": "core/v1",
    }
    metadata = (
        {"name": name}
        if kind in ("Profile", "Namespace")
        else {"name": name, "namespace": namespace}
    )
    for side in ("before", "after"):
        if side in more:
            inner = {**metadata, **more[side].get("metadata", {})}
            more[side] = {"kind": kind, **more[side], "metadata": inner}
        elif operation != ("create" if side == "before" else "delete"):
            more[side] = {"kind": kind, "metadata": metadata}
    type_ = f"kubernetes:{kind_of.get(kind, 'apps/v1')}:{kind}"
    return row(type_, name, operation, provider=KUBERNETES_PROVIDER, **more)


def sides(
    rows: Sequence[Mapping[str, Any]],
    *,
    settings: tuple[Mapping[str, Any], Mapping[str, Any]] = (SETTINGS, SETTINGS),
    images: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
    crds: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
    findings: tuple[Sequence[Finding], Sequence[Finding]] = ((), ()),
) -> tuple[Side, Side]:
    """Both sides: the base has the rows of the head as they were before."""
    old = [
        {**each, "inputs": each.get("before", each["inputs"]), "operation": "create"}
        for each in rows
        if each["operation"] != "create"
    ]
    pair = tuple(old), tuple(rows)
    names = "main (1a2b3c4)", "working tree"
    made = [
        Side(names[n], pair[n], images[n], crds[n], tuple(findings[n]), settings[n]) for n in (0, 1)
    ]
    return made[0], made[1]


def reviewed(
    rows: Sequence[Mapping[str, Any]], *, files: Sequence[str] = (), **more: Any
) -> Review:
    base, head = sides(rows, **more)
    return review("test", base, head, changed_files=files)


def policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def renamed_cluster(objects: int = 650) -> list[dict[str, Any]]:
    """A plan in which the cluster has another name, with everything that follows."""
    cluster = "aws:eks/cluster:Cluster"
    old, new = {"name": "kubeflow"}, {"name": "acme-ml"}
    made = [
        row(cluster, "eks", "replace", old, new, replacing=["name"], protect=True),
        row(
            "pulumi:providers:kubernetes",
            "cluster-kubernetes",
            "replace",
            {"clusterIdentifier": "https://old"},
            {"clusterIdentifier": "https://new"},
            replacing=["clusterIdentifier"],
        ),
        row(
            "aws:s3/bucket:Bucket",
            "artifacts",
            "replace",
            {"bucket": "kubeflow-111122223333"},
            {"bucket": "acme-ml-111122223333"},
            replacing=["bucket"],
            protect=True,
            retain=True,
        ),
        row(
            "aws:rds/instance:Instance",
            "database",
            "update",
            {"identifier": "kubeflow-kubeflow"},
            {"identifier": "acme-ml-kubeflow"},
        ),
        kubernetes(
            "Profile",
            "li-na",
            "replace",
            before={"spec": {"owner": {"name": "li.na@example.com"}}},
            after={"spec": {"owner": {"name": "li.na@example.com"}}},
            replacing=["provider"],
            protect=True,
        ),
    ]
    for number in range(objects):
        image = f"registry.example/%s/app:{number}"
        spec = {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}
        before, after = (
            json.loads(json.dumps({"spec": spec}).replace("%s", name))
            for name in ("kubeflow", "acme-ml")
        )
        made.append(
            kubernetes(
                "Deployment",
                f"app-{number}",
                "replace",
                before=before,
                after=after,
                replacing=["provider"],
            )
        )
    return made
