"""The golden difference of a release to its upstream: ``python -m rendering.golden``.

``golden.yaml`` beside a ``release.yaml`` that names an ``upstream`` holds every value in which the
release differs from it, object by object, each with the reason that ``reasons.yaml`` gives. A
reviewer reads it; a test holds it equal to what the sources render to.

Both sides are normalised, so that only what would be applied counts, and neither is rewritten for
a registry: those changes are the same for every release and have tests of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Annotated, Any, cast

import typer
import yaml
from rich.console import Console

from rendering import cache, normalise
from rendering.assembly import Assembly, assemble
from rendering.differences import ABSENT, Change, Differences, compare
from rendering.objects import Object, RenderError, is_crd
from rendering.reasons import REASONS_FILE, Explained, Place, explain, load_reasons, places
from rendering.release import MADE_FROM_RENDERS, load

GOLDEN_FILE = "golden.yaml"
MOST_LINES = 40
"""A longer text, or difference of texts, is shown by its digest: nobody reviews it in passing."""

_HEADER = """\
# Every difference of this release to its upstream. Made by `make golden`; never edited.
# What a reason's name stands for is in reasons.yaml.
"""

BAD_INPUT = 2
ROOT = Path(__file__).resolve().parent.parent

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Golden:
    """The difference of one release as it is now."""

    folder: Path
    document: Mapping[str, Any]
    """What ``golden.yaml`` must hold, as JSON values."""
    complaints: tuple[str, ...]
    """A sentence per difference without a reason, and per pattern that covers no difference."""

    def text(self) -> str:
        """The file ``golden.yaml``."""
        return _HEADER + yaml.dump(
            self.document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
        )


def releases(project: Path) -> list[Path]:
    """The folders under ``manifests`` whose release.yaml names an upstream."""
    folders = sorted(path.parent for path in (project / "manifests").rglob("release.yaml"))
    return [folder for folder in folders if load(folder).upstream]


def golden(folder: Path) -> Golden:
    """Compares the release in ``folder`` with its upstream.

    Raises:
        RenderError: a side cannot be built, the release names no upstream, an object occurs twice,
            or reasons.yaml is not readable.
    """
    assembly = assemble(folder)
    found = compare(upstream_objects(assembly), _normalised(assembly, assembly.own))
    reasons = explain(places(found), load_reasons(folder))
    return Golden(
        folder, _document(assembly, found, reasons.given), tuple(_complaints(folder, reasons))
    )


def upstream_objects(assembly: Assembly) -> list[Object]:
    """What a release is a changed copy of, normalised.

    Raises:
        RenderError: the release names no upstream, or the upstream cannot be built.
    """
    if assembly.upstream is None:
        file = assembly.own / "release.yaml"
        raise RenderError(f"{file} names no upstream to compare with")
    return _normalised(assembly, assembly.upstream)


def _normalised(assembly: Assembly, kustomization: Path) -> list[Object]:
    objects, crds = normalise.normalise(assembly.build(kustomization))
    return [*objects, *crds]


def _complaints(folder: Path, reasons: Explained) -> Iterator[str]:
    file = f"{folder.name}/{REASONS_FILE}"
    for place in reasons.without:
        yield f"{place} has no reason in {file}"
    for pattern in reasons.unused:
        yield f"{file} explains what does not differ, {pattern}"


def _document(
    assembly: Assembly, found: Differences, reasons: Mapping[Place, str]
) -> dict[str, Any]:
    texts = _texts_of_files(assembly)

    def because(place: Place) -> dict[str, str]:
        return {"reason": reasons[place]} if place in reasons else {}

    return {
        "upstream": assembly.release.upstream,
        "removed": {name: because(Place("removed", name)) for name in found.removed},
        "added": {
            name: {**because(Place("added", name)), **_added(obj, texts)}
            for name, obj in found.added.items()
        },
        "changed": {
            name: [
                {
                    "path": change.path,
                    **_changed(change, texts),
                    **because(Place.of_change(name, change.path)),
                }
                for change in values
            ]
            for name, values in found.changed.items()
        },
    }


def _texts_of_files(assembly: Assembly) -> dict[str, str]:
    """Text of each file of the release and its includes -> the way to it."""
    found: dict[str, str] = {}
    for part in assembly.parts:
        for path in sorted((assembly.project / part).rglob("*")):
            if path.is_file() and path.name not in MADE_FROM_RENDERS:
                text = path.read_text(encoding="utf-8", errors="replace")
                found[text] = path.relative_to(assembly.project).as_posix()
    return found


def _added(obj: Object, texts: Mapping[str, str]) -> dict[str, Any]:
    if is_crd(obj):
        return {"sha256": cache.sha256_of(cache.canonical_json(obj))}
    return {"object": _shown(obj, texts)}


def _changed(change: Change, texts: Mapping[str, str]) -> dict[str, Any]:
    upstream, ours = change.upstream, change.ours
    if isinstance(ours, str) and "\n" in ours and ours in texts:
        # Replaced as a whole: what upstream had there is no part of the change.
        return {"ours": _shown(ours, texts)}
    if isinstance(upstream, str) and isinstance(ours, str) and "\n" in upstream + ours:
        lines = unified_diff(upstream.splitlines(), ours.splitlines(), n=1, lineterm="")
        # YAML shows a text in lines only when no line ends in a space.
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
    """Texts of several lines stand as such, and nothing is written as a reference to elsewhere."""

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
    """Writes the golden difference of each release to its upstream."""
    try:
        known = {str(path.relative_to(ROOT / "manifests")): path for path in releases(ROOT)}
        unknown = [name for name in names or known if name not in known]
        if unknown:
            raise RenderError(
                f"{unknown[0]} is no release with an upstream; there are {', '.join(known)}"
            )
        wrong = [sentence for name in names or known for sentence in _write(name, known[name])]
    except RenderError as error:
        wrong = [str(error)]
    for sentence in wrong:
        console.print(sentence, style="red", markup=False)
    if wrong:
        raise typer.Exit(BAD_INPUT)


def _write(name: str, folder: Path) -> tuple[str, ...]:
    with console.status(f"{name}: building the release and its upstream"):
        made = golden(folder)
    counts = {way: len(made.document[way]) for way in ("removed", "added", "changed")}
    values = sum(map(len, made.document["changed"].values()))
    said = ", ".join(f"{count} {way}" for way, count in counts.items())
    if made.complaints:
        console.print(f"{name}: {said} ({values} values); {GOLDEN_FILE} is left as it was")
    else:
        cache.write_atomically(folder / GOLDEN_FILE, made.text().encode())
        console.print(f"{name}: {said} ({values} values), written")
    return made.complaints


if __name__ == "__main__":
    app()
