"""Plain values as a checked model, with a sentence for each one that is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError

from regions.region import EXAMPLE_REGION
from settings import plain_values
from settings.errors import Path, from_pydantic, full_key

Model = TypeVar("Model", bound=BaseModel)


def read(
    model: type[Model], raw: Mapping[str, object], names: Sequence[str]
) -> tuple[Model, list[str], frozenset[str]]:
    """The values as a model, what is wrong with them, and the dotted paths of those.

    What is wrong has its default in the model, so that the rules check all the rest.

    Args:
        model: with a field ``region``.
        raw: keys as a stack file writes them; an empty one is a default.
        names: of the settings at the top, for a name that is none.
    """
    given = {key: value for key, value in raw.items() if value not in (None, "")}
    unreadable = list(plain_values.problems(given, lambda path: is_setting(model, path)))
    too_deep = {path[0] for path, _ in unreadable if len(path) == 1}
    rest = deepcopy({key: value for key, value in given.items() if key not in too_deep})
    problems = [sentence for _, sentence in unreadable]
    broken = {_remove_wrong_value(rest, tuple(path)) for path, _ in unreadable}
    if "region" in broken:
        rest["region"] = EXAMPLE_REGION
    # Each round removes what is wrong.
    while True:
        try:
            return model.model_validate(rest), problems, frozenset(broken)
        except ValidationError as error:
            for detail in cast(list[dict[str, Any]], error.errors(include_url=False)):
                path = tuple(detail["loc"])
                refused = ".".join(map(str, path)) in broken
                if refused and detail["type"] == "missing":
                    pass  # it was wrong, and is reported
                elif path == ("region",) and detail["type"] == "missing":
                    problems.append(
                        f"{full_key('region')} is missing: add the region of the stack, "
                        f"for example `{full_key('region')}: {EXAMPLE_REGION}`."
                    )
                else:
                    within = detail["type"].startswith("model")
                    place = (*path, "") if within else path
                    possible = list(names) if len(place) == 1 else _names_at(model, place)
                    problems.append(from_pydantic(detail, possible))
                wrong = _remove_wrong_value(rest, path)
                if detail["type"] != "extra_forbidden":
                    broken.add(wrong)
            rest.setdefault("region", EXAMPLE_REGION)


def aliases(model: type[BaseModel]) -> list[str]:
    """The names of a model's fields as a stack file writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _names_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The settings that are possible in the place of the last part of a path."""
    parts = iter(path[:-1])
    for part in parts:
        types = {field.alias: field.annotation for field in model.model_fields.values()}
        annotation = types.get(str(part))
        model = next(_models_in(annotation), model)
        if get_origin(annotation) is dict:
            next(parts, None)  # a name of the user's own
    return aliases(model)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The models in a type: ``list[Taint] | None`` -> ``Taint``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def is_setting(top: type[BaseModel], path: Path) -> bool:
    """Whether a path leads to a setting, or to an entry of one."""
    annotation: object = top
    for part in path:
        model = next(_models_in(annotation), None)
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        elif not isinstance(part, int):
            fields = model.model_fields.values() if model else ()
            annotation = next((field.annotation for field in fields if field.alias == part), None)
            if annotation is None:
                return False
    return True


def _remove_wrong_value(raw: dict[str, Any], path: tuple[str | int, ...]) -> str:
    """Removes a wrong value from ``raw`` (a list as a whole); returns its dotted path."""
    section, depth = raw, 0
    while depth < len(path) - 1 and isinstance(section.get(str(path[depth])), dict):
        section = section[str(path[depth])]
        depth += 1
    if str(path[depth]) not in section:  # missing, or named by pydantic alone: the whole section
        section, depth = raw, 0
    section.pop(str(path[depth]), None)
    return ".".join(str(part) for part in path[: depth + 1])
