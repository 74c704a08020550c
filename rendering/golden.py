"""The golden difference of a release to its upstream: ``python -m rendering.golden``.

``golden.yaml`` beside a ``release.yaml`` with an ``upstream`` lists every value that differs from
it, object by object, each with its reason from ``reasons.yaml``. It is reviewed like code, and a
test compares it with what the sources render to.

Both sides are normalised, so that only what would be applied counts, and neither is rewritten for
a registry: those changes are the same for every release and have tests of their own. Optional parts
(``Release.optional``) are compared like all else, and listed as what a stack lacks by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Annotated, Any, cast

import typer
import yaml

from rendering import cache, database_users, normalise
from rendering.assembly import Assembly, assemble
from rendering.differences import ABSENT, Change, Differences, compare
from rendering.objects import Object, RenderError, is_crd
from rendering.reasons import REASONS_FILE, explain, load_reasons, places
from rendering.release import MADE_FROM_RENDERS, load
from terminal.application import application, run
from terminal.exit_codes import BAD_INPUT
from terminal.output import fail, messages, results

GOLDEN_FILE = "golden.yaml"
MOST_LINES = 40
"""A longer text, or difference of texts, is shown by its digest, because no review reads it."""

_HEADER = """\
# Every difference of this release to its upstream. Made by `make golden`; never edited.
# What a reason's name stands for is in reasons.yaml.
"""

ROOT = Path(__file__).resolve().parent.parent

app = application()


@dataclass(frozen=True)
class Golden:
    """The difference of a release to its upstream, from its sources.

    Attributes:
        folder: of the release.
        document: content of ``golden.yaml`` as JSON values.
        complaints: a sentence per difference without a reason, and per pattern of no difference.
    """

    folder: Path
    document: Mapping[str, Any]
    complaints: tuple[str, ...]

    def text(self) -> str:
        """The file ``golden.yaml``."""
        return _HEADER + yaml.dump(
            self.document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
        )


def releases(project: Path) -> list[Path]:
    """The folders under ``manifests`` whose release.yaml has an upstream."""
    folders = sorted(path.parent for path in (project / "manifests").rglob("release.yaml"))
    return [folder for folder in folders if load(folder).upstream]


def golden(folder: Path) -> Golden:
    """Compares the release in ``folder`` with its upstream.

    Raises:
        RenderError: a side cannot be built, the release has no upstream, an object occurs twice,
            or reasons.yaml is not readable.
    """
    assembly = assemble(folder)
    differences = compare(upstream_objects(assembly), _normalised(assembly, assembly.own))
    different = list(places(differences))
    reasons, unused = explain(different, load_reasons(folder))
    file = f"{folder.name}/{REASONS_FILE}"
    complaints = (
        *(f"{place} has no reason in {file}" for place in different if place not in reasons),
        *(f"{file} explains what does not differ, {pattern}" for pattern in unused),
    )
    return Golden(folder, _document(assembly, differences, reasons), complaints)


def upstream_objects(assembly: Assembly) -> list[Object]:
    """The objects that a release is a changed copy of, normalised.

    Raises:
        RenderError: the release has no upstream, or the upstream cannot be built.
    """
    upstream = assembly.release.upstream
    if upstream is None:
        file = assembly.own / "release.yaml"
        raise RenderError(f"{file} names no upstream to compare with")
    below = assembly.own if upstream.startswith("./") else Path("sources")
    return _normalised(assembly, below / upstream)


def _normalised(assembly: Assembly, kustomization: Path) -> list[Object]:
    built = assembly.build(kustomization)
    if kustomization == assembly.own:
        database_users.write(built, database_users.users_of(assembly.release))
    objects, crds = normalise.normalise(built)
    return [*objects, *crds]


def _document(
    assembly: Assembly, differences: Differences, reasons: Mapping[str, str]
) -> dict[str, Any]:
    texts = _texts_of_files(assembly)

    def because(place: str) -> dict[str, str]:
        return {"reason": reasons[place]} if place in reasons else {}

    optional = {
        name: {"unless": part.setting, "reason": part.because, "objects": sorted(part.objects)}
        for name, part in assembly.release.optional.items()
    }
    return {
        "upstream": assembly.release.upstream,
        **({"optional": optional} if optional else {}),
        "removed": {name: because(f"removed {name}") for name in differences.removed},
        "added": {
            name: {**because(f"added {name}"), **_added(obj, texts)}
            for name, obj in differences.added.items()
        },
        "changed": {
            name: [
                {
                    "path": change.path,
                    **_changed(change, texts),
                    **because(f"changed {name}#{change.path}"),
                }
                for change in values
            ]
            for name, values in differences.changed.items()
        },
    }


def _texts_of_files(assembly: Assembly) -> dict[str, str]:
    """Text of each file of the release and its includes -> the file's path in the project."""
    return {
        path.read_text(encoding="utf-8", errors="replace"): str(path.relative_to(assembly.project))
        for part in assembly.parts
        for path in sorted((assembly.project / part).rglob("*"))
        if path.is_file() and path.name not in MADE_FROM_RENDERS
    }


