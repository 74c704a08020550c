"""Another version of Karpenter's custom resources, with machines and pools in the API server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.gpu.karpenter_objects import node_pool
from components.gpu.node_pools import Pool
from rendering import Object
from tests.cluster.client import Refused
from tests.cluster.conftest import CURRENT, NewCluster
from tests.cluster.node_classes import node_class_of
from tests.rendering.beijing import rendered
from toolchain.go_programs import go_environment

pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")

_MODULE = "github.com/aws/karpenter-provider-aws"
# Of the Go checksum database; of 1.14.0 also in tests/elasticity/modules/interruption/go.sum.
_SUMS = {
    "1.13.1": "h1:brfauuAII/2+xjWO+JLYTEPmAP5Z3WgPcCaMqHXEE74=",
    "1.14.0": "h1:QVQ947vQKzxM87aDbpZBtUnlVRVcU75c/RMlgVyX7nc=",
}
_NEW = "1.14.1"


def crds_of(karpenter: str, folder: Path) -> list[Object]:
    """The CRDs of a version as its Go module has them."""
    told = subprocess.run(
        ["go", "mod", "download", "-json", f"{_MODULE}@v{karpenter}"],
        cwd=folder,
        env=go_environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    module: dict[str, str] = json.loads(told.stdout)
    assert module["Sum"] == _SUMS[karpenter]
    files = sorted(Path(module["Dir"], "pkg/apis/crds").glob("*.yaml"))
    return [yaml.safe_load(file.read_text("utf-8")) for file in files]


def node_claim(pool: Object) -> Object:
    """A machine of a pool, as Karpenter writes it (kubernetes-sigs/karpenter nodeclaimtemplate)."""
    spec: dict[str, Any] = pool["spec"]["template"]["spec"]
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodeClaim",
        "metadata": {
            "name": "gpu-x7k2p",
            "labels": {"karpenter.sh/nodepool": pool["metadata"]["name"]},
            "finalizers": ["karpenter.sh/termination"],
        },
        "spec": {**spec, "resources": {"requests": {"nvidia.com/gpu": "1"}}},
    }


LAUNCHED: dict[str, Any] = {
    "providerID": "aws:///cn-north-1a/i-0123456789abcdef0",
    "imageID": "ami-0123456789abcdef0",
    "nodeName": "ip-10-0-0-1.cn-north-1.compute.internal",
    "capacity": {"nvidia.com/gpu": "1"},
    "conditions": [
        {
            "type": "Drifted",
            "status": "True",
            "reason": "AMIDrift",
            "message": "AMIDrift",
            "lastTransitionTime": "2026-11-30T06:00:00Z",
        }
    ],
}


@pytest.mark.parametrize("old", _SUMS)
def test_machines_and_pools_outlive_the_custom_resources_of_another_version(
    old: str, new_cluster: NewCluster, tmp_path: Path
) -> None:
    pool = Pool(families=["g4dn"], max_gpus=8)
    made_for_ec2 = node_class_of(pool)
    ours = node_pool(pool)
    machine, balanced = node_claim(ours), _with_policy(ours, "Balanced")
    with new_cluster(f"karpenter-{old}") as made:
        before, after = crds_of(old, tmp_path), rendered(f"addons/karpenter-{_NEW}").crds
        made.crds(before)
        made.apply_all([made_for_ec2, ours])
        made.cluster.create(machine)
        stored = made.cluster.read(machine)
        made.cluster.replace_status({**stored, "status": LAUNCHED}, manager="karpenter")
        objects = [made_for_ec2, ours, machine]
        kept = [made.cluster.read(obj) for obj in objects]
        assert kept[2]["status"] == LAUNCHED
        if old == "1.13.1":  # what is new in 1.14, by which the two differ
            with pytest.raises(Refused, match="consolidationPolicy"):
                made.cluster.apply(balanced, dry_run=True)

        made.crds(after)

        # With uid, generation and version: none was written again.
        assert [made.cluster.read(obj) for obj in objects] == kept
        stored, second = made.again(ours)
        assert second["spec"] == stored["spec"]
        assert second["metadata"]["generation"] == stored["metadata"]["generation"]
        made.cluster.apply(balanced, dry_run=True)
        made.cluster.replace_status(kept[2], manager="karpenter")


def _with_policy(pool: Object, policy: str) -> Object:
    disruption = {**pool["spec"]["disruption"], "consolidationPolicy": policy}
    return {**pool, "spec": {**pool["spec"], "disruption": disruption}}
