"""The pages of every setting, docs/settings.md and docs/settings.zh-CN.md, from the models.

Types, ranges, defaults and the English text are the models'; the Chinese text, an example and what
a change does are in ``reference.yaml``. ``python -m settings.reference`` writes both pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

import yaml
from pydantic import BaseModel, WrapValidator
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from settings import field_types
from settings.errors import AWS, full_key
from settings.field_types import Whole
from settings.node_pools import GpuPoolSettings, PoolSettings
from settings.section import PROJECT
from settings.sections import Settings

Language = Literal["en", "zh"]

PAGES: dict[Language, Path] = {
    "en": PROJECT / "docs/settings.md",
    "zh": PROJECT / "docs/settings.zh-CN.md",
}
NAME = "team"
"""In examples: the user's own name in a mapping, such as that of a further pool."""
_DATA: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_suffix(".yaml").read_text("utf-8")
)

_WORDS = cast(dict[Language, dict[str, str]], _DATA["words"])


@dataclass(frozen=True)
class Setting:
    """A setting, or a group of settings.

    Attributes:
        path: as in the stack file without namespace: ``gpuPool.maxGpus``, ``aws:profile``.
        around: the group that contains it; None: it stands at the top.
        model: of its entries, where it is a group; None: a value.
        container: what a group is: ``list`` or ``dict`` of mappings, or one mapping.
        annotation: its type as the model has it, with ``Annotated``.
        field: of the model.
        text: in English, from the model's docstring.
    """

    path: str
    around: Setting | None
    model: type[BaseModel] | None
    container: type[object]
    annotation: object
    field: FieldInfo
    text: str

    @property
    def anchor(self) -> str:
        """What a link ends with: ``docs/settings.md#gpupool-maxgpus``."""
        return re.sub("[^a-z0-9]+", "-", self.path.lower()).strip("-")

    @property
    def key(self) -> str:
        """Its own key in the mapping around it."""
        return self.path if self.around is None else _key_of(self.field)

    @property
    def row(self) -> Mapping[str, Any]:
        """What ``reference.yaml`` has about it."""
        return _DATA["settings"].get(self.path, {})

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.field.is_required()


def _key_of(field: FieldInfo) -> str:
    return str(field.alias)  # every field has one (settings/section.py)


def settings_of_models() -> dict[str, Setting]:
    """Path -> setting or group, in the order of the models."""
    return {each.path: each for each in _within(Settings, None)}


def _within(model: type[BaseModel], around: Setting | None) -> Iterator[Setting]:
    hints = get_type_hints(model, include_extras=True)
    texts = _texts(model)
    for name, field in model.model_fields.items():
        # The settings of any pool are described once, in the section of the first.
        of_pools = issubclass(model, PoolSettings) and model is not GpuPoolSettings
        if of_pools and name in PoolSettings.model_fields:
            continue
        path = _key_of(field)
        if around is not None:
            path = f"{around.path}{'' if around.path == AWS else '.'}{path}"
        inner = next(_models(field.annotation), None)
        kind = next(_containers(field.annotation), object) if inner else object
        text = texts.get(name) or (_summary(inner) if inner else "")
        setting = Setting(path, around, inner, kind, hints[name], field, _plain(text))
        yield setting
        if inner is not None:
            yield from _within(inner, setting)


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _containers(annotation: object) -> Iterator[type[object]]:
    """The lists and dicts in a type, from outside: ``list[Taint] | None`` -> ``list``."""
    origin = get_origin(annotation)
    if origin in (list, dict):
        yield origin
    for inner in get_args(annotation):
        yield from _containers(inner)


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").partition("\n\n")[0]


def _texts(model: type[BaseModel]) -> dict[str, str]:
    """Attribute -> its text in the docstring of the model, or of one that it extends."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        attributes = (each.__doc__ or "").partition("Attributes:\n")[2]
        found.update(re.findall(r"^ {8}(\w+): (.+(?:\n {12}.+)*)", attributes, re.MULTILINE))
    return found


def _plain(text: str) -> str:
    """A docstring's text as one sentence or more of a page."""
    flat = re.sub(r"\s+", " ", text).strip()
    flat = flat.replace("; None: ", "; not set: ").replace("None: ", "Not set: ")
    flat = re.sub(r"``(.+?)``", lambda m: f"`{_as_written(m[1])}`", flat)
    return f"{flat[:1].upper()}{flat[1:]}".rstrip(".") + "." if flat else ""


def _as_written(name: str) -> str:
    """An attribute's name as the stack file writes it."""
    return to_camel(name) if re.fullmatch("[a-z]+(_[a-z]+)+", name) else name


# -- types --------------------------------------------------------------------------------------


def _type_names() -> Iterator[tuple[object, str]]:
    for name, value in vars(field_types).items():
        if name[0].isupper() and get_origin(value) is not None:
            yield value, name


_NAMES: tuple[tuple[object, str], ...] = tuple(_type_names())


