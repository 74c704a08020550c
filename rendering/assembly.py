"""A release folder, the folders it includes and its sources, copied side by side for kustomize."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from rendering import cache, chart, kustomize, schemas, sources
from rendering.graphs import reachable
from rendering.kubernetes_yaml import Loader
from rendering.objects import Object, RenderError
from rendering.release import Release, folder_digest, load, refuse_digests_of_others
from rendering.schema_text import SchemasDoNotFit

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assembly:
    """Everything that a build of one release folder reads.

    Attributes:
        project: the folder with ``manifests``.
        parts: the release and its includes by their path below the project; the release is first.
        obtained: the sources of all parts, by name.
        tool: a kustomize that the release accepts.
    """

    project: Path
    parts: Mapping[Path, Release]
    obtained: Mapping[str, sources.Unpacked]
    tool: kustomize.Kustomize

    @property
    def own(self) -> Path:
        """The release's own kustomization, below the assembled folder."""
        return next(iter(self.parts))

    @property
    def release(self) -> Release:
        """The release itself, without its includes."""
        return self.parts[self.own]

    @property
    def mounts(self) -> Mapping[str, Mapping[str, str]]:
        """Source -> folder inside it -> the source that is mounted there."""
        return {s.name: s.mounts for part in self.parts.values() for s in part.sources if s.mounts}

    def inputs(self) -> dict[str, Any]:
        """Digests and versions of everything that a build reads, as JSON values."""
        return {
            "folders": {str(part): folder_digest(self.project / part) for part in self.parts},
            "sources": {name: source.digest for name, source in self.obtained.items()},
            "kustomize": self.tool.version,
        }

    def lay_out_chart(self) -> str:
        """Copies the release's Helm chart to ``chart.chart_path``; returns that, "" without one.

        Raises:
            RenderError: the chart is in none of the release's sources.
        """
        described = self.release.chart
        if described is None:
            return ""
        path = chart.chart_path(self.release.name)
        origin = self._inside(described.source, described.path)
        chart.copy_chart(origin, self.project / path, described.version)
        return path

    def build(self, kustomization: Path) -> list[Object]:
        """The objects of a kustomization; ``kustomization`` is its path below the assembled folder.

        They come from the cache when the same kustomize built the same files before, for any region
        or registry: those are no input of kustomize.

        Raises:
            KustomizeFailed: with kustomize's own error.
            RenderError: ``files`` of a release.yaml names a file or source that is not there.
        """
        inputs = self.inputs()
        if kustomization not in self.parts:
            # The overlays are no input of the upstream; a composed one has a folder of its own.
            own = [kustomization] if kustomization.is_relative_to(self.own) else []
            folders = {str(each): folder_digest(self.project / each) for each in own}
            inputs |= {"folders": folders, "mounts": self.mounts}
        inputs["kustomization"] = str(kustomization)
        inputs["code"] = cache.code_digest(
            "assembly.py", "kubernetes_yaml.py", "kustomize.py", "schema_text.py", "schemas.py"
        )
        key = cache.sha256_of(cache.canonical_json(inputs))
        objects: list[Object] | None = cache.read("build", key)
        if objects is None:
            objects = self._build(kustomization)
            cache.write("build", key, objects)
        return objects

    @contextmanager
    def laid_out(self, kustomization: Path | None = None) -> Generator[Path]:
        """A temporary folder with copies of everything that a build reads.

        Args:
            kustomization: as of ``build``: of sources only what it reaches is copied; None: all.
        """
        with tempfile.TemporaryDirectory(prefix="kubeflow-render-") as temporary:
            # kustomize compares real paths, and the temporary folder can be behind a link (macOS).
            work = Path(temporary).resolve()
            for inside, part in self.parts.items():
                shutil.copytree(self.project / inside, work / inside)
                for item in part.files:
                    self._copy(item.source, item.path, work / inside, item.to)
            if kustomization is None or self.mounts:
                self._copy_sources(work)
            else:
                for folder in self._reached(work, kustomization):
                    _copy_folder(self._origin(work, folder), work / folder)
            yield work

    def _build(self, kustomization: Path) -> list[Object]:
        with self.laid_out(kustomization) as work, _collection_off():
            folder = work / kustomization
            aside = schemas.set_aside(folder, work)
            try:
                # Two processes at work: kustomize on all else, and this one on the schemas.
                with ThreadPoolExecutor(max_workers=1) as beside:
                    printing = beside.submit(kustomize.build, self.tool, folder)
                    parsed = aside.parsed()
                printed = printing.result()
                built = _parsed(printed)
                if parsed:
                    schemas.put_in(built, printed, parsed)
                return built
            except (kustomize.KustomizeFailed, SchemasDoNotFit) as reason:
                lacks_files = self._lacks_files(work)
                if not (lacks_files or aside.originals):
                    raise
                log.debug("%s: built with all files as they are: %s", kustomization, reason)
                aside.put_back()
                if lacks_files:
                    shutil.rmtree(work / "sources", ignore_errors=True)
                    self._copy_sources(work)
                return _parsed(kustomize.build(self.tool, folder))

    def _lacks_files(self, work: Path) -> bool:
        """Whether a file of a source is not among the copies."""
        return any(
            not os.path.lexists(work / "sources" / name / path.relative_to(source.folder))
            for name, source in self.obtained.items()
            for path in source.folder.rglob("*")
        )

    def _reached(self, work: Path, kustomization: Path) -> list[Path]:
        """The folders of sources that a build reads, below ``work``, without those inside others.

        kustomize reads files below the folders of kustomizations and nowhere else
        (kubernetes-sigs/kustomize api/internal/loader/loadrestrictions.go, RestrictionRootOnly).
        """

        def named(folder: Path) -> Iterator[Path]:
            for file in kustomize.files(self._origin(work, folder)):
                for name in kustomize.names(kustomize.fields(file)):
                    below = Path(os.path.normpath(folder / name))
                    if self._origin(work, below).is_dir():
                        yield below

        folders = {
            folder for folder in reachable([kustomization], named) if folder.parts[0] == "sources"
        }
        return sorted(folder for folder in folders if folders.isdisjoint(folder.parents))

    def _origin(self, work: Path, folder: Path) -> Path:
        """Where the files of a folder of ``work`` are before sources are copied."""
        match folder.parts:
            case ("sources", source, *inside) if source in self.obtained:
                return self.obtained[source].folder.joinpath(*inside)
            case _:
                return work / folder

    def _copy_sources(self, work: Path) -> None:
        for name in self.obtained:
            self._copy_source(name, work / "sources" / name)

    def _copy_source(self, name: str, place: Path) -> None:
        """Copies a source; others mounted inside are links, to copies too."""
        _copy_folder(self.obtained[name].folder, place)
        for inside, other in self.mounts.get(name, {}).items():
            if other not in self.obtained:
                raise RenderError(
                    f"release.yaml mounts {other} in {name}, which is none of its sources"
                )
            if (place / inside).exists():
                raise RenderError(f"release.yaml mounts {other} over {inside}, which {name} has")
            (place / inside).symlink_to(place.parent / other, target_is_directory=True)

    def _inside(self, source: str, path: str) -> Path:
        if source not in self.obtained:
            raise RenderError(
                f"release.yaml copies {path} from {source}, which is none of its sources"
            )
        folder = self.obtained[source].folder
        origin = folder / path
        if not origin.resolve().is_relative_to(folder.resolve()):
            raise RenderError(f"release.yaml copies {path}, which is outside {source}")
        if not origin.exists():
            raise RenderError(f"release.yaml copies {path} from {source}, which does not have it")
        return origin

    def _copy(self, source: str, path: str, copy: Path, to: str) -> None:
        origin, target = self._inside(source, path), copy / to
        if not target.resolve().is_relative_to(copy):
            raise RenderError(f"release.yaml copies {path} to {to}, which is outside the release")
        target.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(origin, target)


