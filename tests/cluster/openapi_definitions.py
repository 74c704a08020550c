"""The one source file that Kubernetes 1.21's module lacks: OpenAPI definitions of its own types.

Its Makefile generated the file before every build (v1.21.14 build/root/Makefile.generated_files);
later versions have it in their module. Made here by the generator that this version pins.
"""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial
from pathlib import Path

from toolchain.go_programs import Say, go, go_environment

TOOLCHAIN = "go1.16.15"
"""The Go that v1.21.14 is built with (build/dependencies.yaml); newer ones break its reflection."""

_GENERATOR = "k8s.io/kube-openapi/cmd/openapi-gen"
_PACKAGE = "k8s.io/kubernetes/pkg/generated/openapi"
_FILE = "zz_generated.openapi"
_TAG = "+k8s:openapi-gen=true"
_PROGRAM = "k8s.io/kubernetes/cmd/kube-apiserver"
_SECONDS = 600


def overlay(source: Path, say: Say) -> list[str] | None:
    """Generates the file beside the module's copy in ``source``.

    Returns:
        Arguments for ``go build`` that put it where it belongs; None when Go refuses, said why.
    """
    generator, made = source / "openapi-gen", source / "openapi"
    new = generator.with_suffix(".new")
    arguments = ["build", "-v", "-o", str(new), _GENERATOR]
    if not go(arguments, say, cwd=source, made=new, final=generator, GOTOOLCHAIN=TOOLCHAIN):
        return None
    run = partial(_run, cwd=source)
    try:
        # The generator runs the `go` of PATH for every package it reads.
        bin_folder = Path(run(["go", "env", "GOROOT"]).strip()) / "bin"
        folders = _folders(run(["go", "list", "-deps", "-e", "-f", _FORMAT, _PROGRAM]))
        tagged = [package for package, folder in folders.items() if _has_tag(folder)]
        say(f"  reading the types of {len(tagged)} packages")
        command = [str(generator), "-O", _FILE, "-i", ",".join(tagged), "-p", _PACKAGE]
        command += ["--output-base", str(made), "-h", os.devnull, "-r", str(source / "report")]
        run(command, PATH=f"{bin_folder}{os.pathsep}{os.environ['PATH']}", GO111MODULE="on")
    except subprocess.SubprocessError as failure:
        say(f"The OpenAPI definitions could not be made: {_last_line(failure)}")
        return None
    missing, generated = folders[_PACKAGE] / f"{_FILE}.go", made / _PACKAGE / f"{_FILE}.go"
    described = source / "overlay.json"
    described.write_text(json.dumps({"Replace": {str(missing): str(generated)}}))
    return ["-overlay", str(described)]


_FORMAT = "{{.ImportPath}} {{.Dir}}"


def _folders(listed: str) -> dict[str, Path]:
    """Import path -> folder, of packages outside Go's own library."""
    lines = (line.split(" ", 1) for line in listed.splitlines())
    return {package: Path(folder) for package, folder in lines if "." in package.split("/")[0]}


def _has_tag(folder: Path) -> bool:
    return any(_TAG in path.read_text(errors="replace") for path in folder.glob("*.go"))


def _run(command: list[str], *, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=go_environment(GOTOOLCHAIN=TOOLCHAIN, **env),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=True,
    )
    return done.stdout


def _last_line(failure: subprocess.SubprocessError) -> str:
    said = str(getattr(failure, "stderr", None) or failure).strip().splitlines()
    return said[-1] if said else "no message"
