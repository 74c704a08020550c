"""Records what Pipelines' API server does to its database at its start, version after version.

``python -m tests.upgrade.schema_recorder CLONE`` writes ``pipelines_schema.yaml`` beside it. CLONE
is a clone of kubeflow/pipelines with its tags: no registry serves Pipelines as a Go module, so no
test can build it. The models and the functions that migrate them are Pipelines' own, compiled with
the versions in its go.mod. ``backend/src/common/util`` is left out, which the models use for errors
of the API alone and which needs all of Argo and Kubernetes. Go, git and MariaDB must be there.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tests.services import mariadb
from toolchain.go_programs import go_environment

STEPS = ("2.16.0", "2.17.0", "2.16.0", "2.17.0")
"""The first on an empty database; then the upgrade, the way back, and the upgrade again."""
RECORD = Path(__file__).parent / "pipelines_schema.yaml"
_MAIN = Path(__file__).parent / "schema_recorder.go.txt"
_MODELS = "backend/src/apiserver/model"
_START = "backend/src/apiserver/client_manager/client_manager.go"
_FUNCTIONS = ("isLegacySchema", "getColumnLength", "autoMigrate")
_LIBRARIES = ("gorm.io/gorm", "gorm.io/driver/mysql", "github.com/go-sql-driver/mysql")
_LOG = "github.com/golang/glog"
_ERRORS = 'package util\n\nimport "fmt"\n\nvar NewInvalidInputError = fmt.Errorf\n'
_HEADER = """\
# Statements by which the API server of Pipelines makes and changes its database: its start in one
# version after another, on one database. `python -m tests.upgrade.schema_recorder CLONE` wrote it
# with kubeflow/pipelines' own models and functions (backend/src/apiserver/{model,client_manager}).
"""


def _git(clone: Path, *arguments: str) -> str:
    command = ["git", "-C", str(clone), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _program(clone: Path, tag: str, folder: Path) -> Path:
    """Builds the program of one version in ``folder``."""
    (folder / "main.go").write_text(_MAIN.read_text())
    start = _git(clone, "show", f"{tag}:{_START}")
    found = [re.findall(rf"^func {name}\(.*?^}}$", start, re.M | re.S) for name in _FUNCTIONS]
    functions = "\n\n".join(text for (text,) in found)
    imports = ["fmt", "strings", _LOG, f"github.com/kubeflow/pipelines/{_MODELS}", "gorm.io/gorm"]
    listed = "\n".join(f'\t"{each}"' for each in imports)
    (folder / "start.go").write_text(f"package main\n\nimport (\n{listed}\n)\n\n{functions}\n")
    for path in _git(clone, "ls-tree", "--name-only", tag, f"{_MODELS}/").splitlines():
        if not path.endswith("_test.go"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(_git(clone, "show", f"{tag}:{path}"))
    (folder / "backend/src/common/util").mkdir(parents=True)
    (folder / "backend/src/common/util/errors.go").write_text(_ERRORS)
    pinned = _git(clone, "show", f"{tag}:go.mod")
    required = [
        f"\t{name} {version}"
        for name in (*_LIBRARIES, _LOG)
        for version in re.findall(rf"^\t{re.escape(name)} (v\S+)", pinned, re.M)
    ]
    module = "module github.com/kubeflow/pipelines\n\ngo 1.24\n\nrequire (\n"
    (folder / "go.mod").write_text(module + "\n".join(required) + "\n)\n")
    for arguments in (["mod", "tidy"], ["build", "-o", "recorder", "."]):
        subprocess.run(["go", *arguments], cwd=folder, env=go_environment(), check=True)
    return folder / "recorder"


def record(clone: Path) -> list[dict[str, object]]:
    """The statements of each step."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        programs: dict[str, Path] = {}
        for tag in dict.fromkeys(STEPS):
            (folder / tag).mkdir()
            programs[tag] = _program(clone, tag, folder / tag)
        (folder / "server").mkdir()
        with mariadb.running(folder / "server") as server:
            # As manifests/addons/database-init/init.sh makes it.
            made = server.query("CREATE DATABASE mlpipeline CHARACTER SET utf8mb4")
            assert made.returncode == 0, made.stderr
            login = f"{mariadb.MASTER}:{mariadb.MASTER_PASSWORD}"
            # As backend/src/apiserver/client/sql.go has it.
            options = "charset=utf8&parseTime=True&loc=Local&group_concat_max_len=1024"
            address = f"{login}@tcp({mariadb.HOST}:{server.port})/mlpipeline?{options}"
            return [
                {"version": tag, "statements": _statements(programs[tag], address)} for tag in STEPS
            ]


def _statements(program: Path, address: str) -> list[str]:
    done = subprocess.run([program, address], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


if __name__ == "__main__":
    _steps = record(Path(sys.argv[1]))
    _text = yaml.safe_dump(_steps, sort_keys=False, width=100)
    RECORD.write_text(_HEADER + _text)
