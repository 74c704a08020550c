"""Repositories on this disk, served by the path that KUBEFLOW_GIT_PREFIX names."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any


@dataclass(frozen=True)
class GitHost:
    """A folder of bare repositories, ``<owner>/<name>``."""

    folder: Path

    @property
    def prefix(self) -> str:
        return f"file://{self.folder}"

    def publish(self, repository: str, ref: str, files: dict[str, str]) -> str:
        """Makes a repository with one tagged commit; returns the commit."""
        work = self._work(repository)
        for name, text in files.items():
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
        return self._publish(work, repository, ref)

    def publish_folder(self, repository: str, ref: str, folder: Path) -> str:
        """Makes a repository with the files of a folder; returns the commit."""
        work = self._work(repository)
        shutil.copytree(folder, work, symlinks=True)
        return self._publish(work, repository, ref)

    def _work(self, repository: str) -> Path:
        return self.folder.parent / "work" / repository

    def _publish(self, work: Path, repository: str, ref: str) -> str:
        _git(work, "init", "--quiet")
        _git(work, "add", "--force", ".")
        _git(work, "commit", "--quiet", "-m", ref)
        _git(work, "tag", ref)
        bare = self.folder / repository
        bare.parent.mkdir(parents=True, exist_ok=True)
        _git(work, "clone", "--quiet", "--bare", ".", str(bare))
        return _git(work, "rev-parse", "HEAD")


def _git(folder: Path, *arguments: str) -> str:
    person = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    command = ["git", *person, *arguments]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def config_map(name: str, data: str) -> str:
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: n}}\ndata: {data}\n"
    )


def widgets(host: GitHost) -> dict[str, Any]:
    """A source in git whose ``base`` builds on two other repositories, as release.yaml says it.

    gadgets is named by a folder at a tag, gizmos by a release asset: a service and its user, both
    under a prefix, and an image that the release process changed.
    """
    gadgets = host.publish(
        "tiny/gadgets",
        "v2",
        {
            "config/base/kustomization.yaml": "resources: [gadget.yaml, ../shared]\n",
            "config/base/gadget.yaml": config_map("gadget", "{a: b}"),
            "config/shared/kustomization.yaml": "resources: [shared.yaml]\n",
            "config/shared/shared.yaml": config_map("shared", "{a: b}"),
            "code/main.txt": "not taken over",
        },
    )
    gizmos = host.publish(
        "tiny/gizmos",
        "v3",
        {
            "config/default/kustomization.yaml": "namePrefix: gizmos-\nresources: [gizmo.yaml]\n",
            "config/default/gizmo.yaml": """\
                apiVersion: v1
                kind: Pod
                metadata: {name: gizmo, namespace: n}
                spec: {containers: [{name: c, image: "staging.example/gizmo:main"}]}
                """,
        },
    )
    commit = host.publish(
        "tiny/widgets",
        "v1",
        {
            "base/kustomization.yaml": """\
                resources:
                # from https://github.com/tiny/gadgets/config/base?ref=v2
                - https://github.com/tiny/gadgets/config/base?ref=v2
                - "https://github.com/tiny/gizmos/releases/download/v3/manifests.yaml"  # asset
                - widget.yaml
                """,
            "base/widget.yaml": config_map("widget", "{a: b}"),
            "other/kustomization.yaml": "resources: ['https://github.com/tiny/else//x?ref=v9']\n",
        },
    )
    return {
        "name": "widgets",
        "repository": "tiny/widgets",
        "ref": "v1",
        "commit": commit,
        "digest": "0" * 64,
        "remotes": [
            {
                "repository": "tiny/gadgets",
                "ref": "v2",
                "commit": gadgets,
                "folder": "config",
            },
            {
                "repository": "tiny/gizmos",
                "ref": "v3",
                "commit": gizmos,
                "folder": "config",
                "asset": "https://github.com/tiny/gizmos/releases/download/v3/manifests.yaml",
                "base": "config/default",
                "images": {"staging.example/gizmo": "registry.example/gizmo:v3"},
            },
        ],
    }