def _added(obj: Object, texts: Mapping[str, str]) -> dict[str, Any]:
    if is_crd(obj):
        return {"sha256": cache.sha256_of(cache.canonical_json(obj))}
    return {"object": _shown(obj, texts)}


def _changed(change: Change, texts: Mapping[str, str]) -> dict[str, Any]:
    upstream, ours = change.upstream, change.ours
    if isinstance(ours, str) and "\n" in ours and ours in texts:
        # The file replaces the whole text, so upstream's text is no part of the change.
        return {"ours": _shown(ours, texts)}
    if isinstance(upstream, str) and isinstance(ours, str) and "\n" in upstream + ours:
        lines = unified_diff(upstream.splitlines(), ours.splitlines(), n=1, lineterm="")
        # PyYAML writes a text in lines only when no line ends in a space.
        shown = [line.rstrip() for line in lines][2:]
        if len(shown) <= MOST_LINES:
            return {"diff": "\n".join(shown) + "\n"}
    sides = {"upstream": upstream, "ours": ours}
    return {side: _shown(value, texts) for side, value in sides.items() if value is not ABSENT}


def _shown(value: Any, texts: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _shown(child, texts) for key, child in sorted(cast(Object, value).items())}
    if isinstance(value, list):
        return [_shown(child, texts) for child in cast("list[Any]", value)]
    if isinstance(value, str) and "\n" in value:
        lines = len(value.splitlines())
        file = {"file": texts[value]} if value in texts else {}
        if file or lines > MOST_LINES:
            return {**file, "lines": lines, "sha256": cache.sha256_of(value.encode())}
    return value


class _Dumper(yaml.CSafeDumper):
    """Writes texts of several lines as blocks, and every value where it stands, without aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 PyYAML's own signature
        return True


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


@app.command()
def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="Release folders below manifests; else all.")
    ] = None,
) -> None:
    """Writes the golden difference of each release to its upstream.

    Example: `python -m rendering.golden 26.03`
    """
    try:
        folders = {str(path.relative_to(ROOT / "manifests")): path for path in releases(ROOT)}
        for name in names or ():
            if name not in folders:
                raise RenderError(
                    f"{name} is no release with an upstream; there are {', '.join(folders)}"
                )
        complaints = [line for name in names or folders for line in _write(name, folders[name])]
    except RenderError as error:
        complaints = [str(error)]
    if complaints:
        raise fail(complaints, BAD_INPUT)


def _write(name: str, folder: Path) -> tuple[str, ...]:
    with messages.status(f"{name}: building the release and its upstream"):
        difference = golden(folder)
    counts = {way: len(difference.document[way]) for way in ("removed", "added", "changed")}
    values = sum(map(len, difference.document["changed"].values()))
    summary = f"{', '.join(f'{count} {way}' for way, count in counts.items())} ({values} values)"
    if difference.complaints:
        results.print(f"{name}: {summary}; {GOLDEN_FILE} is left as it was")
    else:
        cache.write_atomically(folder / GOLDEN_FILE, difference.text().encode())
        results.print(f"{name}: {summary}, written")
    return difference.complaints


if __name__ == "__main__":
    run(app, "python -m rendering.golden")
