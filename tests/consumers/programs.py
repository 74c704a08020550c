"""The consumers that registries serve, in the releases that we install, each built once.

``python -m tests.consumers.programs`` gets all of them beforehand.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from rendering.cache import cache_folder
from rendering.release import folder_digest, load
from settings import MANIFESTS
from tests.cluster.api_server import built
from tests.releases import PIPELINES_2, version_of_pipelines
from tests.rendering.beijing import kubeflow
from tests.services.python_packages import interpreter
from tests.services.serving_programs import SETTINGS_READER, storage_initializer
from toolchain.go_programs import GoProgram, Say, alone
from toolchain.tools import ToolMissing

_HERE = Path(__file__).parent
_MODULES = _HERE / "modules"
_ML_METADATA = _HERE / "ml-metadata.txt"


def _program(name: str, requirement: str, package: str, takes: str) -> GoProgram:
    module = _MODULES / name
    pinned = re.findall(rf"{re.escape(requirement)} v([\d.]+)", (module / "go.mod").read_text())
    # The digest is part of the version, since a program of ours changes without its libraries.
    return GoProgram(
        name=name,
        version=f"{pinned[0]}-{folder_digest(module)[:12]}",
        module=module,
        package=package,
        variables={},
        takes=takes,
    )


KATIB_DB_MANAGER = _program(
    "katib-db-manager",
    "github.com/kubeflow/katib",
    "github.com/kubeflow/katib/cmd/db-manager/v1beta1",
    "under a minute on two cores",
)
MODEL_REGISTRY = _program(
    "model-registry",
    "github.com/kubeflow/model-registry",
    "github.com/kubeflow/model-registry",
    "about two minutes on two cores",
)
ARGO_ARTIFACTS = _program(
    "argo-artifacts",
    "github.com/argoproj/argo-workflows/v3",
    ".",
    "about three minutes on two cores",
)
ARGO_ARTIFACTS_4 = _program(
    "argo-artifacts-4",
    "github.com/argoproj/argo-workflows/v4",
    ".",
    "about four minutes on two cores",
)
KFP_LIBRARIES = _program("kfp-libraries", "gocloud.dev", ".", "about a minute on two cores")
KFP_LIBRARIES_2_17 = _program(
    "kfp-libraries-2.17", "github.com/aws/aws-sdk-go-v2", ".", "about a minute on two cores"
)
OLD_OBJECTS = _program(
    "old-objects", "github.com/argoproj/argo-workflows/v4", ".", "about a minute on two cores"
)
GO_PROGRAMS = (
    *(SETTINGS_READER, KATIB_DB_MANAGER, MODEL_REGISTRY, OLD_OBJECTS),
    *(ARGO_ARTIFACTS, ARGO_ARTIFACTS_4, KFP_LIBRARIES, KFP_LIBRARIES_2_17),
)


def argo_artifacts(release: str) -> GoProgram:
    """Of the version of Argo that the release installs."""
    refs = {
        remote.ref
        for source in load(MANIFESTS / release).sources
        for remote in source.remotes
        if remote.repository == "argoproj/argo-workflows"
    }
    (program,) = (each for each in (ARGO_ARTIFACTS, ARGO_ARTIFACTS_4) if _argo(each) in refs)
    return program


def _argo(program: GoProgram) -> str:
    return f"v{program.version.partition('-')[0]}"


def kfp_libraries(release: str) -> GoProgram:
    """Of the version of Pipelines that the release installs."""
    versions = {"2.16.0": KFP_LIBRARIES, "2.17.0": KFP_LIBRARIES_2_17}
    return versions[version_of_pipelines(release)]


def version_of_kserve(release: str) -> str:
    """The version of the storage initializer that the release installs."""
    settings = json.loads(kubeflow(release).text("inferenceservice-config", "storageInitializer"))
    return settings["image"].rpartition(":v")[2]


def ml_metadata(say: Say) -> Path:
    """The Python that has ML Metadata, from the cache or installed.

    Raises:
        ToolMissing: pip could not install it, for instance because no wheel fits this Python.
    """
    return interpreter(_ML_METADATA, "ML Metadata", say)


def ui_packages(version: str, say: Say) -> Path:
    """Express and its router as the server of Pipelines' UI has them, from the cache or installed.

    Args:
        version: of Pipelines.
        say: gets one line before an installation.

    Raises:
        ToolMissing: npm could not install them; with its last line.
    """
    module = _MODULES / f"kfp-ui-routes-{version}"
    folder = cache_folder("tools") / f"{module.name}-{folder_digest(module)[:12]}"
    packages = folder / "node_modules"
    with alone(folder, say):
        if not (folder / "complete").exists():
            say(f"npm packages: installing the router of Pipelines' UI {version} into {folder}")
            shutil.copytree(module, folder, dirs_exist_ok=True)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                raise ToolMissing(f"npm could not install Express: {last}")
            (folder / "complete").touch()
    return packages


def all_programs(say: Say) -> Iterator[Path]:
    """Every program, built or installed where it is absent.

    Raises:
        ToolMissing: one could not be had.
    """
    yield from (built(program, say) for program in GO_PROGRAMS)
    yield from (storage_initializer(version_of_kserve(each), say) for each in PIPELINES_2)
    yield from (ui_packages(version_of_pipelines(each), say) for each in PIPELINES_2)
    yield ml_metadata(say)


if __name__ == "__main__":
    _console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        for _path in all_programs(_console.print):
            _console.print(f"{_path}", style="dim")
    except ToolMissing as missing:
        _console.print(str(missing), style="red")
        sys.exit(2)
