"""A build with the schemas of CRDs set aside gives the objects that kustomize alone prints."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from rendering import cache, kustomize, schemas
from rendering.assembly import assemble
from rendering.objects import Object
from rendering.release import VersionRange, stand_alone
from rendering.schema_text import SchemasDoNotFit
from tests.rendering.conftest import TinyProject

MANIFESTS = Path(__file__).parents[2] / "manifests"

CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: gears.tiny.example
spec:
  group: tiny.example
  names: {kind: Gear, plural: gears}
  scope: Namespaced
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        description: |-
          Teeth, and
          \tteeth after a tab.

          --- openAPIV3Schema:
        type: object
        properties:
          teeth: {type: integer, maximum: 400, default: 12}
          ratio:
            type: number
            minimum: 0.25

    served: true
    storage: true
"""
OLD_CRD = """\
apiVersion: apiextensions.k8s.io/v1beta1
kind: "CustomResourceDefinition"
metadata: {name: cogs.tiny.example}
spec:
  validation:
    openAPIV3Schema:
      type: object"""
CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: text-of-a-crd}
data:
  crd.yaml: |
    kind: CustomResourceDefinition
    schema:
      openAPIV3Schema:
        type: object
---
"""
BASE = "kind: Kustomization\nresources: [gears.yaml]\n"
COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
TEETH = "/spec/versions/0/schema/openAPIV3Schema/properties/teeth/default"
OPERATION = f'[{{"op": "replace", "path": "{TEETH}", "value": 7}}]'
# The same path in another spelling of JSON, which no search for the word finds.
HIDDEN = OPERATION.replace("openAPIV3Schema", r"openAPI\u00563Schema")
TEST = '[{"op": "test", "path": "/kind", "value": "CustomResourceDefinition"}]'
PATCH = "patches: [{path: patch.json, target: {kind: CustomResourceDefinition}}]\n"
TRANSFORMER = f"""\
apiVersion: builtin
kind: PatchTransformer
metadata: {{name: teeth}}
target: {{kind: CustomResourceDefinition}}
patch: '{OPERATION}'
"""

MOST_BYTES = 5_000
"""That kustomize prints for an object; with schemas they were 11,000 to 22,400."""


def written(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder.resolve()


def built(folder: Path) -> tuple[list[Object], str]:
    printed = kustomize.build(kustomize.find(VersionRange()), folder)
    return list(yaml.safe_load_all(printed)), printed


def with_marks(folder: Path, work: Path) -> list[Object]:
    aside = schemas.set_aside(folder, work)
    objects, printed = built(folder)
    schemas.put_in(objects, printed, aside.parsed())
    return objects


def test_kustomize_reads_no_schema_and_every_object_has_its_own(tmp_path: Path) -> None:
    files = {"kustomization.yaml": BASE, "gears.yaml": f"{CONFIG}{CRD}---\n{OLD_CRD}"}
    work = written(tmp_path, files)
    whole, _ = built(work)
    aside = schemas.set_aside(work, work)
    objects, printed = built(work)
    assert len(aside.texts) == 2
    assert "integer" not in printed
    assert "Teeth" not in printed
    schemas.put_in(objects, printed, aside.parsed())
    assert objects == whole
    aside.put_back()
    assert {name: (work / name).read_text("utf-8") for name in files} == files


@pytest.mark.parametrize(
    "files",
    [
        {"kustomization.yaml": f"{BASE}{PATCH}", "patch.json": OPERATION},
        {
            "kustomization.yaml": f"{BASE}{PATCH}".replace(
                "path: patch.json", f"patch: '{OPERATION}'"
            )
        },
        {
            "kustomization.yaml": f"{BASE}components: [part]\n",
            "part/kustomization.yaml": COMPONENT + PATCH,
            "part/patch.json": OPERATION,
        },
        {
            "kustomization.yaml": f"{BASE}transformers: [part]\n",
            "part/kustomization.yaml": "resources: [teeth.yaml]\n",
            "part/teeth.yaml": TRANSFORMER,
        },
        {"kustomization.yaml": f"{BASE}transformers: [teeth.yaml]\n", "teeth.yaml": TRANSFORMER},
    ],
    ids=["file", "text", "component", "folder of transformers", "transformer"],
)
def test_a_schema_that_something_changes_stays_for_kustomize(
    tmp_path: Path, files: Mapping[str, str]
) -> None:
    work = written(tmp_path, {**files, "gears.yaml": CRD})
    assert not schemas.set_aside(work, work).texts
    (crd,) = with_marks(work, work)
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["properties"]["teeth"]["default"] == 7


def test_a_kustomization_on_top_that_names_schemas_keeps_those_below_it_whole_and_no_others(
    tmp_path: Path,
) -> None:
    files = {
        "kustomization.yaml": "resources: [changed, other]\n",
        "changed/kustomization.yaml": f"resources: [../gears]\n{PATCH}",
        "changed/patch.json": OPERATION,
        "gears/kustomization.yaml": BASE,
        "gears/gears.yaml": CRD,
        "other/kustomization.yaml": "resources: [cogs.yaml]\n",
        "other/cogs.yaml": OLD_CRD,
    }
    work = written(tmp_path, files)
    whole, _ = built(work)
    aside = schemas.set_aside(work, work)
    assert [file.name for file in aside.originals] == ["cogs.yaml"]
    aside.put_back()
    assert with_marks(work, work) == whole


def test_files_outside_the_copies_are_never_written(tmp_path: Path) -> None:
    work = written(tmp_path, {"in/kustomization.yaml": "resources: [../out]\n"})
    written(work / "out", {"kustomization.yaml": BASE, "gears.yaml": CRD})
    assert not schemas.set_aside(work / "in", work / "in").originals
    assert (work / "out/gears.yaml").read_text("utf-8") == CRD


@pytest.mark.parametrize(
    "value",
    ["on", "Yes", "TRUE", "017", "0o17", "1_000", "1:30", "1e3", "1.0", "+1", "0x1f", ".5", "null",
     "~", "", "2020-01-01", "9223372036854775807", "!!binary aGk=", "*anchor"],
)  # fmt: skip
def test_a_value_that_kustomize_may_print_otherwise_is_not_read_here(
    tmp_path: Path, value: str
) -> None:
    text = CRD.replace("minimum: 0.25", f"default: {value}")
    work = written(tmp_path, {"kustomization.yaml": BASE, "gears.yaml": text})
    with pytest.raises(SchemasDoNotFit):
        schemas.set_aside(work, work).parsed()


def test_a_file_in_another_encoding_is_not_read_here(tmp_path: Path) -> None:
    work = written(tmp_path, {"kustomization.yaml": BASE})
    text = CRD.replace("\n", "\r\n").encode().replace(b"Teeth", b"Z\xe4hne")
    (work / "gears.yaml").write_bytes(text)
    assert not schemas.set_aside(work, work).texts  # Lines end otherwise.
    text = text.replace(b"\r", b"")
    (work / "gears.yaml").write_bytes(text)
    aside = schemas.set_aside(work, work)
    with pytest.raises(SchemasDoNotFit):
        aside.parsed()
    aside.put_back()
    assert (work / "gears.yaml").read_bytes() == text


def test_a_build_that_changed_marks_is_refused(tmp_path: Path) -> None:
    work = written(tmp_path, {"kustomization.yaml": BASE, "gears.yaml": CRD})
    parsed = schemas.set_aside(work, work).parsed()
    _, printed = built(work)
    (name,) = parsed
    for text in (
        f"{printed}---\n{printed}",
        printed.replace(name, "schema 9"),
        re.sub(rf"^( *){schemas.MARK}", rf"\1type: a\n\1{schemas.MARK}", printed, flags=re.M),
        printed.replace("kind: CustomResourceDefinition", "kind: ConfigMap"),
    ):
        with pytest.raises(SchemasDoNotFit):
            schemas.put_in(list(yaml.safe_load_all(text)), text, parsed)


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        pytest.param(HIDDEN, CRD, id="kustomize finds no such path"),
        pytest.param(HIDDEN.replace("properties/teeth/default", "title"), CRD, id="another mark"),
        pytest.param(TEST, CRD.replace("12", "on"), id="a doubtful value"),
    ],
)
def test_what_does_not_fit_is_built_with_its_schemas_in_place(
    tiny: TinyProject, caplog: pytest.LogCaptureFixture, operation: str, text: str
) -> None:
    operation = operation.replace("replace", "add")
    kustomization = tiny.release / "kustomization.yaml"
    lines = kustomization.read_text("utf-8").replace("resources:", "resources:\n- gears.yaml")
    target = "- {path: patch.json, target: {name: gears.tiny.example}}\n"
    kustomization.write_text(f"{lines}{target}", "utf-8")
    written(tiny.release, {"gears.yaml": text, "patch.json": operation})
    assembly = assemble(tiny.release)
    with assembly.laid_out() as work:
        whole, _ = built(work / assembly.own)
    with caplog.at_level(logging.DEBUG, logger="rendering.assembly"):
        assert assembly.build(assembly.own) == whole
    assert "built with all files as they are" in caplog.text


@pytest.mark.parametrize("name", stand_alone(MANIFESTS))
def test_every_release_has_the_objects_that_kustomize_alone_prints(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assembly = assemble(MANIFESTS / name)
    printed: list[str] = []
    really: Callable[[kustomize.Kustomize, Path], str] = kustomize.build

    def record(tool: kustomize.Kustomize, folder: Path) -> str:
        printed.append(really(tool, folder))
        return printed[-1]

    def empty(*_: str) -> Path:
        return tmp_path

    monkeypatch.setattr(cache, "cache_folder", empty)
    monkeypatch.setattr(kustomize, "build", record)
    objects = assembly.build(assembly.own)
    with assembly.laid_out() as work:
        whole = really(assembly.tool, work / assembly.own)
    assert objects == [each for each in yaml.load_all(whole, yaml.CSafeLoader) if each]
    # With schemas in place kustomize is run again, and prints all of them.
    (text,) = printed
    assert len(text) < MOST_BYTES * len(objects), f"{len(text) / len(objects):.0f} an object"
