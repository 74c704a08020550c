"""The whole Beijing stack on the real engine, from a first preview to the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from rehearsal.account import BUCKET, SNAPSHOT, Account
from rehearsal.architecture import diagram
from rehearsal.clouds import ACCOUNT
from rehearsal.engine import EngineFailure, Rehearsal
from rehearsal.pictures import pictures
from rehearsal.plan import rows_of
from rehearsal.providers import Simulation
from tests.rehearsal.conftest import steps

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ROOT / "docs" / "elasticity.md"
STACK = "cn-north-1"
# A backend writes the whole state at every step, edges and all:
# docs/decisions/0001-crds-are-one-resource.md.
MOST_STATE_BYTES, MOST_EDGES = 5_000_000, 8
PROTECTED = {
    "backend-artifacts",
    "backend-database",
    "backend-key",
    "cluster-control-plane-eks-eksCluster",
    "cluster-control-plane-secrets",
    "kubeflow-user-example-com",
}
READERS = (
    "backend-database-init",
    "backend-ml-pipeline",
    "backend-profile-kubeflow-user-example-com",
)
Begin = Callable[..., AbstractContextManager[Rehearsal]]

PROGRAM = (
    "Pulumi.yaml",
    "__main__.py",
    "program.py",
    "settings",
    "regions",
    "components",
    "images",
    "manifests",
    "webhook",
)

pytestmark = pytest.mark.engine


@pytest.fixture
def begin(cli: Path, tmp_path: Path) -> Begin:
    """Starts a rehearsal of the project; ``edits`` change the stack file's text beforehand."""

    def start(*edits: tuple[str, str], unknowns: bool = False) -> object:
        project = tmp_path / "project"
        project.mkdir(exist_ok=True)
        for name in PROGRAM:
            if not (project / name).exists():
                (project / name).symlink_to(ROOT / name)
        text = (ROOT / f"Pulumi.{STACK}.yaml").read_text()
        for before, after in edits:
            assert before in text
            text = text.replace(before, after)
        (project / f"Pulumi.{STACK}.yaml").write_text(text)
        return Rehearsal(
            project=project,
            stack=STACK,
            build=tmp_path / "build",
            pulumi=cli,
            simulation=Simulation(region=STACK, unknowns=unknowns),
        ).started()

    return start  # pyright: ignore[reportReturnType]


def protected(state: Path) -> Iterator[str]:
    """The URNs of what the engine refuses to delete."""
    for resource in json.loads(state.read_text())["checkpoint"]["latest"]["resources"]:
        if resource.get("protect"):
            yield resource["urn"]


def test_the_platform_is_shown_made_left_alone_changed_and_taken_away(
    begin: Begin, tmp_path: Path
) -> None:
    # As a real cloud answers before anything exists: ids, hosts and ARNs are unknown.
    with begin(unknowns=True) as rehearsal:
        first = rehearsal.preview()
        up = rehearsal.up()
        assert steps(rehearsal.preview()) == []
        assert set(rehearsal.refresh().changes) == {"same"}
    assert {one.urn for one in first.resources} == {one.urn for one in up.resources}
    (state,) = (tmp_path / "build").glob(f"state/.pulumi/stacks/*/{STACK}.json")
    assert state.stat().st_size < MOST_STATE_BYTES
    assert {urn.rpartition("::")[2] for urn in protected(state)} == PROTECTED
    objects = [each for each in up.resources if each.type.startswith("kubernetes:")]
    assert sum(len(each.dependencies) for each in objects) < MOST_EDGES * len(objects)
    assert diagram(up.resources) in (ROOT / "CONTRIBUTING.md").read_text(), "run `make diagram`"
    for name, svg in pictures(rows_of(up.resources, {}), MEASURED.read_text()):
        assert svg == (ROOT / "docs" / "pictures" / name).read_text(), "run `make diagram`"
    assert set(up.changes) == {"create"}
    everything = up.changes["create"]
    assert everything > 700

    with begin(("maxGpus: 8", "maxGpus: 16")) as rehearsal:
        changed = rehearsal.up()
        assert changed.changes == {"same": everything - 1, "update": 1}
        assert steps(changed)[0][1].endswith("karpenter.sh/v1:NodePool")
        # An accidental destroy is refused before the first deletion.
        with pytest.raises(EngineFailure, match=r"backend-database.* protected"):
            rehearsal.destroy()
        assert set(rehearsal.preview().changes) == {"same"}

    unprotected = ("deletionProtection: true", "deletionProtection: false")
    with begin(unprotected) as rehearsal:
        assert rehearsal.up().changes == {"same": everything - 2, "update": 2}
        assert rehearsal.destroy().changes == {"delete": everything}
    # On the same day, from what is left: bucket, key, snapshot and the log group that EKS made.
    account = Account(tmp_path / "build" / "account.jsonl")
    ((snapshot, left),) = account.inputs_of(SNAPSHOT, STACK).items()
    key = left["kmsKeyId"]
    kept = ("# existing: true", f"existing: true\n    kmsKeyArn: {key}")
    restored = ("# snapshot: kubeflow-kubeflow-final-1", f"snapshot: {snapshot}")
    with begin(unprotected, kept, restored) as rehearsal:
        # Neither the bucket, nor the key and its alias.
        again = rehearsal.up()
        assert again.changes == {"create": everything - 4, "update": 1}
        readers = [one.inputs for one in again.resources if one.name in READERS]
        policies = [inputs["policy"] for inputs in readers if "policy" in inputs]
        assert [key in policy for policy in policies] == [True] * len(READERS)
    # The snapshot has served.
    with begin(unprotected, kept) as rehearsal:
        assert steps(rehearsal.preview()) == []
        assert rehearsal.destroy().changes == {"delete": everything - 3}
    assert account.has(BUCKET, STACK, f"kubeflow-{ACCOUNT}-{STACK}")
    assert account.has("aws:kms/key:Key", STACK, key.rpartition("/")[2])
    assert len(account.ids(SNAPSHOT, STACK)) == 2
