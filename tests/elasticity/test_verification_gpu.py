"""``./kf verify``'s trial on a GPU with the real Karpenter: a machine comes and goes, or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest

from ops.findings import Finding, Level
from ops.live_cluster import LiveCluster
from ops.verification.checks import gpu
from ops.verification.platform import Platform
from ops.verification.progress import Progress
from ops.verification.workspace import Workspace, Workspaces
from settings.context import StackContext
from settings.users import User
from tests.elasticity import measuring
from tests.elasticity.catalogue import catalogue
from tests.elasticity.cluster import ControlPlane
from tests.elasticity.conftest import NewScenario
from tests.elasticity.pools import STACK, rendered, settings
from tests.elasticity.stages import TAKES


@dataclass
class Shortened:
    """A workspace whose Jobs tell kwok how long they run."""

    inner: Workspace

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def create(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        pod = obj["spec"]["template"]
        pod["metadata"]["annotations"] = {**pod["metadata"].get("annotations", {}), TAKES: "2"}
        return self.inner.create(obj)


def examined(plane: ControlPlane, namespace: str) -> tuple[list[Finding], Progress]:
    """The findings of the check, after which its objects are taken away."""
    user = User(email="alice@example.com", namespace=namespace)
    stack = settings().model_copy(update={"users": [user]})
    cluster, progress = LiveCluster(), Progress()
    spaces = Workspaces(cluster, progress)
    platform = Platform(
        stack=STACK,
        settings=stack,
        context=StackContext.of(stack, "111122223333", {}),
        cluster=cluster,
        client=lambda service: pytest.fail(f"{service} is not asked"),
        workspace=lambda name: cast("Workspace", Shortened(spaces(name))),
    )
    try:
        return list(gpu.gpu_trial(platform)), progress
    finally:
        assert [*spaces.delete(), *spaces.await_end()] == []


@pytest.fixture
def kubeconfig(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig_file))


def test_a_machine_comes_for_the_trial_of_verify_and_leaves_after_it(
    plane: ControlPlane, new_scenario: NewScenario, kubeconfig: None
) -> None:
    with new_scenario("verified", rendered(max_gpus=8, consolidate_after="2s")) as made:
        (came, left), progress = examined(plane, made.name)
        assert came.level is left.level is Level.GOOD, (came, left)
        assert "(g4dn.xlarge) came for it, and it began after " in came.sentence
        assert left.sentence.endswith("s after its end (consolidateAfter 2s)")
        assert measuring.by_type(made.seen.machines) == {"g4dn.xlarge": 1}
        assert not made.seen.standing
        assert progress.waited > 3
        assert plane.cluster.get(f"/apis/batch/v1/namespaces/{made.name}/jobs")["items"] == []


def test_a_machine_that_ec2_does_not_have_is_told_in_karpenters_words(
    plane: ControlPlane,
    new_scenario: NewScenario,
    kubeconfig: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpu, "START_SECONDS", 20)
    pool = rendered(max_gpus=8, consolidate_after="2s")
    with new_scenario("verified-sold-out", pool, sold_out=catalogue().zones) as made:
        (told,), _ = examined(plane, made.name)
        assert told.level is Level.PROBLEM
        assert told.sentence.startswith("it has not begun after 20 s: EC2 has no capacity of ")
        assert "(NodePool gpu: " in told.sentence
        assert not made.seen.machines
