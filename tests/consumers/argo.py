"""Steps of workflows that store files by Argo's own S3 driver, in the repositories we render."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.api_server import built
from tests.consumers.judged_aws import JudgedAws
from tests.consumers.programs import argo_artifacts
from tests.consumers.stack import PROFILES
from tests.releases import DEFAULT
from tests.rendering.beijing import kubeflow

MINE, OTHERS = PROFILES
LOG, OF_STEP = "main.log", "."
"""A log of a step, and everything of it."""


@dataclass(frozen=True)
class Step:
    """A step of a workflow, with the role of the first profile.

    Attributes:
        judged: S3 and STS.
        repository: text of the artifact repository.
        folder: for its files.
        namespace: in which the workflow claims to be.
        account: the profile whose service account the pod has.
        release: whose Argo it is.
    """

    judged: JudgedAws
    repository: str
    folder: Path
    namespace: str = MINE
    account: str = MINE
    release: str = DEFAULT

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs Argo's driver."""
        variables = {
            "workflow.namespace": self.namespace,
            "workflow.name": "train-x7k2p",
            "workflow.creationTimestamp.Y": "2026",
            "workflow.creationTimestamp.m": "11",
            "workflow.creationTimestamp.d": "29",
            "pod.name": "train-x7k2p-system-container-impl-123",
        }
        role = self.judged.stack.profiles[MINE]
        editor = (self.account, "default-editor")
        return subprocess.run(
            [str(built(argo_artifacts(self.release), print)), *command],
            input=json.dumps({"repository": self.repository, "variables": variables}),
            env=self.judged.environment(self.folder / "home", editor, role),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def succeed(self, *command: str) -> str:
        """What the command prints."""
        done = self.run(*command)
        assert done.returncode == 0, done.stderr
        return done.stdout


def of_controller(judged: JudgedAws, release: str = DEFAULT) -> str:
    """The text of the controller's repository."""
    text = kubeflow(release).text("workflow-controller-configmap", "artifactRepository")
    return judged.stack.bound(text)


def of_profile(judged: JudgedAws, release: str = DEFAULT) -> str:
    """The text of the first profile's repository, which its workflows use."""
    made = judged.stack.of_profile(release, MINE)["ConfigMap artifact-repositories"]
    chosen = made["metadata"]["annotations"]["workflows.argoproj.io/default-artifact-repository"]
    return made["data"][chosen]


REPOSITORIES = {"of the controller": of_controller, "of the profile": of_profile}


def life_of_a_log(step: Step) -> None:
    """Writes a log, reads, lists and deletes it."""
    log, back = step.folder / LOG, step.folder / "back.log"
    log.write_text("epoch 1\n")
    step.succeed("save", str(log), LOG)
    step.succeed("load", str(back), LOG)
    assert back.read_text() == "epoch 1\n"
    (listed,) = json.loads(step.succeed("list", OF_STEP))
    prefix = f"{step.judged.stack.values['bucket.prefix']}/{step.namespace}/train-x7k2p/2026/11/29/"
    assert listed == f"{prefix}train-x7k2p-system-container-impl-123/{LOG}"
    step.succeed("delete", LOG)
    assert "no key found" in step.run("list", OF_STEP).stderr


def life_of_a_folder(step: Step) -> None:
    """Writes a folder of which one file goes in parts, and reads it."""
    folder, back, large = step.folder / "model", step.folder / "back", b"weights!" * (3 << 20)
    folder.mkdir()
    (folder / "weights.bin").write_bytes(large)
    (folder / "说明.txt").write_text("a model")
    step.succeed("save", str(folder), "model")
    step.succeed("load", str(back), "model")
    assert (back / "weights.bin").read_bytes() == large
    assert (back / "说明.txt").read_text() == "a model"
