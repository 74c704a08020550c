"""Schemas of CRDs, set aside while kustomize builds.

Most of a release's bytes are schemas (86 % of 26.03.1's). Kustomizations pass them on as they are,
and yet kustomize parses, copies and prints each of them several times. So a mark stands for each
in the files that kustomize reads, and each mark in its output becomes the schema again.

Where that is not sure to give what kustomize alone prints, ``SchemasDoNotFit`` is raised.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rendering import kustomize
from rendering.graphs import reachable
from rendering.objects import Object, is_crd
from rendering.schema_text import SchemaReader, SchemasDoNotFit

_SCHEMA, MARK = "openAPIV3Schema", "x-kubeflow-on-eks-schema"
_OBJECTS = {"resources", "bases"}
_CHANGES = ("components", "transformers", "generators", "validators")
_CRD = re.compile(r"^kind: *([\"']?)CustomResourceDefinition\1 *$", re.MULTILINE)
# The lines that are indented more than the key, with empty ones between them.
_BLOCK = re.compile(
    rf"\n(?P<indent> *){_SCHEMA}: *\n(?P<schema>(?:(?: *\n)*(?P=indent) +[^ \n].*(?:\n|\Z))++)"
)


@dataclass(frozen=True)
class SetAside:
    """What ``set_aside`` took out.

    Attributes:
        texts: each schema's, by its mark.
        originals: files with marks, as they were.
    """

    texts: Mapping[str, str]
    originals: Mapping[Path, str]

    def parsed(self) -> dict[str, Object]:
        """The schemas by their marks.

        Raises:
            SchemasDoNotFit: one has a value that kustomize perhaps changes.
        """
        reader = SchemaReader()
        return {mark: reader.read(text) for mark, text in self.texts.items()}

    def put_back(self) -> None:
        """Writes the files as they were."""
        for file, text in self.originals.items():
            _write(file, text)


def set_aside(folder: Path, work: Path) -> SetAside:
    """Puts marks into the files of objects that a build of ``folder`` reads.

    The objects of a kustomization that names schemas itself, in a patch perhaps, stay whole.

    Args:
        folder: has a kustomization.
        work: files outside stay as they are.
    """
    tree = _Kustomizations()
    folders = reachable([folder.resolve()], tree.below)
    changing = {each for each in folders if tree.may_change_schemas(each)}
    files = tree.files(folders) - tree.files(reachable(changing, tree.below))
    texts: dict[str, str] = {}
    originals: dict[Path, str] = {}
    for file in sorted(file for file in files if file.is_relative_to(work)):
        text = _read(file)
        *others, last = text.split("\n---")
        documents = [*(f"{each}\n" for each in others), last]
        marked = [_marked(each, texts) for each in documents]
        if marked != documents:
            originals[file] = text
            _write(file, "---".join(marked))
    return SetAside(texts, originals)


def put_in(built: Sequence[Object], printed: str, parsed: Mapping[str, Object]) -> None:
    """Puts the schemas into objects, in place of their marks.

    Args:
        built: changed.
        printed: from which they were read.
        parsed: as of ``SetAside.parsed``.

    Raises:
        SchemasDoNotFit: a mark was changed, copied, or moved out of its place.
    """
    waiting = dict(parsed)
    for place in (place for crd in built if is_crd(crd) for place in _places(crd)):
        value = place.get(_SCHEMA)
        if not isinstance(value, dict) or MARK not in value:
            continue
        marked = cast("Object", value)
        if len(marked) > 1 or marked[MARK] not in waiting:
            raise SchemasDoNotFit("a build changed the schema of a CRD, or copied it")
        place[_SCHEMA] = waiting.pop(marked[MARK])
    placed, marks = len(parsed) - len(waiting), printed.count(MARK)
    if placed != marks:
        raise SchemasDoNotFit(f"{placed} of {marks} schemas have a place in their CRD")


def _marked(document: str, texts: dict[str, str]) -> str:
    def mark(block: re.Match[str]) -> str:
        number = f"schema {len(texts)}"
        texts[number] = block["schema"]
        return f"\n{block['indent']}{_SCHEMA}: {{{MARK}: {number}}}\n"

    is_crd = _SCHEMA in document and _CRD.search(document)
    return _BLOCK.sub(mark, document) if is_crd else document


def _places(crd: Object) -> Iterator[dict[str, Any]]:
    spec = crd.get("spec") or {}
    owners = [spec.get("validation"), *(each.get("schema") for each in spec.get("versions") or ())]
    return (owner for owner in owners if isinstance(owner, dict))


class _Kustomizations(dict[Path, dict[str, set[Path]]]):
    """Folder -> key of its kustomization -> the files and folders that it names there."""

    def __missing__(self, folder: Path) -> dict[str, set[Path]]:
        self[folder] = {
            key: {
                path.resolve()
                for name in kustomize.names(value)
                if (path := folder / name).exists()
            }
            for file in kustomize.files(folder)
            for key, value in kustomize.fields(file).items()
        }
        return self[folder]

    def below(self, folder: Path) -> set[Path]:
        """The folders whose objects a kustomization builds on."""
        return {path for path in self._named(folder, (*_OBJECTS, "components")) if path.is_dir()}

    def files(self, folders: Collection[Path]) -> set[Path]:
        """The files with objects that the kustomizations in these folders name."""
        named = (path for folder in folders for path in self._named(folder, _OBJECTS))
        return {path for path in named if path.is_file()}

    def may_change_schemas(self, folder: Path) -> bool:
        """Whether something that changes the objects of a kustomization names schemas."""
        # Besides files, a kustomization takes changes from these folders.
        others = {path for path in self._named(folder, _CHANGES) if path.is_dir()}
        beside = reachable(others, self.below)
        files = self.files(beside)
        for each in (folder, *beside):
            named = self._named(each, self[each].keys() - _OBJECTS)
            files.update(path for path in named if path.is_file() and path.is_relative_to(each))
            files.update(kustomize.files(each))
        return any(_SCHEMA.encode() in file.read_bytes() for file in files)

    def _named(self, folder: Path, keys: Collection[str]) -> set[Path]:
        return {path for key in keys for path in self[folder].get(key, ())}


def _read(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "surrogateescape")


def _write(file: Path, text: str) -> None:
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
