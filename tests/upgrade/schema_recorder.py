"""Records what Pipelines' API server does to its database at its start, version after version.

``python -m tests.upgrade.schema_recorder CLONE`` writes ``pipelines_schema.yaml`` and
``old_pipelines_schema.yaml`` beside it. CLONE is a clone of kubeflow/pipelines with its tags: no
registry serves Pipelines as a Go module, so no test can build it. The models and the functions that
migrate them are Pipelines' own, compiled with the versions in its go.mod.
``backend/src/common/util`` is left out, which they use for errors alone and which needs all of Argo
and Kubernetes. Go, git and MariaDB must be there.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.services import mariadb
from toolchain.go_programs import go_environment

STEPS = ("2.16.0", "2.17.0", "2.16.0", "2.17.0")
"""The first on an empty database; then the upgrade, the way back, and the upgrade again."""
OLD_VERSIONS = ("1.8.2", "2.0.0-alpha.7")
"""Of awslabs' platforms 1.5.1 and 1.7."""
NEW_VERSION = "2.17.0"
_HERE = Path(__file__).parent
RECORD = _HERE / "pipelines_schema.yaml"
OLD_RECORD = _HERE / "old_pipelines_schema.yaml"
OLD_ROWS = _HERE / "old_pipelines_rows.sql"
_SERVER = "backend/src/apiserver"
_MODELS = f"{_SERVER}/model"
_MANAGER = f"{_SERVER}/client_manager"
_PLACE = "github.com/kubeflow/pipelines"
_LOG = "github.com/golang/glog"
_FUNCTIONS = (
    *("isLegacySchema", "getColumnLength", "autoMigrate", "runLegacyUpgradeFlow"),
    *("runPreflightLengthChecks", "FieldMeta", "dropAllFKConstraints", "dropAllMySQLFKConstraints"),
    *("dropLegacyIndexes", "dropLegacyIndexesMySQL", "shrinkColumns", "ensureColumnLength"),
    *("addDisplayNameColumn", "initPipelineVersionsFromPipelines"),
    "backfillExperimentIDToRunTable",
)
_OLD_FUNCTIONS = ("initDBClient", *_FUNCTIONS[-2:])
_LIBRARIES = ("gorm.io/gorm", "gorm.io/driver/mysql", "github.com/go-sql-driver/mysql")
_OLD_LIBRARIES = ("github.com/jinzhu/gorm", "github.com/go-sql-driver/mysql")
_UTIL = """\
package util

import "fmt"

var NewInvalidInputError = fmt.Errorf

func NewInternalServerError(err error, _ string, _ ...interface{}) error { return err }

func TerminateIfError(err error) {
	if err != nil {
		panic(err)
	}
}
"""
_OLD_CONFIGURATION = """\
package common

func GetStringConfig(string) string { return "mysql" }
"""
_OLD_STORAGE = """\
package storage

import "database/sql"

type DB struct{}

func NewDB(*sql.DB, interface{}) *DB { return nil }

func NewMySQLDialect() interface{} { return nil }
"""
_HEADER = """\
# Statements by which the API server of Pipelines makes and changes its database: its start in one
# version after another, on one database. `python -m tests.upgrade.schema_recorder CLONE` wrote it
# with kubeflow/pipelines' own models and functions (backend/src/apiserver/{model,client_manager}).
"""
_OLD_HEADER = """\
# Statements by which the API server of old Pipelines makes its database, and those of a new one's
# first start on it, with the rows of old_pipelines_rows.sql. `lengths` has what the new one refuses
# to start with more of: table, column, characters (backend/src/apiserver/validation/length.go).
# `python -m tests.upgrade.schema_recorder CLONE` wrote it, as pipelines_schema.yaml.
"""