def type_name(annotation: object) -> str:
    """The name of a type in ``field_types``; empty: it has none."""
    return next((name for value, name in _NAMES if value == annotation), "")


def _type(annotation: object, language: Language) -> str:
    words = _WORDS[language]
    if name := type_name(annotation):
        return _DATA["types"][name][language]
    parts = get_args(annotation)
    checks = [part.func for part in parts if isinstance(part, WrapValidator)]
    if ranges := [check for check in checks if isinstance(check, Whole)]:
        return _range(ranges[0], language)
    match get_origin(annotation):
        case origin if origin is Literal:
            return words["choice"].format(choices=words["separator"].join(f"`{p}`" for p in parts))
        case origin if origin is list:
            return words["list"].format(item=_type(parts[0], language))
        case origin if origin is dict:
            return words["map"].format(item=_type(parts[1], language))
        case origin:  # Annotated, a type or None, or a plain type
            return _type(parts[0], language) if origin else words[cast(type, annotation).__name__]


def _range(check: Whole, language: Language) -> str:
    unit = {"en": check.unit, "zh": _DATA["units"][check.unit]}[language]
    shown = f" {unit}" if _DATA["units"][check.unit] else ""
    return _WORDS[language]["range"].format(low=check.low, high=check.high, unit=shown)


# -- examples -----------------------------------------------------------------------------------


def example(setting: Setting) -> dict[str, Any]:
    """The keys of a stack file that show a setting, with what must stand beside it."""
    value: Any = {setting.key: setting.row["example"], **setting.row.get("with", {})}
    group = setting.around
    while group is not None:
        value = {**_needed(group), **value}
        value = [value] if group.container is list else value
        value = {NAME: value} if group.container is dict else value
        if group.path == AWS:
            return {f"{AWS}{key}": inner for key, inner in value.items()}
        value = {group.key: value}
        group = group.around
    also: dict[str, Any] = setting.row.get("also", {})
    return {**{full_key(key): inner for key, inner in value.items()}, **also}


def _needed(group: Setting) -> dict[str, Any]:
    """Examples of the settings without default in a group."""
    inner = _within(group.model, group) if group.model else ()
    return {
        each.key: each.row["example"] for each in inner if each.around is group and each.required
    }


class _Dumper(yaml.SafeDumper):
    """Mappings line by line, lists of plain values in one line."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless  # PyYAML puts lists at the level of their key
        super().increase_indent(flow, False)


def _mapping(dumper: yaml.SafeDumper, value: Mapping[str, Any]) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=False)


def _sequence(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
    flat = not any(isinstance(each, dict) for each in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=flat)


_Dumper.add_representer(dict, _mapping)
_Dumper.add_representer(list, _sequence)


def _yaml(value: object) -> str:
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000
    ).removesuffix("...\n")


# -- pages --------------------------------------------------------------------------------------


def page(language: Language) -> str:
    """The whole page in a language, by ``reference.yaml``'s order."""
    known = settings_of_models()
    rows = [known[path] for path in _DATA["settings"]]
    tops = [each for each in rows if each.around is None]
    links = _WORDS[language]["separator"].join(f"[{e.path.strip(':')}](#{e.anchor})" for e in tops)
    parts = [f"{_WORDS[language]['head'].rstrip()} {links}"]
    parts += [_entry(each, rows, language) for each in rows]
    return "\n\n".join(parts) + "\n"


def _entry(setting: Setting, rows: list[Setting], language: Language) -> str:
    words = _WORDS[language]
    level = "##" if setting.around is None else "###"
    text = setting.row.get(language) or setting.text
    lines = [f'<a id="{setting.anchor}"></a>', "", f"{level} {setting.path.rstrip(':')}", "", text]
    facts: list[tuple[str, str]] = []
    if setting.model is None:
        facts.append((words["type"], _type(setting.annotation, language)))
        facts.append((words["default"], _default(setting, language)))
    elif setting.around is not None or setting.container is not object:
        keys = words["separator"].join(f"`{each.key}`" for each in rows if each.around == setting)
        kind = {list: "groups", dict: "named", object: "group"}[setting.container]
        facts.append((words["type"], f"{words[kind]} {keys}"))
    if "change" in setting.row:
        facts.append((words["change"], setting.row["change"][language]))
    if facts:
        lines += ["", *(f"- {name}{words['colon']}{fact}" for name, fact in facts)]
    if setting.model is None:
        lines += ["", "```yaml", _yaml(example(setting)).rstrip(), "```"]
    return "\n".join(lines)


def _default(setting: Setting, language: Language) -> str:
    words = _WORDS[language]
    if setting.required:
        return words["required"]
    value = setting.field.get_default(call_default_factory=True)
    if value is None:
        return words["unset"]
    return f"`{_yaml(value).strip()}`"


if __name__ == "__main__":
    for each, path in PAGES.items():
        path.write_text(page(each), "utf-8")
