"""A build copies of its sources what its kustomizations reach, and everything where that fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from rendering import kustomize
from rendering.assembly import Assembly, assemble
from rendering.schemas import MARK
from rendering.source_files import files_digest
from tests.rendering.conftest import TinyProject, archive

KUSTOMIZATION = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
REACHED = {
    "base/kustomization.yaml": f"{KUSTOMIZATION}resources:\n- account.yaml\n",
    "base/account.yaml": "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\n",
    "parts/kustomization.yaml": (
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: x-\n"
    ),
    "parts/generator/kustomization.yaml": (
        f"{KUSTOMIZATION}configMapGenerator:\n- name: c\n  files: [deep/er.txt]\n"
    ),
    "parts/generator/deep/er.txt": "a text of no YAML\n",
    "top/kustomization.yaml": (
        f"{KUSTOMIZATION}resources:\n- ../base\n- ../parts/generator\ncomponents:\n- ../parts\n"
    ),
}
UNREACHED = {
    "other/kustomization.yaml": f"{KUSTOMIZATION}resources: [a.yaml]\n",
    "other/a.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n",
    "README.md": "# Nobody builds on it.\n",
}


@pytest.fixture
def assembled(tiny: TinyProject, tmp_path: Path) -> Callable[..., Assembly]:
    """Assembles the release over a source with these files, of which it builds on ``top``."""

    def make(files: Mapping[str, str], mounts: str = "") -> Assembly:
        source = tmp_path / "source"
        for name, text in files.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            if text.startswith("-> "):
                (source / name).symlink_to(text.removeprefix("-> "))
            else:
                (source / name).write_text(text)
        tiny.bundle.write_bytes(archive(source, "tiny-source"))
        described, _, _ = (tiny.release / "release.yaml").read_text().partition("files:")
        digest = f'"{files_digest(source)}"'
        described = f"{described.rstrip()}\n    mounts: {{{mounts}}}\n"
        (tiny.release / "release.yaml").write_text(re.sub(r'"[0-9a-f]{64}"', digest, described))
        (tiny.release / "kustomization.yaml").write_text(
            f"{KUSTOMIZATION}resources:\n- ../../sources/tiny/top\n"
        )
        return assemble(tiny.release)

    return make


def below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_folders_that_a_kustomization_reaches_are_copied_whole_and_no_others(
    assembled: Callable[..., Assembly],
) -> None:
    assembly = assembled({**REACHED, **UNREACHED})
    with assembly.laid_out(assembly.own) as work:
        assert below(work / "sources" / "tiny") == REACHED.keys()
    with assembly.laid_out() as work:
        assert below(work / "sources" / "tiny") == {*REACHED, *UNREACHED}


@pytest.mark.parametrize(
    ("changed", "runs"),
    [
        ({}, 1),
        ({"alias": "-> base", "top/kustomization.yaml": "../base -> ../alias"}, 1),
        ({"top/inner": "-> ../base", "top/kustomization.yaml": "../base -> inner"}, 2),
        ({"base/account.yaml": f"kind: ServiceAccount -> kind: ConfigMap\ndata: {{{MARK}: x}}"}, 1),
    ],
    ids=["folders", "a link to a folder", "a link inside a folder to another one", "a mark's word"],
)
def test_a_build_has_the_objects_of_one_that_copies_everything(
    assembled: Callable[..., Assembly],
    built: list[Path],
    changed: Mapping[str, str],
    runs: int,
) -> None:
    files = {**REACHED, **UNREACHED}
    for name, text in changed.items():
        old, arrow, new = text.partition(" -> ")
        files[name] = files[name].replace(old, new) if arrow and name in files else text
    assembly = assembled(files)
    objects = assembly.build(assembly.own)
    assert sorted(each["metadata"]["name"].partition("-")[0] for each in objects) == ["x", "x"]
    assert len(built) == runs
    with assembly.laid_out() as work:
        printed = kustomize.build(assembly.tool, work / assembly.own)
    assert objects == list(yaml.safe_load_all(printed))


CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gears.tiny.example}
spec:
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        type: object
"""


@pytest.mark.parametrize(
    ("changed", "mounts", "runs"),
    [
        ({}, "", 1),
        (UNREACHED, "", 2),
        (UNREACHED, "inside: tiny", 1),
        ({"base/account.yaml": CRD}, "", 2),
        ({**UNREACHED, "base/account.yaml": CRD}, "inside: tiny", 2),
    ],
    ids=["all", "some folders", "all for a mount", "no schemas", "no schemas for a mount"],
)
def test_a_build_that_fails_is_repeated_where_files_or_schemas_were_left_out(
    assembled: Callable[..., Assembly],
    built: list[Path],
    changed: Mapping[str, str],
    mounts: str,
    runs: int,
) -> None:
    top = REACHED["top/kustomization.yaml"].replace("resources:", "resources:\n- absent.yaml")
    assembly = assembled({**REACHED, **changed, "top/kustomization.yaml": top}, mounts)
    with pytest.raises(kustomize.KustomizeFailed, match=r"absent\.yaml"):
        assembly.build(assembly.own)
    assert len(built) == runs