def _git(clone: Path, *arguments: str) -> str:
    command = ["git", "-C", str(clone), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _program(clone: Path, tag: str, folder: Path) -> Path:
    """Builds the program of one version in ``folder``."""
    start = _git(clone, "show", f"{tag}:{_MANAGER}/client_manager.go")
    dialect = _git(clone, "show", f"{tag}:{_MANAGER}/dialect.go")
    imports = ["fmt", "strings", _LOG, "gorm.io/gorm"]
    imports += [f"{_PLACE}/{_MODELS}", f"{_PLACE}/{_SERVER}/validation"]
    files = {
        "main.go": (_HERE / "schema_recorder.go.txt").read_text(),
        "start.go": _source(imports, start, _FUNCTIONS),
        "dialect.go": re.sub(r"^package \w+", "package main", dialect, flags=re.M),
        f"{_SERVER}/validation/length.go": _git(
            clone, "show", f"{tag}:{_SERVER}/validation/length.go"
        ),
    }
    return _built(clone, tag, folder, files, _LIBRARIES)


def _old_program(clone: Path, tag: str, folder: Path) -> Path:
    """The same of a version that has version 1 of gorm."""
    start = _git(clone, "show", f"{tag}:{_SERVER}/client_manager.go")
    imports = ["time", _LOG, "github.com/jinzhu/gorm", f"{_PLACE}/{_MODELS}"]
    imports += [f"{_PLACE}/{_SERVER}/{each}" for each in ("common", "storage")]
    imports += [f"{_PLACE}/backend/src/common/util"]
    text = _source(imports, start, _OLD_FUNCTIONS)
    assert text.count("gorm.Open(") == 1
    files = {
        "main.go": (_HERE / "old_schema_recorder.go.txt").read_text(),
        "start.go": text.replace("gorm.Open(", "opened("),
        f"{_SERVER}/common/config.go": _OLD_CONFIGURATION,
        f"{_SERVER}/storage/db.go": _OLD_STORAGE,
    }
    return _built(clone, tag, folder, files, _OLD_LIBRARIES)


def _source(imports: Sequence[str], start: str, functions: Sequence[str]) -> str:
    found = [re.findall(rf"^func {name}\(.*?^}}$", start, re.M | re.S) for name in functions]
    listed = "\n".join(f'\t"{each}"' for each in imports)
    bodies = "\n\n".join(text for (text,) in found)
    return f"package main\n\nimport (\n{listed}\n)\n\n{bodies}\n"


def _built(
    clone: Path, tag: str, folder: Path, files: dict[str, str], libraries: Sequence[str]
) -> Path:
    files["backend/src/common/util/errors.go"] = _UTIL
    for path in _git(clone, "ls-tree", "--name-only", tag, f"{_MODELS}/").splitlines():
        if not path.endswith("_test.go"):
            files[path] = _git(clone, "show", f"{tag}:{path}")
    pinned = _git(clone, "show", f"{tag}:go.mod")
    required = [
        f"\t{name} {version}"
        for name in (*libraries, _LOG)
        for version in re.findall(rf"^\t{re.escape(name)} (v\S+)", pinned, re.M)
    ]
    module = f"module {_PLACE}\n\ngo 1.24\n\nrequire (\n"
    files["go.mod"] = module + "\n".join(required) + "\n)\n"
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for arguments in (["mod", "tidy"], ["build", "-o", "recorder", "."]):
        subprocess.run(["go", *arguments], cwd=folder, env=go_environment(), check=True)
    return folder / "recorder"


def record(clone: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The statements of each step, and those of the old versions."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        programs: dict[str, Path] = {}
        for tag in (*dict.fromkeys(STEPS), *OLD_VERSIONS):
            (folder / tag).mkdir()
            build = _old_program if tag in OLD_VERSIONS else _program
            programs[tag] = build(clone, tag, folder / tag)
        (folder / "server").mkdir()
        with mariadb.running(folder / "server") as server:
            steps = [
                {"version": tag, "statements": statements}
                for tag, statements in zip(STEPS, _starts(server, programs, STEPS), strict=True)
            ]
            old = [_old_start(server, programs, tag) for tag in OLD_VERSIONS]
            lengths = _lines(programs[NEW_VERSION], _address(server), "lengths")
            return steps, {"versions": old, "lengths": lengths}


def _starts(
    server: mariadb.Server, programs: dict[str, Path], tags: Sequence[str]
) -> list[list[Any]]:
    _query(server, "DROP DATABASE IF EXISTS mlpipeline")
    # As manifests/addons/database-init/init.sh makes it, and MySQL 8.0 by its own default.
    _query(server, "CREATE DATABASE mlpipeline CHARACTER SET utf8mb4")
    return [_lines(programs[tag], _address(server)) for tag in tags]


def _old_start(server: mariadb.Server, programs: dict[str, Path], tag: str) -> dict[str, Any]:
    [made] = _starts(server, programs, [tag])
    _query(server, f"USE mlpipeline;\n{OLD_ROWS.read_text()}")
    changed = _lines(programs[NEW_VERSION], _address(server))
    assert _lines(programs[NEW_VERSION], _address(server)) == []
    return {"version": tag, "statements": made, NEW_VERSION: changed}


def _query(server: mariadb.Server, statements: str) -> None:
    done = server.query(statements)
    assert done.returncode == 0, done.stderr


def _address(server: mariadb.Server) -> str:
    login = f"{mariadb.MASTER}:{mariadb.MASTER_PASSWORD}"
    # As backend/src/apiserver/client/sql.go has it.
    options = "charset=utf8&parseTime=True&loc=Local&group_concat_max_len=1024"
    return f"{login}@tcp({mariadb.HOST}:{server.port})/mlpipeline?{options}"


def _lines(program: Path, *arguments: str) -> list[Any]:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


if __name__ == "__main__":
    _steps, _old = record(Path(sys.argv[1]))
    RECORD.write_text(_HEADER + yaml.safe_dump(_steps, sort_keys=False, width=100))
    OLD_RECORD.write_text(_OLD_HEADER + yaml.safe_dump(_old, sort_keys=False, width=100))
