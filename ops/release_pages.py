"""A page per release, docs/releases: ``python -m ops.release_pages`` writes all of them.

Everything in them is data of the release's folder, of ``settings/support_ends.yaml`` and of the
folders to which a way leads from it; the words between are in ``release_pages.yaml``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args

import yaml

from advisories.table import NAME as ADVISORIES
from advisories.table import Advisory
from advisories.table import of_release as advisories_of
from images.reference import parse
from program import advisories_with, patches_that_close
from rendering import lock as locks
from rendering.field_types import NEEDS
from rendering.golden import GOLDEN_FILE
from rendering.installed import installed
from rendering.reasons import load_reasons
from rendering.release import Release, load
from settings import MANIFESTS, facts
from settings.release_files import default_release
from settings.support_ends import EKS, READ
from upgrades.table import Upgrade
from upgrades.table import of_release as ways_to

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
FOLDER = MANIFESTS.parent / "docs/releases"
_DATA: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
COMPONENTS: Mapping[str, Sequence[str]] = _DATA["components"]
_MIB = 1 << 20
_VERBS = ("removed", "added", "changed")


def releases() -> list[str]:
    """The releases, by name."""
    return list(facts.releases(MANIFESTS))


def file_of(release: str, language: Language) -> Path:
    """Where the page of a release stands."""
    return FOLDER / f"{release}{'' if language == 'en' else '.zh-CN'}.md"


def page(release: str, language: Language) -> str:
    """The whole page."""
    return _Page(release, language).text()


class _Page:
    def __init__(self, name: str, language: Language) -> None:
        self._name = name
        self._folder = MANIFESTS / name
        self._release: Release = load(self._folder)
        self._words: Mapping[str, Any] = _DATA["words"][language]

    def text(self) -> str:
        parts = (
            *(self._head(), self._upgrades(), self._advisories(), self._components()),
            *(self._kubernetes(), self._optional(), self._patches(), self._databases()),
            *(self._images(), self._differences(), self._sources()),
        )
        return "\n\n".join(line for part in parts for line in part) + "\n"

    def _say(self, key: str, **values: object) -> str:
        return str(self._words[key]).strip().format(release=self._name, **values)

    def _table(self, key: str, rows: Iterable[Sequence[object]], *more: str) -> str:
        """A table under the titles of a key, and more."""
        titles = [*cast(list[str], self._words[key]), *more]
        lines = [titles, ["---"] * len(titles), *([_cell(each) for each in row] for row in rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace("|  |", "| |")

    def _head(self) -> Iterator[str]:
        default = default_release()
        which = "default" if self._name == default else "not_default"
        yield f"# {self._say('title')}"
        yield self._say("other")
        yield self._say("head", sentence=self._say(which, default=default))

    def _upgrades(self) -> Iterator[str]:
        yield f"## {self._say('upgrades')}"
        ways = ways_to(self._folder).ways
        if not ways:
            yield self._say("none_to")
        for old, way in ways.items():
            yield f"### {self._say('way_from', old=old)}"
            yield from self._way(way)
        onward = [each for each in releases() if self._name in ways_to(MANIFESTS / each).ways]
        if not onward:
            yield self._say("none_from")
        for new in onward:
            heading = self._say("way_from", old=self._name)
            yield self._say("way_to", new=new, anchor=_anchor(heading))

    def _way(self, way: Upgrade) -> Iterator[str]:
        tables: dict[str, list[tuple[str, ...]]] = {
            "before": [
                (f"`{each.name}`", each.what, each.why, each.way_out) for each in way.before
            ],
            "gone": [(_codes(each.objects), _codes(each.to), each.why) for each in way.gone],
            "replaced": [
                (f"`{each.object}`", f"`{each.field}`", each.why) for each in way.replaced
            ],
            "stays": [(each.what, each.why) for each in way.stays],
        }
        for key, rows in tables.items():
            if rows:
                yield f"{self._say(key)}\n\n{self._table(f'{key}_table', rows)}"
        if changed := [f"`{each.name}`" for each in way.databases if each.adds]:
            yield self._say("database_changes", names=", ".join(changed))
        if way.not_undone:
            yield self._say("not_undone")
            yield "\n".join(f"- {_cell(each)}" for each in way.not_undone)

    def _advisories(self) -> Iterator[str]:
        yield f"## {self._say('advisories')}"
        if not (self._folder / ADVISORIES).exists():
            yield self._say("advisories_none")
            return
        table = advisories_of(self._folder)
        by_choice, closing = parts_that_open(self._folder), patches_that_close(self._folder)
        still_open = [each for each in table.still_open() if each.id not in by_choice]
        critical = sum(each.severity == "critical" for each in still_open)
        counts = {"all": len(table.advisories), "open": len(still_open), "critical": critical}
        more = self._say("by_choice", count=len(by_choice)) if by_choice else ""
        yield self._say("advisories_note", read=table.read, more=more, **counts)
        order = sorted(table.advisories, key=lambda each: (each.here != "open", each.rank))
        yield self._table(
            "advisory_table",
            (
                (
                    f"[{each.id}]({each.source})",
                    f"{self._words['severity'][each.severity]} {each.score or ''}".strip(),
                    self._state(each, by_choice),
                    each.what,
                    each.why,
                    f"{each.way_out} (`{closing[each.id]}`)"
                    if each.id in closing
                    else each.way_out,
                )
                for each in order
            ),
        )

    def _state(self, advisory: Advisory, by_choice: Mapping[str, str]) -> str:
        if setting := by_choice.get(advisory.id):
            return self._say("open_with", setting=setting)
        return self._words["state"][advisory.here]

    def _components(self) -> Iterator[str]:
        yield f"## {self._say('components')}"
        yield self._say("component_note")
        rows = ((name, f"`{image}`", version) for name, image, version in components(self._folder))
        yield self._table("component_table", rows)

    def _kubernetes(self) -> Iterator[str]:
        yield f"## {self._say('kubernetes')}"
        accepted = self._release.kubernetes
        rows = [
            (version, ends.standard, ends.extended)
            for version, ends in EKS.items()
            if accepted.holds(version)
        ]
        note = "kubernetes_note" if rows else "kubernetes_gone"
        yield self._say(note, range=f"{accepted.min} - {accepted.max}", read=READ)
        if rows:
            yield self._table("kubernetes_table", rows)

    def _optional(self) -> Iterator[str]:
        if parts := self._release.optional:
            yield f"## {self._say('optional')}"
            rows = ((name, f"`{each.setting}`", each.because) for name, each in parts.items())
            yield self._table("optional_table", rows)

    def _patches(self) -> Iterator[str]:
        if patches := self._release.patches:
            yield f"## {self._say('patches')}"
            rows = (
                (name, each.version, ", ".join(each.versions), each.source)
                for name, each in patches.items()
            )
            yield self._table("patch_table", rows)

    def _databases(self) -> Iterator[str]:
        if users := self._release.databases:
            yield f"## {self._say('databases')}"
            parts = self._release.optional.values()
            settings = {name: f"`{part.setting}`" for part in parts for name in part.databases}
            rows = [
                (name, f"`{each.user}`", f"`{each.database}`", self._words["tls"][each.tls])
                for name, each in users.items()
            ]
            if settings:
                rows = [(*row, settings.get(row[0], "")) for row in rows]
            yield self._table("database_table", rows, *([self._say("only_with")] * bool(settings)))

    def _images(self) -> Iterator[str]:
        images = locks.load(self._folder, self._name).images
        settings = self._settings_of(images)
        of_defaults = [image for image in images if image.source not in settings]
        known = [image.bytes for image in of_defaults if image.bytes]
        sizes = self._say("sizes_unknown")
        if known:
            sizes = self._say("sizes", known=len(known), mib=round(sum(known) / _MIB))
        counts = Counter(image.needed for image in of_defaults)
        more = self._say("images_more", count=len(settings)) if settings else ""
        needed = self._words["needed"]
        by_need = {need: counts[need] for need in NEEDS}
        yield f"## {self._say('images')}"
        all_ = len(of_defaults)
        yield self._say("images_note", all=all_, more=more, sizes=sizes, **by_need)
        rows = [
            (f"`{_short(each.source)}`", settings.get(each.source, needed[each.needed]))
            for each in images
        ]
        if any(image.bytes for image in images):
            amounts = (round(each.bytes / _MIB) if each.bytes else "" for each in images)
            rows = [(*row, str(amount)) for row, amount in zip(rows, amounts, strict=True)]
        yield self._table("image_table", rows, *([self._say("size")] if len(rows[0]) > 2 else []))

    def _settings_of(self, images: Sequence[locks.LockedImage]) -> dict[str, str]:
        """Source of an image that a stack of defaults has not -> the setting that brings it."""

        def sources(*parts: str) -> set[str]:
            return {image.source for image in installed(self._release, images, parts, {})}

        of_defaults = sources()
        found = {image.source: "`patches`" for image in images if image.source not in of_defaults}
        for name, part in self._release.optional.items():
            found |= dict.fromkeys(sources(name) - of_defaults, f"`{part.setting}`")
        return found

    def _differences(self) -> Iterator[str]:
        yield f"## {self._say('differences')}"
        golden = self._folder / GOLDEN_FILE
        if not golden.exists():
            yield self._say("differences_none")
            return
        content: dict[str, Any] = yaml.load(golden.read_bytes(), Loader=yaml.CSafeLoader)
        counts = {verb: counted(content.get(verb) or {}) for verb in _VERBS}
        totals = {verb: counts[verb].total() for verb in _VERBS}
        upstream = content["upstream"].replace("./", f"manifests/{self._name}/", 1)
        yield self._say("differences_note", upstream=upstream, **totals)
        reasons = load_reasons(self._folder)
        yield self._table(
            "difference_table",
            (
                (
                    f"`{each.id}`",
                    *(counts[verb][each.id] or "" for verb in _VERBS),
                    each.because,
                    each.source,
                )
                for each in reasons
            ),
        )

    def _sources(self) -> Iterator[str]:
        yield f"## {self._say('sources')}"
        rows = ((each.repository, each.ref, f"`{each.commit}`") for each in self._release.sources)
        yield self._table("source_table", rows)


def counted(differences: Mapping[str, Any]) -> Counter[str]:
    """Reason -> how many differences of one section of ``golden.yaml`` it has."""
    entries: list[Mapping[str, Any]] = []
    for each in differences.values():
        entries += cast(list[Any], each if isinstance(each, list) else [each])
    return Counter(str(entry["reason"]) for entry in entries)


def components(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Component, image without registry, and version, of those that a release has."""
    images = [parse(image.source) for image in locks.load(folder, folder.name).images]
    for component, ends in COMPONENTS.items():
        found = (
            image for end in ends for image in images if f"/{image.repository}".endswith(f"/{end}")
        )
        if image := next(found, None):
            yield component, image.repository, image.tag or ""


def parts_that_open(folder: Path) -> dict[str, str]:
    """Identifier of an open advisory -> the one setting with which a stack has it.

    Args:
        folder: of the release.
    """

    def still_open(*parts: str) -> set[str]:
        return {each.id for each in advisories_with(folder, parts, {}).still_open()}

    by_default = still_open()
    return {
        id_: part.setting
        for name, part in load(folder).optional.items()
        for id_ in still_open(name) - by_default
    }


def _short(source: str) -> str:
    """A reference without the digits of its digest that nobody reads."""
    return re.sub(r"(@sha256:[0-9a-f]{12})[0-9a-f]+", r"\1...", source)


def _cell(value: object) -> str:
    """A text in one line, of which a page shows every character."""
    parts = " ".join(str(value).split()).replace("|", "\\|").split("`")
    # Every other part stands between backticks, where Markdown has no other meaning.
    parts[::2] = [re.sub(r"[*<]", r"\\\g<0>", part) for part in parts[::2]]
    return "`".join(parts)


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _anchor(heading: str) -> str:
    """As GitHub makes it: letters in small, without punctuation, hyphens for spaces."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in releases():
        for each_language in LANGUAGES:
            file_of(name, each_language).write_text(page(name, each_language), "utf-8")