def assemble(folder: Path, bundles: Path | None = None) -> Assembly:
    """Reads the release in ``folder``, obtains its sources and finds a kustomize that it accepts.

    Raises:
        RenderError: one of ReleaseInvalid, SourcesUnavailable, SourceRejected, KustomizeMissing.
    """
    folder = folder.resolve()
    manifests = next((parent for parent in folder.parents if parent.name == "manifests"), None)
    if manifests is None:
        raise RenderError(f"{folder} must be below a folder named manifests, as its bases expect")
    project, release = manifests.parent, load(folder)
    refuse_digests_of_others(folder, release)
    parts = {folder.relative_to(project): release}
    for included in release.includes:
        parts[Path("manifests") / included] = load(manifests / included)
    described = {source.name: source for part in parts.values() for source in part.sources}
    obtained = {name: sources.obtain(s, project, bundles) for name, s in described.items()}
    return Assembly(project, parts, obtained, kustomize.find(release.kustomize))


def _copy_folder(folder: Path, place: Path) -> None:
    # Without times and modes, which no build reads: these take longer than the contents.
    shutil.copytree(folder, place, symlinks=True, copy_function=shutil.copyfile)


@contextmanager
def _collection_off() -> Generator[None]:
    # Garbage collection during parsing finds nothing and takes half as long again (1.8 s to 2.7 s).
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _parsed(text: str) -> list[Object]:
    documents = yaml.load_all(text, Loader=Loader)
    return [cast("Object", document) for document in documents if document]
